package pipelinetest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"spoor/pipeline"
	"spoor/pipeline/pipelinetest"
	"spoor/policies"
	"spoor/rules"
	"spoor/rules/policy"
)

// shared holds recorded traffic of Windows hosts that stands beside the repository where it is developed.
var shared = filepath.Join("..", "..", "..", "shared")

// recording reads one file of recorded traffic.
func recording(t *testing.T, path string) (records []pipeline.Record) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var line struct {
			Key   string
			TS    time.Time
			Value json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		records = append(records, pipeline.Record{Timestamp: line.TS.UnixMilli(), Key: []byte(line.Key), Value: line.Value})
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return records
}

// withExecs are the bundled policies and a rule that matches every exec, exit and rename: most traffic is
// harmless.
func withExecs(t *testing.T) fs.FS {
	t.Helper()
	all := fstest.MapFS{"zz.yaml": {Data: []byte(`
name: zz
rules:
  - id: zz_many
    expression: evt.name in ["exec", "exit", "rename"]
`)}}
	names, err := fs.Glob(policies.FS, "*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(policies.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &fstest.MapFile{Data: text}
	}
	return all
}

// Real traffic and the bundled policies: nothing is rejected, every signal is one by the schema that consumers
// have, and a run that dies now and then publishes the same.
func TestRecordings(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(shared, "traffic", "noparent", "*.ndjson.zst"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Skip("there is no recorded traffic beside the repository")
	}
	contract, err := jsonschema.NewCompiler().Compile(filepath.Join(shared, "schema", "backend_event.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	src, faults := policy.LoadFS(withExecs(t))
	if src == nil {
		t.Fatal(faults)
	}
	set, faults := rules.Compile(src)
	if set == nil {
		t.Fatal(faults)
	}
	signals, deaths := 0, 0
	r := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < len(paths); i += 9 {
		records := recording(t, paths[i])
		records = records[:min(len(records), 3000)]
		for _, lineage := range []bool{false, true} {
			cfg := config()
			cfg.CommitRecords = 500
			cfg.Lineage = lineage
			want := process(cfg, set, records)
			if died, err := want.Start(pipelinetest.Trouble{}); died || err != nil {
				t.Fatal(died, err)
			}
			if n := len(want.Broker.Rejects); n > 0 {
				t.Fatalf("%s: %d rejects, the first: %s", paths[i], n, want.Broker.Rejects[0].Detail)
			}
			pipelinetest.ValidateSignals(t, want.Broker.Signals)
			for _, o := range want.Broker.Signals {
				doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(o.Value))
				if err != nil {
					t.Fatal(err)
				}
				if err := contract.Validate(doc); err != nil {
					t.Fatalf("%v\n%s", err, o.Value)
				}
			}
			signals += len(want.Broker.Signals)
			if lineage {
				continue // a restart may know less
			}
			p := process(cfg, set, records)
			for {
				died, err := p.Start(pipelinetest.Trouble{Point: pipelinetest.Points()[r.IntN(9)], Nth: 1 + r.IntN(2*len(records)/3)})
				if err != nil {
					t.Fatal(err)
				}
				if !died {
					break
				}
				deaths++
			}
			if err := complete(want.Broker, p.Broker); err != nil {
				t.Errorf("%s: %v", paths[i], err)
			}
		}
	}
	t.Logf("%d signals, %d deaths", signals, deaths)
	if signals == 0 || deaths == 0 {
		t.Errorf("%d signals, %d deaths: nothing was shown", signals, deaths)
	}
}
