package rules_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"spoor/rules"
)

// TestNothingBreaksTheCompiler compiles what no author would write, lists of fields and empty lists aside: each expression is refused with a
// diagnostic other than internal, or compiles and evaluates, and its explanation agrees with the match.
func TestNothingBreaksTheCompiler(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 12))
	atoms := []string{"1", "0", "-1", "2.5", "`a`", `""`, "true", "false", "[1, 2]", "[`a`, `B`]", "process.pid", "process.cmdline",
		"process.parent", "process.parent.user", "process.ancestors", "process.ancestors[0]", "time", "process.exec_time", "evt.async", "#", ".pid",
		".cmdline", "#.executable.name", "exit.code", "registry.key_path", "duration(`1h`)", "date(`2026-01-01`)", "evt.name", "file", "nums",
		"texts", "tags", "level", "0xC0000005", "9223372036854775807"}
	binary := strings.Split("and,or,==,!=,<,<=,>,>=,in,not in,contains,startsWith,endsWith,matches,+,-,*,/,%", ",")
	closures := strings.Fields("any all none one count filter map find")
	unary := strings.Split("len,first,last,lower,upper,trim,abs,min,max,int,float,string,basename,dirname,extension,exact,not ,-", ",")
	var write func(depth int) string
	write = func(depth int) string {
		if depth == 0 || r.IntN(8) == 0 {
			return atoms[r.IntN(len(atoms))]
		}
		a, b := write(depth-1), write(depth-1)
		switch r.IntN(8) {
		case 0, 1, 2:
			return "(" + a + " " + binary[r.IntN(len(binary))] + " " + b + ")"
		case 3:
			return closures[r.IntN(len(closures))] + "(" + a + ", " + b + ")"
		case 4:
			return unary[r.IntN(len(unary))] + "(" + a + ")"
		case 5:
			return "(" + write(depth-1) + " ? " + a + " : " + b + ")"
		case 6:
			return a + "[" + b + "]"
		}
		return []string{"glob", "like"}[r.IntN(2)] + "(" + a + ", " + b + ")"
	}
	var expressions []string
	for range 2000 {
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
