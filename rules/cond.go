package rules

import (
	"errors"
	"strings"
	"sync"

	"github.com/expr-lang/expr/vm"
)

// condOp says how a Cond combines its parts.
type condOp uint8

const (
	condConst condOp = iota // value
	condLeaf
	condNot // args[0]
	condAnd
	condOr
)

// Cond is what the expression of a rule or exception compiles to: and, or, not over leaves. The program of
// the whole expression, run by expr's VM, defines the answer; a Cond gives the same, and says why. Constant
// after Compile.
type Cond struct {
	op    condOp
	value bool
	args  []*Cond
	leaf  *leaf
	term  *term
	each  bool // the term was expanded from any(constant list, ...) or all(...)
}

// leaf is a condition without and, or, not and ?: on its outside. A closure is one leaf.
type leaf struct {
	term *term
	// body is the condition inside a closure. Its leaves run on a *binding, as inner says of them.
	body  *Cond
	inner bool

	// Its own programs, and the list's of a closure: they are made when an explanation, or a condition that nothing
	// else evaluates, first asks for them, by whichever goroutine.
	once          sync.Once
	program, list *vm.Program
	fault         error
}

// newCond builds the condition of t, which stands inside of a closure or not.
func newCond(t *term, inner bool) *Cond {
	out := &Cond{term: t, each: t.each}
	switch t.op {
	case opConst:
		out.value, _ = t.konst.(bool)
		return out
	case opNot:
		out.op = condNot
	case opAnd:
		out.op = condAnd
	case opOr:
		out.op = condOr
	case opCond:
		return newChoice(t, inner)
	default:
		out.op = condLeaf
		out.leaf = newLeaf(t, inner)
		return out
	}
	out.args = make([]*Cond, len(t.args))
	for i, a := range t.args {
		out.args[i] = newCond(a, inner)
	}
	return out
}

// newChoice is c ? a : b as (c and a) or (not c and b).
func newChoice(t *term, inner bool) *Cond {
	condition, yes, no := newCond(t.args[0], inner), newCond(t.args[1], inner), newCond(t.args[2], inner)
	not := &Cond{op: condNot, args: []*Cond{condition}, term: t.args[0]}
	return &Cond{op: condOr, term: t, args: []*Cond{
		{op: condAnd, term: t.args[1], args: []*Cond{condition, yes}},
		{op: condAnd, term: t.args[2], args: []*Cond{not, no}},
	}}
}

func newLeaf(t *term, inner bool) *leaf {
	out := &leaf{term: t, inner: inner}
	if t.op == opClosure && t.typ == typBool && !inner {
		out.body = newCond(t.args[1], true)
	}
	return out
}

// programs are the leaf's own program and, of a closure, that of its list. What they are made of is part of the
// program of the whole expression, which was compiled at load; so an error is a fault of ours.
func (l *leaf) programs() (program, list *vm.Program, err error) {
	l.once.Do(func() {
		lower := newLowering()
		if l.inner {
			lower = newElementLowering()
		}
		if l.program, l.fault = compileProgram(lower.condition(l.term), newProgramConfig()); l.fault == nil && l.body != nil {
			l.list, l.fault = compileProgram(lower.value(l.term.args[0]), newValueConfig())
		}
	})
	return l.program, l.list, l.fault
}

// maxExpanded bounds a Cond. Only ?: before the ? of another comes near it: what stands there is in it twice.
const maxExpanded = 20_000

// expandedSize is the number of nodes of c as a tree, or more than maxExpanded.
func expandedSize(c *Cond, known map[*Cond]int) int {
	if n, ok := known[c]; ok {
		return n
	}
	n := 1
	for _, a := range c.args {
		n = min(n+expandedSize(a, known), maxExpanded+1)
	}
	known[c] = n
	return n
}

// eval is the verdict of a Cond: each leaf by its own program, with short circuit.
func (c *Cond) eval(m *machine) bool {
	switch c.op {
	case condLeaf:
		program, _, err := c.leaf.programs()
		if err != nil {
			return m.failed(err)
		}
		return m.run(program)
	case condNot:
		return !c.args[0].eval(m)
	case condAnd, condOr:
		for _, a := range c.args {
			if a.eval(m) == (c.op == condOr) {
				return c.op == condOr
			}
		}
		return c.op == condAnd
	}
	return c.value
}

