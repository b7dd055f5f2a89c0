package secl

import (
	"maps"
	"slices"
	"strings"

	"spoor/rules/policy"
)

type condOp int

const (
	leafOp condOp = iota
	constOp
	notOp
	andOp
	orOp
)

// cond is a condition of a rule before its registers are placed and its constants are gone. It is constant once
// it is built.
type cond struct {
	op    condOp
	args  []*cond
	leaf  policy.Condition
	holds bool // of constOp
	// register: the condition reads the ancestor that the rule's register stands for.
	register bool
	// list says that the leaf is a closure over a list of the event.
	list bool
	// about is what the leaf asks, when that is something that events often lack; vacuous says that it holds
	// where there is none.
	about   string
	vacuous bool
}

func constant(holds bool) *cond { return &cond{op: constOp, holds: holds} }

func leafOf(c policy.Condition) *cond { return &cond{op: leafOp, leaf: c} }

func not(c *cond) *cond {
	switch c.op {
	case constOp:
		return constant(!c.holds)
	case notOp:
		return c.args[0]
	}
	return &cond{op: notOp, args: []*cond{c}, register: c.register}
}

// join is cs joined by op, without what constants decide.
func join(op condOp, cs []*cond) *cond {
	var args []*cond
	for _, c := range cs {
		switch {
		case c.op == constOp && c.holds == (op == orOp):
			return c
		case c.op == constOp:
		case c.op == op:
			args = append(args, c.args...)
		default:
			args = append(args, c)
		}
	}
	switch len(args) {
	case 0:
		return constant(op == andOp)
	case 1:
		return args[0]
	}
	return &cond{op: op, args: args, register: slices.ContainsFunc(args, func(c *cond) bool { return c.register })}
}

// depth is how many brackets within brackets c needs.
func (c *cond) depth() int {
	d := 0
	for _, a := range c.args {
		d = max(d, a.depth()+1)
	}
	return d
}

// placer puts the terms of the register into one any(process.ancestors, ...): SECL asks whether some ancestor
// makes the rule hold, and what does not read the ancestor can stand outside. Under a negation nothing can be
// taken out, since it is the rule that holds for some ancestor.
//
// A closure may hold one other closure only. Where more conditions on all ancestors stand among those on the
// one, the rule is split by whether such a condition holds.
type placer struct{ splits int }

// maxSplits bounds how often: each split writes the condition twice.
const maxSplits = 7

func (p *placer) place(c *cond) *cond {
	if !c.register {
		return c
	}
	if c.op == andOp || c.op == orOp {
		var inside, out []*cond
		at := -1
		for _, a := range c.args {
			if a.register {
				inside = append(inside, a)
				if at < 0 {
					at = len(out)
				}
			} else {
				out = append(out, a)
			}
		}
		if len(inside) == 1 {
			return join(c.op, slices.Insert(out, at, p.place(inside[0])))
		}
		return join(c.op, slices.Insert(out, at, p.over(join(c.op, inside))))
	}
	return p.over(c)
}

func (p *placer) over(body *cond) *cond {
	closures := map[string]*cond{}
	body.closures(closures)
	if len(closures) > 1 || len(closures) == 1 && body.closures(nil) > 1 {
		if p.splits++; p.splits > maxSplits {
			return body
		}
		keys := slices.Sorted(maps.Keys(closures))
		split := closures[keys[0]]
		return join(orOp, []*cond{
			join(andOp, []*cond{split, p.place(body.assume(keys[0], true))}),
			join(andOp, []*cond{not(split), p.place(body.assume(keys[0], false))}),
		})
	}
	return &cond{op: leafOp, leaf: closure("any", ancestorsField, body.condition()), list: true, about: "the ancestors are"}
}

// closures collects the closures over lists of the event in c by their texts, and says how many there are.
func (c *cond) closures(into map[string]*cond) int {
	if c.list {
		if into != nil {
			into[c.leaf.Text()] = c
		}
		return 1
	}
	n := 0
	for _, a := range c.args {
		n += a.closures(into)
	}
	return n
}

// assume is c where the closure of that text holds, or does not.
func (c *cond) assume(text string, holds bool) *cond {
	switch {
	case c.list && c.leaf.Text() == text:
		return constant(holds)
	case c.op == notOp:
		return not(c.args[0].assume(text, holds))
	case c.op == andOp || c.op == orOp:
		args := make([]*cond, len(c.args))
		for i, a := range c.args {
			args[i] = a.assume(text, holds)
		}
		return join(c.op, args)
	}
	return c
}

// closure is name(list, body).
func closure(name, list string, body policy.Condition) policy.Condition {
	return policy.Call(name + "(" + list + ", " + strings.ReplaceAll(body.Text(), "\n", "\n    ") + ")")
}

// condition is c in the shared form; c has no constants.
func (c *cond) condition() policy.Condition {
	switch c.op {
	case notOp:
		return policy.Not(c.args[0].condition())
	case andOp, orOp:
		args := make([]policy.Condition, len(c.args))
		for i, a := range c.args {
			args[i] = a.condition()
		}
		if c.op == andOp {
			return policy.And(args...)
		}
		return policy.Or(args...)
	}
	return c.leaf
}

// unknowns lists what c leans on by a negation only: it holds also where events lack it.
func (c *cond) unknowns() []string {
	asked := map[string]bool{}
	conjuncts := []*cond{c}
	if c.op == andOp {
		conjuncts = c.args
	}
	for _, a := range conjuncts {
		if a.op == leafOp && !a.vacuous {
			asked[a.about] = true
		}
	}
	var out []string
	c.negated(false, func(about string) {
		if about != "" && !asked[about] && !slices.Contains(out, about) {
			out = append(out, about)
		}
	})
	slices.Sort(out)
	return out
}

func (c *cond) negated(not bool, report func(about string)) {
	if c.op == leafOp && c.vacuous != not {
		report(c.about)
	}
	for _, a := range c.args {
		a.negated(not != (c.op == notOp), report)
	}
}
