package bench_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/goccy/go-json"
	"github.com/twmb/franz-go/pkg/kgo"

	"spoor/bench"
	"spoor/enrich"
	"spoor/pipeline"
	"spoor/pipeline/embedded"
	"spoor/pipeline/event"
	"spoor/pipeline/kafka"
	"spoor/pipeline/state"
	"spoor/rules"
)

// BenchmarkDecode is one record from its bytes to an event that is ready for lineage. The metric x-bare is how
// many times as long it takes as BenchmarkBareUnmarshal.
func BenchmarkDecode(b *testing.B) {
	workloads(b, func(b *testing.B, w workload) {
		dec := event.NewDecoder(event.DecoderConfig{})
		var e event.Event
		decode := func(value []byte) {
			if err := dec.Decode(value, &e); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportAllocs()
		b.SetBytes(meanBytes(w.records))
		i := 0
		for b.Loop() {
			decode(w.records[i].Value)
			if i++; i == len(w.records) {
				i = 0
			}
		}
		perEvent(b, b.N, b.Elapsed())
		// The ratio is taken in turns over the same part of the traffic, so that both meet the same machine.
		sample := w.records[:min(len(w.records), 10_000)]
		var ours, bare shortest
		for range 5 {
			ours.of(func() {
				for _, r := range sample {
					decode(r.Value)
				}
			})
			bare.of(func() {
				for _, r := range sample {
					unmarshal(b, r.Value)
				}
			})
		}
		b.ReportMetric(float64(ours)/float64(bare), "x-bare")
	})
}

// unmarshal is what one would write without thinking about it.
func unmarshal(b *testing.B, value []byte) {
	var e event.Event
	if err := json.Unmarshal(value, &e); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkBareUnmarshal is a bare go-json Unmarshal into the same types, the measure for BenchmarkDecode.
func BenchmarkBareUnmarshal(b *testing.B) {
	workloads(b, func(b *testing.B, w workload) {
		b.ReportAllocs()
		b.SetBytes(meanBytes(w.records))
		i := 0
		for b.Loop() {
			unmarshal(b, w.records[i].Value)
			if i++; i == len(w.records) {
				i = 0
			}
		}
		perEvent(b, b.N, b.Elapsed())
	})
}

// BenchmarkEnrich is lineage for one decoded event: learning, looking up, attaching parent and ancestors. The
// state is committed every 10,000 events and new at each pass over the traffic. Time and allocations are those of
// the enrichment; the metric of-decode is its share of what decoding the same events took.
func BenchmarkEnrich(b *testing.B) {
	workloads(b, func(b *testing.B, w workload) {
		e := newEnricher(b, w.records)
		for done := 0; done < b.N; {
			done += e.chunk(b.N - done)
		}
		s := e.state.Stats()
		all := 0.0
		for _, n := range s.Lookups {
			all += float64(n)
		}
		perEvent(b, b.N, e.enriching)
		b.ReportMetric(float64(e.enriching.Nanoseconds())/float64(b.N), "ns/op")
		b.ReportMetric(float64(e.enriching)/float64(e.decoding), "of-decode")
		b.ReportMetric(float64(s.Lookups[state.Hit])/all, "hits")

		// Counting allocations stops the world, hence apart from the times.
		e = newEnricher(b, w.records)
		e.counts = true
		for done := 0; done < len(w.records); {
			done += e.chunk(len(w.records) - done)
		}
		b.ReportAllocs()
		b.ReportMetric(float64(e.mallocs)/float64(len(w.records)), "allocs/op")
		b.ReportMetric(float64(e.bytes)/float64(len(w.records)), "B/op")
	})
}

// enricher takes chunks of traffic through decoding and lineage and times both. A decoder has one event alive at a
// time, so a chunk needs as many decoders as events; it is short, so that an event is still warm when its lineage
// is looked up, as it is in the pipeline.
type enricher struct {
	b         *testing.B
	records   []bench.Record
	at        int
	decoders  [64]*event.Decoder
	events    [64]event.Event
	state     *state.State
	lineage   *enrich.Lineage
	changes   []state.Change
	decoding  time.Duration
	enriching time.Duration
	counts    bool
	mallocs   uint64
	bytes     uint64
}

func newEnricher(b *testing.B, records []bench.Record) *enricher {
	e := &enricher{b: b, records: records}
	for i := range e.decoders {
		e.decoders[i] = event.NewDecoder(event.DecoderConfig{})
	}
	return e
}

// chunk processes at most limit events and returns how many.
func (e *enricher) chunk(limit int) int {
	if e.at == len(e.records) {
		e.at = 0
	}
	if e.at == 0 {
		e.state = state.New(state.DefaultConfig())
		e.lineage = enrich.NewLineage(enrich.DefaultConfig(), e.state)
	}
	part := e.records[e.at:min(e.at+len(e.events), len(e.records), e.at+limit)]
	start := time.Now()
	for i := range part {
		if err := e.decoders[i].Decode(part[i].Value, &e.events[i]); err != nil {
			e.b.Fatal(err)
		}
		e.events[i].Meta.Host, e.events[i].Meta.HasHost = part[i].Key, true
	}
	e.decoding += time.Since(start)
	mallocs, bytes := e.count()
	start = time.Now()
	for i := range part {
		e.state.Advance(part[i].Time.UnixMilli())
		e.lineage.Enrich(&e.events[i])
	}
	e.enriching += time.Since(start)
	m, n := e.count()
	e.mallocs += m - mallocs
	e.bytes += n - bytes
	if e.at/10_000 != (e.at+len(part))/10_000 {
		e.changes = e.state.Changes(e.changes[:0])
		e.state.Committed()
	}
	e.at += len(part)
	return len(part)
}

// count is the number of allocations so far, and their bytes.
func (e *enricher) count() (mallocs, bytes uint64) {
	if !e.counts {
		return 0, 0
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs, m.TotalAlloc
}

// BenchmarkEvaluate is Match of all bundled rules on one enriched event.
func BenchmarkEvaluate(b *testing.B) {
	set := bundled(b)
	workloads(b, func(b *testing.B, w workload) {
		events := decodeAll(b, w.records)
		st := state.New(state.DefaultConfig())
		lineage := enrich.NewLineage(enrich.DefaultConfig(), st)
		for i, e := range events {
			st.Advance(w.records[i].Time.UnixMilli())
			lineage.Enrich(e)
			meta := e.Meta
			events[i] = e.Clone() // what lineage attached belongs to the state
			events[i].Meta = meta
		}
		var res rules.Result
		b.ReportAllocs()
		i, matches := 0, 0
		for b.Loop() {
			set.Match(events[i], &res)
			matches += len(res.Live)
			if i++; i == len(events) {
				i = 0
			}
		}
		perEvent(b, b.N, b.Elapsed())
		b.ReportMetric(float64(matches)/float64(b.N)*1000, "matches/1000")
		b.ReportMetric(float64(len(set.Rules())), "rules")
	})
}

// BenchmarkPipelineMemory is one record through the whole pipeline on one goroutine: decode, lineage, the bundled
// rules, signals, batches; the ends are memory. The partition is new at each pass over the traffic.
func BenchmarkPipelineMemory(b *testing.B) {
	set := bundled(b)
	workloads(b, func(b *testing.B, w workload) {
		records := fetchOf(w.records).Records
		b.ReportAllocs()
		b.SetBytes(meanBytes(w.records))
		b.ResetTimer()
		var signals int64
		for done := 0; done < b.N; {
			p := pipeline.New(pipeline.DefaultConfig(), set, nil).Partition(pipeline.TopicPartition{Topic: "bench"}, "")
			n := min(len(records), b.N-done)
			step(b, p, records[:n], discard{})
			if err := p.Flush(context.Background(), discard{}); err != nil {
				b.Fatal(err)
			}
			done += n
			c := p.Counters()
			if c.Rejected > 0 {
				b.Fatalf("%d rejects", c.Rejected)
			}
			signals += c.Signals
		}
		perEvent(b, b.N, b.Elapsed())
		b.ReportMetric(float64(signals)/float64(b.N)*1000, "signals/1000")
	})
}

// BenchmarkKafkaToKafka is one pass of the traffic from a topic to a topic: a member of a consumer group joins,
// fetches four partitions, and publishes and commits until it has taken in everything. The broker is the
// embedded one, in the same process: its work is in the numbers, and what a real broker and network take is
// not. Joining the group is not timed: the time runs from the assignment to the last commit. The traffic is that of
// ten times the hosts, or the first fetch and the last commit would be most of it.
func BenchmarkKafkaToKafka(b *testing.B) {
	set := bundled(b)
	workloads(b, func(b *testing.B, w workload) { kafkaToKafka(b, set, workload{w.name, multiplied(w.records, 10)}) })
}

func kafkaToKafka(b *testing.B, set *rules.Set, w workload) {
	const partitions = 4
	broker, err := embedded.Start(context.Background(), embedded.Config{
		Topics: map[string]int32{"in": partitions}, MinSessionTimeout: time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer broker.Close()
	publish(b, broker, w.records, partitions)
	var took time.Duration
	run := 0
	for b.Loop() {
		run++
		took += consume(b, broker, set, run, int64(len(w.records)), partitions)
	}
	var bare shortest
	for range 5 {
		bare.of(func() {
			for _, r := range w.records {
				unmarshal(b, r.Value)
			}
		})
	}
	perEvent(b, len(w.records)*b.N, took)
	b.ReportMetric(float64(took)/float64(b.N)/float64(bare), "x-bare")
	b.ReportMetric(0, "ns/op") // joining is in it
}

// publish writes records to the topic in, a host always to the same partition.
func publish(b *testing.B, broker *embedded.Broker, records []bench.Record, partitions int32) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker.Addrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(1<<20))
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	ctx := context.Background()
	of := map[string]int32{}
	for _, r := range records {
		to, ok := of[r.Key]
		if !ok {
			to = int32(len(of)) % partitions
			of[r.Key] = to
		}
		cl.Produce(ctx, &kgo.Record{Topic: "in", Partition: to, Key: []byte(r.Key), Value: r.Value, Timestamp: r.Time}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		b.Fatal(err)
	}
}

// consume runs a member of a group of its own over the topic in and returns how long it took from its
// assignment until everything was committed.
func consume(b *testing.B, broker *embedded.Broker, set *rules.Set, run int, events int64, partitions int32) time.Duration {
	out := fmt.Sprintf("out-%d", run)
	if err := broker.CreateTopic(out, partitions, nil); err != nil {
		b.Fatal(err)
	}
	cfg := kafka.DefaultConfig()
	cfg.Brokers = broker.Addrs()
	cfg.Group, cfg.Input, cfg.Output = fmt.Sprintf("bench-%d", run), "in", out
	cfg.SessionTimeout, cfg.RebalanceTimeout, cfg.HeartbeatInterval = 6*time.Second, 6*time.Second, time.Second
	engine := pipeline.New(pipeline.DefaultConfig(), set, pipeline.NewMetrics(nil))
	member := kafka.NewMember(cfg, engine, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- member.Run(ctx) }()
	var ready time.Time
	for {
		select {
		case err := <-done:
			b.Fatalf("the member ended: %v", err)
		case <-time.After(time.Millisecond):
		}
		if ready.IsZero() {
			if member.Status().Ready {
				ready = time.Now()
			}
			continue
		}
		c := engine.Counters() // as of the commits
		if c.Events < events {
			continue
		}
		took := time.Since(ready)
		if c.Events != events || c.Rejected > 0 {
			b.Fatalf("%d events of %d, %d rejects", c.Events, events, c.Rejected)
		}
		cancel()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		return took
	}
}
