package file

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"spoor/pipeline"
	"spoor/pipeline/event"
	"spoor/rules"
	"spoor/rules/policy"
)

// recordings are the files with recorded traffic that lie beside the repository.
func recordings(tb testing.TB) []string {
	tb.Helper()
	files, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "traffic", "noparent", "*.zst"))
	if len(files) == 0 {
		tb.Skip("no recordings in ../shared/traffic/noparent")
	}
	return files
}

const shells = `
name: shells
rules:
  - id: shell
    title: A shell started
    severity: high
    expression: evt.name == "exec" and process.executable.name in ["cmd.exe", "powershell.exe"]
  - id: child_of_shell
    title: A shell started something
    expression: evt.name == "exec" and any(process.ancestors, .executable.name == "cmd.exe")
  - id: trial
    title: On trial
    mode: shadow
    expression: evt.name == "exit"
`

func compiled(t *testing.T) *rules.Set {
	t.Helper()
	p, diags := policy.LoadFS(fstest.MapFS{"shells.yaml": {Data: []byte(shells)}})
	if p == nil {
		t.Fatal(diags)
	}
	set, diags := rules.Compile(p)
	if set == nil {
		t.Fatal(diags)
	}
	return set
}

// replayed is what a replay writes.
type replayed struct{ signals, shadow, rejects bytes.Buffer }

func replayAll(t *testing.T, set *rules.Set, cfg pipeline.Config, paths ...string) (*replayed, pipeline.Counters) {
	t.Helper()
	var out replayed
	eng := pipeline.New(cfg, set, nil)
	sink := NewSink(SinkConfig{Signals: &out.signals, Shadow: &out.shadow, Rejects: &out.rejects, Records: true})
	if _, err := Replay(t.Context(), eng, paths, Options{}, sink); err != nil {
		t.Fatal(err)
	}
	return &out, eng.Counters()
}

// The same recordings give the same bytes, whenever partitions commit; they give them again from one file in
// which they were recorded together; and every signal is one by the schema.
func TestReplayOfRecordings(t *testing.T) {
	files := recordings(t)
	files = files[:min(len(files), 6)]
	set := compiled(t)
	want, counters := replayAll(t, set, pipeline.DefaultConfig(), files...)
	if counters.Signals == 0 || counters.ShadowSignals == 0 || counters.Rejected != 0 {
		t.Fatalf("%+v", counters)
	}

	often := pipeline.DefaultConfig()
	often.CommitRecords = 1
	sometimes := pipeline.DefaultConfig()
	now := time.Unix(0, 0)
	sometimes.Clock = func() time.Time { now = now.Add(11 * time.Millisecond); return now }
	for name, cfg := range map[string]pipeline.Config{"commits after each record": often, "commits by time": sometimes} {
		got, _ := replayAll(t, set, cfg, files...)
		if !bytes.Equal(got.signals.Bytes(), want.signals.Bytes()) || !bytes.Equal(got.shadow.Bytes(), want.shadow.Bytes()) {
			t.Errorf("%s: %d and %d bytes of signals, want %d and %d", name, got.signals.Len(), got.shadow.Len(), want.signals.Len(), want.shadow.Len())
		}
	}

	// Written again as records with positions, and read from that one file.
	together := filepath.Join(t.TempDir(), "together.ndjson.zst")
	w, err := Create(together)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(files, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		l, err := r.Next()
		if err != nil {
			break // the end: the same files were read whole above
		}
		if err := w.Write(l.TopicPartition, &l.Record); err != nil {
			t.Fatal(err)
		}
	}
	r.Close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, _ := replayAll(t, set, pipeline.DefaultConfig(), together)
	if !bytes.Equal(got.signals.Bytes(), want.signals.Bytes()) {
		t.Errorf("%d bytes of signals from one file, want %d", got.signals.Len(), want.signals.Len())
	}

	// The signals are records again, each valid by the schema and with an id.
	path := filepath.Join(t.TempDir(), "signals.ndjson")
	if err := os.WriteFile(path, want.signals.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(event.Schema("signal")))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("signal", doc); err != nil {
		t.Fatal(err)
	}
	schema := c.MustCompile("signal")
	signals, err := Open([]string{path}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer signals.Close()
	n := int64(0)
	ids := map[string]bool{}
	for {
		l, err := signals.Next()
		if err != nil {
			break
		}
		if l.Fault != nil {
			t.Fatal(l.Fault)
		}
		n++
		for _, h := range l.Headers {
			if h.Key == pipeline.HeaderSignalID {
				ids[string(h.Value)] = true
			}
		}
		if n%50 > 0 {
			continue // validation takes its time
		}
		var v any
		if err := json.Unmarshal(l.Value, &v); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v", l.Value, err)
		}
	}
	if n != counters.Signals || int64(len(ids)) != n {
		t.Errorf("%d signals with %d ids, want %d", n, len(ids), counters.Signals)
	}
}
