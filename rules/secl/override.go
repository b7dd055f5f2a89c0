package secl

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"spoor/rules/policy"
)

// override makes an override of ours of a definition with combine: override, or of one that only switches a rule
// on or off. What the fields of override_options mean differs between versions of the agent; README.md says
// what they mean here.
func (b *builder) override(d *definition) *fault {
	base := d.base.made
	if base == nil {
		return &fault{d.node.Get("id").Span, "the rule that it overrides, at " + d.base.node.Span.String() + ", is not imported"}
	}
	fields, f := overrideFields(d.node)
	if f != nil {
		return f
	}
	r, f := b.keys(d.id)
	if f != nil {
		return f
	}
	given := func(key string) bool { return !d.node.Get(key).IsNull() }
	wants := func(field string) bool { return slices.Contains(fields, field) || slices.Contains(fields, "all") }
	change := policy.RuleChange{Rule: *r}
	take := func(key string) { change.Keys = append(change.Keys, key) }
	if wants("expression") && given("expression") {
		if change.Rule.Expression, f = b.expression(); f != nil {
			return f
		}
		take("expression")
	}
	if wants("all") && given("description") {
		take("description")
	}
	if wants("all") && given("priority") {
		take("priority")
	}
	if (wants("all") || textIn(d.node, "combine") == "") && given("disabled") {
		take("disabled")
	}
	if wants("tags") && given("tags") || wants("product_tags") && given("product_tags") {
		change.Rule.Tags = overriddenTags(base, r, d.node, wants("tags"), wants("product_tags"))
		take("tags")
	}
	if wants("every") && given("every") {
		take("every")
	}
	if wants("all") && given("limiter_token") {
		take("limiter_token")
	}
	if wants("actions") && given("actions") {
		change.Rule.Actions = slices.Clone(base.Actions)
		for _, a := range r.Actions {
			if !slices.ContainsFunc(base.Actions, func(o policy.Action) bool { return string(o.JSON) == string(a.JSON) }) {
				change.Rule.Actions = append(change.Rule.Actions, a)
			}
		}
		take("actions")
	}
	if len(change.Keys) == 0 {
		return &fault{d.node.Span, "the override changes nothing: it gives none of " + strings.Join(fields, ", ")}
	}
	b.im.current.size += ruleSize(&change.Rule)
	b.im.current.policy.Overrides = append(b.im.current.policy.Overrides, policy.Override{Rule: policy.Text{Value: d.id}, Change: &change})
	return nil
}

// overrideFields are what an override changes.
func overrideFields(n *policy.ImportNode) ([]string, *fault) {
	if textIn(n, "combine") == "" {
		return []string{"disabled"}, nil
	}
	options := n.Get("override_options").Get("fields")
	if options.IsNull() {
		return []string{"expression"}, nil
	}
	if options.Kind != policy.ImportList {
		return nil, &fault{options.Span, "override_options.fields is a list"}
	}
	var out []string
	for _, item := range options.Items {
		if !slices.Contains([]string{"all", "expression", "actions", "every", "tags", "product_tags"}, item.Text) {
			return nil, &fault{item.Span, fmt.Sprintf("override_options.fields knows no `%s`", item.Text)}
		}
		out = append(out, item.Text)
	}
	return out, nil
}

// overriddenTags are the tags of a rule after an override: tags join those of the rule and replace the ones of
// the same keys, product_tags replace those of the same keys too.
func overriddenTags(base, r *policy.Rule, n *policy.ImportNode, tags, products bool) []string {
	replaced := map[string]bool{"severity": true}
	var out []string
	for _, t := range r.Tags {
		key, value, _ := strings.Cut(t, ":")
		fromTags := n.Get("tags").Get(key) != nil
		if key == "severity" || fromTags && !tags || !fromTags && !products {
			continue
		}
		replaced[key] = true
		out = append(out, key+":"+value)
	}
	for _, t := range base.Tags {
		if key, _, _ := strings.Cut(t, ":"); !replaced[key] {
			out = append(out, t)
		}
	}
	sort.Strings(out)
	return out
}
