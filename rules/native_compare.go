package rules

import (
	"slices"
	"strings"
	"time"

	"spoor/pipeline/event"
)

// textComparisons are the comparisons of two texts that are alike in case.
var textComparisons = map[string]func(a, b string) bool{
	"==":         func(a, b string) bool { return a == b },
	"<":          func(a, b string) bool { return a < b },
	"<=":         func(a, b string) bool { return a <= b },
	">":          func(a, b string) bool { return a > b },
	">=":         func(a, b string) bool { return a >= b },
	"contains":   strings.Contains,
	"startsWith": strings.HasPrefix,
	"endsWith":   strings.HasSuffix,
}

func (b *native) compare(t *term) func(frame) bool {
	left, right := t.args[0], t.args[1]
	switch {
	case t.name == "matches":
		return b.matches(t)
	case t.name == "in" && left.typ == typText:
		return b.textIn(t)
	case t.name == "in":
		return b.in(t)
	case left.typ == typText:
		return b.textCompare(t)
	case left.typ == typBool:
		return combine(b.bool(left), b.bool(right), func(x, y bool) bool { return x == y })
	case left.typ == typFloat || right.typ == typFloat:
		return combine(b.float(left), b.float(right), ordering[float64](t.name))
	case left.typ == typInt:
		return b.intCompare(t)
	case left.typ == typDuration:
		return combine(b.duration(left), b.duration(right), ordering[time.Duration](t.name))
	}
	return combine(b.time(left), b.time(right), timeOrdering(t.name))
}

func ordering[T int | uint32 | float64 | time.Duration](name string) func(x, y T) bool {
	switch name {
	case "<":
		return func(x, y T) bool { return x < y }
	case "<=":
		return func(x, y T) bool { return x <= y }
	case ">":
		return func(x, y T) bool { return x > y }
	case ">=":
		return func(x, y T) bool { return x >= y }
	}
	return func(x, y T) bool { return x == y }
}

// timeOrdering is false when one of the times is missing, but two missing times are equal.
func timeOrdering(name string) func(x, y time.Time) bool {
	if name == "==" {
		return time.Time.Equal
	}
	order := ordering[int](name)
	return func(x, y time.Time) bool { return !x.IsZero() && !y.IsZero() && order(x.Compare(y), 0) }
}

// intCompare compares ints, and exit codes in 32 bits: a constant above the signed range is the code with
// that bit pattern, and an order with such a constant is that of unsigned codes.
func (b *native) intCompare(t *term) func(frame) bool {
	left, right := t.args[0], t.args[1]
	if !isExitCode(left) && !isExitCode(right) {
		return combine(b.int(left), b.int(right), ordering[int](t.name))
	}
	wide := func(a *term) bool { return a.op == opConst && a.konst.(int) > 1<<31-1 && a.konst.(int) < 1<<32 }
	if (wide(left) || wide(right)) && t.name != "==" {
		l, r, order := b.int(left), b.int(right), ordering[uint32](t.name)
		return func(fr frame) bool { return order(uint32(l(fr)), uint32(r(fr))) }
	}
	return combine(b.code(left), b.code(right), ordering[int](t.name))
}

// isExitCode says that t is the exit code. What chooses it with ?: is compared branch by branch, see choose.
func isExitCode(t *term) bool { return t.op == opField && t.field.Path == "exit.code" }

// code is an int that is compared with an exit code.
func (b *native) code(t *term) func(frame) int {
	if t.op == opConst {
		v := exitCode(t.konst.(int))
		return func(frame) int { return v }
	}
	get := b.int(t)
	return func(fr frame) int { return exitCode(get(fr)) }
}

func exitCode(v int) int {
	if v > 1<<31-1 && v < 1<<32 {
		return int(int32(uint32(v)))
	}
	return v
}

// registryOf is the field of a registry path when t is one: constants beside it are rewritten.
func registryOf(t *term) *field {
	if t.op == opField && t.field.registry {
		return t.field
	}
	return nil
}

// isRegistryText says that t is a registry path, or a text made of one that begins as the path does: constants
// beside it are rewritten.
func isRegistryText(t *term) bool {
	switch {
	case t.op == opCall:
		switch t.name {
		case "lower", "upper", "trim", "string", "dirname":
			return isRegistryText(t.args[0])
		}
	case t.op == opArith && t.typ == typText:
		return isRegistryText(t.args[0])
	}
	return registryOf(t) != nil
}

