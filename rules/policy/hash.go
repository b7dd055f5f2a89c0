package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"sort"
)

// hash is the identity of a set: what decides which events match and what signals say of it, with defaults
// written out. Comments, key order, paths, tests, disabled rules and what is written about a rule for
// people only (references, authors, metadata) do not count. The order of policies and of rules does: it
// decides which of two equal rules a signal names first.
func hash(s *Set) string {
	index := make(map[*Policy]int, len(s.Policies))
	for i, p := range s.Policies {
		index[p] = i
	}
	type expression struct {
		Text  string
		Scope int // whose names it sees
	}
	express := func(x Expr) expression { return expression{x.Text, index[x.Scope]} }
	type named struct {
		Name   string
		Ints   bool       `json:",omitempty"`
		Values []string   `json:",omitempty"`
		Expr   expression `json:",omitzero"`
		Type   []string   `json:",omitempty"`
	}
	sorted := func(ns []named) []named {
		sort.SliceStable(ns, func(i, j int) bool { return ns[i].Name < ns[j].Name })
		return ns
	}
	lists := func(ls []List) (out []named) {
		for _, l := range ls {
			members := values(l.Members)
			if l.Ints { // 0x10 is 16
				members = slices.Clone(members)
				for i, m := range members {
					v, _ := parseInt(m)
					raw, _ := json.Marshal(v)
					members[i] = string(raw)
				}
			}
			out = append(out, named{Name: l.Name.Value, Ints: l.Ints, Values: members})
		}
		return sorted(out)
	}
	macros := func(ms []Macro) (out []named) {
		for _, m := range ms {
			out = append(out, named{Name: m.ID.Value, Values: values(m.Params), Expr: express(m.Expression)})
		}
		return sorted(out)
	}
	type rule struct {
		ID, Version, Title string
		Expression         expression
		Severity           string
		Priority           int
		Shadow             bool
		Tags               []string
		Exceptions         []named
		Every              string
		LimiterToken       []string
		Actions            []json.RawMessage
	}
	type policy struct {
		Name, Version             string
		Lists, Macros, Variables  []named
		SharedLists, SharedMacros []named
		Rules                     []rule
	}
	var all []policy
	for _, p := range s.Policies {
		out := policy{Name: p.Name.Value, Version: p.Version.Value, Lists: lists(p.Lists), Macros: macros(p.Macros),
			SharedLists: lists(p.SharedLists), SharedMacros: macros(p.SharedMacros)}
		for _, v := range p.Variables {
			out.Variables = append(out.Variables, named{Name: v.Name.Value, Values: append([]string{v.Default.Value}, values(v.DefaultList)...),
				Type: []string{v.Scope.Value, v.Type.Value}})
		}
		out.Variables = sorted(out.Variables)
		for _, r := range p.Rules {
			if r.Disabled {
				continue
			}
			h := rule{ID: r.ID.Value, Version: r.Version, Title: r.Title, Expression: express(r.Expression), Severity: r.Severity.String(),
				Priority: r.Priority, Shadow: r.Shadow, Tags: r.Tags, Every: r.Every.Value, LimiterToken: values(r.LimiterToken)}
			for _, e := range r.Exceptions { // their order says which is counted
				h.Exceptions = append(h.Exceptions, named{Name: e.Name.Value, Expr: express(e.Expression)})
			}
			for _, a := range r.Actions {
				h.Actions = append(h.Actions, a.JSON)
			}
			out.Rules = append(out.Rules, h)
		}
		all = append(all, out)
	}
	raw, err := json.Marshal(all)
	if err != nil {
		panic("policy: a set always encodes: " + err.Error()) // actions are JSON that this package wrote
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}
