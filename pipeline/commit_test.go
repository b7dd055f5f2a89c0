package pipeline_test

import (
	"context"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"spoor/pipeline"
	"spoor/pipeline/pipelinetest"
)

// script is a Source that yields what it is told.
type script struct {
	fetches []pipeline.Fetch
	wait    func()
	end     error
}

func (s *script) Next(ctx context.Context) (pipeline.Fetch, error) {
	if s.wait != nil {
		s.wait()
	}
	if err := ctx.Err(); err != nil {
		return pipeline.Fetch{}, err
	}
	if len(s.fetches) == 0 {
		return pipeline.Fetch{}, s.end
	}
	f := s.fetches[0]
	s.fetches = s.fetches[1:]
	return f, nil
}

// nexts is a Committer that notes positions.
type nexts struct {
	got []int64
	err error
	ctx []error
}

func (n *nexts) Commit(ctx context.Context, b *pipeline.Batch) error {
	n.got = append(n.got, b.Next)
	n.ctx = append(n.ctx, ctx.Err())
	return n.err
}

func at(offset int64) pipeline.Record {
	r := record(int(offset), remove)
	r.Offset = offset
	return r
}

func TestCommitWhen(t *testing.T) {
	records := func(from, to int64) (rs []pipeline.Record) {
		for o := from; o < to; o++ {
			rs = append(rs, at(o))
		}
		return rs
	}
	cases := []struct {
		name    string
		fetches []pipeline.Fetch
		records int           // CommitRecords
		tick    time.Duration // the clock moves before each fetch
		want    []int64
	}{
		{"by records, in mid-fetch", []pipeline.Fetch{{Records: records(0, 5), Next: 5}}, 2, 0, []int64{2, 4, 5}},
		{"by time", []pipeline.Fetch{{Records: records(0, 1), Next: 1}, {Records: records(1, 2), Next: 2}, {}, {}}, 100, 150 * time.Millisecond, []int64{2}},
		{"position over a gap", []pipeline.Fetch{{Records: records(0, 1), Next: 7}}, 100, 0, []int64{7}},
		{"position without records, not more often than the interval", []pipeline.Fetch{{Next: 1}, {Next: 2}, {Next: 3}, {Next: 4}, {Next: 5}}, 100, 100 * time.Millisecond, []int64{3, 5}},
		{"nothing at all", []pipeline.Fetch{{}, {Next: -1}, {}}, 100, time.Hour, nil},
		{"the same position again is nothing new", []pipeline.Fetch{{Records: records(0, 1), Next: 7}, {Next: 7}, {Next: 7}, {Next: 7}}, 100, 300 * time.Millisecond, []int64{7}},
		{"an idle fetch does not move back", []pipeline.Fetch{{Records: records(5, 6), Next: 6}, {Next: 0}}, 100, 0, []int64{6}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			now := time.Unix(1e9, 0)
			cfg := testConfig()
			cfg.CommitRecords = c.records
			cfg.Clock = func() time.Time { return now }
			p := pipeline.New(cfg, compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
			out := &nexts{}
			src := &script{fetches: c.fetches, end: io.EOF, wait: func() { now = now.Add(c.tick) }}
			if err := p.Run(context.Background(), src, out); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(out.got, c.want) {
				t.Errorf("committed %d, want %d", out.got, c.want)
			}
			if n := len(c.want); n > 0 && p.Next() != c.want[n-1] {
				t.Errorf("Next %d", p.Next())
			}
		})
	}
}

