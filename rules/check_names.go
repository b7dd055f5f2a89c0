package rules

import (
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"

	"spoor/rules/policy"
)

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
	if k.c.set.MayDefine(name) {
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
	if base.typ.elem == kindUnknown {
		return k.fault(k.at(base), codeType, "an empty list has no element to read", "")
	}
	if base.op == opList {
		i, constant := at.konst.(int)
		if at.op != opConst || !constant {
			return k.fault(k.at(at), codeNotConstant, "the index into a list with elements that are not constant is not constant itself", "write condition ? a : b")
		}
		t := &term{args: []*term{base, at}, loc: loc}
		t.extend(&k.c.pos)
		return base.written(i, t)
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
		k.fault(loc, codeNameTaken, "`"+n.Name+"` is "+what+" already", "give it another name")
	}
	nodes := k.nodes
	t := k.term(n.Value, s) // for its faults, even when it is never used
	k.nodes = nodes
	if what != "" || t.op == opBad {
		k.term(n.Expr, &scope{up: s, name: n.Name, unknown: true})
		return k.bad(loc)
	}
	return k.term(n.Expr, &scope{up: s, name: n.Name, node: n.Value, in: s, env: k.names})
}
