package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"spoor/pipeline"
	"spoor/pipeline/pipelinetest"
	"spoor/pipeline/state"
)

// Step and Flush have committed what was due when they return.
func TestStepWaits(t *testing.T) {
	cfg := testConfig()
	cfg.CommitRecords = 2
	tp := pipeline.TopicPartition{Topic: "events", Partition: 5}
	p := pipeline.New(cfg, compile(t, testPolicy), nil).Partition(tp, "")
	commits := 0
	out := committerFunc(func(_ context.Context, b *pipeline.Batch) error {
		if b.TopicPartition != tp {
			t.Errorf("a batch of %v", b.TopicPartition)
		}
		runtime.Gosched()
		commits++
		return nil
	})
	ctx := context.Background()
	for i := range int64(10) {
		if err := p.Step(ctx, pipeline.Fetch{Records: []pipeline.Record{at(i)}}, out); err != nil {
			t.Fatal(err)
		}
		if want := (i + 1) / 2; int64(commits) != want || p.Next() != max(2*want, -1) && i > 0 {
			t.Fatalf("after %d records %d commits, up to %d", i+1, commits, p.Next())
		}
	}
}

// While a commit is under way, the partition goes on into the next batch.
func TestRunGoesAhead(t *testing.T) {
	ahead := make(chan struct{})
	cfg := testConfig()
	cfg.CommitRecords = 1
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageSink && l.Offset == 1 {
			close(ahead)
		}
	}
	p := pipeline.New(cfg, compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
	src := &script{fetches: []pipeline.Fetch{{Records: []pipeline.Record{at(0)}}, {Records: []pipeline.Record{at(1)}}}, end: io.EOF}
	if err := p.Run(context.Background(), src, committerFunc(func(_ context.Context, b *pipeline.Batch) error {
		if b.Next != 1 {
			return nil
		}
		select {
		case <-ahead:
			return nil
		case <-time.After(time.Minute): // never but when the test fails
			return errors.New("the partition waits")
		}
	})); err != nil {
		t.Fatal(err)
	}
}

