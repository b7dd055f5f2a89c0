package rules

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"spoor/pipeline/event"
	"spoor/rules/policy"
)

// compileText compiles policies given as file name, text, file name, text ...
func compileText(t testing.TB, files ...string) (*Set, policy.Diagnostics) {
	t.Helper()
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	loaded, ds := policy.LoadFS(fsys)
	if loaded == nil {
		return nil, ds
	}
	set, more := Compile(loaded)
	return set, append(ds, more...).Sort()
}

// mustCompile is compileText for policies without errors.
func mustCompile(t testing.TB, files ...string) *Set {
	t.Helper()
	set, ds := compileText(t, files...)
	if set == nil {
		t.Fatal(ds.Err())
	}
	return set
}

func ids(s *Set, indexes []int) string {
	var out []string
	for _, i := range indexes {
		out = append(out, s.Rules()[i].ID)
	}
	return strings.Join(out, " ")
}

func TestMatchOrder(t *testing.T) {
	set := mustCompile(t, "b.yaml", `
defaults: {severity: low}
rules:
  - {id: b_low, expression: 'evt.name == "exec"'}
  - {id: b_high, severity: high, expression: 'evt.name == "exec"'}
  - {id: b_shadow, severity: critical, mode: shadow, expression: 'evt.name == "exec"'}
  - {id: b_first, severity: high, priority: 3, expression: 'evt.name == "exec"'}
  - {id: b_off, disabled: true, expression: 'evt.name == "exec"'}
  - {id: b_other, severity: critical, expression: 'evt.name == "exit"'}
`, "a.yaml", `
rules:
  - {id: a_high, severity: high, expression: 'evt.name == "exec"'}
  - {id: a_shadow, severity: high, mode: shadow, expression: 'evt.name == "exec"'}
`)
	var r Result
	set.Match(decode(t, `{"evt":{"name":"exec"}}`), &r)
	if got, want := ids(set, r.Live), "b_first a_high b_high b_low"; got != want {
		t.Errorf("live %s, want %s", got, want)
	}
	if got, want := ids(set, r.Shadow), "b_shadow a_shadow"; got != want {
		t.Errorf("shadow %s, want %s", got, want)
	}
	set.Match(decode(t, `{"evt":{"name":"delete"}}`), &r)
	if len(r.Live)+len(r.Shadow) > 0 {
		t.Errorf("an event that no rule names matches %s", ids(set, r.Live))
	}
}

func TestExceptions(t *testing.T) {
	set := mustCompile(t, "a.yaml", `
rules:
  - id: rule
    expression: evt.name == "exec"
    exceptions:
      - {name: never, expression: 'process.pid == 1'}
      - {name: first, expression: 'process.pid > 5'}
      - {name: second, expression: 'process.pid > 4'}
`)
	var r Result
	for _, c := range []struct {
		event, live string
		exceptions  []ExceptionHit
	}{
		{`{"evt":{"name":"exec"},"process":{"pid":4}}`, "rule", nil},
		{`{"evt":{"name":"exec"},"process":{"pid":5}}`, "", []ExceptionHit{{0, 2}}},
		{`{"evt":{"name":"exec"},"process":{"pid":6}}`, "", []ExceptionHit{{0, 1}}},
		{`{"evt":{"name":"exit"},"process":{"pid":6}}`, "", nil},
	} {
		set.Match(decode(t, c.event), &r)
		if ids(set, r.Live) != c.live || !slices.Equal(r.Exceptions, c.exceptions) {
			t.Errorf("%s: %s %v, want %s %v", c.event, ids(set, r.Live), r.Exceptions, c.live, c.exceptions)
		}
	}
}

