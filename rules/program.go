package rules

import (
	"fmt"
	"math"
	"reflect"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/checker"
	exprcompiler "github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// newAuthorConfig is the configuration with which expr checks the author's tree.
func newAuthorConfig() *conf.Config {
	config := conf.New(Env{})
	config.Expect = reflect.Bool
	config.MaxNodes = 0
	declare := func(name string, types ...any) {
		f := &builtin.Function{Name: name, Func: func(...any) (any, error) { return nil, nil }}
		for _, t := range types {
			f.Types = append(f.Types, reflect.TypeOf(t).Elem())
		}
		config.Functions[name] = f
	}
	matcher := []any{new(func(string, string) bool), new(func(string, []any) bool)}
	declare("glob", matcher...)
	declare("like", matcher...)
	for _, name := range []string{"basename", "dirname", "extension", "exact"} {
		declare(name, new(func(string) string))
	}
	return config
}

// newProgramConfig is the configuration of the rewritten tree of a condition. It names nothing but $env. A
// configuration is used by one goroutine: expr keeps what it finds out about types in it.
func newProgramConfig() *conf.Config {
	config := conf.New(struct{}{})
	config.Expect = reflect.Bool
	config.MaxNodes = 0
	return config
}

// newValueConfig is that of a value that is no condition.
func newValueConfig() *conf.Config {
	config := newProgramConfig()
	config.Expect = reflect.Invalid
	return config
}

// agree has expr's checker look at the author's tree too. It finds nothing that ours did not: what it finds
// is a fault of ours.
func (c *compiler) agree(t *term) error {
	node := t.author()
	_, err := checker.Check(&parser.Tree{Node: node}, c.authorConfig)
	return err
}

// compileProgram compiles a rewritten condition or value. An error is a fault of ours.
func compileProgram(node ast.Node, config *conf.Config) (*vm.Program, error) {
	tree := &parser.Tree{Node: node}
	if _, err := checker.Check(tree, config); err != nil {
		return nil, fmt.Errorf("check the rewritten tree: %w", err)
	}
	p, err := exprcompiler.Compile(tree, config)
	if err != nil {
		return nil, fmt.Errorf("compile the rewritten tree: %w", err)
	}
	return p, nil
}

// foldConstant evaluates t when its value is known at load: nothing that could fail, or has to be constant,
// is left for an event.
func (c *compiler) foldConstant(t *term) *term {
	switch t.op {
	case opAnd, opOr:
		return foldJunction(t)
	case opCond:
		if v, ok := t.args[0].konst.(bool); ok && t.args[0].op == opConst {
			if v {
				return t.args[1]
			}
			return t.args[2]
		}
		return t
	case opClosure:
		return c.foldClosure(t)
	case opNot, opCompare, opArith, opNegate, opCall, opIndex:
		for _, a := range t.args {
			if a.op != opConst {
				return t
			}
		}
	default:
		return t
	}
	b := &native{lower: newLowering()}
	v := &view{work: math.MaxInt}
	value := b.value(t)(frame{ev: v})
	if len(b.inputs) > 0 {
		return t
	}
	if value == nil { // an element past the end
		value = noValue(t.typ.kind)
	}
	return &term{op: opConst, typ: t.typ, konst: value, loc: t.loc, ext: t.ext, use: t.use}
}

// foldClosure evaluates a closure over a constant list whose body asks for nothing but its element.
func (c *compiler) foldClosure(t *term) *term {
	if t.args[0].op != opConst || t.readsEvent() {
		return t
	}
	p, err := compileProgram(newLowering().closure(t), c.valueConfig)
	if err != nil {
		return t // compiling the rule says so
	}
	m := machine{env: &view{work: ruleBudget}}
	value, err := m.vm.Run(p, m.env)
	if err != nil {
		return t // it is over budget on every event
	}
	if value == nil {
		value = noValue(t.typ.kind)
	}
	return &term{op: opConst, typ: t.typ, konst: value, loc: t.loc, ext: t.ext, use: t.use}
}

// foldJunction drops the constant parts of and, or.
func foldJunction(t *term) *term {
	decides := t.op == opOr
	var args []*term
	for _, a := range t.args {
		if v, ok := a.konst.(bool); a.op == opConst && ok {
			if v == decides {
				return &term{op: opConst, typ: typBool, konst: decides, loc: t.loc, ext: t.ext}
			}
			continue
		}
		args = append(args, a)
	}
	switch {
	case len(args) == 0:
		return &term{op: opConst, typ: typBool, konst: !decides, loc: t.loc, ext: t.ext}
	case len(args) == 1 && len(t.args) > 1:
		return args[0]
	}
	out := *t
	out.args = args
	return &out
}
