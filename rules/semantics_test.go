package rules

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"spoor/pipeline/event"
)

// semanticCase is a line of testdata/semantics.txt.
type semanticCase struct {
	line       int
	expression string
	want       bool
	event      *event.Event
}

// readSemantics reads the table and the policy text that its names need.
func readSemantics(t testing.TB) (names string, cases []semanticCase) {
	t.Helper()
	text, err := os.ReadFile("testdata/semantics.txt")
	if err != nil {
		t.Fatal(err)
	}
	var lists, macros, variables strings.Builder
	var current *event.Event
	host := ""
	for i, line := range strings.Split(string(text), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		name, value, _ := strings.Cut(rest, ":")
		value = strings.TrimSpace(value)
		switch {
		case line == "" || word == "#":
		case word == "host":
			host = rest
		case word == "list":
			fmt.Fprintf(&lists, "  %s: [%s]\n", name, value)
		case word == "variable":
			f := append(strings.Fields(value), "")
			fmt.Fprintf(&variables, "  %s: {scope: %s, type: %s", name, f[0], f[1])
			if f[2] != "" {
				fmt.Fprintf(&variables, ", default: %s", f[2])
			}
			variables.WriteString("}\n")
		case word == "macro":
			id, params, has := strings.Cut(strings.TrimSuffix(name, ")"), "(")
			fmt.Fprintf(&macros, "  - id: %s\n", id)
			if has {
				fmt.Fprintf(&macros, "    params: [%s]\n", params)
			}
			fmt.Fprintf(&macros, "    expression: |\n      %s\n", value)
		case strings.HasPrefix(line, "{"):
			current = decode(t, line)
			current.Meta.Host, current.Meta.HasHost = host, host != ""
			host = ""
		case word == "true" || word == "false":
			cases = append(cases, semanticCase{i + 1, rest, word == "true", current})
		default:
			t.Fatalf("testdata/semantics.txt:%d: %q", i+1, line)
		}
	}
	return "lists:\n" + lists.String() + "macros:\n" + macros.String() + "variables:\n" + variables.String(), cases
}

func decode(t testing.TB, line string) *event.Event {
	t.Helper()
	e := new(event.Event)
	if err := event.NewDecoder(event.DecoderConfig{}).Decode([]byte(line), e); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return e
}

func TestSemantics(t *testing.T) {
	names, cases := readSemantics(t)
	var policy strings.Builder
	policy.WriteString(names + "rules:\n")
	for _, c := range cases {
		fmt.Fprintf(&policy, "  - id: line%d\n    expression: |\n      %s\n", c.line, c.expression)
	}
	set, ds := compileText(t, "a.yaml", policy.String())
	if set == nil {
		t.Fatal(ds.Err())
	}
	var r Result
	for _, c := range cases {
		set.Match(c.event, &r)
		got := false
		for _, i := range r.Live {
			got = got || set.Rules()[i].ID == fmt.Sprintf("line%d", c.line)
		}
		if got != c.want {
			t.Errorf("testdata/semantics.txt:%d: %s is %v, want %v", c.line, c.expression, got, c.want)
		}
		x, err := set.Explain(c.event, fmt.Sprintf("line%d", c.line))
		if err != nil || x.Condition.Holds != c.want || (x.Verdict == VerdictMatch) != c.want {
			t.Errorf("testdata/semantics.txt:%d: %s is explained as %v (%v), want %v", c.line, c.expression, x, err, c.want)
		}
		if r.machine.fault != nil {
			t.Fatalf("testdata/semantics.txt:%d: %v", c.line, r.machine.fault)
		}
		if len(r.OverBudget) > 0 {
			t.Errorf("testdata/semantics.txt:%d: over budget: %v", c.line, r.OverBudget)
		}
	}
}
