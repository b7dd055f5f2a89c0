package policy

import "fmt"

var testObject = object[Test]{what: "a test", fields: []field[Test]{
	{key: "name", doc: "What the test shows; unique in its policy.", shape: textShape, required: true,
		read: func(r *reader, n *node, t *Test) { t.Name, _ = r.filled(n, "the name of a test") }},
	{key: "events", doc: "Events in their order, as on the wire; dotted keys are short for nested ones. host and after stand beside the fields.", shape: listOf(ref("event")), required: true,
		read: func(r *reader, n *node, t *Test) { t.Events = r.events(n) }},
	{key: "expect", doc: "Rule id to the 0-based indexes of the events that match it. No other rule of this policy may match.", shape: mapOf(listOf(shape{"type": "integer", "minimum": 0})),
		read: func(r *reader, n *node, t *Test) { t.Expect = r.expect(n) }},
	{key: "expect_exception", doc: "Rule id to the name of its exception that takes out a match of some event.", shape: mapOf(textShape),
		read: func(r *reader, n *node, t *Test) {
			if !r.want(n, mapNode, "expect_exception") {
				return
			}
			for _, e := range r.entries(n, "expect_exception") {
				if name, ok := r.filled(e.value, "the name of an exception"); ok {
					t.ExpectException = append(t.ExpectException, ExceptionExpectation{Text{e.key.scalar.text, e.key.span}, name})
				}
			}
		}},
}}

// testEventObject are the keys of an event that are not of its document.
var testEventObject = object[TestEvent]{what: "a test event", fields: []field[TestEvent]{
	{key: "host", doc: "Key of the record: the host; an empty text for none. Default: test.", shape: textShape,
		read: func(r *reader, n *node, e *TestEvent) {
			if t, ok := r.text(n, "host"); ok {
				e.Host = t.Value
			}
		}},
	{key: "after", doc: "Time since the event before, for instance 10m. Default: 1s.", shape: textShape,
		read: func(r *reader, n *node, e *TestEvent) { e.After = r.duration(n, "after", 0).Value }},
}}

func (r *reader) tests(n *node) []Test {
	if !r.want(n, seqNode, "tests") {
		return nil
	}
	var out []Test
	names := map[string]Span{}
	for _, item := range n.items {
		t := Test{Policy: r.policy, Span: headOf(item)}
		if readObject(r, item, &testObject, &t) == nil {
			continue
		}
		if first, twice := names[t.Name.Value]; twice && t.Name.Value != "" {
			r.noted(t.Name.Span, CodeDuplicateName, "", Note{first, "first here"}, "two tests are named %q", clip(t.Name.Value, 60))
		} else {
			names[t.Name.Value] = t.Name.Span
		}
		if len(t.Events) > 0 {
			r.checkIndexes(t)
		}
		out = append(out, t)
	}
	return out
}

// events reads the events of a test: what is not host or after is the document, with dotted keys unfolded
// at every depth and values typed as YAML 1.2 types them (10 is a number, '10' and on are texts).
func (r *reader) events(n *node) []TestEvent {
	if !r.want(n, seqNode, "events") {
		return nil
	}
	if len(n.items) == 0 {
		r.fault(n.span, CodeEmptyValue, "", "a test needs at least one event")
	}
	var out []TestEvent
	for _, item := range n.items {
		e := TestEvent{Host: "test", Span: headOf(item)}
		if !r.want(item, mapNode, "an event") {
			out = append(out, e) // keeps the indexes of the others right
			continue
		}
		document := &node{kind: mapNode, span: item.span, flow: item.flow}
		beside := &node{kind: mapNode, span: item.span, flow: item.flow}
		for _, m := range item.entries {
			switch m.key.scalar.text {
			case "host", "after":
				beside.entries = append(beside.entries, m)
			default:
				document.entries = append(document.entries, m)
			}
		}
		readObject(r, beside, &testEventObject, &e)
		e.JSON, _ = r.convert(document, true)
		out = append(out, e)
	}
	return out
}

func (r *reader) expect(n *node) []Expectation {
	if !r.want(n, mapNode, "expect") {
		return nil
	}
	out := make([]Expectation, 0, len(n.entries))
	for _, e := range r.entries(n, "expect") {
		x := Expectation{Rule: Text{e.key.scalar.text, e.key.span}}
		if e.value.kind == scalarNode {
			r.fault(e.value.span, CodeWrongType, fmt.Sprintf("write [%s]", clip(e.value.scalar.text, 40)), "what a test expects of a rule is a list, not a text")
			continue
		}
		if !r.want(e.value, seqNode, "what a test expects of a rule") {
			continue
		}
		for _, item := range e.value.items {
			if i, ok := r.integer(item, "the index of an event"); ok {
				x.Events = append(x.Events, i)
				x.places = append(x.places, item.span)
			}
		}
		out = append(out, x)
	}
	return out
}

// checkIndexes holds the expected indexes against the events.
func (r *reader) checkIndexes(t Test) {
	for _, x := range t.Expect {
		seen := map[int]bool{}
		for i, index := range x.Events {
			switch {
			case index < 0 || index >= len(t.Events):
				r.fault(x.places[i], CodeTestIndex, fmt.Sprintf("indexes count from 0 to %d", len(t.Events)-1),
					"the test has no event %d", index)
			case seen[index]:
				r.fault(x.places[i], CodeTestIndex, "", "index %d stands twice", index)
			}
			seen[index] = true
		}
	}
}
