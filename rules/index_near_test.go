package rules

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestIndexNearMisses holds comparisons of texts with constants against what Go says of them, on texts that are
// nearly right: the constants share beginnings, ends and middles, and an event has one of them, cut, prolonged or with
// one character changed. What looks many constants up by a few bytes has to look at the others as well.
func TestIndexNearMisses(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 17))
	const letters = `abxyz.\`
	random := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = letters[r.IntN(len(letters))]
		}
		return string(b)
	}
	shared := []string{`\cmd.exe`, `.exe`, `c:\windows\`, random(8), random(2)}
	constant := func() string {
		s := shared[r.IntN(len(shared))]
		return []string{random(r.IntN(3)) + s, s + random(r.IntN(3)), random(r.IntN(3)) + s + random(r.IntN(3)), random(1 + r.IntN(3))}[r.IntN(4)]
	}
	operators := map[string]func(s, c string) bool{
		"==": func(s, c string) bool { return s == c }, "contains": strings.Contains, "startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix,
	}
	names := sortedKeys(operators)
	type rule struct {
		expression string
		holds      func(s string) bool
	}
	var rules []rule
	var constants []string
	for i := range 200 {
		name := names[r.IntN(len(names))]
		list := []string{constant()}
		if i%2 == 0 {
			for range r.IntN(14) {
				list = append(list, constant())
			}
			if i%4 == 0 { // too short to be looked for, and in no other constant
				list = append(list, "~")
			}
		}
		constants = append(constants, list...)
		quoted := make([]string, len(list))
		for i, c := range list {
			quoted[i] = "`" + c + "`"
		}
		any := func(s string) bool {
			return slices.ContainsFunc(list, func(c string) bool { return operators[name](strings.ToLower(s), c) })
		}
		test := "any([" + strings.Join(quoted, ", ") + "], process.cmdline " + name + " #)"
		switch r.IntN(4) {
		case 0: // found by something else
			rules = append(rules, rule{`process.executable.name == "near.exe" and ` + test, any})
		case 1:
			rules = append(rules, rule{`process.executable.name == "near.exe" and not ` + test, func(s string) bool { return !any(s) }})
		case 2: // not looked up at all
			rules = append(rules, rule{"(process.pid == 1 or " + test + ") and (process.pid != 1 or " + test + ")", any})
		default:
			rules = append(rules, rule{test, any})
		}
	}
	var text strings.Builder
	text.WriteString("rules:\n")
	for i, x := range rules {
		fmt.Fprintf(&text, "  - id: r%03d\n    expression: |\n      evt.name == \"exec\" and %s\n", i, x.expression)
	}
	set := mustCompile(t, "a.yaml", text.String())
	near := func(s string) string {
		at := r.IntN(len(s) + 1)
		switch r.IntN(7) {
		case 0:
			return s
		case 5:
			return s[:at] + "~" + s[at:]
		case 1:
			return random(1+r.IntN(9)) + s
		case 2:
			return s + random(1+r.IntN(9))
		case 3:
			return s[:at]
		case 4:
			return s[at:]
		}
		return s[:at] + random(1) + s[min(at+1, len(s)):]
	}
	var result Result
	held := 0
	for range 1000 {
		s := near(constants[r.IntN(len(constants))])
		if r.IntN(3) == 0 {
			s = strings.ToUpper(s)
		}
		pid := r.IntN(2)
		process := map[string]any{"pid": pid, "cmdline": s, "executable": map[string]any{"name": "near.exe"}}
		document, err := json.Marshal(map[string]any{"evt": map[string]any{"name": "exec"}, "process": process})
		if err != nil {
			t.Fatal(err)
		}
		set.Match(decode(t, string(document)), &result)
		for i, x := range rules {
			got := slices.Contains(result.Live, i)
			if want := x.holds(s); got != want {
				t.Fatalf("%s on the command line %q: %v, want %v", x.expression, s, got, want)
			}
			if got {
				held++
			}
		}
	}
	if held < 2000 {
		t.Errorf("only %d conditions held", held)
	}
}
