package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kgo"

	"spoor/pipeline"
	"spoor/pipeline/embedded"
)

// broker starts an embedded broker for the test.
func broker(t testing.TB, cfg embedded.Config) *embedded.Broker {
	t.Helper()
	if cfg.MinSessionTimeout == 0 {
		cfg.MinSessionTimeout = 500 * time.Millisecond
	}
	b, err := embedded.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// config is a quick config for a broker: topics in, out and rejects, group g.
func config(b *embedded.Broker) Config {
	c := DefaultConfig()
	c.Brokers = b.Addrs()
	c.Group, c.Input, c.Output, c.Reject = "g", "in", "out", "rejects"
	c.HeartbeatInterval = 100 * time.Millisecond
	c.SessionTimeout = 10 * time.Second // a machine that stands still for a moment ends no generation
	c.RebalanceTimeout = 10 * time.Second
	return c
}

// addresser is a cluster: the embedded broker, or a real one.
type addresser interface{ Addrs() []string }

func franz(t testing.TB, b addresser, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.Addrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// fillStart is the time of the first record that fill writes: now, because a real broker deletes what is older
// than its retention.
var fillStart = time.Now().UnixMilli()

// fill produces n records to each partition of a topic: key k<partition>, value <partition>-<i>.
func fill(t testing.TB, c *kgo.Client, topic string, partitions, from, n int) {
	t.Helper()
	var records []*kgo.Record
	for i := from; i < from+n; i++ {
		for p := range partitions {
			records = append(records, &kgo.Record{
				Topic: topic, Partition: int32(p), Key: fmt.Appendf(nil, "k%d", p), Value: fmt.Appendf(nil, "%d-%d", p, i),
				Timestamp: time.UnixMilli(fillStart + int64(i)),
				Headers:   []kgo.RecordHeader{{Key: "n", Value: fmt.Append(nil, i)}},
			})
		}
	}
	if err := c.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// collect reads a topic from its beginning to its end.
func collect(t testing.TB, b addresser, topic string) map[int32][]pipeline.Record {
	t.Helper()
	out := map[int32][]pipeline.Record{}
	cfg := DefaultConfig()
	cfg.Brokers = b.Addrs()
	err := Read(context.Background(), cfg, ReadOptions{Topic: topic}, pipeline.NewMetrics(nil), quiet, func(tp pipeline.TopicPartition, rs []pipeline.Record) error {
		for _, r := range rs {
			out[tp.Partition] = append(out[tp.Partition], cloneRecord(r))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func cloneRecord(r pipeline.Record) pipeline.Record {
	c := r
	c.Key = append([]byte(nil), r.Key...)
	c.Value = append([]byte(nil), r.Value...)
	c.Headers = nil
	for _, h := range r.Headers {
		c.Headers = append(c.Headers, pipeline.Header{Key: h.Key, Value: append([]byte(nil), h.Value...)})
	}
	return c
}

var quiet = slog.New(slog.DiscardHandler)

// logged is a logger whose lines a test can look at.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	return len(p), nil
}

func (l *logged) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// patience is how long something may take to come about. It says when a test has failed, not how long anything should take:
// the machine may be slow and busy.
const patience = time.Minute

// eventually waits for f, which says what is missing, to return "".
func eventually(t testing.TB, f func() string) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		why := f()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %s", patience, why)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// echo is a stand-in for a pipeline's partition: it publishes every record as a signal with a stable id, and
// commits after each fetch.
type echo struct {
	tp      pipeline.TopicPartition
	next    int64
	onFetch func(tp pipeline.TopicPartition, f pipeline.Fetch)
	closed  func(*echo)
}

func (e *echo) Next() int64 { return e.next }
func (e *echo) Close() {
	if e.closed != nil {
		e.closed(e)
	}
}

func (e *echo) Run(ctx context.Context, src pipeline.Source, out pipeline.Committer) error {
	for {
		f, err := src.Next(ctx)
		if err != nil {
			return err
		}
		if f.Next == e.next {
			continue
		}
		if e.onFetch != nil {
			e.onFetch(e.tp, f)
		}
		b := &pipeline.Batch{TopicPartition: e.tp, Next: f.Next}
		for _, r := range f.Records {
			if r.Fault != nil {
				b.Rejects = append(b.Rejects, pipeline.Reject{Reason: r.Fault.Reason, Detail: r.Fault.Detail, Output: pipeline.Output{Value: []byte(r.Fault.Detail), Offset: r.Offset}})
				continue
			}
			c := cloneRecord(r)
			b.Signals = append(b.Signals, pipeline.Output{
				Key: c.Key, Value: c.Value, Timestamp: c.Timestamp, Offset: c.Offset,
				Headers: []pipeline.Header{{Key: "spoor-signal-id", Value: fmt.Appendf(nil, "%s/%d/%d", e.tp.Topic, e.tp.Partition, r.Offset)}},
			})
		}
		// What was processed is committed though ctx ended.
		if err := out.Commit(context.WithoutCancel(ctx), b); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		e.next = f.Next
	}
}

// member starts a group member over echoes and returns how to stop it; its Run must return nil then.
func member(t testing.TB, cfg Config, log *slog.Logger, onFetch func(pipeline.TopicPartition, pipeline.Fetch)) (m *Member, stop func()) {
	t.Helper()
	m = NewMember(cfg, pipeline.New(pipeline.Config{MaxSignalBytes: 900 << 10}, testSet(), pipeline.NewMetrics(nil)), log)
	m.growth = 100 * time.Millisecond
	m.newRunner = func(tp pipeline.TopicPartition, _ string) runner { return &echo{tp: tp, next: -1, onFetch: onFetch} }
	return m, running(t, m)
}

// running runs m and returns how to stop it; its Run must return nil then.
func running(t testing.TB, m *Member) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(patience):
				t.Errorf("Run did not end within %s", patience)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// ids counts the signal ids on a topic.
func ids(t testing.TB, b addresser, topic string) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, records := range collect(t, b, topic) {
		for _, r := range records {
			for _, h := range r.Headers {
				if h.Key == "spoor-signal-id" {
					out[string(h.Value)]++
				}
			}
		}
	}
	return out
}

// missing says which of n offsets in each of the input's partitions have no signal, or "".
func missing(t testing.TB, b addresser, in, out string, partitions, n int) string {
	t.Helper()
	got := ids(t, b, out)
	absent := 0
	for p := range partitions {
		for i := range n {
			if got[fmt.Sprintf("%s/%d/%d", in, p, i)] == 0 {
				absent++
			}
		}
	}
	if absent > 0 {
		return fmt.Sprintf("%d of %d signals are missing", absent, partitions*n)
	}
	return ""
}

// assigned says which member has not the number of partitions it should have, or "".
func assigned(want map[*Member]int) string {
	for m, n := range want {
		if s := m.Status(); !s.Ready || s.Assigned != n {
			return fmt.Sprintf("a member is at %+v, want %d partitions", s, n)
		}
	}
	return ""
}

func values(records []pipeline.Record) []string {
	var out []string
	for _, r := range records {
		out = append(out, string(r.Value))
	}
	return out
}

// transactions writes committed, aborted and plain records to partition 0 of a topic, and returns the values
// that a consumer should see.
func transactions(t testing.TB, b addresser, topic string) []string {
	t.Helper()
	ctx := context.Background()
	plain := franz(t, b)
	txn := franz(t, b, kgo.TransactionalID("txn-"+topic))
	other := franz(t, b, kgo.TransactionalID("other-"+topic))
	write := func(c *kgo.Client, value string) {
		if err := c.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	write(plain, "plain1")
	check(txn.BeginTransaction())
	write(txn, "aborted1")
	write(plain, "plain2") // in the middle of a transaction of somebody else
	check(other.BeginTransaction())
	write(other, "committed1")
	write(txn, "aborted2")
	check(txn.EndTransaction(ctx, kgo.TryAbort))
	check(other.EndTransaction(ctx, kgo.TryCommit))
	check(txn.BeginTransaction())
	write(txn, "committed2")
	check(txn.EndTransaction(ctx, kgo.TryCommit))
	check(txn.BeginTransaction())
	write(txn, "aborted3")
	check(txn.EndTransaction(ctx, kgo.TryAbort))
	write(plain, "plain3")
	return []string{"plain1", "plain2", "committed1", "committed2", "plain3"}
}

// counter is a counter's value.
func counter(c prometheus.Counter) float64 {
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		panic(err)
	}
	return m.GetCounter().GetValue()
}

func gaugeValue(g prometheus.Gauge) float64 {
	var m dto.Metric
	if err := g.Write(&m); err != nil {
		panic(err)
	}
	return m.GetGauge().GetValue()
}
