package secl_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"spoor/rules/policy"
)

// A second meaning of SECL, made together with the text of a condition and without its parser: what the
// importer writes has to say the same of every event.

type program struct {
	PID  int
	Name string
	Line string
}

// world is an event: a program and its ancestors.
type world struct {
	program
	ancestors []program
}

// term is a condition of SECL, and its meaning for the ancestor that the register stands for.
type term struct {
	text     string
	register bool
	holds    func(w world, at int) bool
}

type generator struct{ *rand.Rand }

var (
	names    = []string{"a.exe", "b.exe", "ab.exe", "c.com"}
	lines    = []string{"a -x", "b", "-x -y", "", "A b"}
	patterns = []struct {
		text string
		ok   func(string) bool
	}{
		{"a*", func(s string) bool { return strings.HasPrefix(strings.ToLower(s), "a") }},
		{"*.exe", func(s string) bool { return strings.HasSuffix(s, ".exe") }},
		{"*b*", func(s string) bool { return strings.Contains(strings.ToLower(s), "b") }},
		{"a*x", func(s string) bool {
			s = strings.ToLower(s)
			return len(s) > 1 && strings.HasPrefix(s, "a") && strings.HasSuffix(s, "x")
		}},
		{"*", func(string) bool { return true }},
	}
)

// text makes a test of a text with the operators that SECL has for it. negated says that the operator is one
// of those that hold for a list when none of its elements is it.
func (g generator) text(values []string) (suffix string, negated bool, ok func(string) bool) {
	v, p := values[g.IntN(len(values))], patterns[g.IntN(len(patterns))]
	equal := func(s string) bool { return strings.EqualFold(s, v) }
	switch g.IntN(7) {
	case 0:
		return fmt.Sprintf(`== "%s"`, v), false, equal
	case 1:
		return fmt.Sprintf(`!= "%s"`, v), true, equal
	case 2:
		return fmt.Sprintf(`=~ "%s"`, p.text), false, p.ok
	case 3:
		return fmt.Sprintf(`!~ "%s"`, p.text), true, p.ok
	case 4:
		return fmt.Sprintf(`== ~"%s"`, p.text), false, p.ok
	}
	all := []func(string) bool{equal, p.ok, func(s string) bool { return s == "q*" }}
	suffix = fmt.Sprintf(`in ["%s", ~"%s", "q*"]`, v, p.text)
	if negated = g.IntN(2) == 0; negated {
		suffix = "not " + suffix
	}
	return suffix, negated, func(s string) bool {
		return slices.ContainsFunc(all, func(f func(string) bool) bool { return f(s) })
	}
}

func (g generator) number() (suffix string, negated bool, ok func(int) bool) {
	n := g.IntN(4)
	switch g.IntN(4) {
	case 0:
		return fmt.Sprintf("== %d", n), false, func(x int) bool { return x == n }
	case 1:
		return fmt.Sprintf("!= %d", n), true, func(x int) bool { return x == n }
	case 2:
		return fmt.Sprintf("< %d", n), false, func(x int) bool { return x < n }
	}
	return fmt.Sprintf("not in [%d, 7, 9]", n), true, func(x int) bool { return x == n }
}

// atom is a comparison.
func (g generator) atom() term {
	// what reads one program, as a condition on it.
	field := g.IntN(3)
	var suffix string
	var negated bool
	var ok func(program) bool
	switch field {
	case 0:
		s, n, f := g.number()
		suffix, negated, ok = ".pid "+s, n, func(p program) bool { return f(p.PID) }
	case 1:
		s, n, f := g.text(names)
		suffix, negated, ok = ".file.name "+s, n, func(p program) bool { return f(p.Name) }
	default:
		s, n, f := g.text(lines)
		suffix, negated, ok = ".cmdline "+s, n, func(p program) bool { return f(p.Line) }
	}
	switch g.IntN(4) {
	case 0:
		return term{"process.ancestors" + suffix, false, func(w world, _ int) bool { return slices.ContainsFunc(w.ancestors, ok) != negated }}
	case 1:
		return term{"process.ancestors[A]" + suffix, true, func(w world, at int) bool { return ok(w.ancestors[at]) != negated }}
	case 2:
		return term{"process.ancestors[0]" + suffix, false, func(w world, _ int) bool { return ok(w.ancestors[0]) != negated }}
	}
	return term{"exec" + suffix, false, func(w world, _ int) bool { return ok(w.program) != negated }}
}

