package rules

import (
	"slices"
	"strings"

	"github.com/expr-lang/expr/file"

	"spoor/pipeline/event"
	"spoor/rules/policy"
)

// compare is a comparison of two checked operands.
func (k *inspector) compare(name string, left, right *term, exact bool, loc file.Location) *term {
	if left.op == opBad || right.op == opBad {
		return k.bad(loc)
	}
	mismatch := func(hint string) *term {
		return k.fault(loc, codeType, "`"+name+"` stands between "+describe(left)+" and "+describe(right), hint)
	}
	l, r := left.typ, right.typ
	negate := false
	var regex *compiledRegex
	switch name {
	case "==", "!=":
		if !comparable(l.kind, r.kind) {
			return mismatch(equalHint(left, right))
		}
		if name == "!=" {
			name, negate = "==", true
		}
	case "<", "<=", ">", ">=":
		if !comparable(l.kind, r.kind) || !ordered(l.kind, r.kind) {
			return mismatch("numbers, texts, times and durations have an order, each among themselves")
		}
	case "in":
		if r.kind != kindList {
			hint := "write a list: [a, b]"
			if r == typText {
				hint = "write `b contains a` for a part of a text"
			}
			return mismatch(hint)
		}
		if !comparable(l.kind, r.elem) && !(r.elem == kindUnknown && l.kind.scalar()) {
			return mismatch("")
		}
		if right.op == opList {
			return k.oneOf(left, right, exact, loc)
		}
	case "contains", "startsWith", "endsWith", "matches":
		if l != typText || r != typText {
			hint := "both sides are texts"
			if l.kind == kindList {
				hint = "write `x in list` for a whole element, any(list, # " + name + " x) for a part of one"
			} else if r.kind == kindList {
				hint = "write any(list, x " + name + " #)"
			}
			return mismatch(hint)
		}
		if name == "matches" {
			if right.op != opConst {
				return k.fault(k.at(right), codeNotConstant, "the pattern of `matches` is not constant", "write the pattern itself, or a list: any(patterns, x matches #)")
			}
			var err error
			if regex, err = k.c.regexes.get(right.konst.(string), exact); err != nil {
				return k.fault(k.at(right), codeBadPattern, "the pattern cannot be compiled: "+strings.TrimPrefix(err.Error(), "error parsing regexp: "), "")
			}
		}
	default:
		return k.fault(loc, codeRefused, "`"+name+"` is not part of the language", refused[name])
	}
	if exact && l != typText && r != typText {
		exact = false
	}
	t := k.choose(left, right, loc, func(left, right *term) *term {
		if name == "==" || name == "in" {
			left, right = k.eventNames(left, right)
			right, left = k.eventNames(right, left)
		}
		return k.done(&term{op: opCompare, name: name, typ: typBool, args: []*term{left, right}, exact: exact, regex: regex, loc: loc})
	})
	if t.op == opBad {
		return t
	}
	if negate {
		return k.done(&term{op: opNot, typ: typBool, args: []*term{t}, loc: loc, ext: t.ext})
	}
	return t
}

// choose compares each branch of an operand that chooses with ?: a field beside which constants are read in a way
// of their own, so that they are whichever way the comparison is written.
func (k *inspector) choose(left, right *term, loc file.Location, compare func(left, right *term) *term) *term {
	side, other := left, right
	if !choosesSpecial(side) {
		side, other = right, left
	}
	if !choosesSpecial(side) {
		return compare(left, right)
	}
	t := &term{op: opCond, typ: typBool, args: []*term{side.args[0], nil, nil}, loc: loc}
	for i := 1; i <= 2; i++ {
		size := 1
		other.walk(func(*term) { size++ })
		if !k.count(size, loc) {
			return k.bad(loc)
		}
		branch := inlined(side.args[i], side.place())
		if side == left {
			t.args[i] = k.choose(branch, other, loc, compare)
		} else {
			t.args[i] = k.choose(other, branch, loc, compare)
		}
		if t.args[i].op == opBad {
			return t.args[i]
		}
	}
	t.ext = file.Location{From: min(left.place().From, right.place().From), To: max(left.place().To, right.place().To)}
	return k.done(t)
}

// choosesSpecial says that t is a ?: with a registry path, the exit code or the event's name in a branch.
func choosesSpecial(t *term) bool {
	special := func(t *term) bool {
		return choosesSpecial(t) || isRegistryText(t) || isExitCode(t) || t.op == opField && t.field.Path == "evt.name"
	}
	return t.op == opCond && (special(t.args[1]) || special(t.args[2]))
}

// oneOf is x in [a, b] where the list is not constant.
func (k *inspector) oneOf(left, list *term, exact bool, loc file.Location) *term {
	t := &term{op: opOr, typ: typBool, loc: loc, each: true}
	for _, a := range list.args {
		if !k.count(1, loc) {
			return k.bad(loc)
		}
		t.args = append(t.args, k.compare("==", left, a, exact, loc))
	}
	t.args = slices.DeleteFunc(t.args, func(a *term) bool { return a.op == opBad })
	if len(t.args) == 0 {
		return k.bad(loc)
	}
	t.ext = file.Location{From: min(left.place().From, list.place().From), To: max(left.place().To, list.place().To)}
	return k.done(t)
}

// eventNames makes the constants that evt.name is compared with canonical.
func (k *inspector) eventNames(field, constant *term) (*term, *term) {
	if field.op != opField || field.field.Path != "evt.name" || constant.op != opConst {
		return field, constant
	}
	canonical := func(s string) string {
		c := event.Canonical(s)
		switch {
		case event.IsAlias(s):
			k.warn(constant, codeEventAlias, "`"+s+"` is an older name of the event `"+c+"`", "write \""+c+"\"")
		case s == "" || slices.Contains(event.Known(), c) || k.names.events[fold(s)]:
		default:
			hint := "list it under extra_event_names when a sensor sends it"
			if near := policy.Suggest(s, event.Known()); near != "" {
				hint = "did you mean \"" + near + "\"? Else " + hint
			}
			k.warn(constant, codeEventUnknown, "no known event is named `"+s+"`", hint)
		}
		return c
	}
	out := *constant
	switch v := constant.konst.(type) {
	case string:
		out.konst = canonical(v)
	case []any:
		values := make([]any, len(v))
		for i := range v {
			values[i] = v[i]
			if s, ok := v[i].(string); ok {
				values[i] = canonical(s)
			}
		}
		out.konst = values
	}
	return field, &out
}
