package rules

import (
	"math"
	"time"

	"github.com/expr-lang/expr/ast"
)

// Values are computed by Go closures that are composed once, at load. expr's VM runs what is above and
// around them: and, or, not, ?: and the loops of closures; a condition on values is one call of a constant
// function of one fixed signature. So reading a field costs no reflection and no allocation, and nothing
// that could fail on an event is ever given to the VM.

// native builds the closures of one condition. What it needs from the VM, the result of a loop, becomes an
// input of the condition.
type native struct {
	lower  *lowering
	inputs []ast.Node
}

// input has the VM compute n for the condition.
func (b *native) input(n ast.Node) func(frame) any {
	i := len(b.inputs)
	b.inputs = append(b.inputs, n)
	if i == 0 {
		return func(fr frame) any { return fr.first }
	}
	return func(fr frame) any { return fr.rest[i-1] }
}

func (b *native) bool(t *term) func(frame) bool {
	switch t.op {
	case opConst:
		v := t.konst.(bool)
		return func(frame) bool { return v }
	case opField:
		read := t.field.boolean
		return func(fr frame) bool {
			fr.ev.spend(1)
			return read(fr.ev.event)
		}
	case opNot:
		a := b.bool(t.args[0])
		return func(fr frame) bool { return !a(fr) }
	case opAnd, opOr:
		parts := make([]func(frame) bool, len(t.args))
		for i := range t.args {
			parts[i] = b.bool(t.args[i])
		}
		stop := t.op == opOr
		return func(fr frame) bool {
			for _, p := range parts {
				if p(fr) == stop {
					return stop
				}
			}
			return !stop
		}
	case opCond:
		return choose(b, t, b.bool)
	case opCompare:
		return b.compare(t)
	case opCall:
		return b.pattern(t)
	case opClosure:
		return as[bool](b.input(b.lower.closure(t)))
	}
	return as[bool](b.element(t))
}

// as reads a value of a list, "", 0 or false when there is none.
func as[T any](get func(frame) any) func(frame) T {
	return func(fr frame) T {
		v, _ := get(fr).(T)
		return v
	}
}

func choose[T any](b *native, t *term, build func(*term) func(frame) T) func(frame) T {
	condition, yes, no := b.bool(t.args[0]), build(t.args[1]), build(t.args[2])
	return func(fr frame) T {
		if condition(fr) {
			return yes(fr)
		}
		return no(fr)
	}
}

// element is a value of a list: of an element, an index, first, last, find, or a variable.
func (b *native) element(t *term) func(frame) any {
	switch t.op {
	case opElem:
		return func(fr frame) any {
			fr.ev.spend(1)
			return fr.elem
		}
	case opVariable:
		v := t.vari
		return func(fr frame) any {
			value, cost := fr.ev.variable(v)
			fr.ev.spend(1 + cost)
			return value
		}
	case opClosure:
		return b.input(b.lower.closure(t))
	case opConst:
		v := t.konst
		return func(frame) any { return v }
	}
	list := b.list(t.args[0])
	at := func(frame) int { return 0 }
	switch {
	case t.op == opIndex:
		at = b.int(t.args[1])
	case t.name == "last":
		at = func(frame) int { return -1 }
	}
	return func(fr frame) any {
		fr.ev.spend(1)
		all, _ := list(fr).([]any)
		i := at(fr)
		if i < 0 {
			i += len(all)
		}
		if i < 0 || i >= len(all) {
			return nil
		}
		return all[i]
	}
}

// list is a []any.
func (b *native) list(t *term) func(frame) any {
	switch t.op {
	case opConst:
		return func(frame) any { return t.konst }
	case opField:
		return func(fr frame) any {
			fr.ev.spend(1)
			return fr.ev.ancestorList()
		}
	case opVariable:
		get := b.element(t)
		return func(fr frame) any {
			if l, ok := get(fr).([]any); ok {
				return l
			}
			return noElements
		}
	}
	return b.input(b.lower.closure(t))
}

// noElements is the empty list. Constant.
var noElements any = []any{}

// process is the process that a path below an element starts at.
func (b *native) process(t *term) func(frame) *processView {
	switch {
	case t.op == opElem:
		return func(fr frame) *processView { return fr.processOf(ofAncestor) }
	case t.op == opIndex && t.args[0].op == opField && t.args[1].op == opConst:
		i := t.args[1].konst.(int)
		return func(fr frame) *processView { return fr.ev.ancestor(i) }
	}
	get := b.element(t)
	return func(fr frame) *processView {
		p, _ := get(fr).(*processView)
		if p == nil {
			return missingProcess
		}
		return p
	}
}

// owner is the process that a field is read of.
func (b *native) owner(t *term) func(frame) *processView {
	switch t.field.owner {
	case ofProcess:
		return func(fr frame) *processView { return &fr.ev.process }
	case ofParent:
		return func(fr frame) *processView { return &fr.ev.parent }
	}
	return b.process(t.args[0])
}

func (b *native) int(t *term) func(frame) int {
	switch t.op {
	case opConst:
		v := t.konst.(int)
		return func(frame) int { return v }
	case opField:
		if t.field.owner == ofEvent {
			read := t.field.number
			return func(fr frame) int {
				fr.ev.spend(1)
				return int(read(fr.ev.event))
			}
		}
		owner, read := b.owner(t), t.field.process.number
		return func(fr frame) int {
			fr.ev.spend(1)
			return int(read(owner(fr).p))
		}
	case opNegate:
		a := b.int(t.args[0])
		return func(fr frame) int { return -a(fr) }
	case opCond:
		return choose(b, t, b.int)
	case opArith:
		return combine(b.int(t.args[0]), b.int(t.args[1]), intOperations[t.name])
	case opCall:
		switch t.name {
		case "len":
			return b.length(t.args[0])
		case "abs":
			a := b.int(t.args[0])
			return func(fr frame) int {
				if v := a(fr); v < 0 {
					return -v
				} else {
					return v
				}
			}
		case "min":
			return fold2(t.args, b.int, func(x, y int) int { return min(x, y) })
		case "max":
			return fold2(t.args, b.int, func(x, y int) int { return max(x, y) })
		}
	}
	return as[int](b.element(t))
}

var intOperations = map[string]func(x, y int) int{
	"+": func(x, y int) int { return x + y },
	"-": func(x, y int) int { return x - y },
	"*": func(x, y int) int { return x * y },
	"%": func(x, y int) int {
		if y == 0 {
			return 0
		}
		return x % y
	},
}

var floatOperations = map[string]func(x, y float64) float64{
	"+": func(x, y float64) float64 { return x + y },
	"-": func(x, y float64) float64 { return x - y },
	"*": func(x, y float64) float64 { return x * y },
	"/": func(x, y float64) float64 {
		if y == 0 {
			return 0
		}
		return x / y
	},
}

func combine[A, B, R any](a func(frame) A, b func(frame) B, f func(A, B) R) func(frame) R {
	return func(fr frame) R { return f(a(fr), b(fr)) }
}

func fold2[T any](args []*term, build func(*term) func(frame) T, f func(T, T) T) func(frame) T {
	out := build(args[0])
	for _, a := range args[1:] {
		out = combine(out, build(a), f)
	}
	return out
}

// length is the number of characters of a text, or of elements of a list.
func (b *native) length(t *term) func(frame) int {
	if t.typ == typText {
		text := b.text(t, true)
		return func(fr frame) int {
			s := text(fr)
			fr.ev.spend(len(s) / textUnit)
			return characters(s)
		}
	}
	list := b.list(t)
	return func(fr frame) int {
		all, _ := list(fr).([]any)
		return len(all)
	}
}