func (b *native) textCompare(t *term) func(frame) bool {
	left, right := t.args[0], t.args[1]
	test := textComparisons[t.name]
	if !t.exact {
		if isRegistryText(left) && right.op == opConst {
			return b.registryCompare(left, right.konst.(string), t.name, test)
		}
		if isRegistryText(right) && left.op == opConst {
			return b.registryCompare(right, left.konst.(string), t.name, func(path, c string) bool { return test(c, path) })
		}
	}
	if !t.exact && (left.ofConstants() || right.ofConstants()) {
		return b.elementCompare(t, test)
	}
	l, r := b.text(left, !t.exact), b.text(right, !t.exact)
	if right.op == opConst {
		c := r(frame{})
		return func(fr frame) bool { return test(l(fr), c) }
	}
	return combine(l, r, test)
}

func constantKindOf(operator string) constantKind {
	switch operator {
	case "startsWith", "contains":
		return prefixConstant
	case "glob":
		return globConstant
	case "like":
		return likeConstant
	}
	return wholeConstant
}

// registryPath is how the registry path that t is, or is made of, is read: in canonical form, and as the current
// user sees it, given that form.
func (b *native) registryPath(t *term) (get func(frame) string, user func(fr frame, path string) string) {
	text := b.text(t, true)
	if f := registryOf(t); f != nil {
		return text, func(fr frame, _ string) string { return fr.ev.userText(f) }
	}
	return func(fr frame) string { return canonicalKey(text(fr)) }, func(_ frame, path string) string { return userKey(path) }
}

// registryCompare holds a path against a constant that is rewritten as paths are, and against the current
// user's form of the path when the constant begins with the current user's root.
func (b *native) registryCompare(t *term, constant, operator string, test func(path, c string) bool) func(frame) bool {
	c, user := canonicalConstant(constant, constantKindOf(operator))
	user = user && !isOrder(operator)
	get, asUser := b.registryPath(t)
	return func(fr frame) bool {
		path := get(fr)
		return test(path, c) || user && test(asUser(fr, path), c)
	}
}

func isOrder(operator string) bool { return operator[0] == '<' || operator[0] == '>' }

// elementCompare compares with an element of a constant list, which is a constant as well: beside evt.name and
// registry paths it is rewritten as constants are.
func (b *native) elementCompare(t *term, test func(a, b string) bool) func(frame) bool {
	field, constant := t.args[0], t.args[1]
	ordered := test
	if field.ofConstants() {
		field, constant = constant, field
		ordered = func(a, b string) bool { return test(b, a) }
	}
	get := b.text(constant, false)
	if isRegistryText(field) {
		path, asUser := b.registryPath(field)
		kind, order := constantKindOf(t.name), isOrder(t.name)
		return func(fr frame) bool {
			s := path(fr)
			c, user := canonicalConstant(get(fr), kind)
			return ordered(s, c) || user && !order && ordered(asUser(fr, s), c)
		}
	}
	subject := b.text(field, true)
	name := field.op == opField && field.field.Path == "evt.name" && t.name == "=="
	return func(fr frame) bool {
		c := get(fr)
		if name {
			c = event.Canonical(c)
		}
		return ordered(subject(fr), fold(c))
	}
}

func (b *native) matches(t *term) func(frame) bool {
	re, perByte := t.regex.re, t.regex.perByte
	get := b.text(t.args[0], !t.exact)
	return func(fr frame) bool {
		s := get(fr)
		fr.ev.spend(len(s) * perByte / regexUnit)
		return re.MatchString(s)
	}
}