func TestEvents(t *testing.T) {
	for expression, want := range map[string]string{
		`evt.name == "exec"`:                                                             "exec",
		`evt.name == "create_file"`:                                                      "create",
		`evt.name in ["exec", "EXIT"]`:                                                   "exec exit",
		`evt.name == "exec" and process.pid == 1`:                                        "exec",
		`evt.name == "exec" or process.pid == 1`:                                         "",
		`evt.name == "exec" and (evt.name == "exit" or process.pid == 1)`:                "exec",
		`(evt.name == "exec" or evt.name == "exit") and evt.name != "exit"`:              "exec",
		`evt.name != "exec"`:                                                             "",
		`not (evt.name != "exec")`:                                                       "exec",
		`not (evt.name == "exec" and process.pid == 1) and evt.name in ["exec", "exit"]`: "exec exit",
		`not (evt.name != "exec" or process.pid == 1)`:                                   "exec",
		`process.pid == 1 ? evt.name == "exec" : evt.name == "exit"`:                     "exec exit",
		`evt.name == "exec" ? process.pid == 1 : evt.name == "exit"`:                     "exec exit",
		`exact(evt.name) == "exec"`:                                                      "exec",
		`not (exact(evt.name) != "exec")`:                                                "exec",
		`evt.name in ["exec", "exit"] and not (exact(evt.name) == "exec")`:               "exec exit",
		`"exec" == evt.name and process.pid == 1`:                                        "exec",
		`"exec" != evt.name and evt.name in ["exec", "exit"]`:                            "exit",
		`evt.name startsWith "ex"`:                                                       "",
		`any(["exec", "exit"], evt.name == #)`:                                           "exec exit",
		`any(process.ancestors, evt.name == "exec")`:                                     "",
		`evt.name == "exec" and none(process.ancestors, evt.name == "exit")`:             "exec",
	} {
		set := mustCompile(t, "a.yaml", "rules:\n  - id: a\n    expression: |\n      "+expression+"\n")
		if got := strings.Join(set.Rules()[0].Events, " "); got != want {
			t.Errorf("%s: events %q, want %q", expression, got, want)
		}
	}
}

const richEvent = `{"evt":{"name":"exec","variables":{"tags":["One","TWO"]}},"date":"2026-01-01T00:00:10Z","process":{"pid":110,"ppid":1000,"cmdline":"CMD.exe /c whoami","user":"CORP\\Alice","variables":{"ticket":"INC-42"},
"executable":{"path":"C:\\Windows\\System32\\cmd.exe","name":"cmd.exe"},"parent":{"pid":1000,"executable":{"path":"C:\\Office\\WINWORD.EXE","name":"WINWORD.EXE"}},
"ancestors":[{"pid":1000,"ppid":400,"cmdline":"winword /n","executable":{"path":"C:\\Office\\WINWORD.EXE"}},{"pid":400,"executable":{"path":"C:\\Windows\\explorer.exe"}}]},
"registry":{"key_path":"\\REGISTRY\\USER\\S-1\\Software\\Run","value_name":"x"}}`

// TestAllocations holds that a rule that does not match costs no allocation, whatever it asks.
func TestAllocations(t *testing.T) {
	conditions := []string{
		`process.executable.name == "p%d.exe"`,
		`process.cmdline contains "P%d" or process.cmdline matches "x%d.*y"`,
		`process.executable.path endsWith process.parent.executable.name and process.pid == %d`,
		`glob(process.executable.path, ["C:\\a%d\\**"]) or like(process.cmdline, "a%d*")`,
		`any(process.ancestors, .executable.name == "a%d.exe" or .cmdline contains "z%d")`,
		`none(process.ancestors, .pid > 3 or .executable.name == "%d")`,
		`count(process.ancestors, .pid == %d) > 1`,
		`process.pid > 100000%d or len(process.cmdline) > 20000 or len(process.ancestors) > 100`,
		`registry.key_path startsWith "HKCU\\Software\\%d" or registry.target == "HKLM\\%d"`,
		`time - process.exec_time > duration("%dh") or process.exit_time > time`,
		`process.ancestors[1].executable.name == "x%d" or last(process.ancestors).pid == %d`,
		`basename(process.executable.path) in ["%d.exe", "b.exe"]`,
		`exact(process.cmdline) contains "%d" or process.user in ["a%d", "b"]`,
		`(process.pid == %d) == (process.ppid == 1000)`,
		`len(filter(process.ancestors, .pid == %d)) > 0 or first(filter(process.ancestors, .pid == %d)).cmdline != ""`,
		`ticket == "x%d" or any(tags, # == "y%d") or "z%d" in tags`,
	}
	build := func(n int) *Set {
		var b strings.Builder
		b.WriteString("variables: {ticket: {scope: process, type: string}, tags: {scope: event, type: [string]}}\nrules:\n")
		for i := range n {
			for k, c := range conditions {
				fmt.Fprintf(&b, "  - id: r%d_%d\n    expression: |\n      evt.name == \"exec\" and (%s)\n", k, i, strings.ReplaceAll(c, "%d", fmt.Sprint(7000+i)))
			}
		}
		return mustCompile(t, "a.yaml", b.String())
	}
	e := decode(t, richEvent)
	measure := func(s *Set) float64 {
		var r Result
		s.Match(e, &r)
		if len(r.Live) > 0 || len(r.OverBudget) > 0 {
			t.Fatalf("match %s, over budget %v", ids(s, r.Live), r.OverBudget)
		}
		return testing.AllocsPerRun(50, func() { s.Match(e, &r) })
	}
	few, many := measure(build(1)), measure(build(20))
	t.Logf("%v allocations for %d rules, %v for %d", few, len(conditions), many, 20*len(conditions))
	if many > few {
		t.Errorf("allocations grow with the rules that do not match: %v, then %v", few, many)
	}
}

