package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"

	"spoor/rules/policy"
)

func (k *inspector) unary(n *ast.UnaryNode, s *scope) *term {
	loc := n.Location()
	t := k.term(n.Node, s)
	switch n.Operator {
	case "not", "!":
		if t.op == opBad {
			return t
		}
		if t.typ != typBool {
			return k.fault(loc, codeType, "`not` takes a condition, not "+describe(t), "it binds tighter than a comparison: write x not in list, not (x == y)")
		}
		return k.done(&term{op: opNot, typ: typBool, args: []*term{t}, loc: loc})
	}
	if t.op == opBad {
		return t
	}
	if !t.typ.number() && t.typ != typDuration {
		return k.fault(loc, codeType, "`"+n.Operator+"` takes a number, not "+describe(t), "")
	}
	if n.Operator == "+" {
		return t
	}
	return k.done(&term{op: opNegate, typ: t.typ, args: []*term{t}, loc: loc})
}

func (k *inspector) binary(n *ast.BinaryNode, s *scope) *term {
	loc := n.Location()
	switch n.Operator {
	case "and", "&&":
		return k.junction(opAnd, "and", n, s)
	case "or", "||":
		return k.junction(opOr, "or", n, s)
	case "+", "-", "*", "/", "%":
		return k.arithmetic(n, s)
	case "..", "**", "^", "??":
		k.term(n.Left, s)
		k.term(n.Right, s)
		return k.fault(loc, codeRefused, "`"+n.Operator+"` is not part of the language", refused[n.Operator])
	}
	left, exactLeft := k.operand(n.Left, s)
	right, exactRight := k.operand(n.Right, s)
	return k.compare(n.Operator, left, right, exactLeft || exactRight, loc)
}

// operand checks an operand of a comparison, the one place where exact(x) may stand.
func (k *inspector) operand(n ast.Node, s *scope) (t *term, exact bool) {
	call, ok := n.(*ast.CallNode)
	if !ok {
		return k.term(n, s), false
	}
	id, ok := call.Callee.(*ast.IdentifierNode)
	if !ok || id.Value != "exact" || k.names.macros["exact"] != nil || len(call.Arguments) != 1 {
		return k.term(n, s), false
	}
	if !k.count(1, n.Location()) {
		return k.bad(n.Location()), true
	}
	t = k.term(call.Arguments[0], s)
	if t.op == opBad {
		return t, true
	}
	if t.typ != typText {
		return k.fault(n.Location(), codeType, "exact takes a text, not "+describe(t), "only texts ignore case"), true
	}
	out := *t
	out.use = file.Location{From: n.Location().From, To: max(t.place().To, n.Location().To)}
	return &out, true
}

// junction is and, or. A chain of one operator becomes one term. expr's parser hangs it up by its last operand, so
// it is walked down and its operands are checked on the way back: one by one, joining them would take the square of
// their number.
func (k *inspector) junction(o op, name string, n *ast.BinaryNode, s *scope) *term {
	loc := n.Location()
	chain := []*ast.BinaryNode{n}
	var first *term
	for first == nil {
		left := chain[len(chain)-1].Left
		b, ok := left.(*ast.BinaryNode)
		switch {
		case !ok || junctionOf(b.Operator) != o:
			first = k.term(left, s)
		case !k.count(1, b.Location()):
			first = k.bad(b.Location())
		default:
			chain = append(chain, b)
		}
	}
	operands := make([]*term, 0, len(chain)+1)
	bad, constant := false, false
	for i := len(chain); i >= 0; i-- {
		a := first
		if i < len(chain) {
			a = k.term(chain[i].Right, s)
		}
		switch {
		case a.op == opBad:
			bad = true
		case a.typ != typBool:
			k.fault(k.at(a), codeType, "`"+name+"` takes conditions, not "+describe(a), "compare it: "+comparison(a))
			bad = true
		}
		constant = constant || a.op == opConst
		operands = append(operands, a)
	}
	if bad {
		return k.bad(loc)
	}
	if !constant {
		return k.join(o, operands, loc)
	}
	t := operands[0] // what is constant disappears where it stands
	for i, a := range operands[1:] {
		t = k.join(o, []*term{t, a}, chain[len(chain)-1-i].Location())
	}
	return t
}

// join is the and, or the or, of operands, those of operands that are one themselves taken in.
func (k *inspector) join(o op, operands []*term, loc file.Location) *term {
	t := &term{op: o, typ: typBool, loc: loc, args: make([]*term, 0, len(operands))}
	for _, a := range operands {
		if a.op == o && !a.each && a.use.To == 0 {
			t.args = append(t.args, a.args...)
		} else {
			t.args = append(t.args, a)
		}
	}
	return k.done(t)
}

// junctionOf is the and, or the or, that an operator is; opBad when it is neither.
func junctionOf(operator string) op {
	switch operator {
	case "and", "&&":
		return opAnd
	case "or", "||":
		return opOr
	}
	return opBad
}

func (k *inspector) warn(t *term, code, message, hint string) {
	k.c.add(k.c.diagnostic(k.at(t), policy.Warning, code, message, hint))
}