func TestCommitByBytes(t *testing.T) {
	cfg := testConfig()
	cfg.CommitBytes = 2000
	p := pipeline.New(cfg, compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
	var rs []pipeline.Record
	for i := range int64(100) {
		r := record(int(i), execCmd)
		r.Offset = i
		rs = append(rs, r)
	}
	size := func(b *pipeline.Batch) (n int) {
		for _, o := range slices.Concat(b.Signals, b.Shadow) {
			n += len(o.Key) + len(o.Value)
		}
		return n
	}
	out := committerFunc(func(_ context.Context, b *pipeline.Batch) error {
		// Ids and hosts are bytes, too.
		if n, each := size(b), size(b)/b.Records; b.Next < 100 && (n > cfg.CommitBytes+each || n < cfg.CommitBytes-100*b.Records) {
			t.Errorf("a batch of %d bytes in %d records", n, b.Records)
		}
		return nil
	})
	if err := p.Step(context.Background(), pipeline.Fetch{Records: rs}, out); err != nil {
		t.Fatal(err)
	}
}

func TestCommitFails(t *testing.T) {
	boom := errors.New("broker gone")
	p := pipeline.New(testConfig(), compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events", Partition: 3}, "")
	out := &nexts{err: boom}
	err := p.Run(context.Background(), &script{fetches: []pipeline.Fetch{{Records: []pipeline.Record{at(0)}, Next: 1}}, end: io.EOF}, out)
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), "events/3") {
		t.Errorf("error %v", err)
	}
	if len(out.got) != 1 || p.Next() != -1 {
		t.Errorf("commits %d, Next %d: a failed batch is not committed again", out.got, p.Next())
	}
	ctx := context.Background()
	for name, err := range map[string]error{
		"Step":  p.Step(ctx, pipeline.Fetch{}, out),
		"Flush": p.Flush(ctx, out),
		"Run":   p.Run(ctx, &script{end: io.EOF}, out),
	} {
		if !errors.Is(err, pipeline.ErrDead) {
			t.Errorf("%s on a dead partition: %v", name, err)
		}
	}
}

// When its context ends, a partition commits what it has and returns the context's error; the commit itself
// runs under a context that is still alive.
func TestDrain(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var rs []pipeline.Record
	for o := range int64(1000) {
		rs = append(rs, at(o))
	}
	cfg := testConfig()
	cfg.CommitRecords = 15
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageDecode && l.Offset == 100 {
			cancel()
		}
	}
	p := pipeline.New(cfg, compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
	out := &nexts{}
	err := p.Run(ctx, &script{fetches: []pipeline.Fetch{{Records: rs, Next: 1000}}, end: io.EOF}, out)
	if err != context.Canceled { // itself: the partition is whole
		t.Errorf("error %v", err)
	}
	n := len(out.got)
	if n < 8 || out.got[n-1] != p.Next() || p.Next() <= 105 || p.Next() > 200 {
		t.Errorf("commits %d: the last should be soon after offset 100, in mid-batch", out.got)
	}
	for i, err := range out.ctx {
		if err != nil {
			t.Errorf("commit %d ran under a context that had ended", i)
		}
	}
}

// A drain has an end: a commit that hangs is given up.
func TestDrainTimeout(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cfg := testConfig()
	cfg.DrainTimeout = 10 * time.Millisecond
	p := pipeline.New(cfg, compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
	src := &script{fetches: []pipeline.Fetch{{Records: []pipeline.Record{at(0)}, Next: 1}}, end: io.EOF}
	err := p.Run(ctx, src, committerFunc(func(ctx context.Context, b *pipeline.Batch) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}))
	if err == context.Canceled || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "commit events/0") {
		t.Errorf("error %v", err)
	}
}

type committerFunc func(context.Context, *pipeline.Batch) error

func (f committerFunc) Commit(ctx context.Context, b *pipeline.Batch) error { return f(ctx, b) }

func TestSourceFails(t *testing.T) {
	boom := errors.New("disk gone")
	p := pipeline.New(testConfig(), compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
	out := &nexts{}
	err := p.Run(context.Background(), &script{fetches: []pipeline.Fetch{{Records: []pipeline.Record{at(0)}, Next: 1}}, end: boom}, out)
	if !errors.Is(err, boom) || len(out.got) != 1 {
		t.Errorf("error %v, commits %d: what was read before is committed", err, out.got)
	}
	err = p.Step(context.Background(), pipeline.Fetch{Records: []pipeline.Record{at(0)}}, out)
	if err == nil || !strings.Contains(err.Error(), "offset 0 again") {
		t.Errorf("a source that goes back: %v", err)
	}
}

// The state hands its changes out once, with the batch that made them.
func TestChanges(t *testing.T) {
	cfg := testConfig()
	cfg.CommitRecords = 1
	p := pipeline.New(cfg, compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
	var changes []int
	out := committerFunc(func(_ context.Context, b *pipeline.Batch) error {
		changes = append(changes, len(b.Changes))
		return nil
	})
	b := pipelinetest.NewBroker(record(1, execCmd), record(2, remove), record(3, execCalc), record(4, "?"))
	if err := p.Run(context.Background(), b.Source(nil), out); err != nil {
		t.Fatal(err)
	}
	if len(changes) != 4 || changes[0] == 0 || changes[1] != 0 || changes[2] == 0 || changes[3] != 0 {
		t.Errorf("changes by batch: %d; two records start a process", changes)
	}
}
