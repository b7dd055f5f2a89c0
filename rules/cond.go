package rules

import (
	"errors"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
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
	// each marks what any(constant list, ...) or all(...) was expanded to; loc is then its text.
	each bool
	loc  file.Location
}

// leaf is a condition without and, or, not and ?: on its outside. A closure is one leaf.
type leaf struct {
	term   *term
	loc    file.Location // the author's text of the whole condition
	key    string        // equal conditions have equal keys
	fields []*term       // the fields and variables it reads, in order, each once
	*leafCode
}

// leafCode is what equal conditions of a set share: it holds nothing of a place.
type leafCode struct {
	node    ast.Node // rewritten
	program *vm.Program
	// body is the condition inside a closure, its leaves compiled to run on a *binding.
	body *Cond
	list *vm.Program
}

// newCond builds the condition of t. Inside of a closure (in not nil) the leaves run on a *binding.
func (c *compiler) newCond(t *term, l *lowering) (*Cond, error) {
	out := &Cond{term: t, each: t.each}
	if t.each {
		out.loc = c.pos.widen(t.ext)
	}
	switch {
	case t.op == opConst:
		out.value, _ = t.konst.(bool)
		return out, nil
	case t.op == opNot:
		out.op = condNot
	case t.op == opAnd:
		out.op = condAnd
	case t.op == opOr:
		out.op = condOr
	case t.op == opCond:
		return c.choice(t, l)
	default:
		out.op = condLeaf
		leaf, err := c.newLeaf(t, l)
		out.leaf = leaf
		return out, err
	}
	for _, a := range t.args {
		arg, err := c.newCond(a, l)
		if err != nil {
			return nil, err
		}
		out.args = append(out.args, arg)
	}
	return out, nil
}

// choice is c ? a : b as (c and a) or (not c and b).
func (c *compiler) choice(t *term, l *lowering) (*Cond, error) {
	var parts [3]*Cond
	for i, a := range t.args {
		p, err := c.newCond(a, l)
		if err != nil {
			return nil, err
		}
		parts[i] = p
	}
	not := &Cond{op: condNot, args: parts[:1], term: t.args[0]}
	return &Cond{op: condOr, term: t, args: []*Cond{
		{op: condAnd, term: t.args[1], args: []*Cond{parts[0], parts[1]}},
		{op: condAnd, term: t.args[2], args: []*Cond{not, parts[2]}},
	}}, nil
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

func (c *compiler) newLeaf(t *term, l *lowering) (*leaf, error) {
	out := &leaf{term: t, loc: c.pos.widen(t.ext), key: t.key()}
	out.read(t, map[string]bool{}, false)
	shared := c.leaves
	if l.depth > 0 {
		shared = c.elementLeaves
	}
	if code := shared[out.key]; code != nil {
		out.leafCode = code
		return out, nil
	}
	code := &leafCode{node: l.condition(t)}
	var err error
	if code.program, err = c.program(code.node); err != nil {
		return nil, err
	}
	if t.op == opClosure && t.typ == typBool && l.depth == 0 {
		if code.list, err = c.valueProgram(l.value(t.args[0])); err != nil {
			return nil, err
		}
		if code.body, err = c.newCond(t.args[1], newElementLowering()); err != nil {
			return nil, err
		}
	}
	shared[out.key] = code
	out.leafCode = code
	return out, nil
}

// read collects the fields, variables and elements of written-out lists that a leaf reads, each once. In the
// body of a closure those of its element are left out.
func (l *leaf) read(t *term, seen map[string]bool, body bool) {
	switch {
	case t.op == opField || t.op == opVariable || t.op == opElem || t.op == opConst && t.name == "#":
		if k := t.key(); !seen[k] && !(body && t.readsElement()) {
			seen[k] = true
			l.fields = append(l.fields, t)
		}
	case t.op == opClosure:
		l.read(t.args[0], seen, body)
		l.read(t.args[1], seen, true)
	default:
		for _, a := range t.args {
			l.read(a, seen, body)
		}
	}
}

// eval is the verdict of a Cond: each leaf by its own program, with short circuit.
func (c *Cond) eval(m *machine) bool {
	switch c.op {
	case condLeaf:
		return m.run(c.leaf.program)
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
		m.over = true
		if m.fault == nil && !isBudget(err) {
			m.fault = err
		}
		return false
	}
	held, _ := out.(bool)
	return held
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
