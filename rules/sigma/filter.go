package sigma

import (
	"fmt"
	"strings"

	"spoor/rules/policy"
)

// bindFilters finds the rules that each filter applies to: those it names by id or name, or all of its log
// source when it names none. Either way the log source has to be the same.
func (im *importer) bindFilters() {
	rules := im.documents(ruleDocument)
	for _, f := range im.documents(filterDocument) {
		if f.refusal != nil {
			continue
		}
		body := f.root.Get("filter")
		if body.Kind != policy.ImportMap {
			f.refusal = refuse(body.Span, "a filter is a mapping, this is %s", body.Kind)
			continue
		}
		named := textsOf(body.Get("rules"))
		every := len(named) == 0 || len(named) == 1 && (named[0] == "any" || named[0] == "*")
		if every && f.source == (logsource{}) || every && f.source.label() == "rules" {
			f.refusal = refuse(f.span, "the filter names neither rules nor a log source")
			continue
		}
		for _, r := range rules {
			if f.source.covers(r.source) && (every || f.names(r, named)) {
				r.filters = append(r.filters, f)
			}
		}
	}
}

// names says that r is one of the rules.
func (d *document) names(r *document, rules []string) bool {
	for _, name := range rules {
		if name != "" && (strings.EqualFold(name, r.id) || name == r.name) {
			return true
		}
	}
	return false
}

// documents are those of a kind, in order.
func (im *importer) documents(kind documentKind) []*document {
	var out []*document
	for _, f := range im.files {
		for _, d := range f.docs {
			if d.kind == kind {
				out = append(out, d)
			}
		}
	}
	return out
}

// exclusionsOfFilter is what a filter excludes from rules of a scope. A filter says what it lets pass: either as
// a condition for what is to be left out (`selection`), or as a condition to be added (`not selection`). Both
// are found in the wild, and both leave out the same.
func (im *importer) exclusionsOfFilter(f *document, s *scope) ([]exclusion, *refusal) {
	d := im.newDetection(f.root.Get("filter"), s)
	for i, name := range d.names {
		if name == "rules" {
			d.names = append(d.names[:i:i], d.names[i+1:]...)
			break
		}
	}
	n, r := d.condition()
	if r != nil {
		return nil, r
	}
	var out []exclusion
	for _, c := range n.conjuncts() {
		if c.op != notNode {
			out = nil
			break
		}
		out = append(out, exclusion{node: c.args[0]})
	}
	if out == nil {
		out = []exclusion{{node: n}}
	}
	for i := range out {
		out[i].name, out[i].filter = f.title, f
		if len(out) > 1 {
			out[i].name = fmt.Sprintf("%s (%d)", f.title, i+1)
		}
	}
	return out, nil
}

// filterEntry is the entry of the report for a filter.
func (im *importer) filterEntry(f *document) policy.ImportedRule {
	if f.refusal == nil && f.applied == 0 {
		f.refusal = refuse(f.span, "the filter applies to none of the rules that are imported")
	}
	if f.refusal != nil {
		return f.refused(f.refusal)
	}
	return policy.ImportedRule{ID: f.policyID(), Source: f.span, Status: policy.StatusImported,
		Notes: []string{"filter: its exclusion is in " + count(f.applied, "rule")}}
}
