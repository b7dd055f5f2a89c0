package pipeline_test

import (
	"context"
	"io"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"spoor/pipeline"
	"spoor/pipeline/pipelinetest"
	"spoor/pipeline/state"
	"spoor/rules"
)

// A batch is evaluated with one set; a new one comes in with the next batch.
func TestSwapAtCommit(t *testing.T) {
	old, next := compile(t, testPolicy), compile(t, strings.Replace(testPolicy, "id: any_exec", "id: renamed", 1))
	if old.Hash() == next.Hash() {
		t.Fatal("the sets have one hash")
	}
	cfg := testConfig()
	cfg.CommitRecords = 4
	var e *pipeline.Engine
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageSink && l.Offset == 1 {
			e.Swap(next)
		}
	}
	e = pipeline.New(cfg, old, nil)
	var rs []pipeline.Record
	for i := range 8 {
		rs = append(rs, record(i, execCalc))
	}
	b := pipelinetest.NewBroker(rs...)
	if err := e.Partition(pipeline.TopicPartition{Topic: "events"}, "").Run(context.Background(), b.Source(nil), &pipelinetest.Committer{Broker: b}); err != nil {
		t.Fatal(err)
	}
	for i, o := range b.Signals {
		set, rule := old, "any_exec"
		if i >= 4 {
			set, rule = next, "renamed"
		}
		if got := pipelinetest.HeaderOf(o, pipeline.HeaderPolicySet); got != set.Hash() || decodeSignal(t, o).Agent.RuleID != rule {
			t.Errorf("signal %d: set %s, rule %s", i, got, decodeSignal(t, o).Agent.RuleID)
		}
	}
	if want := []string{old.Hash(), next.Hash()}; !reflect.DeepEqual(b.Sets, want) || len(b.Signals) != 8 {
		t.Errorf("batches %q, %d signals", b.Sets, len(b.Signals))
	}
	if n := e.Counters().RuleMatches; n["any_exec"] != 4 || n["renamed"] != 4 || n["shadow_exec"] != 8 {
		t.Errorf("matches %v", n)
	}
}

