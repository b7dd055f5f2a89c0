package rules

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"spoor/rules/policy"
)

// TestCompilersAgree holds that the diagnostics, the rules and their index do not depend on how many goroutines
// compile, and in which order rules come up: faults of macros, of rules and of lint, repeated ones included.
func TestCompilersAgree(t *testing.T) {
	var text strings.Builder
	text.WriteString("lists: {tools: [\"a.exe\", \"A.exe\"]}\nmacros:\n  - {id: bad, expression: 'process.nothing == 1'}\n  - {id: any_tool, params: [x], expression: 'x in tools or x matches `^HKLM`'}\nrules:\n")
	for i := range 300 {
		x := []string{
			`evt.name == "exec" and any_tool(process.executable.name) and bad`,
			`evt.name == "create" and bad(process.pid)`,
			`process.parent.executable.name != "x` + fmt.Sprint(i) + `"`,
			`evt.name == "exec" and process.pid > 5 and process.pid < 3`,
			`evt.name == "exec" and process.cmdline contains "q` + fmt.Sprint(i) + `" and any_tool(registry.target)`,
			`evt.name == `,
		}[i%6]
		fmt.Fprintf(&text, "  - {id: r%d, expression: '%s', exceptions: [{name: x, expression: 'process.cmdline == %d'}]}\n", i, x, i%2)
	}
	good := strings.NewReplacer("and bad", "", "bad(process.pid)", "true", "{id: bad, expression: 'process.nothing == 1'}", "{id: bad, expression: 'false'}",
		"'evt.name == '", "'true'", ", exceptions: [{name: x, expression: 'process.cmdline == 0'}]", "", ", exceptions: [{name: x, expression: 'process.cmdline == 1'}]", "").Replace(text.String())
	for _, text := range []string{text.String(), good} {
		type outcome struct {
			diagnostics policy.Diagnostics
			stats       Stats
			why         []string
		}
		compile := func(procs int) outcome {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			set, ds := compileText(t, "a.yaml", text)
			out := outcome{diagnostics: ds}
			if set != nil {
				out.stats, out.why = set.Stats(), set.index.why
			}
			return out
		}
		one := compile(1)
		if len(one.diagnostics) < 100 {
			t.Errorf("%d diagnostics: this tests little", len(one.diagnostics))
		}
		for range 5 {
			if got := compile(8); !reflect.DeepEqual(got, one) {
				t.Fatalf("eight goroutines:\n%v\n%+v\none:\n%v\n%+v", got.diagnostics, got.stats, one.diagnostics, one.stats)
			}
		}
	}
}

// TestCompileIsLinear holds that ten times as large a rule takes about ten times as long to compile, for each shape that
// grows: what takes the square of something takes a hundred times as long.
func TestCompileIsLinear(t *testing.T) {
	many := func(n int, join, format string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = fmt.Sprintf(format, i)
		}
		return strings.Join(parts, join)
	}
	for name, shape := range map[string]func(n int) string{
		"list":      func(n int) string { return "process.executable.name in [" + many(n, ", ", "`name%d.exe`") + "]" },
		"wide list": func(n int) string { return "process.executable.name in [" + many(n, ", ", "`nämé%d.exe`") + "]" },
		"numbers":   func(n int) string { return "process.pid in [" + many(n, ", ", "%d") + "]" },
		"patterns":  func(n int) string { return "like(process.cmdline, [" + many(n/4, ", ", "`*x%d*y`") + "])" },
		"any":       func(n int) string { return "any([" + many(n/9, ", ", "`text%d`") + "], process.cmdline contains #)" },
		"or":        func(n int) string { return many(n/9, " or ", "process.pid == %d") },
		"warnings":  func(n int) string { return many(n/9, " and ", "process.cmdline not contains `text%d`") },
	} {
		loaded := [2]*policy.Set{}
		for i, n := range []int{900, 9000} {
			text := "rules:\n  - id: a\n    expression: |\n      evt.name == `exec` and (" + shape(n) + ")\n"
			set, ds := policy.LoadFS(fstest.MapFS{"a.yaml": &fstest.MapFile{Data: []byte(text)}})
			if set == nil {
				t.Fatal(ds.Err())
			}
			loaded[i] = set
		}
		least := [2]time.Duration{time.Hour, time.Hour}
		for round := 0; round < 3 || round < 100 && least[1] > 40*least[0]; round++ {
			for i, from := range loaded {
				start := time.Now()
				set, ds := Compile(from)
				least[i] = min(least[i], time.Since(start))
				if set == nil {
					t.Fatal(ds.Err())
				}
			}
		}
		if least[1] > 40*least[0] {
			t.Errorf("%s: ten times as large takes %v instead of %v", name, least[1], least[0])
		}
	}
}

// Nothing is matched with a set that could not be read as a whole, whatever its expressions are.
func TestBrokenSet(t *testing.T) {
	const rule = "rules:\n  - {id: a, expression: 'evt.name == \"exec\"'}\n"
	for _, other := range []string{rule, "foo: bar\n", "overrides: [{rule: nobody, disabled: true}]\n", "lists: {x: [\n"} {
		if set, found := compileText(t, "a.yaml", rule, "b.yaml", other); set != nil || !found.HasErrors() {
			t.Errorf("%q beside it: set %v, %v", other, set != nil, found)
		}
	}
	if set, found := compileText(t, "a.yaml", rule, "b.yaml", "name: b\n"); set == nil {
		t.Error(found)
	}
}
