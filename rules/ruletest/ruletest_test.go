package ruletest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"spoor/pipeline"
	"spoor/rules"
	"spoor/rules/policy"
	"spoor/rules/ruletest"
)

const head = `name: p
rules:
  - id: shell
    expression: evt.name == "exec" and process.executable.name == "cmd.exe"
    exceptions:
      - name: by_patcher
        expression: process.parent.executable.name == "patch.exe"
  - id: child_of_word
    mode: shadow
    expression: evt.name == "exec" and process.parent.executable.name == "winword.exe"
  - id: off
    disabled: true
    expression: evt.name == "exec"
`

func run(t *testing.T, files map[string]string) []ruletest.Outcome {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	p, faults := policy.LoadFS(fsys)
	if p == nil {
		t.Fatalf("policy: %v", faults)
	}
	set, faults := rules.Compile(p)
	if set == nil {
		t.Fatalf("policy: %v", faults)
	}
	return ruletest.Run(set, pipeline.DefaultConfig())
}

func failures(o ruletest.Outcome) (lines []string) {
	for _, f := range o.Failures {
		lines = append(lines, fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Col, f.Message))
	}
	return lines
}

func TestRun(t *testing.T) {
	cases := []struct {
		name string
		test string // the entry of tests; its first line is line 15
		want []string
	}{
		{"as expected", `
  - name: t
    events:
      - {evt.name: exec, process.pid: 1, process.executable.path: 'C:\winword.exe'}
      - {evt.name: exec, process.pid: 2, process.ppid: 1, process.executable.path: 'C:\cmd.exe'}
      - {evt.name: exit, process.pid: 2}
    expect: {shell: [1], child_of_word: [1]}
`, nil},
		{"a match that is not expected, of a shadow rule too", `
  - name: t
    events:
      - {evt.name: exec, process.pid: 1, process.executable.path: 'C:\winword.exe'}
      - {evt.name: exec, process.pid: 2, process.ppid: 1, process.executable.path: 'C:\cmd.exe'}
    expect: {}
`, []string{
			`p.yaml:18:9: rule "shell" matches event 1 and should not`,
			`p.yaml:18:9: rule "child_of_word" matches event 1 and should not`,
		}},
		{"a match that does not come", `
  - name: t
    events:
      - {evt.name: exec, process.pid: 1, process.executable.path: 'C:\calc.exe'}
      - {evt.name: exec, process.pid: 2, process.executable.path: 'C:\cmd.exe'}
    expect: {shell: [0, 1]}
`, []string{`p.yaml:19:14: rule "shell" should match event 0 and does not`}},
		{"an exception", `
  - name: t
    events:
      - {evt.name: exec, process.pid: 1, process.executable.path: 'C:\patch.exe'}
      - {evt.name: exec, process.pid: 2, process.ppid: 1, process.executable.path: 'C:\cmd.exe'}
    expect_exception: {shell: by_patcher}
`, nil},
		{"an exception that took a match", `
  - name: t
    events:
      - {evt.name: exec, process.pid: 1, process.executable.path: 'C:\patch.exe'}
      - {evt.name: exec, process.pid: 2, process.ppid: 1, process.executable.path: 'C:\cmd.exe'}
    expect: {shell: [1]}
`, []string{`p.yaml:19:14: rule "shell" should match event 1, but its exception "by_patcher" holds`}},
		{"an exception that does not come", `
  - name: t
    events:
      - {evt.name: exec, process.pid: 2, process.executable.path: 'C:\cmd.exe'}
    expect: {shell: [0]}
    expect_exception: {shell: by_patcher}
`, []string{`p.yaml:19:31: exception "by_patcher" of rule "shell" decides on no event of the test`}},
		{"hosts are apart", `
  - name: t
    events:
      - {evt.name: exec, process.pid: 1, process.executable.path: 'C:\winword.exe'}
      - {host: other, evt.name: exec, process.pid: 2, process.ppid: 1, process.executable.path: 'C:\x.exe'}
      - {evt.name: exec, process.pid: 2, process.ppid: 1, process.executable.path: 'C:\x.exe'}
    expect: {child_of_word: [2]}
`, nil},
		{"time passes", `
  - name: t
    events:
      - {evt.name: exec, process.pid: 1, process.executable.path: 'C:\winword.exe'}
      - {evt.name: exit, process.pid: 1}
      - {after: 2h, evt.name: exec, process.pid: 2, process.ppid: 1, process.executable.path: 'C:\x.exe'}
    expect: {}
`, nil},
		{"a rule that is disabled is not held against a test", `
  - name: t
    events:
      - {evt.name: exec, process.pid: 1, process.executable.path: 'C:\x.exe'}
    expect: {off: [0]}
`, nil},
		{"an event that no pipeline takes", `
  - name: t
    events:
      - {evt.name: exec, date: yesterday}
    expect: {}
`, []string{`p.yaml:17:9: event 0 is rejected: bad_date: `}},
		{"a field that events do not have", `
  - name: t
    events:
      - {evt.name: exec, process.cmdlnie: x}
    expect: {}
`, []string{`p.yaml:17:9: event 0 is rejected: unknown_field: `}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			outcomes := run(t, map[string]string{"p.yaml": head + "tests:" + c.test})
			if len(outcomes) != 1 {
				t.Fatalf("%d outcomes", len(outcomes))
			}
			o := outcomes[0]
			if o.Policy != "p" || o.Name != "t" || o.File != "p.yaml" || o.Line != 15 || o.Col != 11 {
				t.Errorf("outcome of %+v", o)
			}
			got := failures(o)
			if len(got) != len(c.want) {
				t.Fatalf("failures\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			for i := range got {
				if !strings.HasPrefix(got[i], c.want[i]) {
					t.Errorf("failure %s\nwant    %s", got[i], c.want[i])
				}
			}
		})
	}
}

// Rules of other policies may match what they like.
func TestOtherPolicies(t *testing.T) {
	outcomes := run(t, map[string]string{
		"a.yaml": "name: a\nrules:\n  - id: any\n    expression: evt.name == \"exec\"\n",
		"p.yaml": head + "tests:\n  - name: t\n    events:\n      - {evt.name: exec, process.pid: 1, process.executable.path: 'C:\\cmd.exe'}\n    expect: {shell: [0]}\n",
	})
	if len(outcomes) != 1 || len(outcomes[0].Failures) != 0 {
		t.Errorf("outcomes %+v", outcomes)
	}
}

// Each test starts knowing nothing of the one before.
func TestTestsAreApart(t *testing.T) {
	test := `
  - name: t
    events:
      - {evt.name: exec, process.pid: 1, process.executable.path: 'C:\winword.exe'}
  - name: u
    events:
      - {evt.name: exec, process.pid: 2, process.ppid: 1, process.executable.path: 'C:\x.exe'}
`
	for _, o := range run(t, map[string]string{"p.yaml": head + "tests:" + test}) {
		if len(o.Failures) != 0 {
			t.Errorf("%s: %q", o.Name, failures(o))
		}
	}
}
