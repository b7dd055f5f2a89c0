package sigma

import (
	"fmt"
	"regexp"
	"strings"

	"spoor/rules/policy"
)

type documentKind int

const (
	brokenDocument documentKind = iota
	ruleDocument
	filterDocument
	correlationDocument
)

// document is one YAML document of Sigma.
type document struct {
	kind     documentKind
	root     *policy.ImportNode
	span     policy.Span
	repeated bool // it stands below a global document, and may share its id with others
	refusal  *refusal

	id, name, title string
	source          logsource

	filters []*document // filters that apply to this rule
	parts   []*document // correlations that this rule is a part of
	applied int         // to how many rules this filter applies
}

// logsource says which events a rule is about.
type logsource struct {
	category, product, service string
	node                       *policy.ImportNode
}

// label names the source for people.
func (l logsource) label() string {
	for _, s := range []string{l.category, l.service, l.product} {
		if s != "" {
			return s
		}
	}
	return "rules"
}

// covers says that every attribute that l gives is that of other.
func (l logsource) covers(other logsource) bool {
	same := func(a, b string) bool { return a == "" || strings.EqualFold(a, b) }
	return same(l.category, other.category) && same(l.product, other.product) && same(l.service, other.service)
}

func newDocument(root *policy.ImportNode, at policy.Span) *document {
	d := &document{root: root, span: at}
	if root.Kind != policy.ImportMap {
		d.refusal = refuse(root.Span, "a Sigma rule is a mapping, this is %s", root.Kind)
		return d
	}
	d.id, d.name, d.title = textOf(root.Get("id")), textOf(root.Get("name")), textOf(root.Get("title"))
	switch {
	case root.Get("detection") != nil:
		d.kind = ruleDocument
	case root.Get("correlation") != nil:
		d.kind = correlationDocument
	case root.Get("filter") != nil:
		d.kind = filterDocument
	default:
		d.refusal = refuse(at, "neither detection, correlation nor filter: this is no Sigma rule")
		return d
	}
	d.refusal = duplicateKey(root)
	if node := root.Get("logsource"); node != nil {
		d.source = logsource{textOf(node.Get("category")), textOf(node.Get("product")), textOf(node.Get("service")), node}
	}
	if t := textOf(root.Get("taxonomy")); t != "" && t != "sigma" && d.refusal == nil {
		d.refusal = refuse(root.Get("taxonomy").Span, "the taxonomy %q is not known, only sigma is", t)
	}
	return d
}

// duplicateKey finds a key that stands twice in one mapping: what the author meant is anybody's guess.
func duplicateKey(n *policy.ImportNode) *refusal {
	seen := map[string]bool{}
	for _, e := range n.Entries {
		if seen[e.Key.Text] {
			return refuse(e.Key.Span, "the key %q stands twice", e.Key.Text)
		}
		seen[e.Key.Text] = true
		if r := duplicateKey(e.Value); r != nil {
			return r
		}
	}
	for _, item := range n.Items {
		if r := duplicateKey(item); r != nil {
			return r
		}
	}
	return nil
}

// textOf is the text of a node, trimmed, "" when it is none or null.
func textOf(n *policy.ImportNode) string {
	if n.IsNull() || n.Kind != policy.ImportText {
		return ""
	}
	return strings.TrimSpace(n.Text)
}

// textsOf are the texts of a list, or the text alone.
func textsOf(n *policy.ImportNode) []string {
	if n.IsNull() {
		return nil
	}
	if n.Kind == policy.ImportText {
		return []string{strings.TrimSpace(n.Text)}
	}
	var out []string
	for _, item := range n.Items {
		if t := textOf(item); t != "" {
			out = append(out, t)
		}
	}
	return out
}

// policyID is the id of the rule in our policies.
func (d *document) policyID() string {
	key := d.id
	if key == "" {
		key = d.name
	}
	if key == "" {
		key = d.title
	}
	if key == "" {
		return ""
	}
	if idPattern.MatchString(key) {
		return "sigma-" + key
	}
	return "sigma-" + slug(key)
}

// idPattern is what an id of ours may be.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// slug keeps what an id may have.
func slug(s string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(s) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.' {
			if gap && b.Len() > 0 {
				b.WriteByte('-')
			}
			gap = false
			b.WriteRune(r)
		} else {
			gap = true
		}
	}
	if b.Len() == 0 {
		return "rule"
	}
	return b.String()
}

// refused is the entry of the report for a document that is not imported.
func (d *document) refused(r *refusal) policy.ImportedRule {
	entry := policy.ImportedRule{ID: d.policyID(), Source: d.span, Status: policy.StatusRefused}
	if r != nil {
		entry.Reason, entry.Place = r.reason, r.at
	}
	return entry
}

// actions are the documents of a file that change others: `action: global` is merged into all that follow,
// `action: reset` ends that, `action: repeat` merges into the document before it once more.
type actions struct {
	global, last *policy.ImportNode
}

// apply gives the document that d stands for, nil when it stands for none, and whether it shares its
// content with others.
func (a *actions) apply(d *policy.ImportNode) (root *policy.ImportNode, shared bool) {
	if d.Kind != policy.ImportMap {
		return d, false
	}
	switch action := textOf(d.Get("action")); action {
	case "global":
		a.global = merge(a.global, without(d, "action"))
		return nil, false
	case "reset":
		a.global = nil
		d = without(d, "action")
		if len(d.Entries) == 0 {
			return nil, false
		}
	case "repeat":
		d = merge(a.last, without(d, "action"))
		a.last = d
		return d, true
	}
	shared = a.global != nil
	d = merge(a.global, d)
	a.last = d
	return d, shared
}

func without(n *policy.ImportNode, key string) *policy.ImportNode {
	out := *n
	out.Entries = nil
	for _, e := range n.Entries {
		if e.Key.Text != key {
			out.Entries = append(out.Entries, e)
		}
	}
	return &out
}

// merge gives base with what over says on top: mappings are merged, everything else is replaced.
func merge(base, over *policy.ImportNode) *policy.ImportNode {
	if base == nil || base.Kind != policy.ImportMap || over.Kind != policy.ImportMap {
		return over
	}
	out := *over
	out.Entries = nil
	for _, e := range base.Entries {
		if v := over.Get(e.Key.Text); v != nil {
			e.Value = merge(e.Value, v)
		}
		out.Entries = append(out.Entries, e)
	}
	for _, e := range over.Entries {
		if base.Get(e.Key.Text) == nil {
			out.Entries = append(out.Entries, e)
		}
	}
	return &out
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }
