package pipelinetest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"spoor/pipeline"
	"spoor/pipeline/event"
	"spoor/pipeline/pipelinetest"
	"spoor/rules"
	"spoor/rules/policy"
)

const crashPolicy = `
name: test
version: 1.2.3
rules:
  - id: any_exec
    expression: evt.name == "exec"
    severity: high
  - id: cmd
    expression: evt.name == "exec" and process.executable.name == "cmd.exe"
    severity: critical
  - id: file_created
    expression: evt.name == "create"
  - id: child_of_word
    expression: evt.name == "exec" and process.parent.executable.name == "winword.exe"
  - id: shadow_exec
    mode: shadow
    expression: evt.name == "exec"
`

func compile(tb testing.TB) *rules.Set {
	tb.Helper()
	p, diags := policy.LoadFS(fstest.MapFS{"test.yaml": {Data: []byte(crashPolicy)}})
	if p == nil {
		tb.Fatalf("policy: %v", diags)
	}
	set, diags := rules.Compile(p)
	if set == nil {
		tb.Fatalf("policy: %v", diags)
	}
	return set
}

// traffic is n records of two hosts: execs in chains, file events, garbage, gaps in the offsets, and records
// that are equal byte for byte.
func traffic(r *rand.Rand, n int) []pipeline.Record {
	var out []pipeline.Record
	offset := int64(0)
	for i := range n {
		if i > 0 && r.IntN(10) == 0 {
			offset += int64(r.IntN(5))
		}
		host := []byte(fmt.Sprintf("pc%d", r.IntN(2)))
		pid, parent := 100+r.IntN(20), 100+r.IntN(20)
		// Never a whole second: those may be off by one, so a parent that was forgotten could be confused with
		// its successor.
		date := time.Date(2026, 1, 1, 0, 0, 0, 137e6, time.UTC).Add(time.Duration(i) * 1500 * time.Millisecond)
		exe := []string{"cmd.exe", "winword.exe", "calc.exe"}[r.IntN(3)]
		value := ""
		switch r.IntN(8) {
		case 0:
			value = `{"broken`
		case 1:
			value = `{"evt":{"name":"create"},"file":{"path":"C:\\same.txt"}}`
		case 2:
			value = fmt.Sprintf(`{"evt":{"name":"create"},"date":%q,"file":{"path":"C:\\x%d.txt"},"process":{"pid":%d}}`, date.Format(time.RFC3339Nano), i, pid)
		case 3:
			value = fmt.Sprintf(`{"evt":{"name":"exit"},"date":%q,"process":{"pid":%d},"exit":{"cause":"EXITED","code":0}}`, date.Format(time.RFC3339Nano), pid)
		default:
			value = fmt.Sprintf(`{"evt":{"name":"exec"},"date":%q,"process":{"pid":%d,"ppid":%d,"executable":{"path":"C:\\%s"},"cmdline":"%s %d"}}`,
				date.Format(time.RFC3339Nano), pid, parent, exe, exe, i)
		}
		out = append(out, pipeline.Record{Offset: offset, Timestamp: date.UnixMilli(), Key: host, Value: []byte(value)})
		offset++
	}
	return out
}

func process(cfg pipeline.Config, set *rules.Set, records []pipeline.Record) *pipelinetest.Pipeline {
	return &pipelinetest.Pipeline{
		Broker: pipelinetest.NewBroker(records...),
		Config: cfg,
		Engine: func(cfg pipeline.Config) *pipeline.Engine { return pipeline.New(cfg, set, nil) },
	}
}

// whole is what an uninterrupted process publishes.
func whole(tb testing.TB, cfg pipeline.Config, set *rules.Set, records []pipeline.Record) *pipelinetest.Broker {
	tb.Helper()
	p := process(cfg, set, records)
	if died, err := p.Start(pipelinetest.Trouble{}); died || err != nil {
		tb.Fatal(died, err)
	}
	if len(p.Broker.Signals) == 0 || len(p.Broker.Shadow) == 0 || len(p.Broker.Rejects) == 0 {
		tb.Fatalf("the traffic is too tame: %d signals, %d shadow, %d rejects", len(p.Broker.Signals), len(p.Broker.Shadow), len(p.Broker.Rejects))
	}
	pipelinetest.ValidateSignals(tb, p.Broker.Signals)
	pipelinetest.ValidateSignals(tb, p.Broker.Shadow)
	return p.Broker
}