// float is a number as a float.
func (b *native) float(t *term) func(frame) float64 {
	if t.typ == typInt {
		if v, ok := t.konst.(int); ok {
			return func(frame) float64 { return float64(v) }
		}
		a := b.int(t)
		return func(fr frame) float64 { return float64(a(fr)) }
	}
	switch t.op {
	case opConst:
		v := t.konst.(float64)
		return func(frame) float64 { return v }
	case opNegate:
		a := b.float(t.args[0])
		return func(fr frame) float64 { return -a(fr) }
	case opCond:
		return choose(b, t, b.float)
	case opArith:
		return combine(b.float(t.args[0]), b.float(t.args[1]), floatOperations[t.name])
	case opCall:
		switch t.name {
		case "abs":
			a := b.float(t.args[0])
			return func(fr frame) float64 { return math.Abs(a(fr)) }
		case "min":
			return fold2(t.args, b.float, func(x, y float64) float64 { return min(x, y) })
		case "max":
			return fold2(t.args, b.float, func(x, y float64) float64 { return max(x, y) })
		}
	}
	return as[float64](b.element(t))
}

func (b *native) time(t *term) func(frame) time.Time {
	switch t.op {
	case opConst:
		v := t.konst.(time.Time)
		return func(frame) time.Time { return v }
	case opField:
		if t.field.owner == ofEvent {
			read := t.field.instant
			return func(fr frame) time.Time {
				fr.ev.spend(1)
				return instant(read(fr.ev.event))
			}
		}
		owner, read := b.owner(t), t.field.process.instant
		return func(fr frame) time.Time {
			fr.ev.spend(1)
			return instant(read(owner(fr).p))
		}
	case opCond:
		return choose(b, t, b.time)
	case opArith:
		at, by := t.args[0], t.args[1]
		if at.typ == typDuration {
			at, by = by, at
		}
		sign := time.Duration(1)
		if t.name == "-" {
			sign = -1
		}
		return combine(b.time(at), b.duration(by), func(x time.Time, d time.Duration) time.Time {
			if x.IsZero() {
				return x // a missing time stays missing
			}
			return x.Add(sign * d)
		})
	}
	return as[time.Time](b.element(t))
}

func (b *native) duration(t *term) func(frame) time.Duration {
	switch t.op {
	case opConst:
		v := t.konst.(time.Duration)
		return func(frame) time.Duration { return v }
	case opNegate:
		a := b.duration(t.args[0])
		return func(fr frame) time.Duration { return -a(fr) }
	case opCond:
		return choose(b, t, b.duration)
	case opArith:
		x, y := t.args[0], t.args[1]
		switch {
		case x.typ == typTime:
			return combine(b.time(x), b.time(y), func(x, y time.Time) time.Duration {
				if x.IsZero() || y.IsZero() {
					return 0
				}
				return x.Sub(y)
			})
		case t.name == "+":
			return combine(b.duration(x), b.duration(y), func(x, y time.Duration) time.Duration { return x + y })
		case t.name == "-":
			return combine(b.duration(x), b.duration(y), func(x, y time.Duration) time.Duration { return x - y })
		case x.typ == typDuration:
			return b.scaled(x, y)
		}
		return b.scaled(y, x)
	}
	return as[time.Duration](b.element(t))
}

// scaled is a duration times a number, cut to what a duration can hold.
func (b *native) scaled(d, by *term) func(frame) time.Duration {
	if by.typ == typInt {
		return combine(b.duration(d), b.int(by), func(d time.Duration, n int) time.Duration { return d * time.Duration(n) })
	}
	return combine(b.duration(d), b.float(by), func(d time.Duration, x float64) time.Duration {
		switch product := float64(d) * x; {
		case product != product:
			return 0
		case product >= math.MaxInt64:
			return math.MaxInt64
		case product <= math.MinInt64:
			return math.MinInt64
		default:
			return time.Duration(product)
		}
	})
}

// value is a term of any kind in an interface, for the VM.
func (b *native) value(t *term) func(frame) any {
	switch t.typ.kind {
	case kindBool:
		return boxed(b.bool(t))
	case kindInt:
		return boxed(b.int(t))
	case kindFloat:
		return boxed(b.float(t))
	case kindText:
		return boxed(b.text(t, false))
	case kindTime:
		return boxed(b.time(t))
	case kindDuration:
		return boxed(b.duration(t))
	case kindList:
		return b.list(t)
	}
	get := b.process(t)
	return func(fr frame) any { return get(fr) }
}

func boxed[T any](f func(frame) T) func(frame) any { return func(fr frame) any { return f(fr) } }
