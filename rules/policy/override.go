package policy

import (
	"fmt"
	"slices"
	"strings"
)

// patch is one override as its file says it.
type patch struct {
	Override
	scope *Policy // the policy it stands in
	draft
	add     *draft // what is added, nil when nothing is
	members *listPatch
	adds    *listPatch
}

// listPatch are members given for a list.
type listPatch struct {
	members []Text
	ints    bool
	at      Span
}

// overrideObject has the target, and every key of a rule that can be replaced. A list's keys are read
// first as nodes, because `add` means one thing for a rule and another for a list.
var overrideObject = object[patch]{what: "an override", fields: overrideFields()}

func overrideFields() []field[patch] {
	out := []field[patch]{
		{key: "rule", doc: "Id of the rule to change.", shape: idShape,
			read: func(r *reader, n *node, p *patch) { p.Rule, _ = r.filled(n, "rule") }},
		{key: "list", doc: "The list to change: policy/list, or the name of a shared list.", shape: textShape,
			read: func(r *reader, n *node, p *patch) { p.List, _ = r.filled(n, "list") }},
		{key: "add", doc: "What to append: keys of the rule, or members of the list.", shape: shape{"oneOf": []any{ref("add"), textsShape}},
			read: func(r *reader, n *node, p *patch) {
				if n.kind == seqNode {
					p.adds = r.listPatch(n)
					return
				}
				p.add = &draft{}
				p.add.given = readObject(r, n, &addObject, p.add)
			}},
		{key: "members", doc: "Members to replace those of the list.", shape: textsShape,
			read: func(r *reader, n *node, p *patch) { p.members = r.listPatch(n) }},
	}
	for _, f := range ruleFields {
		if f.replace == nil {
			continue
		}
		out = append(out, field[patch]{key: f.key, doc: "Replaces: " + f.doc, shape: f.shape,
			read: func(r *reader, n *node, p *patch) { f.read(r, n, &p.draft) }})
	}
	return out
}

// addObject has the keys of a rule to which an override can add.
var addObject = object[draft]{what: "add", fields: addFields()}

func addFields() []field[draft] {
	var out []field[draft]
	for _, f := range ruleFields {
		if f.add != nil {
			f.field.doc = "Appends to: " + f.doc
			out = append(out, f.field)
		}
	}
	return out
}

func (r *reader) listPatch(n *node) *listPatch {
	members, ints := r.members(n, "the list")
	return &listPatch{members, ints, headOf(n)}
}

func (r *reader) overrides(n *node) {
	if !r.want(n, seqNode, "overrides") {
		return
	}
	for _, item := range n.items {
		p := &patch{scope: r.policy}
		given := readObject(r, item, &overrideObject, p)
		if given == nil {
			continue
		}
		p.Span, p.given = item.span, given
		p.rule.Policy = r.policy
		_, rule := given["rule"]
		_, list := given["list"]
		switch {
		case rule && list:
			r.noted(given["list"], CodeOverrideConflict, "write two overrides", Note{given["rule"], "a rule here"}, "an override changes a rule or a list, not both")
			continue
		case !rule && !list:
			r.fault(headOf(item), CodeMissingKey, "", `an override needs the key "rule" or "list"`)
			continue
		}
		if !r.fitsTarget(p, rule) {
			continue
		}
		r.patches = append(r.patches, p)
		r.policy.Overrides = append(r.policy.Overrides, p.Override)
	}
}

// fitsTarget checks that the keys of an override belong to a rule, or to a list.
func (r *reader) fitsTarget(p *patch, rule bool) bool {
	ok := true
	refuse := func(key, format string) {
		r.fault(p.given[key], CodeUnknownKey, "", format, key)
		ok = false
	}
	for _, f := range overrideObject.fields {
		if _, given := p.given[f.key]; !given {
			continue
		}
		switch f.key {
		case "rule", "list":
		case "add":
			if rule && p.adds != nil {
				r.fault(p.adds.at, CodeWrongType, "write for instance add: {tags: {team: soc}}", "what is added to a rule is a mapping")
				ok = false
			} else if !rule && p.add != nil {
				r.fault(p.given["add"], CodeWrongType, "write for instance add: [corpupdate.exe]", "what is added to a list is a list")
				ok = false
			}
		case "members":
			if rule {
				refuse(f.key, "an override of a rule has no key %q")
			}
		default:
			if !rule {
				refuse(f.key, "an override of a list has no key %q")
			}
		}
	}
	if len(p.given) == 1 {
		r.fault(p.Override.Span, CodeMissingKey, "give add, or a key to replace", "the override changes nothing")
		ok = false
	}
	return ok
}

// applyOverrides changes the drafts and lists of the whole set. Everything is replaced before anything is
// added, so that the order of files says only in which order additions stand.
func (s *assembly) applyOverrides() {
	type slot struct{ target, key string }
	taken := map[slot]Span{}
	claim := func(p *patch, target, key string) bool {
		at := p.given[key]
		if first, twice := taken[slot{target, key}]; twice {
			s.noted(at, CodeOverrideConflict, "keep one of them", Note{first, "first here"},
				"%s of %s is replaced by two overrides", key, target)
			return false
		}
		taken[slot{target, key}] = at
		return true
	}
	for _, replacing := range []bool{true, false} {
		for _, r := range s.readers {
			for _, p := range r.patches {
				if p.Rule.Value != "" {
					s.patchRule(p, replacing, claim)
				} else if p.List.Value != "" {
					s.patchList(p, replacing, claim)
				}
			}
		}
	}
}

func (s *assembly) patchRule(p *patch, replacing bool, claim func(p *patch, target, key string) bool) {
	d := s.rules[p.Rule.Value]
	if d == nil {
		if replacing && !s.missing.has(p.Rule.Value) {
			s.fault(p.Rule.Span, CodeOverrideTarget, s.suggestRule(p.Rule.Value), "the set has no rule %q", p.Rule.Value)
		}
		return
	}
	for _, f := range ruleFields {
		if replacing {
			if _, given := p.given[f.key]; given && f.replace != nil && claim(p, "rule "+d.rule.ID.Value, f.key) {
				f.replace(d, &p.draft)
				d.given[f.key] = p.given[f.key]
			}
		} else if p.add != nil && f.add != nil {
			if _, given := p.add.given[f.key]; given {
				f.add(d, p.add)
			}
		}
	}
}

// patchList changes a list of another policy, named policy/list, or a shared one.
func (s *assembly) patchList(p *patch, replacing bool, claim func(p *patch, target, key string) bool) {
	list := s.findList(p, replacing)
	if list == nil {
		return
	}
	change := p.adds
	if replacing {
		change = p.members
	}
	if change == nil || replacing && !claim(p, "list "+p.List.Value, "members") {
		return
	}
	if len(change.members) > 0 && len(list.Members) > 0 && change.ints != list.Ints {
		s.noted(change.at, CodeMixedList, "", Note{list.Name.Span, "the list"}, "list %q holds %s", p.List.Value, kindOfList(*list))
		return
	}
	if replacing {
		list.Members, list.Ints = change.members, change.ints
		return
	}
	if len(list.Members) == 0 {
		list.Ints = change.ints
	}
	list.Members = slices.Concat(list.Members, change.members)
}

func kindOfList(l List) string {
	if l.Ints {
		return "integers"
	}
	return "texts"
}

// findList looks up the target of p; report says whether a missing one is reported.
func (s *assembly) findList(p *patch, report bool) *List {
	refuse := func(hint, format string, args ...any) *List {
		if report && !s.missing.has(p.List.Value[strings.LastIndexByte(p.List.Value, '/')+1:]) {
			s.fault(p.List.Span, CodeOverrideTarget, hint, format, args...)
		}
		return nil
	}
	target := p.List.Value
	slash := strings.LastIndexByte(target, '/')
	if slash < 0 {
		var names []string
		for _, r := range s.readers {
			for i := range r.policy.SharedLists {
				if l := &r.policy.SharedLists[i]; l.Name.Value == target {
					return l
				}
				names = append(names, r.policy.SharedLists[i].Name.Value)
			}
			for _, l := range r.policy.Lists {
				names = append(names, r.policy.Name.Value+"/"+l.Name.Value)
				if l.Name.Value == target {
					return refuse(fmt.Sprintf("write %s/%s", r.policy.Name.Value, target), "no shared list is named %q", target)
				}
			}
		}
		return refuse(suggestion(target, names), "no shared list is named %q", target)
	}
	policy, name := target[:slash], target[slash+1:]
	var found *List
	var policies, names []string
	for _, r := range s.readers {
		policies = append(policies, r.policy.Name.Value)
		if r.policy.Name.Value != policy {
			continue
		}
		for i := range r.policy.Lists {
			l := &r.policy.Lists[i]
			names = append(names, l.Name.Value)
			if l.Name.Value != name {
				continue
			}
			if found != nil {
				return refuse("give the policies different names", "two policies are named %q and have a list %q", policy, name)
			}
			found = l
		}
	}
	switch {
	case found != nil:
		return found
	case !slices.Contains(policies, policy) && s.missing.names != nil:
		return refuse("", "no list is named %q", target) // the policy may be one that could not be read
	case !slices.Contains(policies, policy):
		return refuse(suggestion(policy, policies), "the set has no policy %q", policy)
	}
	return refuse(suggestion(name, names), "policy %q has no list %q", policy, name)
}

// suggestion words a hint, or gives none.
func suggestion(name string, candidates []string) string {
	if s := Suggest(name, candidates); s != "" {
		return fmt.Sprintf("did you mean %q?", s)
	}
	return ""
}
