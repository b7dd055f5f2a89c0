package rules

import (
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
)

// op says what a term is.
type op uint8

const (
	opBad      op = iota // a fault was reported, or a parameter of a macro that is checked alone
	opConst              // konst
	opField              // field, of the event, or of element args[0]
	opObject             // path: what only has fields; of the event, or below element args[0]
	opElem               // the element of a closure
	opVariable           // a declared variable
	opNot                // args[0]
	opAnd                // args
	opOr                 // args
	opCond               // args[0] ? args[1] : args[2]
	opCompare            // name: == < <= > >= contains startsWith endsWith matches in; args[0], args[1]
	opArith              // name: + - * / %; args
	opNegate             // -args[0]
	opCall               // name: a function that is no closure
	opClosure            // name: any all ...; args[0] the list, args[1] the body
	opIndex              // args[0][args[1]]
	opList               // args: a list that is not constant
)

// term is a checked part of an expression in which macros, lists and lets are inlined: the author's tree
// with types, fields and constants resolved. Constant after elaboration.
type term struct {
	op    op
	name  string
	typ   typ
	args  []*term
	konst any // bool, int, float64, string, time.Time, time.Duration, []any of those
	field *field
	path  string
	vari  *variable
	exact bool           // of opCompare: as written
	regex *compiledRegex // of matches: args[1]
	// constants, of opElem: the list is constant.
	constants bool

	// loc is the author's token that diagnostics point at. ext spans the term's tokens, as far as they
	// stand in one expression; use is where a macro's or let's name stands that the term was inlined for.
	loc, ext, use file.Location
	// each marks an and/or that any(constant list, ...) or all(...) was expanded to.
	each bool
}

// place is what a term adds to the extent of its parent.
func (t *term) place() file.Location {
	if t.use.To > 0 {
		return t.use
	}
	return t.ext
}

// extend grows t's extent by its arguments, where they stand in the same expression.
func (t *term) extend(p *positions) {
	if t.ext.To == 0 {
		t.ext = t.loc
	}
	home := p.find(t.loc.From)
	for _, a := range t.args {
		if a == nil || a.op == opElem && a.loc.To == 0 {
			continue
		}
		at := a.place()
		if at.To == 0 || p.find(at.From) != home {
			continue
		}
		t.ext.From = min(t.ext.From, at.From)
		t.ext.To = max(t.ext.To, at.To)
	}
}

// author is the term as an expr tree over Env, for expr's own checker.
func (t *term) author() ast.Node {
	n := t.authorNode()
	n.SetLocation(t.loc)
	return n
}

func (t *term) authorNode() ast.Node {
	arg := func(i int) ast.Node { return t.args[i].author() }
	switch t.op {
	case opConst:
		return constantNode(t.konst)
	case opField:
		base := ast.Node(nil)
		if len(t.args) > 0 {
			base = t.args[0].author()
		}
		return memberChain(base, t.field.Path)
	case opObject:
		base := ast.Node(nil)
		if len(t.args) > 0 {
			base = t.args[0].author()
		}
		return memberChain(base, t.path)
	case opElem:
		return &ast.PointerNode{}
	case opVariable:
		return constantNode(t.vari.initial)
	case opNot:
		return &ast.UnaryNode{Operator: "not", Node: arg(0)}
	case opAnd, opOr:
		operator := "and"
		if t.op == opOr {
			operator = "or"
		}
		return joinNodes(operator, t.args, (*term).author)
	case opCond:
		return &ast.ConditionalNode{Ternary: true, Cond: arg(0), Exp1: arg(1), Exp2: arg(2)}
	case opCompare, opArith:
		return &ast.BinaryNode{Operator: t.name, Left: arg(0), Right: arg(1)}
	case opNegate:
		if t.typ == typDuration { // expr has no sign for durations
			return &ast.BinaryNode{Operator: "*", Left: &ast.IntegerNode{Value: -1}, Right: arg(0)}
		}
		return &ast.UnaryNode{Operator: "-", Node: arg(0)}
	case opCall:
		f := functionByName[t.name]
		args := make([]ast.Node, len(t.args))
		for i := range t.args {
			args[i] = arg(i)
		}
		if f.Ours {
			return &ast.CallNode{Callee: &ast.IdentifierNode{Value: t.name}, Arguments: args}
		}
		return &ast.BuiltinNode{Name: t.name, Arguments: args}
	case opClosure:
		return &ast.BuiltinNode{Name: t.name, Arguments: []ast.Node{arg(0), &ast.PredicateNode{Node: arg(1)}}}
	case opIndex:
		return &ast.MemberNode{Node: arg(0), Property: arg(1)}
	case opList:
		nodes := make([]ast.Node, len(t.args))
		for i := range t.args {
			nodes[i] = arg(i)
		}
		return &ast.ArrayNode{Nodes: nodes}
	}
	return &ast.BoolNode{}
}

