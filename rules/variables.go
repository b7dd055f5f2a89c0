package rules

import (
	"encoding/json"
	"strconv"
	"strings"

	"spoor/pipeline/event"
	"spoor/rules/policy"
)

// newVariable gives a declared variable its type and default.
func (c *compiler) newVariable(v *policy.Variable) *variable {
	out := &variable{Variable: v, typ: typText}
	name := strings.TrimSpace(v.Type.Value)
	element, isList := strings.CutPrefix(name, "[")
	k, ok := map[string]kind{"string": kindText, "int": kindInt, "float": kindFloat, "bool": kindBool}[strings.TrimSuffix(element, "]")]
	if !ok {
		k = kindText
	}
	out.typ = typ{kind: k}
	if isList {
		out.typ = listOf(k)
	}
	out.initial = defaultOf(out.typ.kind, v.Default.Value)
	if out.typ.kind == kindList {
		list := make([]any, 0, len(v.DefaultList))
		for _, e := range v.DefaultList {
			list = append(list, defaultOf(k, e.Value))
		}
		out.initial = list
	}
	return out
}

func noValue(k kind) any {
	switch k {
	case kindBool:
		return false
	case kindInt:
		return 0
	case kindFloat:
		return 0.0
	}
	return ""
}

func defaultOf(k kind, text string) any {
	switch k {
	case kindBool:
		return text == "true"
	case kindInt:
		n, _ := strconv.ParseInt(text, 0, 64)
		return int(n)
	case kindFloat:
		x, _ := strconv.ParseFloat(text, 64)
		return x
	}
	return text
}

// variable is the value that the event carries for a declared variable, of its type: a value of another type
// reads as the default, a single value as a list of one. It is parsed once for an event.
func (v *view) variable(d *variable) any {
	if value, ok := v.vars[d]; ok {
		return value
	}
	if v.vars == nil {
		v.vars = map[*variable]any{}
	}
	value := d.read(v.event)
	v.vars[d] = value
	return value
}

func (d *variable) read(e *event.Event) any {
	var raw event.Variables
	switch d.Scope.Value {
	case "process":
		if e.Process != nil {
			raw = e.Process.Variables
		}
	case "container":
		if e.Container != nil {
			raw = e.Container.Variables
		}
		if len(raw) == 0 && e.Process != nil && e.Process.Container != nil {
			raw = e.Process.Container.Variables
		}
	default:
		if e.Evt != nil {
			raw = e.Evt.Variables
		}
	}
	if len(raw) == 0 {
		return d.initial
	}
	var all map[string]json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return d.initial
	}
	text, ok := all[d.Name.Value]
	if !ok {
		return d.initial
	}
	if d.typ.kind != kindList {
		if value, ok := scalar(d.typ.kind, text); ok {
			return value
		}
		return d.initial
	}
	var elements []json.RawMessage
	if json.Unmarshal(text, &elements) != nil {
		elements = []json.RawMessage{text}
	}
	out := make([]any, 0, len(elements))
	for _, e := range elements {
		value, ok := scalar(d.typ.elem, e)
		if !ok {
			return d.initial
		}
		out = append(out, value)
	}
	return out
}

// scalar reads a JSON value of the kind.
func scalar(k kind, text json.RawMessage) (any, bool) {
	var err error
	switch k {
	case kindBool:
		var v bool
		err = json.Unmarshal(text, &v)
		return v, err == nil
	case kindInt:
		var v int64
		err = json.Unmarshal(text, &v)
		return int(v), err == nil
	case kindFloat:
		var v float64
		err = json.Unmarshal(text, &v)
		return v, err == nil
	}
	var v string
	err = json.Unmarshal(text, &v)
	return v, err == nil
}
