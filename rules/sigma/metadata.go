package sigma

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"spoor/rules/policy"
)

// severities are those of the levels.
var severities = map[string]policy.Severity{
	"informational": policy.Info, "low": policy.Low, "medium": policy.Medium, "high": policy.High, "critical": policy.Critical,
}

// writeRule writes the rule.
func (im *importer) writeRule(d *document, out outcome) (*policy.Rule, *refusal) {
	r := &policy.Rule{Severity: policy.Medium, Title: d.title, License: im.license}
	if d.policyID() == "" {
		return nil, refuse(d.span, "the rule has neither id nor name nor title")
	}
	for _, x := range append([]exclusion{{node: out.node}}, out.exclusions...) {
		if x.node.weight() > maxWeight {
			return nil, refuse(out.at(), "its values are more than an expression holds, which is some thousand")
		}
	}
	if n := d.root.Get("level"); !n.IsNull() {
		s, ok := severities[strings.ToLower(textOf(n))]
		if !ok {
			return nil, refuse(n.Span, "there is no level %q", textOf(n))
		}
		r.Severity = s
	}
	text := func(key string) string { return textOf(d.root.Get(key)) }
	r.Description = paragraph(text("description"))
	r.Status, r.Date, r.Modified = text("status"), text("date"), text("modified")
	if l := text("license"); l != "" {
		r.License = l
	}
	for _, a := range strings.Split(strings.Join(textsOf(d.root.Get("author")), ","), ",") {
		if a = strings.TrimSpace(a); a != "" {
			r.Authors = append(r.Authors, a)
		}
	}
	r.References = textsOf(d.root.Get("references"))
	r.FalsePositives = textsOf(d.root.Get("falsepositives"))
	r.Tags = tags(textsOf(d.root.Get("tags")), r.Severity)
	r.Source = policy.Source{Kind: "sigma", ID: d.id}
	r.Metadata = d.metadata()

	conditions := []policy.Condition{eventCondition(out.events)}
	if out.node.op != constNode {
		conditions = append(conditions, out.node.condition())
	}
	r.Expression.Text = policy.And(conditions...).Text()
	names := map[string]int{}
	for _, x := range out.exclusions {
		name := x.name
		if name == "" {
			name = "exclusion"
		}
		if names[x.name]++; names[x.name] > 1 {
			name = fmt.Sprintf("%s (%d)", name, names[x.name])
		}
		r.Exceptions = append(r.Exceptions, policy.Exception{
			Name:       policy.Text{Value: name},
			Expression: policy.Expr{Text: x.node.condition().Text()},
		})
	}
	for _, x := range append([]policy.Exception{{Expression: r.Expression}}, r.Exceptions...) {
		if len(x.Expression.Text) > maxExpression {
			return nil, refuse(out.at(), "its values are longer than an expression can be, %d KiB", maxExpression>>10)
		}
	}
	var refused *refusal
	r.ID.Value, refused = im.claim(d)
	return r, refused
}

// Bounds of one expression, below those of the language: 10,000 nodes and 256 KiB.
const (
	maxWeight     = 9_900
	maxExpression = 250 << 10
)

// claim gives the rule an id that no other has. Documents that a global one stands before share theirs, and
// are told apart by their number.
func (im *importer) claim(d *document) (string, *refusal) {
	id := d.policyID()
	if first, taken := im.ids[id]; taken {
		if !d.repeated {
			return "", refuse(d.span, "the id is that of %s already", first)
		}
		base := id
		for n := 2; taken; n++ {
			id = fmt.Sprintf("%s-%d", base, n)
			_, taken = im.ids[id]
		}
	}
	im.ids[id] = d.span
	return id, nil
}

// paragraph drops blanks at the ends of lines.
func paragraph(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t\r")
	}
	return strings.Join(lines, "\n")
}

// metadata is what has no key of its own: requirements on the log source, relations to other rules.
func (d *document) metadata() map[string]string {
	out := map[string]string{}
	add := func(key, value string) {
		if value != "" {
			out[key] = value
		}
	}
	add("name", d.name)
	if d.source.node != nil {
		add("logsource_definition", paragraph(textOf(d.source.node.Get("definition"))))
	}
	add("scope", strings.Join(textsOf(d.root.Get("scope")), ", "))
	var related []string
	if n := d.root.Get("related"); !n.IsNull() {
		for _, item := range n.Items {
			if id := textOf(item.Get("id")); id != "" {
				related = append(related, strings.TrimSpace(textOf(item.Get("type"))+" "+id))
			}
		}
	}
	add("related", strings.Join(related, ", "))
	if len(out) == 0 {
		return nil
	}
	return out
}

// tactics of ATT&CK by the name that tags have.
var tactics = map[string]string{
	"reconnaissance": "TA0043", "resource-development": "TA0042", "initial-access": "TA0001", "execution": "TA0002",
	"persistence": "TA0003", "privilege-escalation": "TA0004", "defense-evasion": "TA0005", "stealth": "TA0005",
	"defense-impairment": "TA0112", "credential-access": "TA0006", "discovery": "TA0007", "lateral-movement": "TA0008",
	"collection": "TA0009", "command-and-control": "TA0011", "exfiltration": "TA0010", "impact": "TA0040",
}

var (
	techniqueTag = regexp.MustCompile(`^t[0-9]{4}(\.[0-9]{3})?$`)
	otherTag     = regexp.MustCompile(`^(ta|g|s|ds|m|a|c)[0-9]{4}$`)
	otherKinds   = map[string]string{"ta": "tactic", "g": "group", "s": "software", "ds": "data_source", "m": "mitigation", "a": "asset", "c": "campaign"}
)

// tags gives tags of ours for those of Sigma: sorted "key:value" texts, the severity among them.
func tags(in []string, s policy.Severity) []string {
	out := []string{"severity:" + s.String()}
	for _, t := range in {
		key, value, ok := strings.Cut(strings.ToLower(t), ".")
		switch {
		case !ok:
			key, value = "sigma", t
		case key == "attack":
			key, value = attackTag(value)
		case key == "cve":
			value = "CVE-" + strings.ReplaceAll(value, ".", "-")
		case key == "car":
			value = "CAR-" + value
		}
		if key = strings.ReplaceAll(strings.TrimSpace(key), ":", "-"); key == "" || key == "severity" {
			key = "sigma"
		}
		if value = strings.TrimSpace(value); value != "" {
			out = append(out, key+":"+value)
		}
	}
	sort.Strings(out)
	return slices.Compact(out)
}

func attackTag(value string) (key, out string) {
	name := strings.ReplaceAll(value, "_", "-")
	if id, ok := tactics[name]; ok {
		return "tactic", id + "-" + name
	}
	if techniqueTag.MatchString(value) {
		return "technique", strings.ToUpper(value)
	}
	if m := otherTag.FindStringSubmatch(value); m != nil {
		return otherKinds[m[1]], strings.ToUpper(value)
	}
	return "attack", value
}
