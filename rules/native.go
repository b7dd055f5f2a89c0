package rules

import (
	"github.com/expr-lang/expr/ast"

	"spoor/pipeline/event"
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
	if from := t.args[0]; t.name == "first" && from.op == opClosure && from.name == "filter" { // finding makes no list
		finding := *from
		finding.name, finding.typ = "find", t.typ
		return b.input(b.lower.closure(&finding))
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
			l := get(fr)
			if _, ok := l.([]any); ok {
				return l // not the slice itself, which would be boxed anew
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
		return boxed(b.text(seen(t), false))
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

// seen is t, a text, with the registry paths in it as rules see them, in the case they came in: as an element of a
// list they are compared with other texts.
func seen(t *term) *term {
	switch {
	case t.op == opField && t.field.registry:
		f := *t.field
		read := f.text
		f.text = func(e *event.Event) string { return canonicalWritten(read(e)) }
		out := *t
		out.field = &f
		return &out
	case t.op == opCond:
		out := *t
		out.args = []*term{t.args[0], seen(t.args[1]), seen(t.args[2])}
		return &out
	case t.op == opArith, t.op == opCall && t.name != "first" && t.name != "last":
		out := *t
		out.args = make([]*term, len(t.args))
		for i, a := range t.args {
			out.args[i] = a
			if a.typ == typText {
				out.args[i] = seen(a)
			}
		}
		return &out
	}
	return t
}

func boxed[T any](f func(frame) T) func(frame) any { return func(fr frame) any { return f(fr) } }
