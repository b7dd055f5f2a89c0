package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The examples of the README work as they stand there.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, m := range regexp.MustCompile("(?s)<!-- example: (\\S+) -->\n```yaml\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		files[m[1]] = m[2]
	}
	if len(files) != 2 {
		t.Fatalf("%d examples", len(files))
	}
	files["event.json"] = `{"evt":{"name":"exec"},"process":{"executable":{"path":"C:\\x\\calc.exe"}}}`
	files["office.next.yaml"] = strings.Replace(files["office.yaml"], `, "powershell.exe"`, "", 1)
	files["traffic.ndjson.zst"] = string(demoTraffic)
	in(t, files)
	f := func(want string, args ...string) {
		t.Helper()
		code, out, errs := call(t, "", args...)
		if code != 0 || !strings.Contains(out+errs, want) {
			t.Errorf("engine %s: %d, no %q in\n%s%s", strings.Join(args, " "), code, want, out, errs)
		}
	}
	f("1 rules, 1 tests, 0 warnings", "check", "office.yaml")
	f("1 passed, 0 failed", "test", "office.yaml")
	f(`"rule_id":"office_starts_shell"`, "replay", "-p", "office.yaml", "traffic.ndjson.zst")
	f("calc.exe", "explain", "-p", "office.yaml", "--rule", "office_starts_shell", "--event", "event.json")
	f("office_starts_shell", "diff", "--old", "office.yaml", "--new", "office.next.yaml", "traffic.ndjson.zst")
	f("group: \"spoor\"", "run", "--config", "engine.yaml", "--print-config")
	// Every command of the program stands in the table, and no other.
	for _, c := range (&app{}).rootCommand().Commands() {
		if name := c.Name(); name != "help" && !strings.Contains(string(text), "`engine "+name) {
			t.Errorf("the README does not name the command %s", name)
		}
	}
}
