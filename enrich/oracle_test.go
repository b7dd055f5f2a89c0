package enrich

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"spoor/pipeline/event"
	"spoor/pipeline/state"
)

// recordings returns the files of a folder of the recorded traffic that lies beside the repository.
func recordings(tb testing.TB, folder string) []string {
	tb.Helper()
	files, _ := filepath.Glob(filepath.Join("..", "..", "shared", "traffic", folder, "*.ndjson.zst"))
	if len(files) == 0 {
		tb.Skip("no recordings in ../shared/traffic/" + folder)
	}
	return files
}

// lines calls f with every line of a compressed file. A line is valid during the call.
func lines(tb testing.TB, name string, f func([]byte)) {
	tb.Helper()
	file, err := os.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	z, err := zstd.NewReader(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer z.Close()
	r := bufio.NewReaderSize(z, 1<<20)
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			f(line)
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// record is one line of recorded traffic without its value.
type record struct {
	Key string     `json:"key"`
	TS  event.Time `json:"ts"`
}

// truth is what the recorder knew of a process by its own ids.
type truth struct {
	Dataset   string `json:"dataset"`
	Key       string `json:"key"`
	TS        string `json:"ts"`
	PID       int64  `json:"pid"`
	Path      string `json:"path"`
	Ancestors []struct {
		PID  int64  `json:"pid"`
		Path string `json:"path"`
		Seen bool   `json:"seen"`
	} `json:"ancestors"`
}

func (t *truth) id() string { return t.Dataset + "|" + t.Key + "|" + t.TS + "|" + fmt.Sprint(t.PID) }

// TestOracle holds the ancestors of recorded execs against what the recorder knew by its own ids, which do not
// depend on process ids and times.
func TestOracle(t *testing.T) {
	oracle := filepath.Join("..", "..", "shared", "traffic", "lineage_oracle.ndjson.zst")
	if _, err := os.Stat(oracle); err != nil {
		t.Skip("no ../shared/traffic/lineage_oracle.ndjson.zst")
	}
	truths := make(map[string][]*truth)
	lines(t, oracle, func(line []byte) {
		tr := new(truth)
		if err := json.Unmarshal(line, tr); err != nil {
			t.Fatal(err)
		}
		truths[tr.id()] = append(truths[tr.id()], tr)
	})
	for _, folder := range []string{"noparent", "withparent"} {
		t.Run(folder, func(t *testing.T) { testOracle(t, folder, truths) })
	}
}

func testOracle(t *testing.T, folder string, truths map[string][]*truth) {
	var seen, right, wrong, claimed, used int
	var stats state.Stats
	for _, name := range recordings(t, folder) {
		dataset := strings.TrimSuffix(filepath.Base(name), ".ndjson.zst")
		s := state.New(state.DefaultConfig())
		l := NewLineage(DefaultConfig(), s)
		d := event.NewDecoder(event.DecoderConfig{})
		lines(t, name, func(line []byte) {
			r, value := split(t, line)
			var e event.Event
			if err := d.Decode(value, &e); err != nil {
				t.Fatal(err)
			}
			e.Meta.Host, e.Meta.HasHost = r.Key, r.Key != ""
			s.Advance(int64(r.TS) / 1e6)
			l.Enrich(&e)
			if e.Meta.Name != "exec" || e.Process == nil || e.Process.PID == nil {
				return
			}
			var tr *truth
			id := (&truth{Dataset: dataset, Key: r.Key, TS: e.Date.String(), PID: *e.Process.PID}).id()
			for _, c := range truths[id] {
				if strings.EqualFold(c.Path, e.Process.Executable.Path) {
					tr = c
				}
			}
			if tr == nil {
				return
			}
			used++
			chain := e.Process.Ancestors
			claimed += len(chain)
			for i, want := range tr.Ancestors {
				if want.Seen {
					seen++
				}
				if i >= len(chain) {
					if want.Seen {
						t.Logf("%s: missing at %d: %d %s of %s", id, i, want.PID, want.Path, tr.Path)
					}
					continue
				}
				got := chain[i]
				switch {
				// "-" is a process whose image the recorder did not know either.
				case *got.PID == want.PID && (want.Path == "-" || strings.EqualFold(got.Executable.Path, want.Path)):
					if want.Seen {
						right++
					}
				default:
					wrong++
					t.Logf("%s: wrong at %d: %d %s, want %d %s", id, i, *got.PID, got.Executable.Path, want.PID, want.Path)
				}
			}
		})
		st := s.Stats()
		for i, n := range st.Lookups {
			stats.Lookups[i] += n
		}
		stats.Disagreements += st.Disagreements
	}
	t.Logf("%d execs with a known truth, %d ancestors claimed; of %d seen ancestors %d are right; %d are wrong; lookups %v, disagreements %d",
		used, claimed, seen, right, wrong, stats.Lookups, stats.Disagreements)
	if wrong > 0 || float64(right) < 0.995*float64(seen) {
		t.Errorf("of %d seen ancestors %d are right, want 99.5 %%; %d are wrong, want 0", seen, right, wrong)
	}
}
