package secl

import (
	"bytes"
	"encoding/json"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"spoor/rules/policy"
)

// builder makes a rule of ours of one definition.
type builder struct {
	*compiler
	im   *importer
	node *policy.ImportNode
}

// carried are the keys of a rule that have a place of ours; the others are noted.
var carried = []string{"id", "version", "expression", "description", "tags", "product_tags", "agent_version", "filters", "disabled",
	"combine", "override_options", "actions", "every", "limiter_token", "silent", "group_id", "priority"}

// rule makes a rule of a definition that stands alone.
func (b *builder) rule(d *definition) *fault {
	r, f := b.keys(d.id)
	if f != nil {
		return f
	}
	expression, f := b.expression()
	if f != nil {
		return f
	}
	r.Expression = expression
	if r.Version == "" {
		r.Version = b.im.current.policy.Version.Value
	}
	r.Title = r.Description
	if r.Title == "" {
		r.Title = d.id
	}
	r.Source = policy.Source{Kind: "secl", ID: d.id}
	r.Policy = b.im.current.policy
	d.made = r
	b.im.current.size += ruleSize(r)
	b.im.current.policy.Rules = append(b.im.current.policy.Rules, *r)
	return nil
}

// ruleSize is about how much of a file a rule takes.
func ruleSize(r *policy.Rule) int {
	return len(policy.Print(&policy.Policy{Rules: []policy.Rule{*r}}))
}

// expression compiles the condition.
func (b *builder) expression() (policy.Expr, *fault) {
	n := b.node.Get("expression")
	if n.IsNull() {
		return policy.Expr{}, &fault{b.node.Span, "the rule has no expression"}
	}
	if n.Kind != policy.ImportText {
		return policy.Expr{}, &fault{n.Span, "an expression is a text"}
	}
	tree, f := parse(textOf(n))
	if f != nil {
		return policy.Expr{}, f
	}
	c, f := b.compile(tree)
	if f != nil {
		return policy.Expr{}, f
	}
	return policy.Expr{Text: c.Text(), Scope: b.im.current.policy}, nil
}

// keys reads every key but the expression.
func (b *builder) keys(id string) (*policy.Rule, *fault) {
	r := &policy.Rule{ID: policy.Text{Value: id}, Version: textIn(b.node, "version"), Severity: policy.Medium, Metadata: map[string]string{}}
	r.Description = strings.TrimSpace(textIn(b.node, "description"))
	if v := textIn(b.node, "agent_version"); v != "" {
		r.Metadata["agent_version"] = v
		b.note("agent-version: the rule is for agents " + v + ", which is not checked")
	}
	if v := textIn(b.node, "group_id"); v != "" {
		r.Metadata["group_id"] = v
		b.note("group-id: signals carry the rule's own id, its group " + v + " is in the metadata")
	}
	if v := textIn(b.node, "priority"); v != "" {
		p, err := strconv.Atoi(v)
		if err != nil {
			return nil, &fault{b.node.Get("priority").Span, "priority is an integer"}
		}
		r.Priority = p
	}
	for key, set := range map[string]func(bool){"disabled": func(v bool) { r.Disabled = v }, "silent": func(v bool) { r.Shadow = v }} {
		n := b.node.Get(key)
		if n.IsNull() {
			continue
		}
		v, err := strconv.ParseBool(n.Text)
		if err != nil {
			return nil, &fault{n.Span, key + " is true or false"}
		}
		set(v)
	}
	if r.Shadow {
		b.note("silent: SECL sends nothing for this rule; it is in shadow mode here")
	}
	tags, f := b.tags(r)
	if f != nil {
		return nil, f
	}
	r.Tags = tags
	if f := b.rate(r); f != nil {
		return nil, f
	}
	if f := b.actions(r); f != nil {
		return nil, f
	}
	for _, e := range b.node.Entries {
		if !slices.Contains(carried, e.Key.Text) {
			b.note("not-carried: the key " + e.Key.Text)
		}
	}
	return r, nil
}