func (k *inspector) arithmetic(n *ast.BinaryNode, s *scope) *term {
	loc := n.Location()
	left, right := k.term(n.Left, s), k.term(n.Right, s)
	if left.op == opBad || right.op == opBad {
		return k.bad(loc)
	}
	l, r := left.typ, right.typ
	var result typ
	switch {
	case n.Operator == "%":
		if l == typInt && r == typInt {
			result = typInt
		}
	case n.Operator == "/":
		if l.number() && r.number() {
			result = typFloat
		}
	case l.number() && r.number():
		result = typInt
		if l == typFloat || r == typFloat {
			result = typFloat
		}
	case n.Operator == "+" && l == typText && r == typText:
		result = typText
	case n.Operator == "+" && (l == typTime && r == typDuration || l == typDuration && r == typTime),
		n.Operator == "-" && l == typTime && r == typDuration:
		result = typTime
	case n.Operator == "-" && l == typTime && r == typTime,
		n.Operator != "*" && l == typDuration && r == typDuration,
		n.Operator == "*" && (l == typDuration && r.number() || l.number() && r == typDuration):
		result = typDuration
	}
	if result.unknown() {
		hint := ""
		if n.Operator == "+" && (l == typText || r == typText) {
			hint = "write string(x) to join a number to a text"
		}
		return k.fault(loc, codeType, "`"+n.Operator+"` stands between "+describe(left)+" and "+describe(right), hint)
	}
	return k.done(&term{op: opArith, name: n.Operator, typ: result, args: []*term{left, right}, loc: loc})
}

func (k *inspector) conditional(n *ast.ConditionalNode, s *scope) *term {
	condition := k.term(n.Cond, s)
	a, b := k.term(n.Exp1, s), k.term(n.Exp2, s)
	loc := k.at(condition) // expr gives a ternary the place of what follows it
	if !n.Ternary {
		return k.fault(loc, codeRefused, "if ... else is not part of the language", "write `condition ? a : b`")
	}
	if condition.op == opBad || a.op == opBad || b.op == opBad {
		return k.bad(loc)
	}
	if condition.typ != typBool {
		return k.fault(loc, codeType, "`?` takes a condition, not "+describe(condition), "compare it: "+comparison(condition))
	}
	result := a.typ
	switch {
	case a.typ.number() && b.typ.number() && a.typ != b.typ:
		result = typFloat
	case a.typ == b.typ && !a.typ.kind.scalar():
		return k.fault(loc, codeType, "`?:` chooses between "+describe(a)+" and "+describe(b), "choose between conditions on them")
	case a.typ != b.typ:
		return k.fault(loc, codeType, "`?:` chooses between "+describe(a)+" and "+describe(b), "both sides are values of one kind")
	}
	return k.done(&term{op: opCond, typ: result, args: []*term{condition, a, b}, loc: loc})
}

func (k *inspector) array(n *ast.ArrayNode, s *scope) *term {
	loc := n.Location()
	t := &term{op: opList, typ: listOf(kindUnknown), loc: loc}
	constant := true
	values := make([]any, 0, len(n.Nodes))
	for _, e := range n.Nodes {
		a := k.term(e, s)
		if a.op == opBad {
			return k.bad(loc)
		}
		if !a.typ.kind.scalar() {
			return k.fault(k.at(a), codeType, "an element of a list is "+describe(a), "lists hold texts, numbers, bools, times or durations")
		}
		if len(t.args) > 0 && a.typ != t.args[0].typ {
			return k.fault(k.at(a), codeType, "a list begins with "+describe(t.args[0])+" and goes on with "+describe(a), "all elements are of one kind")
		}
		constant = constant && a.op == opConst
		if a.op == opConst {
			values = append(values, a.konst)
		}
		t.args = append(t.args, a)
		t.typ.elem = a.typ.kind
	}
	t.extend(&k.c.pos)
	if constant {
		return &term{op: opConst, typ: t.typ, konst: values, loc: loc, ext: t.ext}
	}
	return t
}

// describe names a term's kind for a diagnostic.
func describe(t *term) string {
	switch t.typ.kind {
	case kindInt:
		return "an int"
	case kindObject:
		if t.op == opObject && t.path != "" {
			return "the object `" + t.path + "`"
		}
		return "a process"
	case kindList:
		if t.typ.elem == kindUnknown {
			return "an empty list"
		}
		return "a " + t.typ.String()
	}
	return "a " + t.typ.String()
}

// comparison is how a value becomes a condition.
func comparison(t *term) string {
	switch t.typ.kind {
	case kindText:
		return "x != \"\""
	case kindInt, kindFloat:
		return "x != 0"
	case kindList:
		return "any(list, ...) or len(list) > 0"
	case kindObject:
		return "name a field of it"
	}
	return "x == y"
}

func equalHint(left, right *term) string {
	switch {
	case left.typ.kind == kindObject || right.typ.kind == kindObject:
		return "objects have fields, which can be compared"
	case right.typ.kind == kindList:
		return "write `x in list`"
	case left.typ.kind == kindList:
		return "write any(list, # == x)"
	case left.typ == typText && right.typ.number():
		return fmt.Sprintf("write the number as a text: \"%v\"", right.konst)
	case right.typ == typTime || left.typ == typTime:
		return "write date(\"2026-01-01T00:00:00Z\")"
	case right.typ == typDuration || left.typ == typDuration:
		return "write duration(\"5m\")"
	}
	return ""
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func joinTexts(texts []policy.Text) string {
	var out []string
	for _, t := range texts {
		out = append(out, t.Value)
	}
	return strings.Join(out, ", ")
}

func counted(n int, what string) string {
	if n == 1 {
		return "one " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
