package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"spoor/pipeline/file"
	"spoor/pipeline/pipelinetest"
)

// call runs the engine in a folder of the test and returns what it says.
func call(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	code = a.run(ctx, args)
	return code, out.String(), errs.String()
}

// in makes files in a new folder and works there.
func in(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const officePolicy = `name: office
version: "1.4"
rules:
  - id: office_spawns_shell
    title: Office application started a shell
    expression: |
      evt.name == "exec" and process.executable.name in ["cmd.exe", "powershell.exe"]
        and process.parent.executable.name == "winword.exe"
    severity: high
tests:
  - name: Word starts cmd
    events:
      - {evt.name: exec, process.pid: 10, process.ppid: 4, process.executable.path: 'C:\Office\WINWORD.EXE'}
      - {evt.name: exec, process.pid: 11, process.ppid: 10, process.executable.path: 'C:\Windows\System32\cmd.exe'}
    expect: {office_spawns_shell: [1]}
`

const officeTraffic = `{"key":"ws1","ts":"2026-01-01T08:00:00Z","value":{"evt":{"name":"exec"},"date":"2026-01-01T08:00:00Z","process":{"pid":10,"ppid":4,"executable":{"path":"C:\\Office\\WINWORD.EXE"}}}}
{"key":"ws1","ts":"2026-01-01T08:00:01Z","value":{"evt":{"name":"exec"},"date":"2026-01-01T08:00:01Z","process":{"pid":11,"ppid":10,"executable":{"path":"C:\\Windows\\System32\\cmd.exe"}}}}
{"key":"ws1","ts":"2026-01-01T08:00:02Z","value":{"evt":{"name":"exit"},"date":"2026-01-01T08:00:02Z","process":{"pid":"eleven"}}}
`

func TestCheck(t *testing.T) {
	in(t, map[string]string{"good/a.yaml": officePolicy, "bad/b.yaml": `name: b
rules:
  - id: one
    expression: |
      evt.name == "exec" and proces.pid > 3
      or process.cmdlin contains "x"
  - id: one
    severety: high
    expression: evt.name ==
`})
	if code, out, errs := call(t, "", "check", "good"); code != 0 || out != "" || errs != "1 rules, 1 tests, 0 warnings\n" {
		t.Errorf("check of a good policy: %d\n%s%s", code, out, errs)
	}
	code, out, _ := call(t, "", "check", "bad")
	if code != exitFailed {
		t.Errorf("check of a bad policy exits with %d", code)
	}
	for _, want := range []string{"bad/b.yaml:7:9: error: ", "bad/b.yaml:8:5: error: "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	code, out, _ = call(t, "", "check", "--json", "bad")
	var faults []struct {
		File, Severity, Code string
		Line                 int
	}
	if err := json.Unmarshal([]byte(out), &faults); err != nil || code != exitFailed || len(faults) < 2 || faults[0].File != "bad/b.yaml" {
		t.Errorf("check --json: %d, %v\n%s", code, err, out)
	}
}

// Faults of structure and of expressions come in one run, each at its own line and column.
func TestCheckEveryFaultAtOnce(t *testing.T) {
	in(t, map[string]string{"p.yaml": `name: p
rules:
  - id: one
    expression: |
      evt.name == "exec"
        and proces.pid > 3
        and process.cmdlin contains "x"
    severety: high
`})
	_, out, _ := call(t, "", "check", "p.yaml")
	for _, want := range []string{"p.yaml:6:13: error: ", "p.yaml:7:", "p.yaml:8:5: error: "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestTest(t *testing.T) {
	in(t, map[string]string{"good.yaml": officePolicy,
		"bad.yaml": strings.Replace(officePolicy, "expect: {office_spawns_shell: [1]}", "expect: {office_spawns_shell: [0]}", 1)})
	if code, out, errs := call(t, "", "test", "good.yaml"); code != 0 || out != "1 passed, 0 failed\n" {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	code, out, _ := call(t, "", "test", "bad.yaml")
	if code != exitFailed || !strings.Contains(out, "FAIL  office: Word starts cmd (bad.yaml:") || !strings.HasSuffix(out, "0 passed, 1 failed\n") {
		t.Errorf("%d\n%s", code, out)
	}
	if !strings.Contains(out, "WINWORD.EXE") {
		t.Errorf("no value explains the failure:\n%s", out)
	}
}

func TestReplay(t *testing.T) {
	in(t, map[string]string{"p.yaml": officePolicy, "day.ndjson": officeTraffic + "{broken\n"})
	code, out, errs := call(t, "", "replay", "-p", "p.yaml", "--rejects", "rejects.ndjson", "--summary", "summary.json", "day.ndjson")
	if code != 0 || strings.Count(out, "\n") != 1 {
		t.Fatalf("%d\n%s%s", code, out, errs)
	}
	pipelinetest.ValidateSignal(t, []byte(strings.TrimSuffix(out, "\n")))
	if !strings.Contains(errs, "day.ndjson:4: ") {
		t.Errorf("the broken line is not named:\n%s", errs)
	}
	rejects, _ := os.ReadFile("rejects.ndjson")
	if strings.Count(string(rejects), "\n") != 2 {
		t.Errorf("rejects:\n%s", rejects)
	}
	var s Summary
	b, _ := os.ReadFile("summary.json")
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if s.Events != 4 || s.Rejected != 2 || s.Signals != 1 || s.RuleMatches["office_spawns_shell"] != 1 || s.Lineage.Hit != 1 || s.Lineage.Unknown != 1 {
		t.Errorf("summary %+v", s)
	}
	// The same from standard input, and compressed out and in again.
	_, again, _ := call(t, officeTraffic, "replay", "-p", "p.yaml", "-")
	if again != strings.ReplaceAll(out, "day/", "stdin/") {
		t.Errorf("from standard input\n%snot\n%s", again, out)
	}
	code, _, errs = call(t, officeTraffic, "replay", "-p", "p.yaml", "--format", "record", "-o", "s.ndjson.zst", "-")
	if code != 0 {
		t.Fatal(errs)
	}
	r, err := file.Open([]string{"s.ndjson.zst"}, file.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	line, err := r.Next()
	if err != nil || string(line.Key) != "ws1" || string(line.Value)+"\n" != again {
		t.Errorf("as a record: %v %+v", err, line)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("more than one signal: %v", err)
	}
}

func TestExplain(t *testing.T) {
	in(t, map[string]string{"p.yaml": officePolicy, "day.ndjson": officeTraffic, "one.json": `{"evt":{"name":"exec"},"process":{"executable":{"path":"C:\\x\\calc.exe"}}}`})
	code, out, errs := call(t, "", "explain", "-p", "p.yaml", "--rule", "office_spawns_shell", "--event", "day.ndjson", "--record", "2")
	if code != 0 || !strings.Contains(out, "WINWORD.EXE") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	code, out, errs = call(t, "", "explain", "-p", "p.yaml", "--rule", "office_spawns_shell", "--event", "one.json")
	if code != 0 || !strings.Contains(out, "calc.exe") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	f := func(want string, args ...string) {
		t.Helper()
		code, _, errs := call(t, "", append([]string{"explain", "-p", "p.yaml"}, args...)...)
		if code == 0 || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	f("no_such", "--rule", "no_such", "--event", "one.json")
	f(`did you mean "office_spawns_shell"?`, "--rule", "office_spawn_shell", "--event", "one.json")
	f("holds 3 records, not 9", "--rule", "office_spawns_shell", "--event", "day.ndjson", "--record", "9")
	f("record 3 of day.ndjson was rejected: wrong_type: process.pid: ", "--rule", "office_spawns_shell", "--event", "day.ndjson")
	f("nowhere.json", "--rule", "office_spawns_shell", "--event", "nowhere.json")
}

func TestDiff(t *testing.T) {
	in(t, map[string]string{"old.yaml": officePolicy, "day.ndjson": officeTraffic,
		"new.yaml": strings.Replace(officePolicy, `"powershell.exe"]`, `"powershell.exe"]
        and process.cmdline contains "/c"`, 1)})
	code, out, errs := call(t, "", "diff", "--old", "old.yaml", "--new", "new.yaml", "day.ndjson")
	if code != 0 || !strings.Contains(out, "-day/0/1") || !strings.Contains(out, "+0") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	code, out, _ = call(t, "", "diff", "--old", "old.yaml", "--new", "old.yaml", "day.ndjson")
	if code != 0 || out != "no match is added or removed in 3 events\n" {
		t.Errorf("%d\n%s", code, out)
	}
}

func TestSchemas(t *testing.T) {
	for _, kind := range []string{"event", "signal", "policy", "config"} {
		code, out, errs := call(t, "", "schema", kind)
		if code != 0 || !json.Valid([]byte(out)) {
			t.Errorf("schema %s: %d %s", kind, code, errs)
		}
	}
}

// A wrong call says what is wrong and exits with 2; every command has an example.
func TestUsage(t *testing.T) {
	f := func(args ...string) {
		t.Helper()
		if code, _, errs := call(t, "", args...); code != exitUsage || !strings.Contains(errs, "--help") {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	f("check")
	f("schema", "nothing")
	f("replay", "--format", "csv", "x")
	f("diff", "x", "--colour")
	f("version", "now")
	f("explain")
	f("frobnicate")
	g := func(want string, args ...string) {
		t.Helper()
		if code, _, errs := call(t, "", args...); code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: %d, no %q in %s", args, code, want, errs)
		}
	}
	g(`there is no command "replya"; did you mean "replay"?`, "replya", "x")
	g(`there is no command "sigm"; did you mean "sigma"?`, "import", "sigm")
	g("FILE is needed", "replay")
	g("one of event, signal, policy, config", "schema", "events")
	g(`unexpected argument "now"`, "version", "now")
	_, flag, _ := call(t, "", "--version")
	if _, command, _ := call(t, "", "version"); flag != command {
		t.Errorf("--version says %q, version %q", flag, command)
	}
	a := &app{}
	for _, c := range a.rootCommand().Commands() {
		if c.Example == "" && !slices.Contains([]string{"help", "completion"}, c.Name()) {
			t.Errorf("%s has no example", c.Name())
		}
	}
}

func TestDemo(t *testing.T) {
	start := time.Now()
	code, out, errs := call(t, "", "demo")
	if code != 0 || errs != "" {
		t.Fatalf("%d %s", code, errs)
	}
	for _, want := range []string{"office_spawns_interpreter", "WINWORD.EXE > powershell.exe", "lineage: ", "p99 ", "What next?", ", 0 rejects"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	t.Logf("took %s", time.Since(start).Round(time.Millisecond))
}

// A definition that could not be read makes no second fault where it is used.
func TestCheckNoKnockOn(t *testing.T) {
	in(t, map[string]string{"p.yaml": `name: p
lists:
  apps: [a.exe, 5, {b: c}]
macros:
  - id: is_app
    parms: [p]
    expression: p.executable.name in apps
rules:
  - id: one
    expression: |
      evt.name == "exec" and is_app(process) and process.executable.name in apps
`})
	_, out, _ := call(t, "", "check", "p.yaml")
	if strings.Contains(out, "p.yaml:7:") || strings.Contains(out, "p.yaml:11:") || strings.Count(out, "error: ") != 3 {
		t.Errorf("knock-on faults:\n%s", out)
	}
}

// A broken file hides what it may define itself and no fault of another file.
func TestCheckBesideBrokenFile(t *testing.T) {
	in(t, map[string]string{
		"p/broken.yaml": "shared:\n  lists:\n    known: [a.exe]\n  macros:\n    - {id: is_known, expression: 'evt.name == \"exec\"'}\nrules: [\n",
		"p/other.yaml":  "rules:\n  - id: one\n    expression: |\n      is_known and process.executable.name in known and process.user in zork\n",
	})
	_, out, _ := call(t, "", "check", "p")
	if !strings.Contains(out, "p/other.yaml:4:73: error: unknown name `zork`") || strings.Count(out, "error: ") != 2 {
		t.Errorf("got:\n%s", out)
	}
}

// A replay never overwrites what it reads, and makes no output when an input is missing.
func TestReplayOutputsApart(t *testing.T) {
	in(t, map[string]string{"p.yaml": officePolicy, "day.ndjson": officeTraffic, "old.ndjson": "kept\n"})
	f := func(want string, args ...string) {
		t.Helper()
		code, _, errs := call(t, "", append([]string{"replay", "-p", "p.yaml"}, args...)...)
		if code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%v: %d %s", args, code, errs)
		}
	}
	f("day.ndjson is read", "day.ndjson", "-o", "./day.ndjson")
	f("day.ndjson is read", "day.ndjson", "--summary", "day.ndjson")
	f("two outputs", "day.ndjson", "-o", "x", "--rejects", "./x")
	f("no such file", "gone.ndjson", "-o", "old.ndjson")
	for name, want := range map[string]string{"day.ndjson": officeTraffic, "old.ndjson": "kept\n"} {
		if got, _ := os.ReadFile(name); string(got) != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	if code, _, errs := call(t, "", "replay", "-p", "p.yaml", "day.ndjson", "-o", os.DevNull, "--rejects", os.DevNull); code != 0 {
		t.Error(errs)
	}
}

// An event may stand over several lines, as jq and editors print it, in a file or a pipe; only that record decides
// and what comes behind it is not read.
func TestExplainEventForms(t *testing.T) {
	const pretty = "{\n  \"evt\": {\"name\": \"exec\"},\n  \"process\": {\"executable\": {\"path\": \"C:\\\\x\\\\calc.exe\"}}\n}\n"
	in(t, map[string]string{"p.yaml": officePolicy, "event.json": pretty, "bom.json": "\ufeff" + strings.ReplaceAll(pretty, "\n", "\r\n"),
		"day.ndjson": officeTraffic + "{broken\n"})
	f := func(stdin, want string, args ...string) {
		t.Helper()
		code, out, errs := call(t, stdin, append([]string{"explain", "-p", "p.yaml", "-r", "office_spawns_shell", "-e"}, args...)...)
		if code != 0 || errs != "" || !strings.Contains(out, want) {
			t.Errorf("%v: %d, no %q in\n%s%s", args, code, want, out, errs)
		}
	}
	f("", "calc.exe", "event.json")
	f("", "calc.exe", "bom.json")
	f(pretty, "calc.exe", "-")
	f(officeTraffic, "WINWORD.EXE", "-", "--record", "2")
	f("", "WINWORD.EXE", "day.ndjson", "--record", "2")
}

// What is missing of a damaged file makes a command fail after it has done what it could; a file of another
// format does not fill the screen.
func TestDamagedTraffic(t *testing.T) {
	in(t, map[string]string{"p.yaml": officePolicy, "other.csv": strings.Repeat("1,2\n", 1000), "empty.ndjson": ""})
	w, err := file.CreateText("whole.ndjson.gz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, officeTraffic); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile("whole.ndjson.gz")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("cut.ndjson.gz", whole[:len(whole)-4], 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(code int, stdout, stderr string, args ...string) {
		t.Helper()
		got, out, errs := call(t, "", args...)
		if got != code || !strings.Contains(out, stdout) || !strings.Contains(errs, stderr) {
			t.Errorf("%v: %d\n%s%s", args, got, out, errs)
		}
		if n := strings.Count(errs, "\n"); n > faultsShown+2 {
			t.Errorf("%v: %d lines of faults", args, n)
		}
	}
	f(1, "office_spawns_shell", "cut off or damaged", "replay", "-p", "p.yaml", "cut.ndjson.gz")
	f(1, "no match is added", "cut off or damaged", "diff", "--old", "p.yaml", "--new", "p.yaml", "cut.ndjson.gz")
	f(1, "events/s", "cut off or damaged", "bench", "--time", "1ms", "-p", "p.yaml", "cut.ndjson.gz")
	f(0, "office_spawns_shell", "", "replay", "-p", "p.yaml", "whole.ndjson.gz")
	f(0, "", "1000 lines could not be read", "replay", "-p", "p.yaml", "other.csv")
	f(1, "", "hold no records", "bench", "-p", "p.yaml", "other.csv")
	f(1, "", "hold no records", "diff", "--old", "p.yaml", "--new", "p.yaml", "empty.ndjson")
}

// Ctrl-C is said in a word.
func TestInterrupted(t *testing.T) {
	in(t, map[string]string{"p.yaml": officePolicy, "day.ndjson": strings.Repeat(officeTraffic, 100)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{
		{"replay", "-p", "p.yaml", "day.ndjson"},
		{"bench", "-p", "p.yaml", "day.ndjson"},
		{"diff", "--old", "p.yaml", "--new", "p.yaml", "day.ndjson"},
		{"explain", "-p", "p.yaml", "-r", "office_spawns_shell", "-e", "day.ndjson"},
	} {
		var out, errs bytes.Buffer
		a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
		if code := a.run(ctx, args); code != exitFailed || errs.String() != "engine: interrupted\n" {
			t.Errorf("%v: %d %s", args, code, errs.String())
		}
	}
}
