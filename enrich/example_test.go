package enrich_test

import (
	"fmt"

	"spoor/enrich"
	"spoor/pipeline/event"
	"spoor/pipeline/state"
)

// A file event says no more than its process id; lineage knows the rest.
func ExampleLineage_Enrich() {
	s := state.New(state.DefaultConfig())
	lineage := enrich.NewLineage(enrich.DefaultConfig(), s)
	d := event.NewDecoder(event.DecoderConfig{})

	var e event.Event
	for _, record := range []string{
		`{"evt":{"name":"exec"},"date":"2026-01-01T09:00:00Z","process":{"pid":10,"executable":{"path":"C:\\Windows\\explorer.exe"}}}`,
		`{"evt":{"name":"exec"},"date":"2026-01-01T09:00:05Z","process":{"pid":11,"ppid":10,"executable":{"path":"C:\\Office\\winword.exe"}}}`,
		`{"evt":{"name":"exec"},"date":"2026-01-01T09:00:09Z","process":{"pid":12,"ppid":11,"executable":{"path":"C:\\Windows\\System32\\cmd.exe"}}}`,
		`{"evt":{"name":"create"},"date":"2026-01-01T09:00:10Z","process":{"pid":12},"file":{"path":"C:\\Temp\\x.ps1"}}`,
	} {
		if err := d.Decode([]byte(record), &e); err != nil {
			fmt.Println(err)
			return
		}
		e.Meta.Host, e.Meta.HasHost = "ws01", true
		lineage.Enrich(&e)
	}
	fmt.Print(e.Process.Executable.Name)
	for _, a := range e.Process.Ancestors {
		fmt.Print(" < ", a.Executable.Name)
	}
	fmt.Println(", complete:", e.Meta.AncestorsComplete)
	// Output: cmd.exe < winword.exe < explorer.exe, complete: true
}
