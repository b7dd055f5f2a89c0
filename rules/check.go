package rules

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"

	"spoor/rules/policy"
)

// inspector turns the author's tree of one expression into a term: it inlines macros, lists and lets, resolves
// names and fields, and checks types and what the language allows. It reports every fault that it finds and
// goes on with an opBad term, which fits everywhere.
type inspector struct {
	c      *compiler
	names  *names
	nodes  int
	steps  int  // nodes checked in all, the arguments of macros once more for each use
	over   bool // too large was reported
	calls  []expansion
	inside []*closure // closures that run for each event, outermost first
}

// expansion is a macro being inlined.
type expansion struct {
	m  *macro
	at file.Location // the call
}

// check checks an expression that has to be true or false. Nil means that there were faults.
func (c *compiler) check(tree ast.Node, in *names) *term {
	before := c.errors
	k := &inspector{c: c, names: in}
	t := k.term(tree, nil)
	if t.typ != typBool && !t.typ.unknown() {
		k.fault(k.at(t), codeNotCondition, "the expression is "+describe(t)+", not a condition", "compare it: "+comparison(t))
	}
	if c.errors > before || t.op == opBad {
		return nil
	}
	return t
}

// checkMacro checks a macro by itself: its parameters fit everywhere.
func (c *compiler) checkMacro(m *macro) {
	if m.tree == nil {
		return
	}
	k := &inspector{c: c, names: m.names}
	var s *scope
	for _, p := range m.Params {
		s = &scope{up: s, name: p.Value, unknown: true}
	}
	k.checkParams(m)
	k.term(m.tree, s)
}

// checkParams refuses parameters that hide another name.
func (k *inspector) checkParams(m *macro) {
	for _, p := range m.Params {
		if what := k.means(p.Value); what != "" {
			k.c.reportSpan(p.Span, codeNameTaken, "parameter `"+p.Value+"` has the name of "+what, "give it another name")
		}
	}
}

// means says what a name stands for in the policy.
func (k *inspector) means(name string) string {
	switch {
	case k.names.lists[name] != nil:
		return "a list"
	case k.names.macros[name] != nil:
		return "a macro"
	case k.names.variables[name] != nil:
		return "a variable"
	}
	return ""
}

// fault reports an error at loc, with notes that say which macro was expanded where. What a macro has of its own was
// reported when it was checked by itself, and is not kept again.
func (k *inspector) fault(loc file.Location, code, message, hint string) *term {
	d := k.c.diagnostic(loc, policy.Error, code, message, hint)
	for i := len(k.calls) - 1; i >= 0; i-- {
		at := k.calls[i].at
		owner := k.c.pos.find(at.From).owner
		d.Notes = append(d.Notes, policy.Note{Span: k.c.pos.span(at), Message: "macro `" + k.calls[i].m.ID.Value + "` expanded in " + owner})
	}
	k.c.add(d)
	return k.bad(loc)
}

// at is the place of a whole term.
func (k *inspector) at(t *term) file.Location { return k.c.pos.widen(t.place()) }

func (k *inspector) bad(loc file.Location) *term { return &term{op: opBad, loc: loc, ext: loc} }

// count bounds the size of the inlined expression.
func (k *inspector) count(n int, loc file.Location) bool {
	k.nodes += n
	k.steps += n
	if (k.nodes > maxNodes || k.steps > 20*maxNodes) && !k.over {
		k.over = true
		if len(k.calls) > 0 {
			loc = k.calls[0].at
		}
		k.c.add(k.c.diagnostic(loc, policy.Error, codeTooLarge, "the expression has more than 10,000 nodes once its macros and lists are inlined", "split it into several rules"))
	}
	return !k.over
}

// done completes a term: its extent, and its value when it is constant.
func (k *inspector) done(t *term) *term {
	t.extend(&k.c.pos)
	return k.c.foldConstant(t)
}

// term checks one node.
func (k *inspector) term(n ast.Node, s *scope) *term {
	loc := n.Location()
	if !k.count(1, loc) {
		return k.bad(loc)
	}
	switch n := n.(type) {
	case *ast.NilNode:
		return k.fault(loc, codeNil, "there is no nil: a missing field is empty", "compare with \"\", 0 or false, or read process.parent.known")
	case *ast.BoolNode:
		return k.done(&term{op: opConst, typ: typBool, konst: n.Value, loc: loc})
	case *ast.IntegerNode:
		return k.done(&term{op: opConst, typ: typInt, konst: n.Value, loc: loc})
	case *ast.FloatNode:
		return k.done(&term{op: opConst, typ: typFloat, konst: n.Value, loc: loc})
	case *ast.StringNode:
		return k.text(n)
	case *ast.IdentifierNode:
		return k.identifier(n, s)
	case *ast.MemberNode:
		return k.member(n, s)
	case *ast.PointerNode:
		return k.pointer(n, s)
	case *ast.UnaryNode:
		return k.unary(n, s)
	case *ast.BinaryNode:
		return k.binary(n, s)
	case *ast.ConditionalNode:
		return k.conditional(n, s)
	case *ast.ArrayNode:
		return k.array(n, s)
	case *ast.BuiltinNode:
		return k.call(n.Name, n.Arguments, loc, s)
	case *ast.CallNode:
		if id, ok := n.Callee.(*ast.IdentifierNode); ok {
			return k.call(id.Value, n.Arguments, loc, s)
		}
		for _, a := range n.Arguments {
			k.term(a, s)
		}
		return k.fault(loc, codeRefused, "values have no methods", "write a function: lower(x), not x.lower()")
	case *ast.VariableDeclaratorNode:
		return k.let(n, s)
	case *ast.ChainNode:
		return k.fault(loc, codeRefused, "`?.` is not part of the language", "write a plain dot: nothing is nil, a missing field is empty")
	case *ast.SliceNode:
		k.term(n.Node, s)
		return k.fault(loc, codeRefused, "slices are not part of the language", "write `startsWith`, `endsWith` or `like` for texts, list[i] for lists")
	case *ast.MapNode:
		return k.fault(loc, codeRefused, "maps are not part of the language", "write a condition")
	case *ast.BytesNode:
		return k.fault(loc, codeRefused, "byte texts are not part of the language", "write a plain text")
	case *ast.SequenceNode:
		return k.fault(loc, codeRefused, "`;` stands only after a let", "join conditions with `and`")
	}
	return k.fault(loc, codeRefused, fmt.Sprintf("%T is not part of the language", n), "")
}

// text checks a literal: an escape that makes a control character was meant as a backslash.
func (k *inspector) text(n *ast.StringNode) *term {
	loc := n.Location()
	raw := k.c.pos.text(loc)
	if strings.HasPrefix(raw, `"`) || strings.HasPrefix(raw, "'") {
		for _, r := range n.Value {
			if (r < 0x20 || r == 0x7f) && !strings.ContainsRune(raw, r) {
				return k.fault(loc, codeControl, fmt.Sprintf("an escape makes the control character %s of this text", strconv.QuoteRune(r)), "write it in backquotes: `"+strings.Trim(raw, `"'`)+"`")
			}
		}
	}
	return k.done(&term{op: opConst, typ: typText, konst: n.Value, loc: loc})
}
