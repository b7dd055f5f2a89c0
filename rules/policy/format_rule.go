package policy

import (
	"fmt"
	"slices"
	"strings"
)

// draft is a rule, or the keys of one, as a file says it: before defaults and overrides apply.
type draft struct {
	rule   Rule
	tags   []tag
	added  []tag           // by overrides, beside those of defaults
	given  map[string]Span // the keys that are there
	faulty bool            // something of it could not be read
}

// tag is one key of tags with its values.
type tag struct {
	key    string
	values []string
	at     Span
}

// ruleField is a key of a rule: how it is read, and how an override replaces or extends it.
type ruleField struct {
	field[draft]
	replace func(dst, src *draft) // nil: an override cannot give the key
	add     func(dst, src *draft) // nil: nothing can be added to it
}

// textField is a key whose value is kept as a text.
func textField(key, doc string, shape shape, at func(*Rule) *string) ruleField {
	return ruleField{
		field: field[draft]{key: key, doc: doc, shape: shape, read: func(r *reader, n *node, d *draft) {
			t, _ := r.filled(n, key)
			*at(&d.rule) = t.Value
		}},
		replace: func(dst, src *draft) { *at(&dst.rule) = *at(&src.rule) },
	}
}

// textsField is a key whose value is a list of texts.
func textsField(key, doc string, at func(*Rule) *[]string) ruleField {
	return ruleField{
		field: field[draft]{key: key, doc: doc, shape: textsShape, read: func(r *reader, n *node, d *draft) {
			*at(&d.rule) = values(r.texts(n, key))
		}},
		replace: func(dst, src *draft) { *at(&dst.rule) = *at(&src.rule) },
		add:     func(dst, src *draft) { *at(&dst.rule) = slices.Concat(*at(&dst.rule), *at(&src.rule)) },
	}
}

