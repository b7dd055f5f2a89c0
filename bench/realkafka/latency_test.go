//go:build realkafka

package realkafka

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"spoor/bench"
)

// interval is the default commit_interval.
const interval = 200 * time.Millisecond

// How long an event takes to its signal, as a consumer that reads committed sees it, at a constant rate and with the
// default commit interval. REALKAFKA_LATENCY=seconds runs it for so long in each delivery, with 8 and with 64
// partitions; REALKAFKA_RATE is events/s over all of them.
func TestLatency(t *testing.T) {
	seconds := number(t, "REALKAFKA_LATENCY", 0)
	if seconds == 0 {
		t.Skip("REALKAFKA_LATENCY is not set")
	}
	rate := number(t, "REALKAFKA_RATE", 2000)
	bin := buildEngine(t)
	b := startBroker(t)
	for _, n := range []int32{8, 64} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := b.as(t)
			for i, d := range deliveries {
				in, out := fmt.Sprintf("in-%d-%d", n, i), fmt.Sprintf("out-%d-%d", n, i)
				b.createTopic(in, n)
				b.createTopic(out, n)
				await(t, "the topics", func() bool { return b.partitionsOf(in) == n && b.partitionsOf(out) == n })
				admin := "127.0.0.1:" + freePort(t)
				yaml := strings.ReplaceAll(config(b, out, out, true), "input: events", "input: "+in)
				m := newEngine(t, bin, strings.ReplaceAll(yaml, `admin: {listen: ""}`, fmt.Sprintf("admin: {listen: %q}", admin))+d.yaml).run()
				f := b.flow(in, out, n, rate)
				await(t, "signals", func() bool { return f.seenBy(time.Now()) > rate/10 })
				time.Sleep(5 * time.Second)
				from := time.Now()
				commits, engine, brokers := buckets(t, admin, "spoor_commit_seconds"), cpu(t, m.Process.Pid), cpu(t, b.cmd.Process.Pid)
				time.Sleep(time.Duration(seconds) * time.Second)
				to := time.Now()
				for le, count := range buckets(t, admin, "spoor_commit_seconds") {
					commits[le] = count - commits[le]
				}
				engine, brokers = cpu(t, m.Process.Pid)-engine, cpu(t, b.cmd.Process.Pid)-brokers
				time.Sleep(2 * time.Second)
				f.stop()
				m.drain(t)
				var waits []time.Duration
				for _, a := range f.arrivals {
					if a.sent.After(from) && a.sent.Before(to) {
						waits = append(waits, a.seen.Sub(a.sent))
					}
				}
				slices.Sort(waits)
				if len(waits) == 0 {
					t.Fatal("no signal came")
				}
				p50, p99, most := waits[len(waits)/2], waits[len(waits)*99/100], waits[len(waits)-1]
				commit50, commit99 := quantile(commits, 0.5), quantile(commits, 0.99)
				t.Logf("%2d partitions, %d events/s, %-13s  event to signal: p50 %.0f ms, p99 %.0f ms, most %.0f ms; commit: p50 at most %.0f ms, p99 at most %.0f ms; CPU: engine %.0f %%, broker %.0f %% of a core",
					n, rate, d.name, ms(p50), ms(p99), ms(most), ms(commit50), ms(commit99),
					100*engine.Seconds()/to.Sub(from).Seconds(), 100*brokers.Seconds()/to.Sub(from).Seconds())
				// Producing and consuming, which are not the engine's, take a moment too.
				if limit := interval + commit99 + 50*time.Millisecond; p99 > limit {
					t.Errorf("a signal in a hundred takes more than the interval and a commit: %v", limit)
				}
			}
		})
	}
}