// tags are those of tags and product_tags, sorted, with the severity among them. A severity among the tags is the
// rule's.
func (b *builder) tags(r *policy.Rule) ([]string, *fault) {
	var out []string
	add := func(key, value string) {
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if key == "severity" {
			for s := policy.Info; s <= policy.Critical; s++ {
				if strings.EqualFold(s.String(), value) {
					r.Severity = s
					return
				}
			}
		}
		if key == "" || value == "" || key == "severity" || strings.Contains(key, ":") {
			b.note("bad-tag: " + strings.Trim(key+":"+value, ":"))
			return
		}
		if tag := key + ":" + value; !slices.Contains(out, tag) {
			out = append(out, tag)
		}
	}
	if n := b.node.Get("tags"); !n.IsNull() {
		if n.Kind != policy.ImportMap {
			return nil, &fault{n.Span, "tags is a mapping"}
		}
		for _, e := range n.Entries {
			values := []*policy.ImportNode{e.Value}
			if e.Value.Kind == policy.ImportList {
				values = e.Value.Items
			}
			for _, v := range values {
				add(e.Key.Text, v.Text)
			}
		}
	}
	if n := b.node.Get("product_tags"); !n.IsNull() {
		if n.Kind != policy.ImportList {
			return nil, &fault{n.Span, "product_tags is a list of texts key:value"}
		}
		for _, item := range n.Items {
			key, value, _ := strings.Cut(item.Text, ":")
			add(key, value)
		}
	}
	out = append(out, "severity:"+r.Severity.String())
	sort.Strings(out)
	return out, nil
}

// rate reads every and limiter_token.
func (b *builder) rate(r *policy.Rule) *fault {
	if n := b.node.Get("every"); !n.IsNull() {
		ns, err := strconv.ParseInt(n.Text, 10, 64)
		if err != nil {
			var d time.Duration
			d, err = time.ParseDuration(n.Text)
			ns = int64(d)
		}
		if err != nil || ns < 0 {
			return &fault{n.Span, "every is a duration such as 10m, or nanoseconds"}
		}
		if ns > 0 { // 0 is no limit
			r.Every.Value = durationText(ns)
			b.note("not-in-force: every")
		}
	}
	n := b.node.Get("limiter_token")
	if n.IsNull() {
		return nil
	}
	items := n.Items
	if n.Kind == policy.ImportText {
		items = []*policy.ImportNode{n}
	}
	for _, item := range items {
		ref, found, why := resolve(item.Text)
		if !found || why != "" || ref.array || ref.whole || ref.register != "" || strings.ContainsAny(ref.path, "([") {
			b.note("not-carried: the limiter_token " + item.Text + ", which is no field that signals can be counted by")
			continue
		}
		r.LimiterToken = append(r.LimiterToken, policy.Text{Value: ref.path})
	}
	if len(r.LimiterToken) > 0 {
		b.note("not-in-force: limiter_token")
	}
	return nil
}

// actions are kept as they are written: the engine names them in signals.
func (b *builder) actions(r *policy.Rule) *fault {
	n := b.node.Get("actions")
	if n.IsNull() {
		return nil
	}
	if n.Kind != policy.ImportList {
		return &fault{n.Span, "actions is a list"}
	}
	for _, item := range n.Items {
		if item.Kind != policy.ImportMap {
			return &fault{item.Span, "an action is a mapping"}
		}
		var text bytes.Buffer
		writeJSON(&text, item)
		r.Actions = append(r.Actions, policy.Action{JSON: text.Bytes()})
	}
	if len(r.Actions) > 0 {
		b.note("not-in-force: actions")
	}
	return nil
}

// writeJSON writes a value as JSON, keys in their order.
func writeJSON(w *bytes.Buffer, n *policy.ImportNode) {
	text := func(s string) {
		raw, _ := json.Marshal(s) // a text always has a form
		w.Write(raw)
	}
	switch n.Kind {
	case policy.ImportMap:
		w.WriteByte('{')
		seen := map[string]bool{}
		for _, e := range n.Entries {
			if seen[e.Key.Text] {
				continue
			}
			if len(seen) > 0 {
				w.WriteByte(',')
			}
			seen[e.Key.Text] = true
			text(e.Key.Text)
			w.WriteByte(':')
			writeJSON(w, e.Value)
		}
		w.WriteByte('}')
	case policy.ImportList:
		w.WriteByte('[')
		for i, item := range n.Items {
			if i > 0 {
				w.WriteByte(',')
			}
			writeJSON(w, item)
		}
		w.WriteByte(']')
	default:
		kind, ok := scalarKind(n)
		number, err := strconv.ParseInt(n.Text, 0, 64)
		switch {
		case n.IsNull():
			w.WriteString("null")
		case ok && kind == intKind && err == nil:
			w.WriteString(strconv.FormatInt(number, 10))
		case ok && kind == boolKind:
			w.WriteString(strings.ToLower(n.Text))
		default:
			text(n.Text)
		}
	}
}
