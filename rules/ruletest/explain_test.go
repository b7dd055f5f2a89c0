package ruletest_test

import (
	"strings"
	"testing"
)

// A failure explains itself: the term that decided, with the value it saw, and not those that did not.
func TestExplanation(t *testing.T) {
	outcomes := run(t, map[string]string{"p.yaml": head + `tests:
  - name: t
    events:
      - {evt.name: exec, process.pid: 1, process.executable.path: 'C:\Calc.exe'}
    expect: {shell: [0]}
`})
	got := outcomes[0].Failures[0].Explanation
	for _, want := range []string{"no match", `process.executable.name == "cmd.exe"`, `"Calc.exe"`} {
		if !strings.Contains(got, want) {
			t.Errorf("the explanation lacks %s:\n%s", want, got)
		}
	}
	for _, not := range []string{`evt.name = "exec"`, "by_patcher"} {
		if strings.Contains(got, not) {
			t.Errorf("the explanation has %s, which decided nothing:\n%s", not, got)
		}
	}
}