func TestCounters(t *testing.T) {
	cfg := testConfig()
	e := pipeline.New(cfg, compile(t, testPolicy), nil)
	p := e.Partition(pipeline.TopicPartition{Topic: "events"}, "")
	b := pipelinetest.NewBroker(record(1, execCmd), record(2, "?"), record(3, create), record(4, remove))
	b.Input[2].Key = nil
	f, err := b.Source(nil).Next(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	out := &pipelinetest.Committer{Broker: b}
	if err := p.Step(context.Background(), f, out); err != nil {
		t.Fatal(err)
	}
	if n := e.Counters().Events; n != 0 {
		t.Errorf("%d events counted before the commit", n)
	}
	before := p.Counters()
	if err := p.Flush(context.Background(), out); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]pipeline.Counters{"partition before": before, "partition after": p.Counters(), "engine": e.Counters()} {
		want := map[string]int64{"cmd": 1, "any_exec": 1, "shadow_exec": 1, "file_created": 1}
		if c.Events != 4 || c.Rejected != 1 || c.Signals != 2 || c.ShadowSignals != 1 || !reflect.DeepEqual(c.RuleMatches, want) {
			t.Errorf("%s: %+v", name, c)
		}
		if c.Lineage.NoHost != 1 {
			t.Errorf("%s: lineage %+v", name, c.Lineage)
		}
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	e := pipeline.New(testConfig(), compile(t, testPolicy), pipeline.NewMetrics(reg))
	m := e.Metrics()
	p := e.Partition(pipeline.TopicPartition{Topic: "events", Partition: 3}, "")
	b := pipelinetest.NewBroker(record(1, execCmd), record(2, "?"), record(3, `{"evt":{"name":"delete"},"a":1,"b":2}`))
	if err := p.Run(context.Background(), b.Source(nil), &pipelinetest.Committer{Broker: b}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		collector prometheus.Collector
		want      float64
	}{
		"records":         {m.Records.WithLabelValues("events", "3"), 3},
		"bytes":           {m.RecordBytes.WithLabelValues("events", "3"), float64(len(execCmd) + 1 + 37)},
		"rejects":         {m.Rejects.WithLabelValues("invalid_json", "decode"), 1},
		"unknown fields":  {m.UnknownFields, 2},
		"signals":         {m.Signals.WithLabelValues("cmd", "live"), 1},
		"not the primary": {m.Signals.WithLabelValues("any_exec", "live"), 0},
		"shadow signals":  {m.Signals.WithLabelValues("shadow_exec", "shadow"), 1},
		"matches":         {m.Matches.WithLabelValues("any_exec", "live"), 1},
		"lag":             {m.Lag.WithLabelValues("events", "3"), 0},
		"live rules":      {m.PolicyRules.WithLabelValues("live"), 4},
		"policy set":      {m.PolicySet.WithLabelValues(e.Set().Hash()), 1},
	} {
		if got := testutil.ToFloat64(c.collector); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	series := func() int {
		n, err := testutil.GatherAndCount(reg, "spoor_lag_records", "spoor_last_commit_timestamp_seconds", "spoor_state_entries", "spoor_state_bytes", "spoor_lineage_suspect_hosts")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if series() == 0 {
		t.Error("the partition has no gauges")
	}
	p.Close()
	if n := series(); n != 0 {
		t.Errorf("%d gauges after Close", n)
	}
}

// The same records give the same bytes, however they are cut into fetches and batches.
func TestSameBytes(t *testing.T) {
	var rs []pipeline.Record
	for i := range 200 {
		rs = append(rs, record(i, []string{execCmd, execCalc, create, remove, "?", chain(3, 5)}[i%6]))
	}
	set := compile(t, testPolicy)
	want := run(t, testConfig(), set, rs...)
	for _, n := range []int{1, 3, 50} {
		cfg := testConfig()
		cfg.CommitRecords = 7 * n
		b := pipelinetest.NewBroker(rs...)
		p := pipeline.New(cfg, set, nil).Partition(pipeline.TopicPartition{Topic: "events", Partition: 3}, "lab")
		if err := p.Run(context.Background(), b.Source(func() int { return n }), &pipelinetest.Committer{Broker: b}); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(b.Signals, want.Signals) || !reflect.DeepEqual(b.Shadow, want.Shadow) || !reflect.DeepEqual(b.Rejects, want.Rejects) {
			t.Errorf("fetches of %d records give other outputs", n)
		}
	}
}

func TestValidate(t *testing.T) {
	if errs := pipeline.DefaultConfig().Validate(); len(errs) != 0 {
		t.Errorf("the default config: %v", errs)
	}
	cfg := pipeline.DefaultConfig()
	cfg.MaxRecordBytes, cfg.MaxSignalBytes, cfg.CommitRecords, cfg.CommitBytes, cfg.CommitInterval, cfg.DrainTimeout = 0, 0, 0, 0, 0, 0
	cfg.Enrich.MaxAncestors = 3
	if errs := cfg.Validate(); len(errs) != 7 {
		t.Errorf("%d problems: %v", len(errs), errs)
	}
}

// Partitions share an engine whose set is swapped while they run: each signal is whole, of one set. Run it
// with -race.
func TestPartitionsShareAnEngine(t *testing.T) {
	sets := []*rules.Set{compile(t, testPolicy), compile(t, strings.Replace(testPolicy, "id: any_exec", "id: renamed", 1))}
	names := map[string]string{sets[0].Hash(): "any_exec", sets[1].Hash(): "renamed"}
	cfg := testConfig()
	cfg.CommitRecords = 10
	e := pipeline.New(cfg, sets[0], nil)
	var running sync.WaitGroup
	var done atomic.Bool
	running.Go(func() {
		for i := 0; !done.Load(); i++ {
			e.Swap(sets[i%2])
			e.Stuck(time.Minute)
			e.Counters()
			time.Sleep(50 * time.Microsecond)
		}
	})
	const partitions, records = 4, 500
	brokers := make([]*pipelinetest.Broker, partitions)
	var parts sync.WaitGroup
	for i := range brokers {
		b := pipelinetest.NewBroker(repeat(execCalc, records)...)
		brokers[i] = b
		p := e.Partition(pipeline.TopicPartition{Topic: "events", Partition: int32(i)}, "")
		parts.Go(func() {
			if err := p.Run(context.Background(), b.Source(func() int { return 7 }), &pipelinetest.Committer{Broker: b}); err != nil {
				t.Error(err)
			}
		})
	}
	parts.Wait()
	done.Store(true)
	running.Wait()
	for _, b := range brokers {
		if len(b.Signals) != records {
			t.Fatalf("%d signals", len(b.Signals))
		}
		for _, o := range b.Signals {
			want := names[pipelinetest.HeaderOf(o, pipeline.HeaderPolicySet)]
			if got := decodeSignal(t, o).Agent.RuleID; got != want {
				t.Fatalf("a signal of rule %s in a set that has %s", got, want)
			}
		}
	}
	c := e.Counters()
	if c.Events != partitions*records || c.RuleMatches["any_exec"]+c.RuleMatches["renamed"] != partitions*records {
		t.Errorf("counters %+v", c)
	}
}

// A partition is stuck whose loop waits for long with records to read; one that turns, or has read everything, is not.
func TestStuck(t *testing.T) {
	now := time.Unix(1e9, 0)
	cfg := testConfig()
	cfg.Clock = func() time.Time { return now }
	e := pipeline.New(cfg, compile(t, testPolicy), nil)
	p := e.Partition(pipeline.TopicPartition{Topic: "events", Partition: 2}, "")
	src := &script{fetches: []pipeline.Fetch{
		{Records: []pipeline.Record{at(0)}, Next: 1, End: 5},
		{End: 5},
		{Records: []pipeline.Record{at(4)}, Next: 5, End: 5},
	}, end: io.EOF}
	waits := []time.Duration{5 * time.Minute, 5 * time.Minute, 4 * time.Minute, 5 * time.Minute}
	var stuck []int
	src.wait = func() {
		now = now.Add(waits[len(stuck)])
		during, running := e.Stuck(5 * time.Minute)
		if running != 1 || len(during) > 0 && during[0].Partition != 2 {
			t.Errorf("%d running, stuck %v", running, during)
		}
		stuck = append(stuck, len(during))
	}
	if err := p.Run(context.Background(), src, &nexts{}); err != nil {
		t.Fatal(err)
	}
	// No lag yet; a lag for 5 minutes; for 4 minutes since the loop turned; no lag any more.
	if want := []int{0, 1, 0, 0}; !reflect.DeepEqual(stuck, want) {
		t.Errorf("stuck %v, want %v", stuck, want)
	}
	if stuck, running := e.Stuck(0); len(stuck) != 0 || running != 0 {
		t.Errorf("after Run: %v, %d running", stuck, running)
	}
}

// What was counted stays counted when a panic costs the partition its state.
func TestCountersOverLostState(t *testing.T) {
	cfg := testConfig()
	cfg.CommitRecords = 1
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageEnrich && l.Offset == 1 {
			panic("index out of range")
		}
	}
	e := pipeline.New(cfg, compile(t, testPolicy), nil)
	b := pipelinetest.NewBroker(record(1, execCmd), record(2, execCalc), record(3, create))
	p := e.Partition(pipeline.TopicPartition{Topic: "events"}, "")
	if err := p.Run(context.Background(), b.Source(nil), &pipelinetest.Committer{Broker: b}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]pipeline.Counters{"partition": p.Counters(), "engine": e.Counters()} {
		l := c.Lineage
		if sum := l.Hit + l.Unknown + l.Reused + l.Ambiguous + l.NoHost; sum != 3 || c.Events != 3 {
			t.Errorf("%s: %+v: each of the 3 events asks once", name, c)
		}
	}
	var lookups float64
	for _, r := range state.Results() {
		lookups += testutil.ToFloat64(e.Metrics().LineageLookups.WithLabelValues(r.String()))
	}
	if lookups != 3 {
		t.Errorf("%v lookups in the metrics", lookups)
	}
}