// A commit that does not return has not succeeded.
func TestCommitWithoutAnswer(t *testing.T) {
	p := pipeline.New(testConfig(), compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
	src := &script{fetches: []pipeline.Fetch{{Records: []pipeline.Record{at(0)}}}, end: io.EOF}
	err := p.Run(context.Background(), src, committerFunc(func(context.Context, *pipeline.Batch) error {
		runtime.Goexit()
		return nil
	}))
	if err == nil || !p.Dead() || p.Next() != -1 {
		t.Errorf("%v; dead %v, next %d", err, p.Dead(), p.Next())
	}
}

// After ErrRewound a partition may be run again, or stepped, from Next; what it counts and publishes is what it would have been
// without: nothing twice.
func TestRewound(t *testing.T) {
	var rs []pipeline.Record
	for i := range 30 {
		rs = append(rs, record(i, []string{execCmd, execCalc, create, "?", remove}[i%5]))
	}
	cfg := testConfig()
	cfg.CommitRecords = 4
	set := compile(t, testPolicy)
	undisturbed := pipeline.New(cfg, set, nil)
	want := pipelinetest.NewBroker(rs...)
	if err := undisturbed.Partition(pipeline.TopicPartition{Topic: "events"}, "").Run(context.Background(), want.Source(nil), &pipelinetest.Committer{Broker: want}); err != nil {
		t.Fatal(err)
	}
	for failing := range 8 {
		e := pipeline.New(cfg, set, nil)
		p := e.Partition(pipeline.TopicPartition{Topic: "events"}, "")
		b := pipelinetest.NewBroker(rs...)
		calls := 0
		out := committerFunc(func(ctx context.Context, batch *pipeline.Batch) error {
			if calls++; calls == failing+1 {
				return fmt.Errorf("%w: test", pipeline.ErrRewound)
			}
			return (&pipelinetest.Committer{Broker: b}).Commit(ctx, batch)
		})
		if err := p.Run(context.Background(), b.Source(func() int { return 3 }), out); !errors.Is(err, pipeline.ErrRewound) {
			t.Fatalf("commit %d: %v", failing, err)
		}
		if p.Dead() || calls != failing+1 || p.Next() != int64(4*failing) && failing > 0 {
			t.Fatalf("commit %d: dead %v after %d calls, next %d", failing, p.Dead(), calls, p.Next())
		}
		src := b.Source(nil)
		f, err := src.Next(context.Background())
		if err == nil {
			err = p.Step(context.Background(), f, out)
		}
		if err == nil {
			err = p.Flush(context.Background(), out)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(b.Signals, want.Signals) || !reflect.DeepEqual(b.Shadow, want.Shadow) || !reflect.DeepEqual(b.Rejects, want.Rejects) {
			t.Errorf("commit %d: other outputs", failing)
		}
		wantCounts := undisturbed.Counters()
		wantCounts.Lineage = e.Counters().Lineage // what was asked, not what was kept
		for name, c := range map[string]pipeline.Counters{"partition": p.Counters(), "engine": e.Counters()} {
			if !reflect.DeepEqual(c, wantCounts) {
				t.Errorf("commit %d: %s %+v, want %+v", failing, name, c, wantCounts)
			}
		}
	}
}

// Without lineage an event is evaluated as it came, and that its record names no host is counted none the less.
func TestWithoutLineage(t *testing.T) {
	set := compile(t, `
name: test
rules:
  - id: known
    expression: process.parent.known
`)
	cfg := testConfig()
	cfg.Lineage = false
	child := func(parent string) string {
		return `{"evt":{"name":"exec"},"process":{"pid":11,"ppid":10,"executable":{"path":"C:\\b.exe"}` + parent + `}}`
	}
	e := pipeline.New(cfg, set, nil)
	p := e.Partition(pipeline.TopicPartition{Topic: "events"}, "")
	b := pipelinetest.NewBroker(record(1, execCmd), record(2, child(``)), record(3, child(`,"parent":{"pid":10}`)), record(4, child(`,"parent":{"executable":{"path":"C:\\a.exe"}}`)))
	b.Input[0].Key = nil
	if err := p.Run(context.Background(), b.Source(nil), &pipelinetest.Committer{Broker: b}); err != nil {
		t.Fatal(err)
	}
	if ids := pipelinetest.IDs(b.Signals); !reflect.DeepEqual(ids, []string{"events/0/3"}) {
		t.Errorf("signals %q: only the last event says what its parent is", ids)
	}
	if got, want := e.Counters().Lineage, (pipeline.LineageCounters{NoHost: 1}); got != want {
		t.Errorf("lineage %+v", got)
	}
}

// The lag is to what a reader may see now, from where the partition is; an end that is not known says nothing.
func TestLag(t *testing.T) {
	e := pipeline.New(testConfig(), compile(t, testPolicy), nil)
	p := e.Partition(pipeline.TopicPartition{Topic: "events"}, "")
	for _, c := range []struct {
		f    pipeline.Fetch
		want float64
	}{
		{pipeline.Fetch{Records: []pipeline.Record{at(0), at(1)}, Next: 4, End: 10}, 6},
		{pipeline.Fetch{End: -1}, 6},
		{pipeline.Fetch{End: 3}, 0},
		{pipeline.Fetch{Next: 12, End: 12}, 0},
		{pipeline.Fetch{End: 13}, 1},
	} {
		if err := p.Step(context.Background(), c.f, discard); err != nil {
			t.Fatal(err)
		}
		if got := testutil.ToFloat64(e.Metrics().Lag.WithLabelValues("events", "0")); got != c.want {
			t.Errorf("%+v: lag %v, want %v", c.f, got, c.want)
		}
	}
}

// What an exception took out is no match, and counted under its name once its batch is committed.
func TestExceptionsAreCounted(t *testing.T) {
	e := pipeline.New(testConfig(), compile(t, `
name: test
rules:
  - id: started
    expression: evt.name == "exec"
    exceptions:
      - name: other
        expression: process.executable.name == "other.exe"
      - name: shell
        expression: process.executable.name == "cmd.exe"
`), nil)
	p := e.Partition(pipeline.TopicPartition{Topic: "events"}, "")
	b := pipelinetest.NewBroker(record(1, execCmd), record(2, execCalc), record(3, execCmd))
	count := func(name string) float64 {
		return testutil.ToFloat64(e.Metrics().Exceptions.WithLabelValues("started", name))
	}
	out := committerFunc(func(ctx context.Context, batch *pipeline.Batch) error {
		if n := count("shell"); n != 0 {
			t.Errorf("%v exceptions before the commit", n)
		}
		return (&pipelinetest.Committer{Broker: b}).Commit(ctx, batch)
	})
	if err := p.Run(context.Background(), b.Source(nil), out); err != nil {
		t.Fatal(err)
	}
	if other, shell, matches := count("other"), count("shell"), e.Counters().RuleMatches["started"]; other != 0 || shell != 2 || matches != 1 || len(b.Signals) != 1 {
		t.Errorf("exceptions: other %v, shell %v; %d matches, %d signals", other, shell, matches, len(b.Signals))
	}
}

// A partition that begins in the middle of its log and remembers nothing says so, once.
func TestColdStart(t *testing.T) {
	for _, c := range []struct {
		name              string
		first             int64
		lineage, restored bool
		want              float64
	}{
		{"from the beginning", 0, true, false, 0},
		{"from the middle", 5, true, false, 1},
		{"from the middle, restored", 5, true, true, 0},
		{"without lineage", 5, false, false, 0},
	} {
		cfg := testConfig()
		cfg.Lineage = c.lineage
		e := pipeline.New(cfg, compile(t, testPolicy), nil)
		p := e.Partition(pipeline.TopicPartition{Topic: "events"}, "")
		if c.restored {
			if err := p.Restored(c.first, state.Clock{}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range int64(3) {
			if err := p.Step(context.Background(), pipeline.Fetch{Records: []pipeline.Record{at(c.first + i)}}, discard); err != nil {
				t.Fatal(err)
			}
		}
		if got := testutil.ToFloat64(e.Metrics().ColdStarts); got != c.want {
			t.Errorf("%s: %v cold starts, want %v", c.name, got, c.want)
		}
	}
}
