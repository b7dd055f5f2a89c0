package policy

import (
	"fmt"
	"strings"
)

// What a policy file may say, key by key: the loader reads by these tables and the JSON Schema is made of
// them. Keys of rules stand in format_rule.go, those of tests in testcase.go.

var policyObject = object[Policy]{what: "a policy", fields: []field[Policy]{
	{key: "name", doc: "Name of the policy, policy_name in signals. Default: the name of the file.", shape: textShape,
		read: func(r *reader, n *node, p *Policy) {
			if t, ok := r.filled(n, "the name of a policy"); ok {
				p.Name = t
			}
		}},
	{key: "version", doc: "Version of the policy, policy_version in signals, taken as written.", shape: textShape,
		read: func(r *reader, n *node, p *Policy) { p.Version, _ = r.filled(n, "version") }},
	{key: "description", doc: "What the policy is for.", shape: textShape,
		read: func(r *reader, n *node, p *Policy) { p.Description, _ = r.text(n, "description") }},
	{key: "defaults", doc: "What rules of this policy have when they do not say otherwise.", shape: ref("defaults"),
		read: func(r *reader, n *node, p *Policy) { readObject(r, n, &defaultsObject, &r.defaults) }},
	{key: "lists", doc: "Lists of texts or of integers, by name, for the expressions of this policy.", shape: ref("lists"),
		read: func(r *reader, n *node, p *Policy) { r.defines(n, func() { p.Lists = r.lists(n) }) }},
	{key: "macros", doc: "Named expressions with parameters, for the expressions of this policy.", shape: listOf(ref("macro")),
		read: func(r *reader, n *node, p *Policy) { r.defines(n, func() { p.Macros = r.macros(n) }) }},
	{key: "shared", doc: "Lists and macros that every policy may use.", shape: ref("shared"),
		read: func(r *reader, n *node, p *Policy) { r.defines(n, func() { readObject(r, n, &sharedObject, p) }) }},
	{key: "variables", doc: "Variables that events carry, by name.", shape: mapOf(ref("variable")),
		read: func(r *reader, n *node, p *Policy) { r.defines(n, func() { p.Variables = r.variables(n) }) }},
	{key: "rules", doc: "The detections.", shape: listOf(ref("rule")),
		read: func(r *reader, n *node, p *Policy) { r.rules(n) }},
	{key: "overrides", doc: "Changes to rules and lists of other policies, applied after all files are read.", shape: listOf(ref("override")),
		read: func(r *reader, n *node, p *Policy) { r.overrides(n) }},
	{key: "tests", doc: "Events and the rules that must match them.", shape: listOf(ref("test")),
		read: func(r *reader, n *node, p *Policy) { p.Tests = r.tests(n) }},
	{key: "extra_event_names", doc: "Event names beside the known ones that expressions may compare with, without a warning.", shape: textsShape,
		read: func(r *reader, n *node, p *Policy) { p.ExtraEventNames = r.texts(n, "extra_event_names") }},
}}

// defaults are what rules of one file have when they do not say otherwise.
type defaults struct {
	severity Severity
	shadow   bool
	tags     []tag
}

var defaultsObject = object[defaults]{what: "defaults", fields: []field[defaults]{
	{key: "severity", doc: "How bad a match is. Default: medium.", shape: enum(severityNames[:]),
		read: func(r *reader, n *node, d *defaults) {
			if i := r.choice(n, "severity", severityNames[:]); i >= 0 {
				d.severity = Severity(i)
			}
		}},
	{key: "mode", doc: "live, or shadow: matches go to the shadow topic. Default: live.", shape: enum(modeNames),
		read: func(r *reader, n *node, d *defaults) { d.shadow = r.choice(n, "mode", modeNames) == 1 }},
	{key: "tags", doc: "Tags of every rule that does not give the same key.", shape: tagsShape,
		read: func(r *reader, n *node, d *defaults) { d.tags = r.tags(n) }},
}}