var ruleFields = []ruleField{
	{field: field[draft]{key: "id", doc: "Identity of the rule: letters, digits, '_', '.', '-'; unique over the whole set.", shape: idShape, required: true,
		read: func(r *reader, n *node, d *draft) {
			t, ok := r.filled(n, "the id of a rule")
			if ok && !idPattern.MatchString(t.Value) {
				r.fault(t.Span, CodeBadID, "use letters, digits, '_', '.' and '-'", "%q cannot be the id of a rule", clip(t.Value, 60))
				ok = false
			}
			if ok {
				d.rule.ID = t
			}
		}}},
	textField("version", "Version of the rule, taken as written. Default: the version of the policy.", textShape, func(r *Rule) *string { return &r.Version }),
	textField("title", "Short name for people. Default: the description, then the id.", textShape, func(r *Rule) *string { return &r.Title }),
	textField("description", "What a match means.", textShape, func(r *Rule) *string { return &r.Description }),
	{field: field[draft]{key: expressionKey, doc: "The condition: an expression that is true for the events that match.", shape: textShape, required: true,
		read: func(r *reader, n *node, d *draft) { d.rule.Expression = r.expression(n) }},
		replace: func(dst, src *draft) { dst.rule.Expression = src.rule.Expression }},
	{field: field[draft]{key: "severity", doc: "How bad a match is. Default: that of defaults, else medium.", shape: enum(severityNames[:]),
		read: func(r *reader, n *node, d *draft) {
			d.rule.Severity = Medium
			if i := r.choice(n, "severity", severityNames[:]); i >= 0 {
				d.rule.Severity = Severity(i)
			}
		}},
		replace: func(dst, src *draft) { dst.rule.Severity = src.rule.Severity }},
	{field: field[draft]{key: "priority", doc: "Decides between rules of one severity; the higher comes first. Default: 0.", shape: integerShape,
		read: func(r *reader, n *node, d *draft) { d.rule.Priority, _ = r.integer(n, "priority") }},
		replace: func(dst, src *draft) { dst.rule.Priority = src.rule.Priority }},
	{field: field[draft]{key: "mode", doc: "live, or shadow: matches go to the shadow topic. Default: that of defaults, else live.", shape: enum(modeNames),
		read: func(r *reader, n *node, d *draft) { d.rule.Shadow = r.choice(n, "mode", modeNames) == 1 }},
		replace: func(dst, src *draft) { dst.rule.Shadow = src.rule.Shadow }},
	{field: field[draft]{key: "disabled", doc: "true switches the rule off.", shape: booleanShape,
		read: func(r *reader, n *node, d *draft) { d.rule.Disabled = r.boolean(n, "disabled") }},
		replace: func(dst, src *draft) { dst.rule.Disabled = src.rule.Disabled }},
	{field: field[draft]{key: "tags", doc: "Tags by key; a value is a text or a list of texts. The severity joins them.", shape: tagsShape,
		read: func(r *reader, n *node, d *draft) { d.tags = r.tags(n) }},
		replace: func(dst, src *draft) { dst.tags = src.tags },
		add:     func(dst, src *draft) { dst.added = slices.Concat(dst.added, src.tags) }},
	textsField("references", "Where to read more.", func(r *Rule) *[]string { return &r.References }),
	textsField("authors", "Who wrote the rule.", func(r *Rule) *[]string { return &r.Authors }),
	textsField("false_positives", "What else than an attack can match.", func(r *Rule) *[]string { return &r.FalsePositives }),
	textField("status", "How mature the rule is, for instance stable or experimental.", textShape, func(r *Rule) *string { return &r.Status }),
	textField("license", "Licence of the rule.", textShape, func(r *Rule) *string { return &r.License }),
	textField("date", "Day the rule was written.", textShape, func(r *Rule) *string { return &r.Date }),
	textField("modified", "Day the rule was last changed.", textShape, func(r *Rule) *string { return &r.Modified }),
	{field: field[draft]{key: "source", doc: "Where an imported rule came from.", shape: ref("source"),
		read: func(r *reader, n *node, d *draft) { readObject(r, n, &sourceObject, &d.rule.Source) }},
		replace: func(dst, src *draft) { dst.rule.Source = src.rule.Source }},
	{field: field[draft]{key: "metadata", doc: "Anything else, by key; values are texts.", shape: mapOf(textShape),
		read: func(r *reader, n *node, d *draft) { d.rule.Metadata = r.metadata(n) }},
		replace: func(dst, src *draft) { dst.rule.Metadata = src.rule.Metadata }},
	{field: field[draft]{key: "exceptions", doc: "Conditions that take a match out again, in order; the first that holds is counted.", shape: listOf(ref("exception")),
		read: func(r *reader, n *node, d *draft) { d.rule.Exceptions = r.exceptions(n) }},
		replace: func(dst, src *draft) { dst.rule.Exceptions = src.rule.Exceptions },
		add:     func(dst, src *draft) { dst.rule.Exceptions = slices.Concat(dst.rule.Exceptions, src.rule.Exceptions) }},
	{field: field[draft]{key: "every", doc: "At most one signal in this time, for instance 10m. Not yet in force.", shape: textShape,
		read: func(r *reader, n *node, d *draft) {
			if d.rule.Every = r.duration(n, "every", 1); d.rule.Every.Value != "" {
				r.notInForce(n.span, "every is not yet in force: each match gives a signal")
			}
		}},
		replace: func(dst, src *draft) { dst.rule.Every = src.rule.Every }},
	{field: field[draft]{key: "limiter_token", doc: "Fields for each value of which every counts apart. Not yet in force.", shape: textsShape,
		read: func(r *reader, n *node, d *draft) {
			for _, t := range r.texts(n, "limiter_token") {
				if !fieldPattern.MatchString(t.Value) {
					r.fault(t.Span, CodeBadField, "write for instance process.executable.path", "%q is no field", clip(t.Value, 60))
					continue
				}
				d.rule.LimiterToken = append(d.rule.LimiterToken, t)
			}
			if len(d.rule.LimiterToken) > 0 {
				r.notInForce(headOf(n), "limiter_token is not yet in force: each match gives a signal")
			}
		}},
		replace: func(dst, src *draft) { dst.rule.LimiterToken = src.rule.LimiterToken }},
	{field: field[draft]{key: "actions", doc: "What to do on a match. Not yet in force.", shape: listOf(shape{"type": "object"}),
		read: func(r *reader, n *node, d *draft) {
			if !r.want(n, seqNode, "actions") {
				return
			}
			for _, item := range n.items {
				if r.want(item, mapNode, "an action") {
					if raw, ok := r.json(item); ok {
						d.rule.Actions = append(d.rule.Actions, Action{JSON: raw, Span: item.span})
					}
				}
			}
			if len(d.rule.Actions) > 0 {
				r.notInForce(headOf(n), "actions are not yet in force: signals name them, the engine does not act on them")
			}
		}},
		replace: func(dst, src *draft) { dst.rule.Actions = src.rule.Actions }},
}

