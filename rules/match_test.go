package rules

import (
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

func TestSmoke(t *testing.T) {
	set, ds := compileText(t, "a.yaml", `
name: a
lists:
  office: [winword.exe, excel.exe]
macros:
  - id: is_shell
    params: [p]
    expression: p.executable.name in ["cmd.exe", "powershell.exe"]
rules:
  - id: one
    expression: evt.name == "exec" and is_shell(process) and process.parent.executable.name in office
  - id: two
    expression: evt.name == "exec" and any(process.ancestors, is_shell(#) and .pid > 3)
    exceptions:
      - name: x
        expression: process.pid == 7
`)
	for _, d := range ds {
		t.Log(d, d.Hint)
	}
	if set == nil {
		t.Fatal("nil set")
	}
	pid, parent := int64(8), int64(4)
	e := &event.Event{Evt: &event.Evt{Name: "exec"}, Process: &event.ProcessContext{Process: event.Process{PID: &pid, Executable: &event.File{Name: "CMD.exe"}},
		Parent: &event.Process{PID: &parent, Executable: &event.File{Name: "WinWord.EXE"}}, Ancestors: []*event.Process{{PID: &parent, Executable: &event.File{Name: "Cmd.EXE"}}}}}
	var r Result
	set.Match(e, &r)
	t.Log(r.Live, r.Shadow, r.Exceptions, r.OverBudget)
	t.Log(testing.AllocsPerRun(100, func() { set.Match(e, &r) }))
}
