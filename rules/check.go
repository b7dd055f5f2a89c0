package rules

import (
	"fmt"
	"slices"
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
func (c *compiler) check(src *source, tree ast.Node, in *names) *term {
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
		m.bad = true
		return
	}
	before := c.errors
	k := &inspector{c: c, names: m.names}
	var s *scope
	for _, p := range m.Params {
		s = &scope{up: s, name: p.Value, unknown: true}
	}
	k.checkParams(m)
	k.term(m.tree, s)
	if c.errors > before {
		m.bad = true
	}
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

// fault reports an error at loc, with notes that say which macro was expanded where. A macro with faults of
// its own has reported them already.
func (k *inspector) fault(loc file.Location, code, message, hint string) *term {
	home := k.c.pos.find(loc.From)
	for _, call := range k.calls {
		if call.m.bad && call.m.src == home {
			return k.bad(loc)
		}
	}
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

func (k *inspector) identifier(n *ast.IdentifierNode, s *scope) *term {
	name, loc := n.Value, n.Location()
	if b := s.find(name); b != nil && name != "#" {
		if b.unknown {
			return k.bad(loc)
		}
		t := k.thunk(b)
		return inlined(t, loc)
	}
	switch {
	case k.names.lists[name] != nil:
		return k.list(k.names.lists[name], loc)
	case k.names.variables[name] != nil:
		v := k.names.variables[name]
		return k.done(&term{op: opVariable, typ: v.typ, vari: v, loc: loc})
	case k.names.macros[name] != nil:
		m := k.names.macros[name]
		if len(m.Params) > 0 {
			return k.fault(loc, codeArguments, "macro `"+name+"` takes "+counted(len(m.Params), "argument"), "write "+name+"("+joinTexts(m.Params)+")")
		}
		return k.expand(m, nil, loc, s)
	}
	if reason, ok := unreadable[name]; ok {
		return k.unreadable(name, reason, loc)
	}
	return k.field(nil, name, loc)
}

// thunk checks what a parameter or let stands for, where it was written.
func (k *inspector) thunk(b *scope) *term {
	if b.constant != nil {
		t := *b.constant
		return &t
	}
	saved := k.names
	k.names = b.env
	t := k.term(b.node, b.in)
	k.names = saved
	return t
}

// inlined marks t as standing for the name at loc.
func inlined(t *term, loc file.Location) *term {
	out := *t
	out.use = loc
	return &out
}

func (k *inspector) list(l *policy.List, loc file.Location) *term {
	if !k.count(len(l.Members), loc) {
		return k.bad(loc)
	}
	values := make([]any, 0, len(l.Members))
	for _, m := range l.Members {
		if !l.Ints {
			values = append(values, m.Value)
			continue
		}
		n, err := strconv.ParseInt(m.Value, 0, 64)
		if err != nil {
			return k.fault(loc, codeBadConstant, "`"+m.Value+"` of list `"+l.Name.Value+"` is not an integer", "")
		}
		values = append(values, int(n))
	}
	t := typeOf(values)
	if len(values) == 0 {
		t = listOf(kindText)
	}
	return k.done(&term{op: opConst, name: l.Name.Value, typ: t, konst: values, loc: loc})
}

// field resolves path, or path below an object, to a field or object.
func (k *inspector) field(base *term, name string, loc file.Location) *term {
	path := name
	root := ""
	var args []*term
	table := fieldByPath
	if base != nil {
		args = base.args
		root = base.path
		if len(base.args) > 0 || base.op != opObject {
			root = strings.TrimSuffix("[]."+base.path, ".")
			table = ancestorField
			if base.op != opObject {
				args = []*term{base}
			}
		}
		if base.path != "" {
			path = base.path + "." + name
		}
	}
	if f := table[path]; f != nil {
		t := &term{op: opField, field: f, path: path, args: args, typ: typ{kind: f.kind}, loc: loc, ext: loc}
		if f.kind == kindList {
			t.typ = listOf(kindObject)
		}
		return t
	}
	key := path
	if root == "[]" || strings.HasPrefix(root, "[].") {
		key = "[]." + path
	}
	if members[key] != nil {
		return &term{op: opObject, path: path, args: args, typ: typObject, loc: loc, ext: loc}
	}
	if reason, ok := unreadable[path]; ok && root != "[]" {
		return k.unreadable(path, reason, loc)
	}
	if base == nil {
		return k.unknownName(name, loc)
	}
	hint := ""
	if near := policy.Suggest(name, members[root]); near != "" {
		hint = "did you mean `" + near + "`?"
	} else if root == "process.parent" && name == "parent" {
		hint = "write process.ancestors[1]"
	} else {
		hint = "it has " + strings.Join(members[root], ", ")
	}
	whole := "`" + root + "`"
	if below, ok := strings.CutPrefix(root, "[]"); ok {
		whole = strings.TrimPrefix("`"+strings.TrimPrefix(below, ".")+"` of a process", "`` of ")
	}
	return k.fault(loc, codeUnknownField, whole+" has no field `"+name+"`", hint)
}

func (k *inspector) unreadable(path, reason string, loc file.Location) *term {
	if strings.HasPrefix(reason, "it is ") {
		return k.fault(loc, codeNotReadable, "`"+path+"` cannot be read: "+reason, "")
	}
	return k.fault(loc, codeNotReadable, "`"+path+"` cannot be read", reason)
}

func (k *inspector) unknownName(name string, loc file.Location) *term {
	hint := ""
	var candidates []string
	candidates = append(candidates, roots...)
	candidates = append(candidates, sortedKeys(k.names.lists)...)
	candidates = append(candidates, sortedKeys(k.names.macros)...)
	candidates = append(candidates, sortedKeys(k.names.variables)...)
	switch near := policy.Suggest(name, candidates); {
	case name == "$env":
		return k.fault(loc, codeRefused, "`$env` is not part of the language", "name the field")
	case functionByName[name] != nil:
		return k.fault(loc, codeUnknownName, "`"+name+"` is a function and needs brackets", "write "+functionByName[name].usage())
	case fieldByPath["process."+name] != nil || members["process."+name] != nil:
		hint = "did you mean `process." + name + "`?"
	case near != "":
		hint = "did you mean `" + near + "`?"
	default:
		for _, root := range roots {
			if fieldByPath[root+"."+name] != nil {
				hint = "did you mean `" + root + "." + name + "`?"
				break
			}
		}
	}
	if k.c.set.Incomplete && policy.Suggest(name, roots) == "" {
		return k.bad(loc) // what would define it could not be read, and that is reported
	}
	return k.fault(loc, codeUnknownName, "unknown name `"+name+"`", hint)
}

func (k *inspector) member(n *ast.MemberNode, s *scope) *term {
	loc := n.Location()
	if n.Optional {
		return k.fault(loc, codeRefused, "`?.` is not part of the language", "write a plain dot: nothing is nil, a missing field is empty")
	}
	base := k.term(n.Node, s)
	prop, named := n.Property.(*ast.StringNode)
	if !named {
		return k.index(base, k.term(n.Property, s), loc)
	}
	if !k.count(1, loc) {
		return k.bad(loc)
	}
	if base.op == opBad {
		return k.bad(loc)
	}
	switch base.typ.kind {
	case kindObject:
		t := k.field(base, prop.Value, loc)
		if t.op != opBad {
			at := base.place()
			t.ext = file.Location{From: min(at.From, loc.From), To: max(at.To, loc.To)}
			if k.c.pos.find(at.From) != k.c.pos.find(loc.From) {
				t.ext = loc
			}
			if t.op == opField {
				t = k.done(t)
			}
		}
		return t
	case kindList:
		return k.fault(loc, codeType, "a list has no field `"+prop.Value+"`", "ask for its elements: any(list, ."+prop.Value+" == ...), or list[0]."+prop.Value)
	}
	return k.fault(loc, codeType, describe(base)+" has no fields", "")
}

func (k *inspector) index(base, at *term, loc file.Location) *term {
	if base.op == opBad || at.op == opBad {
		return k.bad(loc)
	}
	if base.typ.kind != kindList {
		return k.fault(loc, codeType, describe(base)+" has no elements", "only lists take an index")
	}
	if at.typ != typInt {
		return k.fault(k.at(at), codeType, "an index is an int, not "+describe(at), "")
	}
	return k.done(&term{op: opIndex, typ: typ{kind: base.typ.elem}, args: []*term{base, at}, loc: loc})
}

func (k *inspector) pointer(n *ast.PointerNode, s *scope) *term {
	loc := n.Location()
	if n.Name != "" {
		return k.fault(loc, codeRefused, "`#"+n.Name+"` is not part of the language", "write `#` for the element, count(...) for a number")
	}
	b := s.find("#")
	switch {
	case b == nil:
		return k.fault(loc, codeUnknownName, "`#` stands outside any(list, ...)", "")
	case b.unknown:
		return k.bad(loc)
	case b.constant != nil && b.closure != k.innermost() && b.constant.readsElement():
		return k.outerElement(loc)
	case b.constant != nil:
		t := inlined(k.thunk(b), loc)
		if t.op == opConst {
			t.name = "#"
		}
		return t
	case b.closure != k.innermost():
		return k.outerElement(loc)
	}
	return k.done(&term{op: opElem, typ: typ{kind: b.closure.elem}, constants: b.closure.constants, loc: loc})
}

func (k *inspector) outerElement(loc file.Location) *term {
	return k.fault(loc, codeOuterElement, "the element of the outer list is read inside the inner one, where # is another", "ask about the outer element outside of the inner list")
}

// innermost is the closure that the term under check runs in, nil outside.
func (k *inspector) innermost() *closure {
	if len(k.inside) == 0 {
		return nil
	}
	return k.inside[len(k.inside)-1]
}

func (k *inspector) let(n *ast.VariableDeclaratorNode, s *scope) *term {
	loc := n.Location()
	what := k.means(n.Name)
	switch {
	case s.find(n.Name) != nil:
		what = "another name in scope"
	case functionByName[n.Name] != nil || refused[n.Name] != "":
		what = "a function"
	case slices.Contains(roots, n.Name):
		what = "a field"
	}
	if what != "" {
		return k.fault(loc, codeNameTaken, "`"+n.Name+"` is "+what+" already", "give it another name")
	}
	nodes := k.nodes
	t := k.term(n.Value, s) // for its faults, even when it is never used
	k.nodes = nodes
	if t.op == opBad {
		return k.term(n.Expr, &scope{up: s, name: n.Name, unknown: true})
	}
	return k.term(n.Expr, &scope{up: s, name: n.Name, node: n.Value, in: s, env: k.names})
}