var ruleObject = object[draft]{what: "a rule", fields: plainFields(ruleFields)}

func plainFields(fs []ruleField) []field[draft] {
	out := make([]field[draft], len(fs))
	for i, f := range fs {
		out[i] = f.field
	}
	return out
}

var sourceObject = object[Source]{what: "source", fields: []field[Source]{
	{key: "kind", doc: "The format it was imported from, for instance sigma.", shape: textShape,
		read: func(r *reader, n *node, s *Source) { t, _ := r.filled(n, "kind"); s.Kind = t.Value }},
	{key: "id", doc: "Its identity there.", shape: textShape,
		read: func(r *reader, n *node, s *Source) { t, _ := r.filled(n, "id"); s.ID = t.Value }},
	{key: "url", doc: "Where it was.", shape: textShape,
		read: func(r *reader, n *node, s *Source) { t, _ := r.filled(n, "url"); s.URL = t.Value }},
}}

var exceptionObject = object[Exception]{what: "an exception", fields: []field[Exception]{
	{key: "name", doc: "Name under which the exception is counted; unique in its rule.", shape: textShape, required: true,
		read: func(r *reader, n *node, e *Exception) { e.Name, _ = r.filled(n, "the name of an exception") }},
	{key: expressionKey, doc: "The condition that takes the match out.", shape: textShape, required: true,
		read: func(r *reader, n *node, e *Exception) { e.Expression = r.expression(n) }},
}}

func (r *reader) exceptions(n *node) []Exception {
	if !r.want(n, seqNode, "exceptions") {
		return nil
	}
	var out []Exception
	for _, item := range n.items {
		var e Exception
		readObject(r, item, &exceptionObject, &e)
		if e.Name.Value != "" {
			out = append(out, e)
		}
	}
	return out
}

// tags reads a mapping of keys to a text or a list of texts.
func (r *reader) tags(n *node) []tag {
	if !r.want(n, mapNode, "tags") {
		return nil
	}
	var out []tag
	for _, e := range r.entries(n, "tags") {
		t := tag{key: e.key.scalar.text, at: e.key.span}
		switch {
		case t.key == "severity":
			r.fault(t.at, CodeBadTag, "give the severity as the rule's own key", "the severity joins the tags by itself")
			continue
		case strings.TrimSpace(t.key) == "" || strings.Contains(t.key, ":"):
			r.fault(t.at, CodeBadTag, "", "a tag's key is not empty and has no ':'")
			continue
		}
		switch e.value.kind {
		case nullNode:
			r.fault(t.at, CodeBadTag, "", "tag %q has no value", t.key)
		case scalarNode:
			if v, ok := r.filled(e.value, fmt.Sprintf("tag %q", t.key)); ok {
				t.values = []string{v.Value}
			}
		default:
			t.values = values(r.texts(e.value, fmt.Sprintf("tag %q", t.key)))
		}
		out = append(out, t)
	}
	return out
}

func (r *reader) metadata(n *node) map[string]string {
	if !r.want(n, mapNode, "metadata") {
		return nil
	}
	out := map[string]string{}
	for _, e := range r.entries(n, "metadata") {
		if e.value.kind == nullNode {
			continue
		}
		if t, ok := r.text(e.value, fmt.Sprintf("metadata %q", e.key.scalar.text)); ok {
			out[e.key.scalar.text] = t.Value
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func (r *reader) rules(n *node) {
	if !r.want(n, seqNode, "rules") {
		return
	}
	for _, item := range n.items {
		d, before := &draft{}, len(r.diags)
		d.given = readObject(r, item, &ruleObject, d)
		d.faulty = r.diags[before:].HasErrors()
		if d.rule.ID.Value == "" {
			r.missing.node(item) // what names the rule is no fault of its own
		}
		if d.given != nil {
			d.rule.Policy = r.policy
			r.drafts = append(r.drafts, d)
		}
	}
}
