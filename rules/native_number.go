package rules

import (
	"math"
	"time"
)

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
			fr.ev.spend(len(s) / copyUnit)
			return characters(s)
		}
	}
	if t.op == opClosure && t.name == "filter" { // counting makes no list
		counting := *t
		counting.name, counting.typ = "count", typInt
		return as[int](b.input(b.lower.closure(&counting)))
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
