package rules

import (
	"github.com/expr-lang/expr/ast"
)

// lowering makes the tree that expr's VM runs from checked terms. The VM sees and, or, not, ?:, the loops of
// closures, and calls of constant functions; see native.go.
type lowering struct {
	depth int // how many closures the current place stands in
	// env and elem make the nodes that yield the view and the element. They are $env and #, but where one
	// element is explained by itself.
	env, elem func() ast.Node
}

func newLowering() *lowering {
	return &lowering{
		env:  func() ast.Node { return &ast.IdentifierNode{Value: "$env"} },
		elem: func() ast.Node { return &ast.PointerNode{} },
	}
}

// binding is what the program of a condition inside a closure runs on when it is explained by itself.
type binding struct {
	view *view
	elem any
}

// newElementLowering lowers a condition inside a closure so that it runs on a *binding.
func newElementLowering() *lowering {
	return &lowering{
		depth: 1,
		env: func() ast.Node {
			return call(func(b any) any { return b.(*binding).view }, &ast.IdentifierNode{Value: "$env"})
		},
		elem: func() ast.Node {
			return call(func(b any) any { return b.(*binding).elem }, &ast.IdentifierNode{Value: "$env"})
		},
	}
}

// call calls a constant function. Functions of the signatures used here are run by the VM without
// reflection.
func call(f any, args ...ast.Node) ast.Node {
	return &ast.CallNode{Callee: &ast.ConstantNode{Value: f}, Arguments: args}
}

// condition is a term that is true or false.
func (l *lowering) condition(t *term) ast.Node {
	switch t.op {
	case opConst:
		return &ast.BoolNode{Value: t.konst.(bool)}
	case opNot:
		return &ast.UnaryNode{Operator: "not", Node: l.condition(t.args[0])}
	case opAnd:
		return joinNodes("and", t.args, l.condition)
	case opOr:
		return joinNodes("or", t.args, l.condition)
	case opCond:
		return &ast.ConditionalNode{Ternary: true, Cond: l.condition(t.args[0]), Exp1: l.condition(t.args[1]), Exp2: l.condition(t.args[2])}
	case opClosure:
		if t.typ == typBool && t.name != "find" {
			return l.closure(t)
		}
	}
	b := &native{lower: l}
	test := b.bool(t)
	// The VM pushes a bool without allocation; each shape has a signature that it calls directly, but the
	// last, which is for the results of loops.
	switch {
	case len(b.inputs) == 0 && l.depth == 0:
		return call(func(env any) bool { return test(frame{ev: env.(*view)}) }, l.env())
	case len(b.inputs) == 0:
		return call(func(env, elem any) bool { return test(frame{ev: env.(*view), elem: elem}) }, l.env(), l.elem())
	case len(b.inputs) == 1 && l.depth == 0:
		return call(func(env, in any) bool { return test(frame{ev: env.(*view), first: in}) }, l.env(), b.inputs[0])
	case l.depth == 0:
		return call(func(args ...any) bool { return test(frame{ev: args[0].(*view), first: args[1], rest: args[2:]}) }, append([]ast.Node{l.env()}, b.inputs...)...)
	}
	return call(func(args ...any) bool {
		return test(frame{ev: args[0].(*view), elem: args[1], first: args[2], rest: args[3:]})
	},
		append([]ast.Node{l.env(), l.elem()}, b.inputs...)...)
}

// value is a term of any kind.
func (l *lowering) value(t *term) ast.Node {
	switch t.op {
	case opClosure:
		return l.closure(t)
	case opConst:
		return &ast.ConstantNode{Value: t.konst}
	}
	b := &native{lower: l}
	get := b.value(t)
	switch {
	case len(b.inputs) == 0 && l.depth == 0:
		return call(func(env any) any { return get(frame{ev: env.(*view)}) }, l.env())
	case len(b.inputs) == 0:
		return call(func(env, elem any) any { return get(frame{ev: env.(*view), elem: elem}) }, l.env(), l.elem())
	case l.depth == 0:
		return call(func(args ...any) any { return get(frame{ev: args[0].(*view), first: args[1], rest: args[2:]}) }, append([]ast.Node{l.env()}, b.inputs...)...)
	}
	return call(func(args ...any) any {
		return get(frame{ev: args[0].(*view), elem: args[1], first: args[2], rest: args[3:]})
	},
		append([]ast.Node{l.env(), l.elem()}, b.inputs...)...)
}

// closure is a loop of the VM.
func (l *lowering) closure(t *term) ast.Node {
	// Each turn of a loop costs a unit, whatever its body does.
	list := l.value(t.args[0])
	list = call(func(env, list any) any {
		if all, ok := list.([]any); ok {
			env.(*view).spend(len(all))
		}
		return list
	}, l.env(), list)
	inner := &lowering{depth: l.depth + 1, env: l.env, elem: func() ast.Node { return &ast.PointerNode{} }}
	var body ast.Node
	if t.name == "map" {
		body = inner.value(t.args[1])
	} else {
		body = inner.condition(t.args[1])
	}
	return &ast.BuiltinNode{Name: t.name, Arguments: []ast.Node{list, &ast.PredicateNode{Node: body}}}
}
