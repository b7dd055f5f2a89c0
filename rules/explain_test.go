package rules

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// TestExplain renders explanations and compares them with testdata/explain.golden.
func TestExplain(t *testing.T) {
	set := mustCompile(t, "policy.yaml", `
lists:
  office: [winword.exe, excel.exe]
  tools: [mimikatz, sekurlsa, lsadump, kerberos, privilege]
macros:
  - id: is_shell
    params: [p]
    expression: p.executable.name in ["cmd.exe", "powershell.exe"]
rules:
  - id: office_spawns_shell
    title: Office application started a shell
    expression: |
      evt.name == "exec"
      and is_shell(process)
      and (process.parent.executable.name in office
        or any(process.ancestors, .executable.name in office and .pid > 4))
    exceptions:
      - name: patching
        expression: |
          any(process.ancestors, .executable.name == "patchagent.exe")
      - name: service account
        expression: process.user == "NT AUTHORITY\\SYSTEM"
  - id: tools
    mode: shadow
    expression: |
      evt.name == "exec" and any(tools, process.cmdline contains #) and file.path == ""
      and not (process.exec_time > time)
      and (let n = process.executable.name; n != "x.exe" ? len(n) > 3 : exact(n) == "y")
  - id: elements
    expression: |
      evt.name == "exec" and process.ancestors[1].executable.name == "x.exe"
      and find(process.ancestors, .pid == 3).user == "y"
  - id: run_key
    expression: |
      evt.name == "set_key_value" and registry.key_path startsWith `+"`HKCU\\Software`"+`
  - id: numbers
    expression: |
      evt.name in ["exec", "exit"] and exit.code == 0 and process.pid == 0 and process.parent.ppid in [0, 4]
      and process.ancestors[0].pid == 0 and process.ancestors[-3].ppid == 0
`)
	var got bytes.Buffer
	for _, c := range []struct{ rule, event string }{
		{"office_spawns_shell", richEvent},
		{"office_spawns_shell", `{"evt":{"name":"exec"},"process":{"pid":7,"executable":{"name":"CMD.EXE"},"parent":{"executable":{"name":"Excel.exe"}},"ancestors":[{"pid":3,"executable":{"name":"Excel.exe"}},{"executable":{"name":"PatchAgent.exe"}}]}}`},
		{"office_spawns_shell", `{"evt":{"name":"exec"},"process":{"executable":{"name":"notepad.exe"}}}`},
		{"tools", `{"evt":{"name":"exec"},"process":{"executable":{"name":"x.exe"},"cmdline":"x SEKURLSA::logonpasswords"}}`},
		{"tools", `{"evt":{"name":"exec"},"process":{"executable":{"name":"cmd.exe"},"cmdline":"whoami"}}`},
		{"elements", richEvent},
		{"run_key", `{"evt":{"name":"set_registry_key_value"},"registry":{"key_path":"\\REGISTRY\\USER\\S-1-5\\Software\\Run"}}`},
		{"numbers", `{"evt":{"name":"exec"},"process":{"ancestors":[{"pid":0}]}}`},
		{"numbers", `{"evt":{"name":"exit"},"exit":{"cause":"EXITED","code":0},"process":{"pid":0,"parent":{"ppid":0},"ancestors":[{"ppid":0}]}}`},
	} {
		x, err := set.Explain(decode(t, c.event), c.rule)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Render(&got, false); err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(x); err != nil {
			t.Fatal(err)
		}
		got.WriteString("\n")
	}
	const golden = "testdata/explain.golden"
	if updating() {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
	}
	if _, err := set.Explain(decode(t, richEvent), "nobody"); err == nil {
		t.Error("an unknown rule is explained")
	}
}