// machine runs programs on one event, or on one binding. It is owned by one goroutine.
type machine struct {
	vm   vm.VM
	env  any // *view or *binding
	over bool
	// fault is the first error that was not the budget's: a fault of ours. Rules that meet one do not match and
	// count as over budget; tests look here.
	fault error
}

// run is the value of a condition. One that is cut off by its budget does not hold, and says so in over.
func (m *machine) run(p *vm.Program) bool {
	out, err := m.vm.Run(p, m.env)
	if err != nil {
		return m.failed(err)
	}
	held, _ := out.(bool)
	return held
}

// failed notes that a condition could not be evaluated. It does not hold.
func (m *machine) failed(err error) bool {
	m.over = true
	if m.fault == nil && !isBudget(err) {
		m.fault = err
	}
	return false
}

// names are the event names for which a condition may hold: those in the set, or all but those.
type nameSet struct {
	but   bool
	names map[string]bool // folded
}

var everyName = nameSet{but: true}

// and is the intersection.
func (a nameSet) and(b nameSet) nameSet {
	switch {
	case a.but && b.but:
		return nameSet{but: true, names: union(a.names, b.names)}
	case a.but:
		return b.and(a)
	}
	out := nameSet{names: map[string]bool{}}
	for n := range a.names {
		if b.names[n] != b.but {
			out.names[n] = true
		}
	}
	return out
}

func (a nameSet) not() nameSet { return nameSet{but: !a.but, names: a.names} }

// or is the union.
func (a nameSet) or(b nameSet) nameSet { return a.not().and(b.not()).not() }

func union(a, b map[string]bool) map[string]bool {
	out := map[string]bool{}
	for _, m := range []map[string]bool{a, b} {
		for n := range m {
			out[n] = true
		}
	}
	return out
}

// eventNames are the names for which c may hold, and those for which it may not hold. Both err on the side of
// too many.
func (c *Cond) eventNames() (holds, fails nameSet) {
	return c.namesOnce(map[*Cond][2]nameSet{})
}

// namesOnce looks at each part once: the condition of ?: stands in two places, and so do those inside of it.
func (c *Cond) namesOnce(known map[*Cond][2]nameSet) (holds, fails nameSet) {
	if n, ok := known[c]; ok {
		return n[0], n[1]
	}
	holds, fails = c.namesOf(known)
	known[c] = [2]nameSet{holds, fails}
	return holds, fails
}

func (c *Cond) namesOf(known map[*Cond][2]nameSet) (holds, fails nameSet) {
	switch c.op {
	case condConst:
		if c.value {
			return everyName, everyName.not()
		}
		return everyName.not(), everyName
	case condNot:
		holds, fails = c.args[0].namesOnce(known)
		return fails, holds
	case condAnd, condOr:
		for i, a := range c.args {
			h, f := a.namesOnce(known)
			switch {
			case i == 0:
				holds, fails = h, f
			case c.op == condAnd:
				holds, fails = holds.and(h), fails.or(f)
			default:
				holds, fails = holds.or(h), fails.and(f)
			}
		}
		return holds, fails
	}
	return c.leaf.eventNames()
}

func (l *leaf) eventNames() (holds, fails nameSet) {
	t := l.term
	if t.op != opCompare || t.name != "==" && t.name != "in" {
		return everyName, everyName
	}
	name, constant := t.args[0], t.args[1]
	if name.op == opConst && t.name == "==" {
		name, constant = constant, name
	}
	if name.op != opField || name.field.Path != "evt.name" || constant.op != opConst {
		return everyName, everyName
	}
	set := nameSet{names: map[string]bool{}}
	for _, s := range texts(constant.konst) {
		set.names[fold(s)] = true
	}
	if t.exact {
		return set, everyName
	}
	return set, set.not()
}

// isBudget says that an error of the VM is one of the budgets, its own of memory or ours of work.
func isBudget(err error) bool {
	return errors.Is(err, errBudget) || strings.Contains(err.Error(), "memory budget exceeded")
}
