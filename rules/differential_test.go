package rules

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	exprcompiler "github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"spoor/pipeline/event"
)

// agreeOn holds the leaves with their Cond against the program of the whole rule, for every rule on e.
func agreeOn(t *testing.T, s *Set, e *event.Event, r *Result) {
	t.Helper()
	r.view.reset(e)
	r.machine.env = &r.view
	check := func(what string, c code) {
		r.machine.over = false
		r.view.work = ruleBudget
		whole := r.machine.run(c.program)
		wholeOver := r.machine.over
		r.machine.over = false
		r.view.work = ruleBudget
		parts := c.cond.eval(&r.machine)
		if r.machine.fault != nil {
			t.Fatalf("%s fails: %v", what, r.machine.fault)
		}
		if wholeOver || r.machine.over {
			t.Errorf("%s is over budget", what)
		} else if whole != parts {
			t.Errorf("%s: the program says %v, the leaves say %v", what, whole, parts)
		}
	}
	for i := range s.compiled {
		c := &s.compiled[i]
		check(c.rule.ID, c.code)
		for x := range c.exceptions {
			check(c.rule.ID+" exception "+c.rule.Source.Exceptions[x].Name.Value, c.exceptions[x])
		}
	}
}

func seeds(t *testing.T, n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = uint64(i + 1)
	}
	return append(out, uint64(time.Now().UnixNano()))
}

// TestLeavesAgree holds leaves plus Cond against the whole program on random expressions and events, and
// Match and Explain against both.
func TestLeavesAgree(t *testing.T) {
	for _, seed := range seeds(t, 5) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
			var text strings.Builder
			text.WriteString(generatedNames + "rules:\n")
			var expressions []string
			for i := range 60 {
				x := g.condition(3)
				expressions = append(expressions, x)
				fmt.Fprintf(&text, "  - id: r%03d\n    expression: |\n      %s\n", i, x)
			}
			set := mustCompile(t, "a.yaml", text.String())
			var r Result
			for range 40 {
				document := g.event()
				e := decode(t, document)
				agreeOn(t, set, e, &r)
				set.Match(e, &r)
				live := map[int]bool{}
				for _, i := range r.Live {
					live[i] = true
				}
				for i, rule := range set.Rules() {
					x, err := set.Explain(e, rule.ID)
					if err != nil {
						t.Fatal(err)
					}
					if x.Condition.Holds != live[i] {
						t.Errorf("%s is explained as %v and matched as %v", rule.ID, x.Condition.Holds, live[i])
					}
				}
				if t.Failed() {
					for i, x := range expressions {
						t.Logf("r%03d %s", i, x)
					}
					t.Fatalf("on %s", document)
				}
			}
		})
	}
}

// TestAgainstExpr holds our evaluation against expr itself: its VM runs the author's tree over an Env that is
// filled from the event, with every text and constant folded. What our language defines otherwise (exact,
// registry roots, missing times, totality) is left out.
func TestAgainstExpr(t *testing.T) {
	for _, seed := range seeds(t, 5) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			g := &generator{Rand: rand.New(rand.NewPCG(seed, 2)), plain: true}
			var text strings.Builder
			text.WriteString("rules:\n")
			for i := range 60 {
				fmt.Fprintf(&text, "  - id: r%03d\n    expression: |\n      %s\n", i, g.condition(3))
			}
			set := mustCompile(t, "a.yaml", text.String())
			programs := make([]*vm.Program, len(set.compiled))
			for i := range set.compiled {
				programs[i] = plainProgram(t, set.compiled[i].code.cond.term)
			}
			var r Result
			for range 60 {
				document := g.event()
				e := decode(t, document)
				env := envOf(e)
				r.view.reset(e)
				r.machine.env = &r.view
				for i := range set.compiled {
					r.view.work = ruleBudget
					got := r.machine.run(set.compiled[i].code.program)
					if r.machine.fault != nil {
						t.Fatalf("%s: %v", set.rules[i].Source.Expression.Text, r.machine.fault)
					}
					want, err := vm.Run(programs[i], env)
					if err != nil {
						t.Fatalf("%s: %v", set.rules[i].Source.Expression.Text, err)
					}
					if got != want {
						t.Fatalf("%s is %v, expr says %v, on %s", set.rules[i].Source.Expression.Text, got, want, document)
					}
				}
			}
		})
	}
}

// plainProgram compiles the author's tree with folded constants, without anything of ours.
func plainProgram(t *testing.T, c *term) *vm.Program {
	t.Helper()
	node := c.author()
	ast.Walk(&node, foldConstants{})
	config := newAuthorConfig()
	for name, f := range map[string]func(string) string{"basename": basename, "dirname": dirname, "extension": extension} {
		config.Functions[name].Func = func(args ...any) (any, error) { return f(args[0].(string)), nil }
	}
	tree := &parser.Tree{Node: node}
	if _, err := checker.Check(tree, config); err != nil {
		t.Fatal(err)
	}
	p, err := exprcompiler.Compile(tree, config)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

type foldConstants struct{}

func (foldConstants) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.StringNode:
		n.Value = fold(n.Value)
	case *ast.BinaryNode: // a pattern is folded by our compiler only
		if pattern, ok := n.Right.(*ast.StringNode); ok && n.Operator == "matches" {
			if re, err := compileRegex(pattern.Value, false); err == nil {
				pattern.Value = re.String()
			}
		}
	}
}

// envOf fills an Env from an event through the table, with folded texts.
func envOf(e *event.Event) Env { return envAs(e, fold) }

// envAs fills an Env with texts as see makes them.
func envAs(e *event.Event, see func(string) string) Env {
	var env Env
	root := reflect.ValueOf(&env).Elem()
	v := &view{work: 1 << 30}
	v.reset(e)
	for i := range eventFields {
		if f := &eventFields[i]; f.kind != kindList {
			setField(root, f.Path, f, frame{ev: v}, see)
		}
	}
	for _, a := range v.ancestors {
		var out EnvAncestor
		for _, f := range ancestorField {
			setField(reflect.ValueOf(&out).Elem(), f.Path, f, frame{ev: v, elem: a}, see)
		}
		env.Process.Ancestors = append(env.Process.Ancestors, out)
	}
	return env
}

func setField(at reflect.Value, path string, f *field, fr frame, see func(string) string) {
	for _, name := range strings.Split(path, ".") {
		for i := range at.NumField() {
			if at.Type().Field(i).Tag.Get("expr") == name {
				at = at.Field(i)
				break
			}
		}
	}
	b := &native{lower: newLowering()}
	t := &term{op: opField, field: f, typ: typ{kind: f.kind}, args: []*term{{op: opElem}}}
	value := b.value(t)(fr)
	if s, ok := value.(string); ok {
		value = see(s)
	}
	if n, ok := value.(int); ok {
		value = int64(n)
	}
	at.Set(reflect.ValueOf(value))
}