// textIn is a text in a list.
func (b *native) textIn(t *term) func(frame) bool {
	left, right := t.args[0], t.args[1]
	if !t.exact && right.op != opConst && right.listOfConstants() {
		return b.inConstants(t)
	}
	if right.op != opConst {
		get, list := b.text(left, !t.exact), b.list(right)
		return func(fr frame) bool {
			s := get(fr)
			all, _ := list(fr).([]any)
			for _, e := range all {
				c, _ := e.(string)
				fr.ev.spend(1 + len(c)/textUnit)
				if !t.exact {
					c = fr.ev.foldOnce(c)
				}
				if c == s {
					return true
				}
			}
			return false
		}
	}
	set, user := map[string]bool{}, map[string]bool{}
	registry := !t.exact && isRegistryText(left)
	for _, c := range texts(right.konst) {
		switch {
		case t.exact:
			set[c] = true
		case registry:
			s, ofUser := canonicalConstant(c, wholeConstant)
			set[s] = true
			if ofUser {
				user[s] = true
			}
		default:
			set[fold(c)] = true
		}
	}
	if registry {
		get, asUser := b.registryPath(left)
		return func(fr frame) bool {
			path := get(fr)
			return set[path] || len(user) > 0 && user[asUser(fr, path)]
		}
	}
	get := b.text(left, !t.exact)
	return func(fr frame) bool { return set[get(fr)] }
}

// inConstants is a text in what is left of a constant list: its elements are read as constants are.
func (b *native) inConstants(t *term) func(frame) bool {
	list := b.list(t.args[1])
	element := &term{op: opElem, typ: typText, constants: true}
	is := b.elementCompare(&term{op: opCompare, name: "==", typ: typBool, args: []*term{t.args[0], element}}, textComparisons["=="])
	return func(fr frame) bool {
		all, _ := list(fr).([]any)
		for _, e := range all {
			fr.elem = e
			if is(fr) {
				return true
			}
		}
		return false
	}
}

// in is a value that is no text in a list.
func (b *native) in(t *term) func(frame) bool {
	left, right := t.args[0], t.args[1]
	list := b.list(right)
	if left.typ == typInt && right.op == opConst && right.typ.elem == kindInt {
		set := map[int]bool{}
		for _, v := range right.konst.([]any) {
			n := v.(int)
			if isExitCode(left) {
				n = exitCode(n)
			}
			set[n] = true
		}
		get := b.int(left)
		return func(fr frame) bool { return set[get(fr)] }
	}
	get, code := b.value(left), isExitCode(left)
	return func(fr frame) bool {
		v := get(fr)
		all, _ := list(fr).([]any)
		fr.ev.spend(1 + len(all)/copyUnit)
		return slices.ContainsFunc(all, func(e any) bool {
			if n, ok := e.(int); ok && code {
				e = exitCode(n)
			}
			return sameValue(v, e)
		})
	}
}

// sameValue is == for values that are no texts.
func sameValue(a, b any) bool {
	switch x := a.(type) {
	case int:
		if y, ok := b.(float64); ok {
			return float64(x) == y
		}
	case float64:
		if y, ok := b.(int); ok {
			return x == float64(y)
		}
	case time.Time:
		y, ok := b.(time.Time)
		return ok && x.Equal(y)
	}
	return a == b
}

// pattern is glob or like.
func (b *native) pattern(t *term) func(frame) bool {
	if t.name != "glob" && t.name != "like" {
		return as[bool](b.element(t))
	}
	registry := isRegistryText(t.args[0])
	var tests, user []func(string) bool
	rest := 0 // of a piece of like that is compared anew at many places
	for _, p := range texts(t.args[1].konst) {
		ofUser := false
		if registry {
			p, ofUser = canonicalConstant(p, constantKindOf(t.name))
		}
		var test func(string) bool
		if t.name == "like" {
			compiled := compileLike(p)
			test = compiled.match
			for i := range compiled.middle {
				if x := compiled.middle[i].search; x != nil {
					rest = max(rest, len(x.rest.text))
				}
			}
		} else {
			g, err := compileGlob(p)
			if err != nil { // the checker has compiled it
				continue
			}
			test = g.match
		}
		tests = append(tests, test)
		if ofUser {
			user = append(user, test)
		}
	}
	get := b.text(t.args[0], true)
	asUser := func(fr frame, s string) string { return "" }
	if registry {
		get, asUser = b.registryPath(t.args[0])
	}
	anyOf := func(fr frame, s string, tests []func(string) bool) bool {
		for _, test := range tests {
			fr.ev.spend(1 + len(s)/patternUnit + len(s)*rest/copyUnit)
			if test(s) {
				return true
			}
		}
		return false
	}
	return func(fr frame) bool {
		s := get(fr)
		return anyOf(fr, s, tests) || len(user) > 0 && anyOf(fr, asUser(fr, s), user)
	}
}