// joinNodes makes a balanced tree of a binary operator, so that the depth stays small for long lists.
func joinNodes(operator string, terms []*term, node func(*term) ast.Node) ast.Node {
	if len(terms) == 1 {
		return node(terms[0])
	}
	half := len(terms) / 2
	return &ast.BinaryNode{Operator: operator, Left: joinNodes(operator, terms[:half], node), Right: joinNodes(operator, terms[half:], node)}
}

func memberChain(base ast.Node, path string) ast.Node {
	for path != "" {
		name := path
		path = ""
		for i := 0; i < len(name); i++ {
			if name[i] == '.' {
				name, path = name[:i], name[i+1:]
				break
			}
		}
		if base == nil {
			base = &ast.IdentifierNode{Value: name}
		} else {
			base = &ast.MemberNode{Node: base, Property: &ast.StringNode{Value: name}}
		}
	}
	return base
}

func constantNode(v any) ast.Node {
	switch v := v.(type) {
	case bool:
		return &ast.BoolNode{Value: v}
	case int:
		return &ast.IntegerNode{Value: v}
	case float64:
		return &ast.FloatNode{Value: v}
	case string:
		return &ast.StringNode{Value: v}
	case []any:
		nodes := make([]ast.Node, len(v))
		for i := range v {
			nodes[i] = constantNode(v[i])
		}
		return &ast.ArrayNode{Nodes: nodes}
	}
	return &ast.ConstantNode{Value: v}
}

// typeOf is the type of a constant.
func typeOf(v any) typ {
	switch v := v.(type) {
	case bool:
		return typBool
	case int:
		return typInt
	case float64:
		return typFloat
	case string:
		return typText
	case time.Time:
		return typTime
	case time.Duration:
		return typDuration
	case []any:
		if len(v) > 0 {
			return listOf(typeOf(v[0]).kind)
		}
		return listOf(kindUnknown)
	}
	return typUnknown
}

// written is element i of the opList t, counted from its end when negative, for the term that asks for it. An
// opList is never evaluated as a whole: what takes one is resolved when it is checked.
func (t *term) written(i int, asks *term) *term {
	if i < 0 {
		i += len(t.args)
	}
	if i < 0 || i >= len(t.args) {
		return &term{op: opConst, typ: t.args[0].typ, konst: noValue(t.args[0].typ.kind), loc: asks.loc, ext: asks.ext}
	}
	return inlined(t.args[i], asks.ext)
}

// readsElement says that t reads the element of the closure it stands in.
func (t *term) readsElement() bool {
	if t.op == opElem {
		return true
	}
	if t.op == opClosure { // its body reads its own element
		return t.args[0].readsElement()
	}
	for _, a := range t.args {
		if a.readsElement() {
			return true
		}
	}
	return false
}

// ofConstants says that t is one of the constants of a list: which one depends on the event.
func (t *term) ofConstants() bool {
	switch {
	case t.op == opElem:
		return t.constants
	case t.op == opIndex, t.op == opCall && (t.name == "first" || t.name == "last"), t.op == opClosure && t.name == "find":
		return t.args[0].listOfConstants()
	}
	return false
}

func (t *term) listOfConstants() bool {
	return t.op == opConst || t.op == opClosure && t.name == "filter" && t.args[0].listOfConstants()
}

// readsEvent says that t depends on the event, or on an element that is not its own.
func (t *term) readsEvent() bool {
	reads := t.args[1].readsAnything(true) || t.args[0].readsAnything(false)
	return reads
}

func (t *term) readsAnything(inside bool) bool {
	switch t.op {
	case opField, opVariable, opObject:
		return true
	case opElem:
		return !inside
	case opClosure:
		return t.args[0].readsAnything(inside) || t.args[1].readsAnything(true)
	}
	for _, a := range t.args {
		if a.readsAnything(inside) {
			return true
		}
	}
	return false
}

// walk calls f for t and everything below it.
func (t *term) walk(f func(*term)) {
	f(t)
	for _, a := range t.args {
		a.walk(f)
	}
}