var sharedObject = object[Policy]{what: "shared", fields: []field[Policy]{
	{key: "lists", doc: "Lists that every policy may use, by name.", shape: ref("lists"),
		read: func(r *reader, n *node, p *Policy) { p.SharedLists = r.lists(n) }},
	{key: "macros", doc: "Macros that every policy may use.", shape: listOf(ref("macro")),
		read: func(r *reader, n *node, p *Policy) { p.SharedMacros = r.macros(n) }},
}}

var macroObject = object[Macro]{what: "a macro", fields: []field[Macro]{
	{key: "id", doc: "Name by which expressions call the macro.", shape: nameShape, required: true,
		read: func(r *reader, n *node, m *Macro) {
			if t, ok := r.filled(n, "the id of a macro"); ok && r.name(t, "a macro") {
				m.ID = t
			}
		}},
	{key: "params", doc: "Names of the parameters. A macro without any is used without parentheses.", shape: listOf(nameShape),
		read: func(r *reader, n *node, m *Macro) {
			seen := map[string]Span{}
			for _, t := range r.texts(n, "params") {
				if at, twice := seen[t.Value]; twice {
					r.noted(t.Span, CodeDuplicateName, "", Note{at, "first here"}, "parameter %q stands twice", t.Value)
				} else if r.name(t, "a parameter") {
					m.Params = append(m.Params, t)
				}
				if _, ok := seen[t.Value]; !ok {
					seen[t.Value] = t.Span
				}
			}
		}},
	{key: expressionKey, doc: "The expression that a use of the macro stands for.", shape: textShape, required: true,
		read: func(r *reader, n *node, m *Macro) { m.Expression = r.expression(n) }},
}}

var variableObject = object[Variable]{what: "a variable", fields: []field[Variable]{
	{key: "scope", doc: "What the variable belongs to.", shape: enum(variableScopes), required: true,
		read: func(r *reader, n *node, v *Variable) {
			if r.choice(n, "scope", variableScopes) >= 0 {
				v.Scope, _ = r.text(n, "scope")
			}
		}},
	{key: "type", doc: "string, int, float or bool, or a list of one of them, for instance [string].", shape: variableTypeShape, required: true,
		read: func(r *reader, n *node, v *Variable) { v.Type = r.variableType(n) }},
	{key: "default", doc: "Value when an event does not carry the variable, taken as written.", shape: anyShape,
		read: func(r *reader, n *node, v *Variable) {
			if n.kind == seqNode {
				v.Default.Span = n.span
				v.DefaultList = r.texts(n, "default")
				return
			}
			v.Default, _ = r.text(n, "default")
		}},
}}

var (
	severityNames  = [...]string{"info", "low", "medium", "high", "critical"}
	modeNames      = []string{"live", "shadow"}
	variableScopes = []string{"process", "container", "event"}
	variableTypes  = []string{"string", "int", "float", "bool"}
)

// String is the severity as written in policies.
func (s Severity) String() string {
	if s < Info || s > Critical {
		return fmt.Sprintf("Severity(%d)", int(s))
	}
	return severityNames[s]
}

// variableType reads a type as written: int, or [int] for a list.
func (r *reader) variableType(n *node) Text {
	if n.kind == seqNode && len(n.items) == 1 {
		if i := r.choice(n.items[0], "type", variableTypes); i >= 0 {
			return Text{"[" + variableTypes[i] + "]", n.span}
		}
		return Text{}
	}
	if n.kind != scalarNode && n.kind != faultyNode {
		r.fault(headOf(n), CodeWrongType, "write for instance string or [string]", "type is a word or a list of one word")
		return Text{}
	}
	if i := r.choice(n, "type", variableTypes); i >= 0 {
		return Text{variableTypes[i], n.span}
	}
	return Text{}
}

