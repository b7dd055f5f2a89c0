package rules

import (
	"bufio"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"spoor/pipeline/event"
	"spoor/policies"
	"spoor/rules/policy"
)

// TestRecordings holds the leaves of the bundled rules against their programs on recorded traffic.
func TestRecordings(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("..", "..", "shared", "traffic", "withparent", "*.ndjson.zst"))
	if len(files) == 0 {
		t.Skip("no recorded traffic in ../shared/traffic")
	}
	loaded, ds := policy.LoadFS(bundled())
	if loaded == nil {
		t.Fatal(ds.Err())
	}
	set, ds := Compile(loaded)
	if set == nil {
		t.Fatal(ds.Err())
	}
	// Without -v a part of each file, so that the test stays short.
	limit := 150
	if os.Getenv("SPOOR_ALL_RECORDINGS") != "" {
		limit = 1 << 30
	}
	events, matches := 0, 0
	var r Result
	recorded(t, files, limit, func(e *event.Event, document []byte) {
		agreeOn(t, set, e, &r)
		indexAgrees(t, set, e, &r)
		events++
		matches += len(r.Live) + len(r.Shadow)
		if t.Failed() {
			t.Fatalf("on %s", document)
		}
	})
	t.Logf("%d events, %d matches", events, matches)
	if matches == 0 {
		t.Error("no rule matches anything")
	}
}

// recorded calls f for the first events of each file, at most limit. An event is its own until the next.
func recorded(t testing.TB, files []string, limit int, f func(e *event.Event, document []byte)) {
	t.Helper()
	for _, name := range files {
		in, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := zstd.NewReader(in)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(z)
		lines.Buffer(nil, 4<<20)
		d := event.NewDecoder(event.DecoderConfig{})
		e := new(event.Event)
		for n := 0; n < limit && lines.Scan(); n++ {
			var record struct {
				Key   string          `json:"key"`
				Value json.RawMessage `json:"value"`
			}
			if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
				t.Fatal(err)
			}
			if d.Decode(record.Value, e) != nil {
				continue
			}
			if p := e.Process; p != nil && p.Parent != nil && p.Ancestors == nil {
				p.Ancestors = []*event.Process{p.Parent}
			}
			f(e, record.Value)
		}
		z.Close()
		in.Close()
	}
}

func bundled() fs.FS { return policies.FS }
