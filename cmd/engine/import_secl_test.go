package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const seclPolicies = `version: 1.2.3
macros:
  - {id: OFFICE, values: [winword.exe, excel.exe]}
rules:
  - id: office_shell
    description: Office application starts a shell
    expression: exec.file.name in ["cmd.exe", "powershell.exe"] && process.parent.file.name in OFFICE
    filters: ['os == "windows"']
  - id: for_others
    expression: exec.file.name == "sh"
    filters: ['os == "linux"']
  - id: some_hosts
    expression: exec.pid == 1
    filters: ['hostname == "a"']
`

// TestImportSecl imports, checks and replays.
func TestImportSecl(t *testing.T) {
	in(t, map[string]string{
		"src/default.policy": seclPolicies,
		"src/more.policy":    "rules:\n  - {id: office_shell, combine: override, override_options: {fields: [tags]}, tags: {team: soc}}\n",
		"src/notes.txt":      "no policy",
		"broken.policy":      "rules:\n  - {id: a\n",
		"traffic.ndjson":     officeTraffic,
	})
	code, out, errs := call(t, "", "import", "secl", "src", "-o", "out")
	if code != 0 || errs != "" || !strings.HasSuffix(out, "\n4 rules: 2 imported, 2 refused\n") ||
		!strings.Contains(out, "src/default.policy:11:14: its filter holds for no Windows host") {
		t.Fatalf("%d\n%s%s", code, out, errs)
	}
	if code, out, _ := call(t, "", "check", "out"); code != 0 || strings.Contains(out, "error") {
		t.Errorf("check: %d\n%s", code, out)
	}
	if code, _, errs := call(t, "", "replay", "--policies", "out", "--summary", "summary.json", "-o", "signals.ndjson", "traffic.ndjson"); code != 0 {
		t.Errorf("replay: %d\n%s", code, errs)
	}
	if data, err := os.ReadFile("summary.json"); err != nil || !strings.Contains(string(data), `"office_shell": 1`) {
		t.Errorf("summary %s %v", data, err)
	}
	code, out, errs = call(t, "", "import", "secl", "--allow-widened", filepath.Join("src", "*.policy"), "broken.policy", "-o", "out")
	if code != 1 || !strings.HasSuffix(out, "\n4 rules: 2 imported, 1 widened, 1 refused\n") || !strings.HasPrefix(errs, "broken.policy:2:") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	if code, _, errs := call(t, "", "import", "secl", "src"); code == 0 || !strings.Contains(errs, "output") {
		t.Errorf("without a folder: %d %s", code, errs)
	}
}
