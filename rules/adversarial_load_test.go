package rules_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"spoor/rules"
)

// hostile are expressions that once broke the compiler: lists whose elements are not constant, and empty
// lists, whose elements have no type, in every place a list can stand.
func hostile() []string {
	lists := []string{"[process.cmdline]", "[process.cmdline, `x`]", "[1, process.pid]", "[process.pid > 1, true]", "[process.ancestors]",
		"[process.parent]", "[time]", "[]", "[[1], [2]]"}
	forms := []string{"first(%s) == `x`", "first(%s) == 1", "last(%s) == `x`", "%s[0] == `x`", "%s[0] == 1", "%s[process.pid] == `x`",
		"len(%s) == 1", "`x` in %s", "1 in %s", "%s in []", "%s not in []", "any(%s, true)", "any(%s, # == `x`)", "all(%s, # == 1)",
		"count(%s, # == 1) == 1", "find(%s, # == `x`) == `x`", "filter(%s, true)[0] == `x`", "map(%s, #)[0] == `x`", "first(%s)", "%s[0]",
		"(evt.async ? %s : []) == []", "process.cmdline in (evt.async ? %s : [`y`])", "let l = %s; `x` in l", "one(%s, #)", "lower(first(%s)) == `x`",
		"glob(first(%s), `x`)", "exact(first(%s)) == `x`", "first(map(process.ancestors, %s)) == `x`", "any(process.ancestors, .cmdline in %s)",
		"any(process.ancestors, first(%s) == `x`)", "%s[0] < [process.cmdline]", "find(%s, evt.async) != `a`"}
	out := []string{"[process.pid] in []", "process.parent not in []", "[][exit.code]", "first([evt.async, true])", "find([], false)"}
	for _, l := range lists {
		for _, f := range forms {
			out = append(out, strings.ReplaceAll(f, "%s", l))
		}
	}
	return out
}

// TestNothingBreaksTheCompiler compiles what no author would write: each expression is refused with a
// diagnostic other than internal, or compiles and evaluates, and its explanation agrees with the match.
func TestNothingBreaksTheCompiler(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 12))
	atoms := []string{"1", "0", "-1", "2.5", "`a`", `""`, "true", "false", "[]", "[1, 2]", "[`a`, `B`]", "process.pid", "process.cmdline",
		"process.parent", "process.parent.user", "process.ancestors", "process.ancestors[0]", "time", "process.exec_time", "evt.async", "#", ".pid",
		".cmdline", "#.executable.name", "exit.code", "registry.key_path", "duration(`1h`)", "date(`2026-01-01`)", "evt.name", "file", "nums",
		"texts", "tags", "level", "[process.pid]", "[process.cmdline, `x`]", "0xC0000005", "9223372036854775807"}
	binary := strings.Split("and,or,==,!=,<,<=,>,>=,in,not in,contains,startsWith,endsWith,matches,+,-,*,/,%", ",")
	closures := strings.Fields("any all none one count filter map find")
	unary := strings.Split("len,first,last,lower,upper,trim,abs,min,max,int,float,string,basename,dirname,extension,exact,not ,-", ",")
	var write func(depth int) string
	write = func(depth int) string {
		if depth == 0 || r.IntN(8) == 0 {
			return atoms[r.IntN(len(atoms))]
		}
		a, b := write(depth-1), write(depth-1)
		switch r.IntN(9) {
		case 0, 1, 2:
			return "(" + a + " " + binary[r.IntN(len(binary))] + " " + b + ")"
		case 3:
			return closures[r.IntN(len(closures))] + "(" + a + ", " + b + ")"
		case 4:
			return unary[r.IntN(len(unary))] + "(" + a + ")"
		case 5:
			return "(" + write(depth-1) + " ? " + a + " : " + b + ")"
		case 6:
			return "[" + a + ", " + b + "]"
		case 7:
			return a + "[" + b + "]"
		}
		return []string{"glob", "like"}[r.IntN(2)] + "(" + a + ", " + b + ")"
	}
	expressions := hostile()
	for range 1200 {
		expressions = append(expressions, write(1+r.IntN(3)))
	}
	sample := decodeSample(t, `{"evt": {"name": "exec", "variables": {"tags": ["x", "a"]}}, "process": {"pid": 42, "cmdline": "x",
		"parent": {"pid": 41, "executable": {"name": "P.EXE"}}, "ancestors": [{"pid": 41, "executable": {"name": "P.EXE"}, "cmdline": "one"}]}}`)
	for _, x := range expressions {
		tryExpression(t, x, func(set *rules.Set) {
			var result rules.Result
			set.Match(sample, &result)
			explanation, err := set.Explain(sample, "example")
			if err != nil {
				t.Fatal(err)
			}
			if explanation.Condition.Holds != (len(result.Live) == 1) {
				t.Errorf("%s: the explanation says %v, the match %v", x, explanation.Condition.Holds, result.Live)
			}
		})
	}
}

func tryExpression(t *testing.T, x string, use func(*rules.Set)) {
	defer func() {
		if e := recover(); e != nil {
			t.Errorf("%s: panic: %v", x, e)
		}
	}()
	set, found := load("lists: {nums: [1, 2], texts: [a, B]}\nvariables:\n  tags: {scope: event, type: [string]}\n" +
		"  level: {scope: process, type: int}\nrules:\n" + fmt.Sprintf("  - id: example\n    expression: |\n      %s\n", x))
	for _, d := range found {
		if d.Code == "internal" {
			t.Errorf("%s: %s", x, d)
		}
	}
	if set != nil {
		use(set)
	}
}
