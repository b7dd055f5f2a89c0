package sigma

import (
	"strings"

	"spoor/rules/policy"
)

// detection reads the search identifiers of one rule or filter.
type detection struct {
	scope        *scope
	mapping      *mapping
	placeholders map[string][]string
	node         *policy.ImportNode
	names        []string // of the search identifiers
	read         map[string]*node
}

// notIdentifiers are the keys of a detection, or of a filter, that are no search identifiers.
var notIdentifiers = map[string]bool{"condition": true, "timeframe": true}

func (im *importer) newDetection(n *policy.ImportNode, s *scope) *detection {
	d := &detection{scope: s, mapping: im.mapping, placeholders: im.placeholders, node: n, read: map[string]*node{}}
	for _, e := range n.Entries {
		if !notIdentifiers[e.Key.Text] {
			d.names = append(d.names, e.Key.Text)
		}
	}
	return d
}

// condition reads the condition, or the conditions: a list means any of them.
func (d *detection) condition() (*node, *refusal) {
	if d.node.Kind != policy.ImportMap {
		return nil, refuse(d.node.Span, "search identifiers and a condition are a mapping, this is %s", d.node.Kind)
	}
	n := d.node.Get("condition")
	if n.IsNull() {
		return nil, refuse(d.node.Span, "there is no condition")
	}
	if t := d.node.Get("timeframe"); t != nil {
		return nil, refuse(t.Span, "a timeframe belongs to a correlation, which is not imported yet")
	}
	nodes := []*policy.ImportNode{n}
	if n.Kind == policy.ImportList {
		nodes = n.Items
	}
	if len(nodes) == 0 {
		return nil, refuse(n.Span, "there is no condition")
	}
	var out []*node
	size := 0
	for _, n := range nodes {
		if n.Kind != policy.ImportText {
			return nil, refuse(n.Span, "a condition is a text, this is %s", n.Kind)
		}
		tree, r := parseCondition(n, d.names, &size, d.identifier)
		if r != nil {
			return nil, r
		}
		out = append(out, tree)
	}
	return either(out...), nil
}

// identifier reads a search identifier.
func (d *detection) identifier(name string) (*node, *refusal) {
	if n, ok := d.read[name]; ok {
		return n, nil
	}
	n, r := d.selection(name, d.node.Get(name))
	if r != nil {
		return nil, r
	}
	if n.op != constNode {
		named := *n
		named.name = name
		n = &named
	}
	d.read[name] = n
	return n, nil
}

// selection reads a mapping (all of its lines), or a list of mappings (any of them).
func (d *detection) selection(name string, n *policy.ImportNode) (*node, *refusal) {
	switch {
	case n.IsNull():
		return nil, refuse(d.place(name, n), "the search identifier %s is empty", name)
	case n.Kind == policy.ImportMap:
		return d.lines(name, n)
	case n.Kind == policy.ImportText:
		return nil, keywords(n)
	}
	if len(n.Items) == 0 {
		return nil, refuse(n.Span, "the search identifier %s is empty", name)
	}
	var args []*node
	for _, item := range n.Items {
		if item.Kind != policy.ImportMap {
			return nil, keywords(item)
		}
		a, r := d.lines(name, item)
		if r != nil {
			return nil, r
		}
		args = append(args, a)
	}
	return either(args...), nil
}

// place is that of a search identifier's value, or of its key when it has none.
func (d *detection) place(name string, n *policy.ImportNode) policy.Span {
	for _, e := range d.node.Entries {
		if e.Key.Text == name && (n == nil || n.Kind == policy.ImportNull) {
			return e.Key.Span
		}
	}
	return n.Span
}

func keywords(n *policy.ImportNode) *refusal {
	return refuse(n.Span, "keyword search looks anywhere in a log line; events are made of fields")
}