func config() pipeline.Config {
	cfg := pipeline.DefaultConfig()
	cfg.EngineVersion = "v0"
	cfg.Lineage = false
	cfg.CommitRecords = 5
	return cfg
}

// complete holds got against an uninterrupted run: nothing lost, nothing invented, duplicates equal.
func complete(want, got *pipelinetest.Broker) error {
	if err := pipelinetest.SameDelivery(want.Signals, got.Signals); err != nil {
		return err
	}
	if err := pipelinetest.SameDelivery(want.Shadow, got.Shadow); err != nil {
		return fmt.Errorf("shadow: %w", err)
	}
	rejected := make(map[int64]string)
	for _, r := range got.Rejects {
		if v, ok := rejected[r.Offset]; ok && v != string(r.Value) {
			return fmt.Errorf("two different rejects of offset %d", r.Offset)
		}
		rejected[r.Offset] = string(r.Value)
	}
	for _, r := range want.Rejects {
		if v, ok := rejected[r.Offset]; !ok || v != string(r.Value) {
			return fmt.Errorf("the reject of offset %d is lost", r.Offset)
		}
	}
	if len(rejected) != len(want.Rejects) {
		return fmt.Errorf("%d records rejected, want %d", len(rejected), len(want.Rejects))
	}
	if got.Next != want.End {
		return fmt.Errorf("stored position %d, the log ends at %d", got.Next, want.End)
	}
	return nil
}

// A process that dies at any point, and is started again, loses nothing and repeats itself only in equal
// signals.
func TestDeathAtEveryPoint(t *testing.T) {
	set := compile(t)
	records := traffic(rand.New(rand.NewPCG(1, 1)), 23)
	want := whole(t, config(), set, records)
	for _, point := range pipelinetest.Points() {
		t.Run(string(point), func(t *testing.T) {
			deaths := 0
			for nth := 1; nth <= 23; nth++ {
				p := process(config(), set, records)
				died, err := p.Start(pipelinetest.Trouble{Point: point, Nth: nth})
				if err != nil {
					t.Fatal(err)
				}
				if died {
					deaths++
					if stored := p.Broker.Next; point != pipelinetest.Stored && stored == p.Broker.End {
						t.Fatalf("death %d: everything was stored before it", nth)
					}
					if died, err := p.Start(pipelinetest.Trouble{}); died || err != nil {
						t.Fatal(died, err)
					}
				}
				if err := complete(want, p.Broker); err != nil {
					t.Fatalf("death %d: %v", nth, err)
				}
			}
			// 23 records in batches of 5 are 5 commits; garbage ends at decode.
			if least := 5; deaths < least {
				t.Errorf("it died %d times, should be at least %d: the point is not passed", deaths, least)
			}
		})
	}
}

// The same for a commit that fails, with its outputs published in part, in whole, or stored with the answer
// lost: the partition ends with the error and a new one repeats the batch.
func TestCommitFailsAtEveryPoint(t *testing.T) {
	set := compile(t)
	records := traffic(rand.New(rand.NewPCG(2, 1)), 23)
	want := whole(t, config(), set, records)
	boom := errors.New("broken pipe")
	for _, point := range []pipelinetest.Point{pipelinetest.Acking, pipelinetest.Acked, pipelinetest.Stored} {
		for nth := 1; nth <= 5; nth++ {
			p := process(config(), set, records)
			if died, err := p.Start(pipelinetest.Trouble{Point: point, Nth: nth, Err: boom}); died || !errors.Is(err, boom) {
				t.Fatalf("%s %d: died %v, error %v", point, nth, died, err)
			}
			if died, err := p.Start(pipelinetest.Trouble{}); died || err != nil {
				t.Fatal(died, err)
			}
			if err := complete(want, p.Broker); err != nil {
				t.Fatalf("%s %d: %v", point, nth, err)
			}
		}
	}
}

