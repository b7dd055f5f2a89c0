package sigma

import (
	"regexp"
	"strconv"
	"strings"

	"spoor/rules/policy"
)

// A correlation counts or orders the matches of rules. Correlations are read and checked here and refused:
// the engine has no windows over events yet. Turning them on is a matter of correlationEntry.

// correlation is the body of a correlation document, checked.
type correlation struct {
	kind     string
	rules    []string
	groupBy  []string
	timespan string
}

// correlationKinds are the kinds of correlations, and whether they count the values of a field.
var correlationKinds = map[string]bool{
	"event_count": false, "value_count": true, "temporal": false, "temporal_ordered": false,
	"value_sum": true, "value_avg": true, "value_percentile": true, "value_median": true,
}

var timespanPattern = regexp.MustCompile(`^[0-9]+[smhdwMy]$`)

// readCorrelation checks a correlation.
func readCorrelation(d *document) (*correlation, *refusal) {
	n := d.root.Get("correlation")
	if n.Kind != policy.ImportMap {
		return nil, refuse(n.Span, "a correlation is a mapping, this is %s", n.Kind)
	}
	place := func(key string) policy.Span {
		if v := n.Get(key); v != nil {
			return v.Span
		}
		return n.Span
	}
	c := &correlation{kind: textOf(n.Get("type")), rules: textsOf(n.Get("rules")), groupBy: textsOf(n.Get("group-by")),
		timespan: textOf(n.Get("timespan"))}
	values, known := correlationKinds[c.kind]
	switch {
	case c.kind == "":
		return nil, refuse(place("type"), "the correlation has no type")
	case !known:
		return nil, refuse(place("type"), "there is no correlation of the type %q", c.kind)
	case len(c.rules) == 0:
		return nil, refuse(place("rules"), "the correlation names no rules")
	case c.timespan == "":
		return nil, refuse(place("timespan"), "the correlation has no timespan")
	case !timespanPattern.MatchString(c.timespan):
		return nil, refuse(place("timespan"), "the timespan %q is not a number and one of s, m, h, d", c.timespan)
	}
	condition := n.Get("condition")
	temporal := strings.HasPrefix(c.kind, "temporal")
	switch {
	case condition.IsNull() && temporal:
		return c, nil
	case condition.IsNull():
		return nil, refuse(place("condition"), "a correlation of the type %s needs a condition", c.kind)
	case condition.Kind == policy.ImportText && temporal:
		return c, nil // over the rules' names
	case condition.Kind != policy.ImportMap:
		return nil, refuse(condition.Span, "the condition of a correlation is a mapping, for instance {gte: 10}")
	}
	bounds := 0
	for _, e := range condition.Entries {
		switch e.Key.Text {
		case "gt", "gte", "lt", "lte", "eq", "neq":
			bounds++
			if _, err := strconv.ParseFloat(textOf(e.Value), 64); err != nil {
				return nil, refuse(e.Value.Span, "%s is compared with a number", e.Key.Text)
			}
		case "field", "percentile":
		default:
			return nil, refuse(e.Key.Span, "the condition of a correlation has no key %q", e.Key.Text)
		}
	}
	if bounds == 0 {
		return nil, refuse(condition.Span, "the condition says nothing of how many; give for instance gte")
	}
	if values && textsOf(condition.Get("field")) == nil {
		return nil, refuse(condition.Span, "a correlation of the type %s needs a field in its condition", c.kind)
	}
	return c, nil
}

// bindCorrelations tells rules of the correlations that they are a part of.
func (im *importer) bindCorrelations() {
	rules := append(im.documents(ruleDocument), im.documents(correlationDocument)...)
	for _, d := range im.documents(correlationDocument) {
		if d.refusal != nil {
			continue
		}
		c, r := readCorrelation(d)
		if r != nil {
			d.refusal = r
			continue
		}
		for _, name := range c.rules {
			found := false
			for _, r := range rules {
				if r != d && r.names(r, []string{name}) {
					found = true
					if !strings.EqualFold(textOf(d.root.Get("correlation").Get("generate")), "true") {
						r.parts = append(r.parts, d)
					}
				}
			}
			if !found {
				d.refusal = refuse(d.root.Get("correlation").Get("rules").Span, "no rule has the id or name %q", name)
				break
			}
		}
		if d.refusal == nil {
			d.refusal = refuse(d.root.Get("correlation").Span,
				"correlations are not imported yet: this one is %s over %s within %s", c.kind, count(len(c.rules), "rule"), c.timespan)
		}
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// correlationEntry is the entry of the report for a correlation.
func (im *importer) correlationEntry(d *document) policy.ImportedRule { return d.refused(d.refusal) }
