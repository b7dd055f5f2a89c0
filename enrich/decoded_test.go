package enrich

import (
	"fmt"
	"testing"

	"spoor/pipeline/event"
	"spoor/pipeline/state"
)

// TestDecoderLeavesStateAlone enriches events that one Decoder decodes into one Event, as a partition does, with
// records that would overwrite whatever the last event points to, and buffers that are used again.
func TestDecoderLeavesStateAlone(t *testing.T) {
	s := state.New(state.DefaultConfig())
	l := NewLineage(DefaultConfig(), s)
	d := event.NewDecoder(event.DecoderConfig{})
	var e event.Event
	buffer := make([]byte, 0, 4096)
	enrich := func(value string) *event.Event {
		t.Helper()
		buffer = append(buffer[:0], value...)
		if err := d.Decode(buffer, &e); err != nil {
			t.Fatal(err)
		}
		e.Meta.Host, e.Meta.HasHost = "h", true
		l.Enrich(&e)
		return &e
	}
	enrich(`{"evt":{"name":"exec"},"date":"2026-01-01T00:00:01Z","process":{"pid":10,"ppid":0,"executable":{"path":"C:\\a.exe"},"cmdline":"a","user":"ann","container":{"id":"box"}}}`)
	enrich(`{"evt":{"name":"exec"},"date":"2026-01-01T00:00:02Z","process":{"pid":11,"ppid":10,"executable":{"path":"C:\\b.exe"},"cmdline":"b","user":"bob"}}`)
	for range 3 {
		enrich(`{"evt":{"name":"create"},"date":"2026-01-01T00:00:03Z","process":{"pid":11}}`)
		got, err := event.AppendEvent(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		a := `{"pid":10,"ppid":0,"exec_time":"2026-01-01T00:00:01Z","executable":{"path":"C:\\a.exe","name":"a.exe"},"container":{"id":"box"},"cmdline":"a","user":"ann"}`
		want := fmt.Sprintf(`{"evt":{"name":"create"},"date":"2026-01-01T00:00:03Z","process":{"pid":11,"ppid":10,"exec_time":"2026-01-01T00:00:02Z",`+
			`"executable":{"path":"C:\\b.exe","name":"b.exe"},"cmdline":"b","user":"bob","parent":%s,"ancestors":[%s]}}`, a, a)
		if string(got) != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
		enrich(`{"evt":{"name":"delete"},"date":"2026-01-01T00:00:04Z","process":{"pid":99,"ppid":98,"exec_time":"2025-01-01T00:00:00Z",` +
			`"executable":{"path":"D:\\other\\thing.exe","device_path":"x","name":"y"},"container":{"id":"zzz"},"cmdline":"zzz","user":"zzz",` +
			`"parent":{"pid":97,"executable":{"path":"D:\\p.exe"}},"ancestors":[{"pid":97,"executable":{"path":"D:\\p.exe"}}]}}`)
	}
}

// TestEnrichAllocatesNothing holds that an event of a known process costs no memory.
func TestEnrichAllocatesNothing(t *testing.T) {
	s := state.New(state.DefaultConfig())
	l := NewLineage(DefaultConfig(), s)
	var p event.ProcessContext
	e := event.Event{Date: 1e18, Process: &p}
	e.Meta = event.Meta{Host: "h", HasHost: true}
	one, two, zero := int64(1), int64(2), int64(0)
	for _, ids := range [][2]*int64{{&one, &zero}, {&two, &one}} {
		p = event.ProcessContext{Process: event.Process{PID: ids[0], PPID: ids[1]}}
		e.Meta.Name = "exec"
		l.Enrich(&e)
	}
	e.Meta.Name = "create"
	if n := testing.AllocsPerRun(100, func() {
		p = event.ProcessContext{Process: event.Process{PID: &two}}
		l.Enrich(&e)
	}); n != 0 || len(p.Ancestors) != 1 {
		t.Errorf("%g allocations, %d ancestors; want 0 and 1", n, len(p.Ancestors))
	}
}
