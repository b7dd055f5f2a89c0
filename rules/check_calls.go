package rules

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"

	"spoor/rules/policy"
)

// call checks a call of a macro or function.
func (k *inspector) call(name string, args []ast.Node, loc file.Location, s *scope) *term {
	if m := k.names.macros[name]; m != nil {
		return k.expand(m, args, loc, s)
	}
	f := functionByName[name]
	if f == nil {
		return k.unknownFunction(name, args, loc, s)
	}
	if f.closure {
		return k.closure(f, args, loc, s)
	}
	t := &term{op: opCall, name: name, loc: loc}
	bad := false
	for _, a := range args {
		v := k.term(a, s)
		bad = bad || v.op == opBad
		t.args = append(t.args, v)
	}
	if len(args) < f.min || len(args) > f.max {
		return k.fault(loc, codeArguments, "`"+name+"` takes "+argumentCount(f)+", not "+strconv.Itoa(len(args)), "write "+f.usage())
	}
	if name == "exact" {
		return k.fault(loc, codeExact, "exact(x) stands only directly beside a comparison", "write exact(x) == \"...\"")
	}
	if bad {
		return k.bad(loc)
	}
	return k.function(f, t)
}

func argumentCount(f *Function) string {
	if f.min == f.max {
		return counted(f.min, "argument")
	}
	return fmt.Sprintf("%d to %d arguments", f.min, f.max)
}

func (k *inspector) unknownFunction(name string, args []ast.Node, loc file.Location, s *scope) *term {
	for _, a := range args {
		if p, ok := a.(*ast.PredicateNode); ok {
			k.term(p.Node, &scope{up: s, name: "#", unknown: true})
			continue
		}
		k.term(a, s)
	}
	if hint := refused[name]; hint != "" {
		return k.fault(loc, codeRefused, "`"+name+"` is not part of the language", hint)
	}
	if k.names.lists[name] != nil || k.names.variables[name] != nil || s.find(name) != nil {
		return k.fault(loc, codeUnknownFunction, "`"+name+"` is not a function", "write it without brackets")
	}
	candidates := sortedKeys(k.names.macros)
	for i := range functions {
		candidates = append(candidates, functions[i].Name)
	}
	hint := ""
	if near := policy.Suggest(name, candidates); near != "" {
		hint = "did you mean `" + near + "`?"
	}
	if k.c.set.MayDefine(name) {
		return k.bad(loc) // what would define it could not be read, and that is reported
	}
	return k.fault(loc, codeUnknownFunction, "unknown function `"+name+"`", hint)
}

// function checks the kinds of a function's arguments and gives its type.
func (k *inspector) function(f *Function, t *term) *term {
	a := t.args[0]
	wrong := func(i int, want string) *term {
		return k.fault(k.at(t.args[i]), codeType, "`"+f.Name+"` takes "+want+", not "+describe(t.args[i]), "write "+f.usage())
	}
	switch f.Name {
	case "len":
		if a.typ != typText && a.typ.kind != kindList {
			return wrong(0, "a text or list")
		}
		t.typ = typInt
		if a.op == opList {
			t.extend(&k.c.pos)
			return &term{op: opConst, typ: typInt, konst: len(a.args), loc: t.loc, ext: t.ext}
		}
	case "first", "last":
		if a.typ.kind != kindList {
			return wrong(0, "a list")
		}
		t.typ = typ{kind: a.typ.elem}
		if a.typ.elem == kindUnknown {
			return k.fault(k.at(a), codeType, "`"+f.Name+"` of an empty list", "an empty list has no element to read")
		}
		if a.op == opList {
			t.extend(&k.c.pos)
			at := 0
			if f.Name == "last" {
				at = -1
			}
			return a.written(at, t)
		}
	case "lower", "upper", "trim", "basename", "dirname", "extension":
		if a.typ != typText {
			return wrong(0, "a text")
		}
		t.typ = typText
	case "abs", "min", "max":
		t.typ = typInt
		for i := range t.args {
			if !t.args[i].typ.number() {
				return wrong(i, "numbers")
			}
			if t.args[i].typ == typFloat {
				t.typ = typFloat
			}
		}
	case "string":
		if !a.typ.number() && a.typ != typBool && a.typ != typText {
			return wrong(0, "a bool or number")
		}
		t.typ = typText
	case "int", "float", "duration", "date":
		return k.constantCall(f, t)
	case "glob", "like":
		return k.pattern(f, t, wrong)
	}
	return k.done(t)
}

