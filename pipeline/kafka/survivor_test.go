package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/fstest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"spoor/pipeline"
	"spoor/pipeline/embedded"
	"spoor/rules"
	"spoor/rules/policy"
)

// lineagePolicy matches every exec, so that each signal shows what was known of its ancestors.
const lineagePolicy = `
name: test
rules:
  - id: any_exec
    expression: evt.name == "exec"
  - id: child_of_word
    expression: evt.name == "exec" and process.parent.executable.name == "winword.exe"
`

func lineageSet(t testing.TB) *rules.Set {
	t.Helper()
	p, diags := policy.LoadFS(fstest.MapFS{"test.yaml": {Data: []byte(lineagePolicy)}})
	if p == nil {
		t.Fatal(diags)
	}
	set, diags := rules.Compile(p)
	if set == nil {
		t.Fatal(diags)
	}
	return set
}

// execs writes n events for each partition: execs in chains, exits, now and then garbage.
func execs(t testing.TB, c *kgo.Client, topic string, partitions, from, n int) {
	t.Helper()
	var records []*kgo.Record
	for p := range partitions {
		r := rand.New(rand.NewPCG(uint64(p), uint64(from)))
		for i := from; i < from+n; i++ {
			at := time.Date(2026, 1, 1, 0, 0, 0, 137e6, time.UTC).Add(time.Duration(i) * 1500 * time.Millisecond)
			pid, parent := 100+r.IntN(20), 100+r.IntN(20)
			exe := []string{"cmd.exe", "winword.exe", "calc.exe"}[r.IntN(3)]
			value := fmt.Sprintf(`{"evt":{"name":"exec"},"date":%q,"process":{"pid":%d,"ppid":%d,"executable":{"path":"C:\\%s"},"cmdline":"%s %d"}}`,
				at.Format(time.RFC3339Nano), pid, parent, exe, exe, i)
			switch r.IntN(10) {
			case 0:
				value = `{"broken`
			case 1:
				value = fmt.Sprintf(`{"evt":{"name":"exit"},"date":%q,"process":{"pid":%d}}`, at.Format(time.RFC3339Nano), pid)
			}
			records = append(records, &kgo.Record{Topic: topic, Partition: int32(p), Key: fmt.Appendf(nil, "pc%d", p), Value: []byte(value), Timestamp: at})
		}
	}
	if err := c.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// live starts a member that runs the real pipeline.
func live(t testing.TB, cfg Config, log *slog.Logger) (m *Member, stop func()) {
	t.Helper()
	pc := pipeline.DefaultConfig()
	pc.CommitInterval, pc.CommitRecords = 20*time.Millisecond, 50
	pc.State.MaxNodes = 12
	pc.EngineVersion, pc.Log = "test", log
	m = NewMember(cfg, pipeline.New(pc, lineageSet(t), pipeline.NewMetrics(nil)), log)
	m.growth = 100 * time.Millisecond
	return m, running(t, m)
}

// seen is what a read_committed consumer of another library sees of a topic: value by signal id, and how often.
func seen(t testing.TB, b addresser, topic string) (values map[string]string, count map[string]int) {
	t.Helper()
	c := franz(t, b, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	values, count = map[string]string{}, map[string]int{}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for idle := 0; idle < 3 && ctx.Err() == nil; idle++ {
		poll, done := context.WithTimeout(ctx, 300*time.Millisecond)
		fetches := c.PollFetches(poll)
		if fetches.NumRecords() > 0 {
			idle = 0
		}
		fetches.EachRecord(func(r *kgo.Record) {
			for _, h := range r.Headers {
				if h.Key == pipeline.HeaderSignalID {
					values[string(h.Value)] = string(r.Value)
					count[string(h.Value)]++
				}
			}
		})
		done()
	}
	return values, count
}

func survivorConfig(b *embedded.Broker) Config {
	cfg := config(b)
	cfg.Changelog, cfg.Delivery = true, "exactly_once"
	return cfg
}

// The state survives a restart, and a rebalance with several members: ids and bytes are those of one undisturbed
// member.
func TestStateSurvives(t *testing.T) {
	t.Parallel()
	for _, delivery := range []string{"exactly_once", "at_least_once"} {
		t.Run(delivery, func(t *testing.T) {
			t.Parallel()
			const partitions, n = 4, 600
			b := broker(t, embedded.Config{Topics: map[string]int32{"in": partitions, "out": 3, "calm": 3, "rejects": 1}})
			f := franz(t, b)
			cfg := survivorConfig(b)
			cfg.Delivery = delivery
			calm := cfg
			calm.Group, calm.Output = "calm", "calm"

			execs(t, f, "in", partitions, 0, n/2)
			m, stop := live(t, cfg, quiet)
			eventually(t, func() string { return atEnd(t, m, partitions, n/4) })
			stop() // in mid-stream, most likely
			m, stop = live(t, cfg, quiet)
			execs(t, f, "in", partitions, n/2, n/2)
			eventually(t, func() string { return atEnd(t, m, partitions, n/2) })
			other, stopOther := live(t, cfg, quiet)
			eventually(t, func() string { return assigned(map[*Member]int{m: 2, other: 2}) })
			stop()
			eventually(t, func() string { return atEnd(t, other, partitions, n) })
			stopOther()

			m, stop = live(t, calm, quiet)
			eventually(t, func() string { return atEnd(t, m, partitions, n) })
			stop()

			want, _ := seen(t, b, "calm")
			got, count := seen(t, b, "out")
			if len(got) != len(want) || len(want) == 0 {
				t.Fatalf("%d signals, want %d", len(got), len(want))
			}
			for id, v := range want {
				if got[id] != v {
					t.Fatalf("%s\n%s\nwant\n%s", id, got[id], v)
				}
				if count[id] != 1 {
					t.Errorf("%s was seen %d times", id, count[id])
				}
			}
		})
	}
}

// atEnd says which partition has not been committed up to n, or "".
func atEnd(t testing.TB, m *Member, partitions, n int) string {
	t.Helper()
	c, err := connect(m.cfg) // the member's own is its own
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	rows, err := c.committed(context.Background(), partitions)
	if err != nil {
		return err.Error()
	}
	for p := range partitions {
		if rows[int32(p)].offset < int64(n) {
			return fmt.Sprintf("partition %d is at %+v, want %d", p, rows[int32(p)], n)
		}
	}
	return ""
}