// How long events wait when the members of a group change: the worst of each partition, from being produced to their
// signal being readable. REALKAFKA_GAP=rounds runs it.
func TestRebalanceGap(t *testing.T) {
	rounds := number(t, "REALKAFKA_GAP", 0)
	if rounds == 0 {
		t.Skip("REALKAFKA_GAP is not set")
	}
	const n, rate = 8, 1000
	bin := buildEngine(t)
	b := startBroker(t)
	b.createTopic("events", n)
	b.createTopic("signals", n)
	e := newEngine(t, bin, survivorConfig(b, "gap", "signals", "exactly_once"))
	a := e.run()
	defer a.drain(t)
	f := b.flow("events", "signals", n, rate)
	await(t, "signals", func() bool { return f.seenBy(time.Now()) > rate })
	time.Sleep(5 * time.Second)
	var changes []change
	// happens notes what is done at a time, and waits until its consequences are over.
	happens := func(what string, do func()) {
		time.Sleep(3 * time.Second)
		c := change{what: what, from: time.Now()}
		do()
		time.Sleep(12 * time.Second)
		c.to = time.Now()
		changes = append(changes, c)
	}
	happens("nothing", func() {})
	for range rounds {
		var other *member
		happens("a member joins", func() { other = e.run() })
		happens("a member leaves", func() { other.drain(t) })
		happens("a member joins", func() { other = e.run() })
		happens("a member is killed, session_timeout 6s", func() { other.kill() })
	}
	time.Sleep(2 * time.Second)
	f.stop()
	for _, c := range changes {
		worst := make([]time.Duration, n)
		for _, a := range f.arrivals {
			if a.sent.After(c.from.Add(-time.Second)) && a.sent.Before(c.to.Add(-time.Second)) {
				worst[a.partition] = max(worst[a.partition], a.seen.Sub(a.sent))
			}
		}
		slices.Sort(worst)
		t.Logf("%-40s the worst wait of a partition: least %.0f ms, middle %.0f ms, most %.0f ms", c.what, ms(worst[0]), ms(worst[n/2]), ms(worst[n-1]))
	}
}

// change is something that happens to a group, and the time in which it may be felt.
type change struct {
	what     string
	from, to time.Time
}

// flow is a producer at a constant rate and a consumer that reads committed what comes of it.
type flow struct {
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu       sync.Mutex
	arrivals []arrival // guarded by mu until stop
}

// arrival is a signal: when its event was produced, and when it was seen.
type arrival struct {
	partition  int32
	sent, seen time.Time
}

// stop ends both. Arrivals may be read afterwards.
func (f *flow) stop() {
	f.cancel()
	f.wait.Wait()
}

func (f *flow) seenBy(at time.Time) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.arrivals {
		if a.seen.Before(at) {
			n++
		}
	}
	return n
}

// flow starts both. Each event's record has the time at which it is produced, which its signal's record has too.
func (b *broker) flow(in, out string, n int32, rate int) *flow {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &flow{cancel: cancel}
	producer := b.client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	consumer := b.client(kgo.ConsumeTopics(out), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	f.wait.Go(func() {
		defer producer.Close()
		partition := map[string]int32{}
		begin, i := time.Now(), 0
		err := bench.Generate(bench.Config{Seed: 11, Hosts: 256, Events: math.MaxInt}, func(r bench.Record) error {
			p, ok := partition[r.Key]
			if !ok {
				p = int32(len(partition)) % n
				partition[r.Key] = p
			}
			i++
			time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
			producer.Produce(ctx, &kgo.Record{Topic: in, Partition: p, Key: []byte(r.Key), Value: bytes.Clone(r.Value), Timestamp: time.Now()}, nil)
			return ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			b.t.Error(err)
		}
	})
	f.wait.Go(func() {
		defer consumer.Close()
		for ctx.Err() == nil {
			fs := consumer.PollFetches(ctx)
			seen := time.Now()
			f.mu.Lock()
			fs.EachRecord(func(r *kgo.Record) { f.arrivals = append(f.arrivals, arrival{r.Partition, r.Timestamp, seen}) })
			f.mu.Unlock()
		}
	})
	return f
}

// buckets are those of a histogram without labels, by their upper bound.
func buckets(t *testing.T, admin, name string) map[float64]float64 {
	t.Helper()
	res, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out := map[float64]float64{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name+`_bucket{le="`)
		if !ok {
			continue
		}
		bound, rest, _ := strings.Cut(rest, `"} `)
		le, err1 := strconv.ParseFloat(bound, 64)
		count, err2 := strconv.ParseFloat(rest, 64)
		if err := cmp.Or(err1, err2); err != nil {
			t.Fatal(err)
		}
		out[le] = count
	}
	return out
}

// quantile is the upper bound of the bucket that it lies in.
func quantile(buckets map[float64]float64, q float64) time.Duration {
	most := math.Inf(1)
	for le, count := range buckets {
		if count >= q*buckets[math.Inf(1)] {
			most = min(most, le)
		}
	}
	if math.IsInf(most, 1) {
		return math.MaxInt64
	}
	return time.Duration(most * float64(time.Second))
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }
