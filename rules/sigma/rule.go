package sigma

import (
	"fmt"
	"slices"
	"strings"

	"spoor/rules/policy"
)

// exclusion is a part of a condition that takes matches out: it becomes an exception of the rule.
type exclusion struct {
	name string
	node *node // what is excluded
	// filter is where the exclusion comes from when it is not the rule itself.
	filter *document
}

// parts is a rule as it is taken apart: it matches when the node holds and no exclusion does.
type parts struct {
	node       *node
	exclusions []exclusion
}

// whole is the condition of the rule as one tree.
func (p parts) whole() *node {
	args := []*node{p.node}
	for _, x := range p.exclusions {
		args = append(args, negation(x.node))
	}
	return all(args...)
}

func (p parts) resolve(f assign) parts {
	out := parts{node: p.node.resolve(f)}
	for _, x := range p.exclusions {
		// The exclusion stands under a negation.
		x.node = negation(negation(x.node).resolve(f))
		if x.node.op != constNode || x.node.value {
			out.exclusions = append(out.exclusions, x)
		}
	}
	return out
}

// exclusionNames begin the names of search identifiers that exist to be excluded.
var exclusionNames = []string{"filter", "exclu", "exception", "false_positive", "fp_"}

func excludes(name string) bool {
	return slices.ContainsFunc(exclusionNames, func(p string) bool { return strings.HasPrefix(strings.ToLower(name), p) })
}

// takeApart splits what a rule excludes by name from what it looks for. A rule that looks for nothing else
// stays whole.
func takeApart(n *node) parts {
	var out parts
	var kept []*node
	for _, c := range n.conjuncts() {
		if c.op == notNode {
			if xs := exclusionsOf(c.args[0]); xs != nil {
				out.exclusions = append(out.exclusions, xs...)
				continue
			}
		}
		kept = append(kept, c)
	}
	if len(kept) == 0 {
		return parts{node: n}
	}
	out.node = all(kept...)
	return out
}

// exclusionsOf are the exclusions that n, which stands under a not, consists of; nil when it is not only
// search identifiers for that purpose.
func exclusionsOf(n *node) []exclusion {
	name := n.name
	if i := strings.LastIndex(name, " of "); i >= 0 {
		name = name[i+len(" of "):]
	}
	if n.op == orNode && (n.name == "" || name != n.name) {
		var out []exclusion
		for _, a := range n.args {
			xs := exclusionsOf(a)
			if xs == nil {
				return nil
			}
			out = append(out, xs...)
		}
		return out
	}
	if n.name == "" || !excludes(name) {
		return nil
	}
	return []exclusion{{name: n.name, node: n}}
}

// rule makes a rule of a document, nil when it is refused.
func (im *importer) rule(d *document) (*policy.Rule, policy.ImportedRule) {
	refuseRule := func(r *refusal) (*policy.Rule, policy.ImportedRule) { return nil, d.refused(r) }
	if d.refusal != nil {
		return refuseRule(d.refusal)
	}
	s, r := im.mapping.scope(d.source, d.span)
	if r != nil {
		return refuseRule(r)
	}
	tree, r := im.newDetection(d.root.Get("detection"), s).condition()
	if r != nil {
		return refuseRule(r)
	}
	whole := takeApart(tree)
	for _, f := range d.filters {
		xs, r := im.exclusionsOfFilter(f, s)
		if r == nil {
			whole.exclusions = append(whole.exclusions, xs...)
			f.applied++
		} else if f.refusal == nil {
			f.refusal = r
		}
	}
	out, r := im.decide(whole, s)
	if r != nil {
		entry := d.refused(r)
		entry.Dropped = out.dropped
		return nil, entry
	}
	rule, r := im.writeRule(d, out)
	if r != nil {
		return refuseRule(r)
	}
	entry := policy.ImportedRule{ID: rule.ID.Value, Source: d.span, Status: out.status, Reason: out.reason,
		Place: out.place, Dropped: out.dropped, Notes: append(negatedUnknown(out.parts), im.notes(d, out)...)}
	return rule, entry
}

// outcome is what became of a rule's condition.
type outcome struct {
	parts
	events  []string // that the rule is about
	status  policy.ImportStatus
	reason  string
	place   policy.Span
	dropped []string
}

// decide gives conditions on missing fields a value. Where they occur positively they are false and under an
// odd number of negations true: whatever the fields may be, the rule matches a subset then. If it can match
// nothing that way, and widening is allowed, what it excludes by missing fields is not excluded.
func (im *importer) decide(p parts, s *scope) (outcome, *refusal) {
	out := outcome{status: policy.StatusImported}
	var fields, excluded, needed []string
	var first, firstExcluded, firstNeeded policy.Span
	note := func(list *[]string, place *policy.Span, it *item) {
		if *place == (policy.Span{}) {
			*place = it.at
		}
		if name := it.fieldName(); !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
	var unmapped []string
	p.whole().items(func(it *item, negated bool) {
		if len(it.unmapped) > 0 && !negated {
			what := it.fieldName() + " " + list(it.unmapped)
			note(&unmapped, &first, &item{field: what, at: it.at})
			if d := it.at.String() + ": " + what + " in " + it.selection; !slices.Contains(out.dropped, d) {
				out.dropped = append(out.dropped, d)
			}
		}
		if it.kind != missingItem {
			return
		}
		if d := it.describe(); !slices.Contains(out.dropped, d) {
			out.dropped = append(out.dropped, d)
		}
		note(&fields, &first, it)
		if negated {
			note(&excluded, &firstExcluded, it)
		} else {
			note(&needed, &firstNeeded, it)
		}
	})
	if s.byID && s.unbound(p.whole()) {
		return out, refuse(p.at(), "no EventID says which events of the %s are meant; most of them are not in the schema", s.label)
	}
	narrow := func(it *item, negated bool) (bool, bool) { return negated, it.kind == missingItem }
	if resolved, events := s.bind(p.resolve(narrow)); len(events) > 0 {
		out.parts, out.events = resolved, events
		if len(fields) > 0 {
			out.status, out.place = policy.StatusNarrowed, first
			out.reason = fmt.Sprintf("events do not carry %s: what depends on it was left out", list(fields))
		} else if len(unmapped) > 0 {
			out.status, out.place = policy.StatusNarrowed, first
			out.reason = fmt.Sprintf("the schema has no event for %s", list(unmapped))
		}
		return out, nil
	}
	if len(fields) == 0 {
		return out, s.contradiction(p)
	}
	wide := func(it *item, negated bool) (bool, bool) { return false, it.kind == missingItem }
	resolved, events := s.bind(p.resolve(wide))
	if len(events) == 0 {
		if len(needed) == 0 {
			return out, s.contradiction(p)
		}
		return out, refuse(firstNeeded, "it needs %s, which events do not carry", list(needed))
	}
	if !im.allowWidened {
		return out, refuse(firstExcluded, "it excludes by %s, which events do not carry; --allow-widened imports it without", list(excluded))
	}
	out.parts, out.events = resolved, events
	out.status, out.place = policy.StatusWidened, firstExcluded
	out.reason = fmt.Sprintf("events do not carry %s: what it excludes by it is not excluded", list(excluded))
	if len(needed) > 0 {
		out.reason += "; alternatives by " + list(needed) + " are left out"
	}
	return out, nil
}

// contradiction says why a rule matches nothing although events carry all of its fields.
func (s *scope) contradiction(p parts) *refusal {
	var out *refusal
	p.whole().items(func(it *item, negated bool) {
		if out == nil && it.kind == eventItem && !negated && !slices.ContainsFunc(s.events, func(e string) bool { return it.events[e] }) {
			out = refuse(it.at, "the %s has no event of the schema with this %s", s.label, it.fieldName())
		}
	})
	if out == nil {
		out = refuse(p.at(), "it can match no event of the %s", s.label)
	}
	return out
}

// at is where the condition stands: that of its first item.
func (p parts) at() policy.Span {
	var at policy.Span
	p.whole().items(func(it *item, _ bool) {
		if at == (policy.Span{}) {
			at = it.at
		}
	})
	return at
}

// list writes names in a sentence.
func list(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return names[0]
}

// unbound says that the rule may match events of the service beside those that the map knows.
func (s *scope) unbound(n *node) bool {
	other := n.resolve(func(it *item, _ bool) (bool, bool) { return false, it.kind == eventItem })
	return other.op != constNode || other.value
}

// bind finds the events that the rule can match, and takes the conditions on the event's name out that are
// decided by that.
func (s *scope) bind(p parts) (parts, []string) {
	whole := p.whole()
	var events []string
	for _, e := range s.events {
		at := whole.resolve(func(it *item, _ bool) (bool, bool) { return it.events[e], it.kind == eventItem })
		if at.possible() {
			events = append(events, e)
		}
	}
	return p.resolve(func(it *item, _ bool) (value, decided bool) {
		if it.kind != eventItem {
			return false, false
		}
		holds := 0
		for _, e := range events {
			if it.events[e] {
				holds++
			}
		}
		return holds > 0, holds == 0 || holds == len(events)
	}), events
}

// notes are what the report says of a rule beside its status.
func (im *importer) notes(d *document, o outcome) []string {
	var out []string
	o.whole().items(func(it *item, _ bool) {
		if it.byLength {
			out = append(out, "regex-length: "+it.describe()+" asks for a length; it is that of the whole text, not of a line of it")
		}
	})
	for _, f := range d.filters {
		if f.refusal != nil {
			out = append(out, "filter-refused: "+f.title+" does not apply: "+f.refusal.reason)
		}
	}
	for _, c := range d.parts {
		out = append(out, "correlation-part: "+c.title+", which counts its matches, is not imported; the rule alone signals each of them")
	}
	return out
}