func TestConcurrentMatch(t *testing.T) {
	names, cases := readSemantics(t)
	set := mustCompile(t, "a.yaml", names+`rules:
  - {id: a, expression: 'evt.name == "exec" and is_shell(process) and any(process.ancestors, .pid == 4) and process.ancestors[9].cmdline == ""'}
  - {id: b, expression: 'registry.key_path startsWith "HKCU\\Software" or any(tags, # startsWith "o")'}
`)
	want := make([]string, len(cases))
	var r Result
	for i, c := range cases {
		set.Match(c.event, &r)
		want[i] = ids(set, r.Live)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var r Result
			for i, c := range cases {
				set.Match(c.event, &r)
				if got := ids(set, r.Live); got != want[i] {
					t.Errorf("case %d: %q, want %q", i, got, want[i])
				}
				if _, err := set.Explain(c.event, "a"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// TestResultKeepsNothing holds that a Result does not answer from the event before.
func TestResultKeepsNothing(t *testing.T) {
	set := mustCompile(t, "a.yaml", `
variables: {v: {scope: event, type: string}}
rules:
  - {id: seen, expression: 'file.path == "a" or process.cmdline == "a" or process.parent.cmdline == "a" or v == "a" or any(process.ancestors, .cmdline == "a") or registry.key_path startsWith "HKCU"'}
`)
	var r Result
	for _, e := range []string{
		`{"file":{"path":"a"}}`, `{"process":{"cmdline":"A"}}`, `{"process":{"parent":{"cmdline":"A"}}}`,
		`{"evt":{"variables":{"v":"A"}}}`, `{"process":{"ancestors":[{"cmdline":"A"}]}}`, `{"registry":{"key_path":"HKU\\x\\y"}}`,
	} {
		set.Match(decode(t, e), &r)
		if len(r.Live) != 1 {
			t.Errorf("%s does not match", e)
		}
		set.Match(new(event.Event), &r)
		if len(r.Live) != 0 {
			t.Errorf("the empty event after %s matches", e)
		}
	}
}

// TestContradictingNames holds that a rule which no event's name can fulfil is evaluated for none.
func TestContradictingNames(t *testing.T) {
	set := mustCompile(t, "a.yaml", `
rules:
  - {id: never, expression: 'evt.name == "exec" and evt.name == "exit"'}
  - {id: nothing, expression: 'evt.name in []'}
  - {id: always, expression: 'process.pid == 0'}
  - {id: one, expression: 'evt.name == "exec" and (evt.name == "exit" or process.pid == 0)'}
`)
	for i, r := range set.Rules() {
		want := map[string]string{"never": "none", "nothing": "none", "always": "every", "one": "exec"}[r.ID]
		got := strings.Join(r.Events, " ")
		switch {
		case r.Events == nil:
			got = "every"
		case len(r.Events) == 0:
			got = "none"
		}
		if got != want {
			t.Errorf("%s can match %s, want %s", r.ID, got, want)
		}
		for name, rules := range set.byName {
			for _, j := range rules {
				if i == j && want == "none" {
					t.Errorf("%s is evaluated for %s", r.ID, name)
				}
			}
		}
		for _, j := range set.every {
			if i == j && want != "every" {
				t.Errorf("%s is evaluated for every name", r.ID)
			}
		}
	}
}