// constantCall evaluates what could fail on an event, and therefore takes constants only.
func (k *inspector) constantCall(f *Function, t *term) *term {
	for i, a := range t.args {
		if a.op != opConst {
			return k.fault(k.at(a), codeNotConstant, "the argument of `"+f.Name+"` is not constant", "it is evaluated at load, because it could fail on an event")
		}
		if i > 0 && a.typ != typText {
			return k.fault(k.at(a), codeType, "the layout of `date` is a text, not "+describe(a), "")
		}
	}
	a := t.args[0]
	bad := func(want string) *term {
		return k.fault(k.at(a), codeBadConstant, fmt.Sprintf("%s is not %s", strconv.Quote(fmt.Sprint(a.konst)), want), "write "+f.usage())
	}
	var value any
	switch v := a.konst.(type) {
	case string:
		switch f.Name {
		case "int":
			n, err := strconv.ParseInt(strings.TrimSpace(v), 0, 64)
			if err != nil {
				return bad("an integer")
			}
			value = int(n)
		case "float":
			x, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
				return bad("a number")
			}
			value = x
		case "duration":
			d, err := time.ParseDuration(v)
			if err != nil {
				return bad("a duration such as 30s, 5m, 1h30m")
			}
			value = d
		case "date":
			at, ok := parseDate(t.args)
			if !ok {
				return bad("a date such as 2026-01-01 or 2026-01-01T00:00:00Z")
			}
			value = at
		}
	case int:
		switch f.Name {
		case "int":
			value = v
		case "float":
			value = float64(v)
		}
	case float64:
		switch f.Name {
		case "int":
			if v != v || v >= 1<<63 || v < -1<<63 {
				return bad("an integer")
			}
			value = int(v)
		case "float":
			value = v
		}
	}
	if value == nil {
		return k.fault(k.at(a), codeType, "`"+f.Name+"` takes a text, not "+describe(a), "write "+f.usage())
	}
	t.extend(&k.c.pos)
	return &term{op: opConst, typ: typeOf(value), konst: value, loc: t.loc, ext: t.ext}
}

