package secl_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"spoor/rules/policy"
	"spoor/rules/secl"
)

// sharedSource reads a policy of others that is kept beside the repository, not in it.
func sharedSource(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "secl", name))
	if err != nil {
		t.Skipf("%s is not here: %v", name, err)
	}
	return string(data)
}

// TestWindowsRules: every rule of the agent's own Windows policy means the same here, and the policy is clean.
func TestWindowsRules(t *testing.T) {
	im := importText(sharedSource(t, "windows.policy"))
	if len(im.Rules) != 24 || len(im.Faults) > 0 {
		t.Errorf("%d rules, faults %v", len(im.Rules), im.Faults)
	}
	for _, r := range im.Rules {
		if r.Status != policy.StatusImported || r.Reason != "" || len(r.Dropped) > 0 {
			t.Errorf("%+v", r)
		}
	}
	set, faults := load(im)
	for _, d := range faults {
		if d.Code != "no-test" {
			t.Error(d)
		}
	}
	if set == nil || len(set.Rules()) != 24 {
		t.Fatal("the policy does not load whole")
	}
	for _, c := range []struct{ event, want string }{
		{`{"evt":{"name":"exec"},"process":{"pid":1,"executable":{"path":"C:\\x\\REGEDIT.exe"},"cmdline":"regedit /e HKLM\\SAM"}}`, "critical_registry_export"},
		{`{"evt":{"name":"exec"},"process":{"pid":1,"executable":{"path":"C:\\x\\r.exe"},"cmdline":"r.exe Kerberoast"}}`, "rubeus_execution"},
		{`{"evt":{"name":"exec"},"process":{"pid":1,"executable":{"path":"C:\\x\\r.exe"},"cmdline":"rubeus.exe"}}`, ""}, // its pattern has no ~
		{`{"evt":{"name":"exec"},"process":{"pid":1,"executable":{"path":"C:\\x\\r.exe"},"cmdline":"x NoExit y Command z"}}`, ""},
		{`{"evt":{"name":"create"},"process":{"pid":1},"file":{"path":"C:\\T\\a.dll.DLL","device_path":"\\Device\\HarddiskVolume3\\T\\a.dll.DLL"}}`, "suspicious_dll_write"},
		{`{"evt":{"name":"create"},"process":{"pid":1},"file":{"path":"C:\\Windows\\system32\\d\\a.dll","device_path":"\\Device\\HarddiskVolume3\\Windows\\system32\\d\\a.dll"}}`, ""},
		{`{"evt":{"name":"create"},"process":{"pid":1,"executable":{"path":"C:\\d\\dockerd.exe"}},"file":{"path":"C:\\T\\a.dll"}}`, ""},
		{`{"evt":{"name":"write"},"process":{"pid":1},"file":{"device_path":"\\Device\\HarddiskVolume3\\Windows\\Explorer.EXE"}}`, "windows_explorer_executable_modified"},
		{`{"evt":{"name":"set_key_value"},"process":{"pid":1},"registry":{"key_path":"\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Control\\SafeBoot"}}`, "safeboot_modification"},
		{`{"evt":{"name":"set_key_value"},"process":{"pid":1},"registry":{"key_path":"HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run"}}`, "registry_runkey_modified"},
		{`{"evt":{"name":"open_key"},"process":{"pid":1},"registry":{"key_path":"HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run"}}`, ""},
	} {
		if got := strings.Join(matches(set, decode(t, c.event)), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.event, got, c.want)
		}
	}
}

