package rules

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

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
	case kindTime:
		return time.Time{}
	case kindDuration:
		return time.Duration(0)
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
// reads as the default, a single value as a list of one. It is parsed once for an event, but costs each rule
// what parsing costs, so that a rule's budget does not depend on the rules before it.
func (v *view) variable(d *variable) (value any, cost int) {
	raw := d.raw(v.event)
	cost = len(raw) / variableUnit
	if cost > v.work {
		return d.initial, cost
	}
	value, ok := v.vars[d]
	if !ok {
		if v.vars == nil {
			v.vars = map[*variable]any{}
		}
		value = d.read(raw)
		v.vars[d] = value
	}
	return value, cost
}

// raw is the object of variables that d is a member of.
func (d *variable) raw(e *event.Event) event.Variables {
	switch d.Scope.Value {
	case "process":
		if e.Process != nil {
			return e.Process.Variables
		}
	case "container":
		if e.Container != nil && len(e.Container.Variables) > 0 {
			return e.Container.Variables
		}
		if e.Process != nil && e.Process.Container != nil {
			return e.Process.Container.Variables
		}
	default:
		if e.Evt != nil {
			return e.Evt.Variables
		}
	}
	return nil
}

func (d *variable) read(raw event.Variables) any {
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
	k := d.typ.kind
	list := k == kindList
	if list {
		k = d.typ.elem
	}
	var value any
	switch k {
	case kindBool:
		value, ok = parseValue[bool](text, list)
	case kindInt:
		value, ok = parseValue[int](text, list)
	case kindFloat:
		value, ok = parseValue[float64](text, list)
	default:
		value, ok = parseValue[string](text, list)
	}
	if !ok {
		return d.initial
	}
	return value
}

// parseValue reads a JSON value of the type, or a list of them; a single one is a list of one.
func parseValue[T any](text json.RawMessage, list bool) (any, bool) {
	var one T
	if json.Unmarshal(text, &one) == nil {
		if list {
			return []any{one}, true
		}
		return one, true
	}
	var many []T
	if !list || json.Unmarshal(text, &many) != nil {
		return nil, false
	}
	out := make([]any, len(many))
	for i := range many {
		out[i] = many[i]
	}
	return out, true
}