// chain is terms between && and ||, which bind alike and to the right.
func (g generator) chain(depth int) term {
	var terms []term
	for range 1 + g.IntN(4) {
		switch {
		case depth > 0 && g.IntN(3) == 0:
			t := g.chain(depth - 1)
			t.text = "(" + t.text + ")"
			terms = append(terms, t)
		case depth > 0 && g.IntN(4) == 0:
			inner := g.chain(depth - 1)
			terms = append(terms, term{"!(" + inner.text + ")", inner.register, func(w world, at int) bool { return !inner.holds(w, at) }})
		default:
			terms = append(terms, g.atom())
		}
	}
	out := terms[len(terms)-1]
	for i := len(terms) - 2; i >= 0; i-- {
		left, right := terms[i], out
		and := g.IntN(2) == 0
		op := map[bool]string{true: []string{"&&", "and"}[g.IntN(2)], false: []string{"||", "or"}[g.IntN(2)]}[and]
		out = term{left.text + " " + op + " " + right.text, left.register || right.register, func(w world, at int) bool {
			if and {
				return left.holds(w, at) && right.holds(w, at)
			}
			return left.holds(w, at) || right.holds(w, at)
		}}
	}
	return out
}

// rule is whether a whole rule holds: for some ancestor, when it has a register.
func (t term) rule(w world) bool {
	for at := range w.ancestors {
		if t.holds(w, at) {
			return true
		}
	}
	return false
}

func (w world) json() string {
	object := func(p program) map[string]any {
		return map[string]any{"pid": p.PID, "cmdline": p.Line, "executable": map[string]any{"path": `C:\` + p.Name}}
	}
	self := object(w.program)
	var ancestors []any
	for _, a := range w.ancestors {
		ancestors = append(ancestors, object(a))
	}
	self["ancestors"] = ancestors
	data, _ := json.Marshal(map[string]any{"evt": map[string]any{"name": "exec"}, "process": self})
	return string(data)
}

func TestDifferential(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(3, 7))}
	program := func() program {
		return program{g.IntN(5), names[g.IntN(len(names))], lines[g.IntN(len(lines))]}
	}
	var source strings.Builder
	source.WriteString("rules:\n")
	var terms []term
	registers := 0
	for len(terms) < 250 {
		c := g.chain(2)
		if c.register {
			registers++
		}
		fmt.Fprintf(&source, "  - id: r%d\n    expression: |\n      exec.pid >= 0 && (%s)\n", len(terms), c.text)
		terms = append(terms, c)
	}
	im := importText(source.String())
	refused := 0
	for i, r := range im.Rules {
		if r.Status == policy.StatusImported {
			continue
		}
		if refused++; !strings.Contains(r.Reason, "more conditions on the ancestors than") {
			t.Errorf("%s: %s", terms[i].text, r.Reason)
		}
		terms[i].holds = nil
	}
	set, faults := load(im)
	if set == nil {
		t.Fatal(faults.Err())
	}
	held := 0
	for range 60 {
		w := world{program: program()}
		for range 1 + g.IntN(3) {
			w.ancestors = append(w.ancestors, program())
		}
		got := matches(set, decode(t, w.json()))
		held += len(got)
		for i, c := range terms {
			if c.holds == nil {
				continue
			}
			if want := c.rule(w); slices.Contains(got, fmt.Sprintf("r%d", i)) != want {
				t.Fatalf("%s\non %s: want %t", c.text, w.json(), want)
			}
		}
	}
	if registers < 50 || refused > 20 || held < 2000 || held > 13_000 {
		t.Errorf("%d rules with a register, %d refused, %d matches: the test asks little", registers, refused, held)
	}
}
