package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

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
	c.SessionTimeout = 2 * time.Second
	c.RebalanceTimeout = 2 * time.Second
	return c
}

func franz(t testing.TB, b *embedded.Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.Addrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// fill produces n records to each partition of a topic: key k<partition>, value <partition>-<i>.
func fill(t testing.TB, c *kgo.Client, topic string, partitions, from, n int) {
	t.Helper()
	var records []*kgo.Record
	for i := from; i < from+n; i++ {
		for p := range partitions {
			records = append(records, &kgo.Record{
				Topic: topic, Partition: int32(p), Key: fmt.Appendf(nil, "k%d", p), Value: fmt.Appendf(nil, "%d-%d", p, i),
				Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)),
				Headers:   []kgo.RecordHeader{{Key: "n", Value: fmt.Append(nil, i)}},
			})
		}
	}
	if err := c.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// collect reads a topic from its beginning to its end.
func collect(t testing.TB, b *embedded.Broker, topic string) map[int32][]pipeline.Record {
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

// eventually waits for f, which says what is missing, to return "".
func eventually(t testing.TB, limit time.Duration, f func() string) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		why := f()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %s", limit, why)
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
			case <-time.After(20 * time.Second):
				t.Error("Run did not end within 20 s")
			}
		})
	}
	t.Cleanup(stop)
	return m, stop
}

// ids counts the signal ids on the output topic.
func ids(t testing.TB, b *embedded.Broker) map[string]int {
	t.Helper()
	out := map[string]int{}
	for _, records := range collect(t, b, "out") {
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