// variables reads the declarations and says once that nothing sets them yet.
func (r *reader) variables(n *node) []Variable {
	var out []Variable
	if !r.want(n, mapNode, "variables") {
		return nil
	}
	for _, e := range r.entries(n, "variables") {
		v := Variable{Name: Text{e.key.scalar.text, e.key.span}}
		ok := r.name(v.Name, "a variable")
		if e.value.kind == nullNode {
			r.fault(e.key.span, CodeEmptyValue, "write for instance {scope: process, type: string}", "variable %q has no value", v.Name.Value)
			continue
		}
		readObject(r, e.value, &variableObject, &v)
		if v.Type.Value != "" {
			r.variableDefault(v)
		}
		if !ok || v.Type.Value == "" || v.Scope.Value == "" {
			continue
		}
		out = append(out, v)
		r.notInForce(v.Name.Span, "variable %q is declared, but nothing sets variables yet: it has what the event carries, or its default", v.Name.Value)
	}
	return out
}

// variableDefault checks the default of v against its type.
func (r *reader) variableDefault(v Variable) {
	if v.Default.Span.Line == 0 {
		return
	}
	member, list := v.Type.Value, strings.HasPrefix(v.Type.Value, "[")
	given := v.DefaultList
	if list {
		member = strings.Trim(member, "[]")
	} else {
		given = []Text{v.Default}
	}
	if list != (v.DefaultList != nil) {
		r.fault(v.Default.Span, CodeWrongType, "", "the default of %q is not of its type %s", v.Name.Value, v.Type.Value)
		return
	}
	for _, t := range given {
		if !isOfType(t.Value, member) {
			r.fault(t.Span, CodeWrongType, "", "the default %q is no %s", clip(t.Value, 40), member)
		}
	}
}

// notInForce says of a key that it is checked only.
func (r *reader) notInForce(at Span, format string, args ...any) {
	r.diags = append(r.diags, Diagnostic{Span: at, Level: Warning, Code: CodeNotInForce, Message: fmt.Sprintf(format, args...)})
}

// lists reads a mapping of names to lists.
func (r *reader) lists(n *node) []List {
	var out []List
	if !r.want(n, mapNode, "lists") {
		return nil
	}
	for _, e := range r.entries(n, "lists") {
		l := List{Name: Text{e.key.scalar.text, e.key.span}}
		ok := r.name(l.Name, "a list")
		if e.value.kind == nullNode {
			r.fault(e.key.span, CodeEmptyValue, "write [] for an empty list", "list %q has no value", l.Name.Value)
			continue
		}
		l.Members, l.Ints = r.members(e.value, "list "+fmt.Sprintf("%q", l.Name.Value))
		if ok {
			out = append(out, l)
		}
	}
	return out
}

// members reads the members of a list. It is a list of integers when every member is one without quotes.
// A text is taken as written, 0x10 and 1.10 included; a decimal integer among texts is more likely a slip.
func (r *reader) members(n *node, what string) (out []Text, ints bool) {
	out = r.texts(n, what)
	if n.kind != seqNode {
		return out, false
	}
	var firstInt, firstText *node
	numbers := 0
	for _, item := range n.items {
		if item.kind != scalarNode {
			continue
		}
		unquoted := item.scalar.style == plain
		decimal := unquoted && intPattern.MatchString(item.scalar.text)
		if decimal || unquoted && hexPattern.MatchString(item.scalar.text) {
			numbers++
			if decimal && firstInt == nil {
				firstInt = item
			}
		} else if firstText == nil {
			firstText = item
		}
	}
	if firstInt != nil && firstText != nil {
		r.noted(firstInt.span, CodeMixedList, fmt.Sprintf("quote it to make it a text: %q", firstInt.scalar.text),
			Note{firstText.span, "a text here"}, "%s mixes integers and texts", what)
		return out, false
	}
	ints = firstText == nil && numbers > 0
	if ints {
		for _, t := range out {
			if _, err := parseInt(t.Value); err != nil {
				r.fault(t.Span, CodeBadInteger, "", "%s does not fit in 64 bits", clip(t.Value, 40))
			}
		}
	}
	return out, ints
}

func (r *reader) macros(n *node) []Macro {
	var out []Macro
	if !r.want(n, seqNode, "macros") {
		return nil
	}
	for _, item := range n.items {
		var m Macro
		readObject(r, item, &macroObject, &m)
		if m.ID.Value != "" {
			out = append(out, m)
		}
	}
	return out
}
