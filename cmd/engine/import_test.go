package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const sigmaRule = `title: Office application starts a shell
id: 6b2d1f6e-0d6c-4a59-9d0a-0a7a3f7b1c11
logsource: {category: process_creation, product: windows}
detection:
    selection:
        ParentImage|endswith: '\winword.exe'
        Image|endswith: ['\cmd.exe', '\powershell.exe']
    filter_admin: {User|expand: '%Admins%'}
    condition: selection and not filter_admin
level: high
`

// TestImportSigma imports, checks and replays.
func TestImportSigma(t *testing.T) {
	in(t, map[string]string{
		"src/windows/office.yml":  sigmaRule,
		"src/windows/network.yml": "title: n\nlogsource: {category: network_connection}\ndetection: {s: {Image: a}, condition: s}\n",
		"src/readme.txt":          "no rule",
		"placeholders.yaml":       "Admins: ['CORP\\admin']\n",
		"out/stale.yaml":          officePolicy,
		"traffic.ndjson":          officeTraffic,
	})
	code, out, errs := call(t, "", "import", "sigma", "src", "-o", "out", "--report", "report.json", "--placeholders", "placeholders.yaml")
	const id = "sigma-6b2d1f6e-0d6c-4a59-9d0a-0a7a3f7b1c11"
	if code != 0 || !strings.HasSuffix(out, "\n2 rules: 1 imported, 1 refused\n") || !strings.Contains(out, "refused") ||
		!strings.Contains(errs, "out holds 1 policies that this import did not write, for instance "+filepath.Join("out", "stale.yaml")) {
		t.Fatalf("%d\n%s%s", code, out, errs)
	}
	data, err := os.ReadFile("report.json")
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Rules []struct {
			ID, Source, Status, Reason string
			Dropped                    []string
		}
	}
	if err := json.Unmarshal(data, &report); err != nil {
		t.Fatal(err)
	}
	if r := report.Rules; len(r) != 2 || r[1].ID != id || r[1].Source != "src/windows/office.yml:1:1" || r[1].Status != "imported" ||
		r[0].Status != "refused" || r[0].Reason != "src/windows/network.yml:2:23: events of the category network_connection are not in the schema" || r[0].Dropped == nil {
		t.Errorf("report %+v", r)
	}
	written := filepath.Join("out", "windows", "office.yaml")
	if code, out, _ := call(t, "", "check", written); code != 0 || strings.Contains(out, "error") {
		t.Errorf("check: %d\n%s", code, out)
	}
	if code, _, errs := call(t, "", "replay", "--policies", written, "--summary", "summary.json", "-o", "signals.ndjson", "traffic.ndjson"); code != 0 {
		t.Fatalf("replay: %d\n%s", code, errs)
	}
	if data, err = os.ReadFile("summary.json"); err != nil || !strings.Contains(string(data), `"`+id+`": 1`) {
		t.Errorf("summary %s %v", data, err)
	}
	// Once more: the same bytes.
	before, _ := os.ReadFile(written)
	call(t, "", "import", "sigma", "src", "-o", "out", "--placeholders", "placeholders.yaml")
	if after, _ := os.ReadFile(written); len(before) == 0 || string(before) != string(after) {
		t.Errorf("a second import writes\n%s\nafter\n%s", after, before)
	}
}

// TestImportSigmaFaults holds what ends an import with an exit code, and that the rest is written before.
func TestImportSigmaFaults(t *testing.T) {
	in(t, map[string]string{"src/good.yml": strings.Replace(sigmaRule, "|expand", "", 1), "broken.yml": "title: [\n",
		"mapping.yaml": "fields:\n  Hashes: {feild: process.cmdline}\n"})
	for _, c := range []struct {
		args []string
		code int
		errs string
	}{
		{[]string{"src"}, exitUsage, "--output is needed"},
		{[]string{"-o", "out"}, exitUsage, "SRC is needed"},
		{[]string{"nowhere.yml", "src", "-o", "out1"}, exitFailed, "nowhere.yml: error: cannot be read: no such file or directory [unreadable]"},
		{[]string{"broken.yml", "src", "-o", "out2"}, exitFailed, "broken.yml:1:8: error: "},
		{[]string{"src", "-o", "out3", "--mapping", "mapping.yaml"}, exitFailed, `mapping.yaml:2:12: error: unknown key "feild" [unknown-key]`},
		{[]string{"src", "-o", "out4", "--mapping", "none.yaml"}, exitFailed, "none.yaml"},
	} {
		code, _, errs := call(t, "", append([]string{"import", "sigma"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.errs) {
			t.Errorf("%v: %d, %s", c.args, code, errs)
		}
	}
	for _, dir := range []string{"out1", "out2"} {
		if _, err := os.Stat(filepath.Join(dir, "good.yaml")); err != nil {
			t.Error(err)
		}
	}
}

// TestImportReportToStdout prints nothing but the report.
func TestImportReportToStdout(t *testing.T) {
	in(t, map[string]string{"src/good.yml": strings.Replace(sigmaRule, "|expand", "", 1)})
	code, out, errs := call(t, "", "import", "sigma", "src", "-o", "out", "--report", "-")
	if code != 0 || !json.Valid([]byte(out)) {
		t.Errorf("%d %s%s", code, out, errs)
	}
}