// Random lives: any number of deaths and failures, at any points, with any batch and fetch sizes.
func TestRandomLives(t *testing.T) {
	set := compile(t)
	boom := errors.New("broken pipe")
	points := pipelinetest.Points()
	duplicates := 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		records := traffic(r, 40+r.IntN(40))
		cfg := config()
		cfg.PerRule = r.IntN(4) == 0
		cfg.CommitRecords = 1 + r.IntN(20)
		now := time.Unix(1e9, 0)
		cfg.Clock = func() time.Time {
			now = now.Add(time.Duration(r.IntN(20)) * time.Millisecond)
			return now
		}
		want := process(cfg, set, records)
		if died, err := want.Start(pipelinetest.Trouble{}); died || err != nil {
			t.Fatal(died, err)
		}
		p := process(cfg, set, records)
		p.Size = func() int { return r.IntN(12) }
		for life := 0; ; life++ {
			trouble := pipelinetest.Trouble{Point: points[r.IntN(len(points))], Nth: 1 + r.IntN(20)}
			if r.IntN(3) == 0 {
				trouble.Err = boom
			}
			if life > 30 {
				trouble = pipelinetest.Trouble{}
			}
			died, err := p.Start(trouble)
			if err != nil && !errors.Is(err, boom) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if !died && err == nil {
				break
			}
		}
		if err := complete(want.Broker, p.Broker); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		duplicates += len(p.Broker.Signals) - len(want.Broker.Signals)
	}
	if duplicates == 0 {
		t.Error("no life repeated a signal: the deaths do not strike where it matters")
	}
}

// With lineage on, a restart knows nothing of what was before and says so: signals may know less than those of
// an uninterrupted run, but what they know of parents and ancestors is the same, and no signal of a rule that
// does not ask for them is lost.
func TestLineageStartsUnknown(t *testing.T) {
	set := compile(t)
	cfg := config()
	cfg.Lineage = true
	less := 0
	for seed := range uint64(20) {
		records := traffic(rand.New(rand.NewPCG(seed, 3)), 120)
		want := whole(t, cfg, set, records)
		full := make(map[string]event.Event)
		for _, o := range want.Signals {
			full[pipelinetest.HeaderOf(o, pipeline.HeaderSignalID)] = parse(t, o)
		}
		var log bytes.Buffer
		loud := cfg
		loud.Log = slog.New(slog.NewTextHandler(&log, nil))
		p := process(loud, set, records)
		if died, err := p.Start(pipelinetest.Trouble{Point: pipelinetest.Acked, Nth: 10 + int(seed)%5}); !died || err != nil {
			t.Fatal(died, err)
		}
		if strings.Contains(log.String(), "lineage starts unknown") {
			t.Fatalf("seed %d: the first start, at the log's beginning, says that lineage is unknown", seed)
		}
		if died, err := p.Start(pipelinetest.Trouble{}); died || err != nil {
			t.Fatal(died, err)
		}
		if !strings.Contains(log.String(), "lineage starts unknown") {
			t.Fatalf("seed %d: the restart does not say that lineage is unknown:\n%s", seed, log.String())
		}
		if a, b := pipelinetest.IDs(want.Signals), pipelinetest.IDs(p.Broker.Signals); !slices.Equal(a, b) {
			t.Fatalf("seed %d: ids %q, should be %q", seed, b, a)
		}
		for _, o := range p.Broker.Signals {
			id := pipelinetest.HeaderOf(o, pipeline.HeaderSignalID)
			got, whole := parse(t, o).Process, full[id].Process
			if got == nil || whole == nil {
				continue
			}
			if len(got.Ancestors) > len(whole.Ancestors) || !reflect.DeepEqual(got.Ancestors, whole.Ancestors[:len(got.Ancestors)]) && len(got.Ancestors) > 0 {
				t.Fatalf("seed %d: signal %s has other ancestors after a restart:\n%s", seed, id, o.Value)
			}
			if len(got.Ancestors) < len(whole.Ancestors) {
				less++
			}
		}
	}
	if less == 0 {
		t.Error("no restart forgot an ancestor: the traffic does not test it")
	}
}

func parse(t *testing.T, o pipeline.Output) (e event.Event) {
	t.Helper()
	if err := json.Unmarshal(o.Value, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// The harness itself: it must see what it is there to see.
func TestSameDeliverySees(t *testing.T) {
	signal := func(id, value string) pipeline.Output {
		return pipeline.Output{Key: []byte("pc1"), Value: []byte(value), Headers: []pipeline.Header{{Key: pipeline.HeaderSignalID, Value: []byte(id)}}}
	}
	want := []pipeline.Output{signal("a", "1"), signal("b", "2")}
	cases := map[string]struct {
		got []pipeline.Output
		ok  bool
	}{
		"equal":            {want, true},
		"duplicate":        {append(want[:2:2], signal("a", "1")), true},
		"lost":             {want[:1], false},
		"invented":         {append(want[:2:2], signal("c", "1")), false},
		"other bytes":      {[]pipeline.Output{signal("a", "1"), signal("b", "3")}, false},
		"unequal repeated": {append(want[:2:2], signal("a", "2")), false},
	}
	for name, c := range cases {
		if err := pipelinetest.SameDelivery(want, c.got); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