// lines reads the lines of a mapping: all of them have to hold.
func (d *detection) lines(selection string, n *policy.ImportNode) (*node, *refusal) {
	if len(n.Entries) == 0 {
		return nil, refuse(n.Span, "the search identifier %s is empty", selection)
	}
	var args []*node
	for _, e := range n.Entries {
		l := line{detection: d, selection: selection, key: e.Key, given: e.Value}
		a, r := l.read()
		if r != nil {
			return nil, r
		}
		args = append(args, a)
	}
	return all(args...), nil
}

// line is `Field|modifiers: values`.
type line struct {
	*detection
	selection  string
	key, given *policy.ImportNode

	name  string // of the field
	field field
	mods  modifiers
	// folded says of regular expressions that they ignore case, as the language does by itself.
	folded bool
}

func (l *line) fail(format string, args ...interface{}) *refusal {
	return refuse(l.key.Span, l.key.Text+": "+format, args...)
}

// read gives the condition of a line: an item, or the negation of one.
func (l *line) read() (*node, *refusal) {
	name, rest, _ := strings.Cut(l.key.Text, "|")
	l.name = strings.TrimSpace(name)
	if l.name == "" {
		return nil, keywords(l.key)
	}
	var r *refusal
	if l.mods, r = l.modifiers(rest); r != nil {
		return nil, r
	}
	values := []*policy.ImportNode{l.given}
	if l.given.Kind == policy.ImportList {
		values = l.given.Items
		if len(values) == 0 {
			return nil, refuse(l.given.Span, "%s: the list is empty", l.key.Text)
		}
	}
	for _, v := range values {
		if v.Kind == policy.ImportMap || v.Kind == policy.ImportList {
			return nil, refuse(v.Span, "%s: a value is a text or a number, this is %s", l.key.Text, v.Kind)
		}
	}
	it := &item{field: l.key.Text, selection: l.selection, at: l.key.Span}
	switch strings.ToLower(l.name) {
	case "eventid":
		return l.event(it, values, l.idEvents)
	case "eventtype":
		return l.event(it, values, l.typeEvents)
	}
	f, known := l.scope.field(l.name)
	if !known {
		it.kind = missingItem
		return leaf(it), nil
	}
	l.field = f
	it.reads = []string{f.path}
	n, r := l.compare(it, values)
	if r != nil {
		return nil, r
	}
	if l.mods.has("neq") && it.kind != missingItem {
		n = negation(n)
	}
	return n, nil
}

// event reads a line on EventID or EventType: whether it holds is known from the event's name. events gives
// those of a value.
func (l *line) event(it *item, values []*policy.ImportNode, events func(value string) []string) (*node, *refusal) {
	for _, m := range l.mods.list {
		if m.name != "contains" && m.name != "startswith" && m.name != "endswith" && m.name != "neq" && m.name != "all" {
			return nil, refuse(m.at, "%s: %s says nothing of %s", l.key.Text, m.name, l.name)
		}
	}
	if l.mods.has("all") && len(values) > 1 {
		return nil, l.fail("an event has one %s", l.name)
	}
	it.kind = eventItem
	it.events = map[string]bool{}
	for _, v := range values {
		if v.IsNull() {
			return nil, refuse(v.Span, "%s: every event has one", l.key.Text)
		}
		found := events(v.Text)
		if len(found) == 0 {
			it.unmapped = append(it.unmapped, v.Text)
		}
		for _, e := range found {
			it.events[e] = true
		}
	}
	n := leaf(it)
	if l.mods.has("neq") {
		n = negation(n)
	}
	return n, nil
}

// idEvents are the events of an EventID.
func (l *line) idEvents(value string) []string {
	var out []string
	pattern := l.wildcards(value)
	for id, events := range l.scope.ids {
		if pattern.matches(id) {
			out = append(out, events...)
		}
	}
	return out
}

// typeEvents are the events of an EventType.
func (l *line) typeEvents(value string) []string {
	var out []string
	pattern := l.wildcards(value)
	for name, event := range l.mapping.eventTypes {
		if pattern.matches(name) {
			out = append(out, event)
		}
	}
	return out
}

// wildcards is a value with those that its modifiers put around it.
func (l *line) wildcards(value string) text { return parseText(value).around(l.mods) }