// TestLinuxRules: every rule for Linux is refused for its filter; with the filters changed, each is imported or
// refused for a field, constant or variable that Windows does not have, and what is written loads.
func TestLinuxRules(t *testing.T) {
	source := sharedSource(t, "linux.policy")
	im := importText(source)
	if len(im.Rules) != 282 || len(im.Policies) > 0 || len(im.Faults) > 0 {
		t.Errorf("%d rules, %d policies, faults %v", len(im.Rules), len(im.Policies), im.Faults)
	}
	for _, r := range im.Rules {
		if r.Status != policy.StatusRefused || !strings.HasPrefix(r.Reason, "its filter holds for no Windows host: ") || r.Place.Line == 0 {
			t.Errorf("%s: %s %s", r.ID, r.Status, r.Reason)
		}
	}
	im = importText(strings.ReplaceAll(source, `os == "linux"`, `os == "windows"`))
	reasons := regexp.MustCompile("^Windows has no field `[a-z0-9_.]+`$" +
		"|^field `[a-z.]+envs`: events do not carry environment variables$" +
		"|^variable \\$\\{cgroup\\.[a-z_]+\\}: events carry variables of processes, containers and the event, not of a cgroup$" +
		"|^its filter holds for no Windows host: \\(kernel\\.version\\.major == 5")
	imported := 0
	for _, r := range im.Rules {
		if r.Status == policy.StatusImported {
			imported++
		} else if !reasons.MatchString(r.Reason) {
			t.Errorf("%s: %s %s", r.ID, r.Status, r.Reason)
		}
	}
	if len(im.Rules) != 282 || imported < 15 {
		t.Errorf("%d rules, %d imported", len(im.Rules), imported)
	}
	if set, faults := load(im); set == nil {
		t.Error(faults.Err())
	}
}

// TestWidened: a filter that depends on the host is left out only when that is allowed.
func TestWidened(t *testing.T) {
	const source = "rules:\n  - id: a\n    filters: ['os == \"windows\" && hostname == \"h\"']\n    expression: exec.pid == 1\n"
	for _, allowed := range []bool{false, true} {
		im := secl.Import([]policy.ImportSource{{Name: "a.policy", Path: "a.policy", Data: []byte(source)}}, secl.Options{AllowWidened: allowed})
		want := policy.StatusRefused
		if allowed {
			want = policy.StatusWidened
		}
		r := im.Rules[0]
		if r.Status != want || len(r.Dropped) != 1 || r.Place.String() != "a.policy:3:14" {
			t.Errorf("allowed %t: %+v", allowed, r)
		}
		if (len(im.Policies) == 1) != allowed {
			t.Errorf("allowed %t: %d policies", allowed, len(im.Policies))
		}
	}
}

// TestSources: several files are one set; each becomes a policy of its own.
func TestSources(t *testing.T) {
	source := func(name, text string) policy.ImportSource {
		return policy.ImportSource{Name: "in/" + name, Path: name, Data: []byte(text)}
	}
	im := secl.Import([]policy.ImportSource{
		source("a.policy", "rules:\n  - {id: a, expression: exec.file.name in SHELLS}\n"),
		source("sub/a.policy", "macros:\n  - {id: SHELLS, values: [cmd.exe, pwsh.exe]}\nrules:\n  - {id: b, expression: 'create.file.name in SHELLS'}\n"),
		source("a.yaml", "rules:\n  - {id: a, combine: override, expression: 'exec.pid == 5'}\n  - {id: b, disabled: true}\n"),
		source("empty.policy", "# nothing\n"),
		source("other.yaml", "- a\n"),
		source("broken.policy", "rules:\n  - {id: x\n"),
	}, secl.Options{})
	var paths []string
	for _, p := range im.Policies {
		paths = append(paths, p.Path)
	}
	if got := strings.Join(paths, " "); got != "a-2.yaml a.yaml sub/a.yaml" {
		t.Errorf("policies %s", got)
	}
	set, faults := load(im)
	if set == nil {
		t.Fatal(faults.Err())
	}
	if got := strings.Join(matches(set, decode(t, `{"evt":{"name":"exec"},"process":{"pid":5}}`)), " "); got != "a" {
		t.Errorf("the override gives %q", got)
	}
	if len(set.Rules()) != 1 {
		t.Errorf("%d rules are on", len(set.Rules()))
	}
	var places []string
	for _, d := range im.Faults {
		places = append(places, d.Span.String())
	}
	if got := strings.Join(places, " "); got != "in/broken.policy:2:5 in/empty.policy in/other.yaml:1:1" {
		t.Errorf("faults at %s: %v", got, im.Faults)
	}
}

// TestNamesOfLists: a macro of any name becomes a list that the language accepts, whatever its own words are.
func TestNamesOfLists(t *testing.T) {
	data, err := os.ReadFile("../allow.go")
	if err != nil {
		t.Fatal(err)
	}
	var source, rulesText strings.Builder
	source.WriteString("macros:\n")
	seen := map[string]bool{}
	for _, quoted := range regexp.MustCompile(`"[a-z ]+"`).FindAllString(string(data), -1) {
		for _, w := range strings.Fields(strings.Trim(quoted, `"`)) {
			if seen[w] {
				continue
			}
			seen[w] = true
			source.WriteString("  - {id: " + strings.ToUpper(w) + ", values: [a, b]}\n")
			rulesText.WriteString("  - {id: r_" + w + ", expression: exec.file.name in " + strings.ToUpper(w) + "}\n")
		}
	}
	if len(seen) < 50 {
		t.Fatalf("only %d words found", len(seen))
	}
	mustSet(t, source.String()+"rules:\n"+rulesText.String())
}

// TestLarge: what is written loads, however large the source.
func TestLarge(t *testing.T) {
	list := func(n int, format string) string {
		var members []string
		for i := range n {
			members = append(members, fmt.Sprintf(format, i))
		}
		return strings.Join(members, ", ")
	}
	for _, c := range []struct {
		condition string
		imported  bool
	}{
		{"exec.file.name in [" + list(3000, `"x%d.exe"`) + "]", true},
		{"exec.file.name in [" + list(10001, `"x%d.exe"`) + "]", false},
		{"exec.cmdline in [" + list(1200, `~"*x%d*"`) + "]", true},
		{"exec.cmdline in [" + list(1700, `~"*x%d*"`) + "]", false},
		{"exec.pid > 0 && process.ancestors.cmdline in [" + list(1200, `~"*x%d"`) + "]", true},
		{strings.TrimSuffix(strings.Repeat("exec.pid != 7 && ", 1200), " && "), true},
		{strings.TrimSuffix(strings.Repeat("exec.pid != 7 && ", 1700), " && "), false},
		{strings.TrimSuffix(strings.Repeat("exec.created_at < 7s && ", 400), " && "), true},
		{"exec.pid == 1" + strings.Repeat(" && exec.pid == 2 || exec.ppid == 3", 45), true},
		{"exec.pid == 1" + strings.Repeat(" && exec.pid == 2 || exec.ppid == 3", 500), false},
		{strings.Repeat("!(exec.pid == 1 && ", 95) + "exec.pid == 2" + strings.Repeat(")", 95), false},
	} {
		im := importText(ruleText(c.condition))
		r := im.Rules[0]
		large := strings.Contains(r.Reason, "larger than the engine takes") || strings.Contains(r.Reason, "needs brackets")
		if (r.Status == policy.StatusImported) != c.imported || !c.imported && !large {
			t.Errorf("%.60s: %s %s", c.condition, r.Status, r.Reason)
		}
		if set, faults := load(im); c.imported && set == nil {
			t.Errorf("%.60s: %v", c.condition, faults.Err())
		}
	}
	var source strings.Builder
	source.WriteString("macros:\n  - {id: NAMES, values: [a, b, c]}\nrules:\n")
	for i := range 800 {
		fmt.Fprintf(&source, "  - id: r%d\n    description: %s\n    expression: exec.pid == %d && exec.file.name in NAMES\n", i, strings.Repeat("long ", 120), i)
	}
	im := importText(source.String())
	set, faults := load(im)
	if set == nil || len(set.Rules()) != 800 || len(im.Policies) < 2 {
		t.Errorf("%d policies: %v", len(im.Policies), faults.Err())
	}
}