// parseDate reads a constant date: in the layout of the second argument, else as expr's date does.
func parseDate(args []*term) (time.Time, bool) {
	layouts := []string{time.RFC3339Nano, "2006-01-02", "2006-01-02 15:04:05", time.RFC1123, time.RFC822, time.RFC850}
	if len(args) == 2 {
		layouts = []string{args[1].konst.(string)}
	}
	for _, l := range layouts {
		if at, err := time.Parse(l, args[0].konst.(string)); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

func (k *inspector) pattern(f *Function, t *term, wrong func(int, string) *term) *term {
	t.typ = typBool
	p := t.args[1]
	if t.args[0].typ != typText {
		return wrong(0, "a text")
	}
	if p.typ != typText && p.typ != listOf(kindText) {
		return wrong(1, "a pattern or list of patterns")
	}
	if p.op != opConst {
		return k.fault(k.at(p), codeNotConstant, "the pattern of `"+f.Name+"` is not constant", "write the pattern itself, or a list")
	}
	if f.Name == "glob" {
		for _, s := range texts(p.konst) {
			if _, err := compileGlob(s); err != nil {
				return k.fault(k.at(p), codeBadPattern, "the pattern `"+s+"` cannot be compiled: "+err.Error(), "")
			}
		}
	}
	return k.choose(t.args[0], p, t.loc, func(text, pattern *term) *term {
		one := *t
		one.args = []*term{text, pattern}
		return k.done(&one)
	})
}

// texts is a constant text, or the texts of a constant list.
func texts(konst any) []string {
	switch v := konst.(type) {
	case string:
		return []string{v}
	case []any:
		out := make([]string, 0, len(v))
		for _, e := range v {
			if s, ok := e.(string); ok {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

// closure checks any(list, condition) and the like.
func (k *inspector) closure(f *Function, args []ast.Node, loc file.Location, s *scope) *term {
	if len(args) != 2 {
		for _, a := range args {
			if _, ok := a.(*ast.PredicateNode); !ok {
				k.term(a, s)
			}
		}
		return k.fault(loc, codeArguments, "`"+f.Name+"` takes a list and a condition", "write "+f.usage())
	}
	predicate, ok := args[1].(*ast.PredicateNode)
	if !ok {
		return k.fault(loc, codeArguments, "`"+f.Name+"` takes a list and a condition", "write "+f.usage())
	}
	list := k.term(args[0], s)
	if list.op != opBad && list.typ.kind != kindList {
		k.fault(k.at(list), codeType, "`"+f.Name+"` takes a list, not "+describe(list), "write "+f.usage())
		list = k.bad(loc)
	}
	if list.op == opBad {
		k.term(predicate.Node, &scope{up: s, name: "#", unknown: true})
		return k.bad(loc)
	}
	if (list.op == opConst || list.op == opList) && (f.Name == "any" || f.Name == "all" || f.Name == "none") {
		return k.each(f, list, predicate.Node, loc, s)
	}
	if list.op == opList {
		return k.fault(k.at(list), codeNotConstant, "the list of `"+f.Name+"` has elements that are not constant", "only any, all and none take such a list")
	}
	if list.typ.elem == kindUnknown {
		k.term(predicate.Node, &scope{up: s, name: "#", unknown: true})
		return k.closureOfNone(f, list, loc)
	}
	if len(k.inside) >= 2 || len(k.inside) == 1 && k.inside[0].holds {
		return k.fault(loc, codeNested, "a closure holds more than one other closure", "ask the two questions in two closures, joined with `and` or `or`")
	}
	if len(k.inside) == 1 {
		k.inside[0].holds = true
	}
	c := &closure{elem: list.typ.elem, constants: list.listOfConstants()}
	k.inside = append(k.inside, c)
	body := k.term(predicate.Node, &scope{up: s, name: "#", closure: c})
	k.inside = k.inside[:len(k.inside)-1]
	if body.op == opBad {
		return k.bad(loc)
	}
	t := &term{op: opClosure, name: f.Name, typ: typBool, args: []*term{list, body}, loc: loc}
	switch f.Name {
	case "map":
		if body.typ.kind == kindObject || body.typ.kind == kindList {
			return k.fault(k.at(body), codeType, "`map` makes a list of values, not of "+describe(body), "name a field: map(process.ancestors, .executable.name)")
		}
		t.typ = listOf(body.typ.kind)
		return k.done(t)
	case "count":
		t.typ = typInt
	case "filter":
		t.typ = list.typ
	case "find":
		t.typ = typ{kind: list.typ.elem}
	}
	if body.typ != typBool {
		return k.fault(k.at(body), codeType, "`"+f.Name+"` takes a condition, not "+describe(body), "compare it: "+comparison(body))
	}
	return k.done(t)
}

// closureOfNone is a closure over the list [], whose elements have no kind.
func (k *inspector) closureOfNone(f *Function, list *term, loc file.Location) *term {
	t := &term{op: opConst, loc: loc, args: []*term{list}}
	t.extend(&k.c.pos)
	t.args = nil
	switch f.Name {
	case "count":
		t.typ, t.konst = typInt, 0
	case "one":
		t.typ, t.konst = typBool, false
	default:
		return k.fault(k.at(list), codeType, "`"+f.Name+"` of an empty list", "an empty list has no element to read")
	}
	return t
}

// each expands any, all and none over a list that is known at load: the way to say "contains any of".
func (k *inspector) each(f *Function, list *term, predicate ast.Node, loc file.Location, s *scope) *term {
	t := &term{op: opOr, typ: typBool, loc: loc, each: true}
	if f.Name == "all" {
		t.op = opAnd
	}
	elements := list.args
	if list.op == opConst {
		for _, v := range list.konst.([]any) {
			elements = append(elements, &term{op: opConst, typ: typeOf(v), konst: v, loc: list.loc, ext: list.ext})
		}
	}
	t.extend(&k.c.pos)
	if at := list.place(); k.c.pos.find(at.From) == k.c.pos.find(loc.From) {
		t.ext.To = max(t.ext.To, at.To)
	}
	if len(elements) == 0 {
		k.term(predicate, &scope{up: s, name: "#", unknown: true})
		return &term{op: opConst, typ: typBool, konst: f.Name != "any", loc: loc, ext: t.ext}
	}
	before := k.c.errors
	for _, e := range elements {
		body := k.term(predicate, &scope{up: s, name: "#", constant: e, closure: k.innermost()})
		if body.op != opBad && body.typ != typBool {
			k.fault(k.at(body), codeType, "`"+f.Name+"` takes a condition, not "+describe(body), "compare it: "+comparison(body))
			return k.bad(loc)
		}
		if body.op == opBad || k.c.errors > before || k.over {
			return k.bad(loc)
		}
		t.args = append(t.args, body)
	}
	done := k.done(t)
	if f.Name == "none" {
		return k.done(&term{op: opNot, typ: typBool, args: []*term{done}, loc: loc, ext: t.ext})
	}
	return done
}

// expand inlines a macro.
func (k *inspector) expand(m *macro, args []ast.Node, loc file.Location, s *scope) *term {
	if len(args) != len(m.Params) {
		for _, a := range args {
			k.term(a, s)
		}
		if k.c.set.MayDefine(m.ID.Value) {
			return k.bad(loc) // its parameters may be what could not be read
		}
		return k.fault(loc, codeArguments, "macro `"+m.ID.Value+"` takes "+counted(len(m.Params), "argument")+", not "+strconv.Itoa(len(args)), "write "+m.ID.Value+"("+joinTexts(m.Params)+")")
	}
	var inner *scope
	bad := false
	for i, a := range args {
		// Each argument is checked where it stands, once for its faults and then at each use. As an
		// argument it adds no nodes.
		nodes := k.nodes
		bad = k.term(a, s).op == opBad || bad
		k.nodes = nodes
		inner = &scope{up: inner, name: m.Params[i].Value, node: a, in: s, env: k.names}
	}
	if bad || m.tree == nil || m.cyclic {
		return k.bad(loc)
	}
	saved := k.names
	k.names = m.names
	k.calls = append(k.calls, expansion{m, loc})
	t := k.term(m.tree, inner)
	k.calls = k.calls[:len(k.calls)-1]
	k.names = saved
	if t.op == opBad {
		return k.bad(loc)
	}
	return inlined(t, k.callPlace(loc, args))
}

// callPlace is the place of a call: its name to its last argument, for the extent of what it stands in.
func (k *inspector) callPlace(loc file.Location, args []ast.Node) file.Location {
	for _, a := range args {
		at := a.Location()
		if k.c.pos.find(at.From) == k.c.pos.find(loc.From) {
			loc.To = max(loc.To, at.To)
		}
	}
	return loc
}
