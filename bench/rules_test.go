package bench_test

import (
	"testing"
	"time"

	"spoor/bench"
	"spoor/enrich"
	"spoor/pipeline"
	"spoor/pipeline/event"
	"spoor/pipeline/state"
	"spoor/rules"
)

// BenchmarkRules is Match, folding included, with a thousand real rules and with ten thousand, on recorded traffic:
// all events, and exec events alone, which most rules are about; and the same with ten times the hosts. All figures
// are of one run: each set and the bare decode take their turns over the same 64 events, and of every 64 the least
// time of all passes counts.
//
//	match-ns   one event, a thousand rules
//	x-bare     times a bare go-json Unmarshal of the same bytes
//	x-plain    how many times as long the plain evaluation takes, on a sample of the events
//	x-10000    times as long with ten thousand rules
//	x-1        times as long as with one rule
//	allocs     of a thousand events, with a thousand rules
func BenchmarkRules(b *testing.B) {
	one, thousand, ten := oneRule(b), sigmaSet(b, 1), sigmaSet(b, 10)
	for _, lane := range []struct {
		name   string
		every  int // one in every recordings; 0 is the simulator's traffic
		hosts  int
		only   string
		passes int
	}{
		{"mix", 4, 1, "", 5}, {"exec", 1, 1, "exec", 20},
		{"mix-hosts", 16, 10, "", 3}, {"exec-hosts", 4, 10, "exec", 10},
		{"mix-sim", 0, 1, "", 3}, {"exec-sim", 0, 1, "exec", 20},
	} {
		b.Run(lane.name, func(b *testing.B) {
			records := simulated(b)
			if lane.every > 0 {
				records = multiplied(recordings(b, lane.every), lane.hosts)
			}
			m := newMatching(b, records, lane.only)
			bare := m.measure(func(_ *event.Event, value []byte) { unmarshal(b, value) })
			sets := [...]*turn{m.match(one), m.match(thousand), m.match(ten)}
			for b.Loop() {
				for range lane.passes {
					m.pass(bare)
					for _, s := range sets {
						m.pass(s)
					}
				}
			}
			match := sets[1].total()
			n := float64(len(m.events))
			b.ReportMetric(0, "ns/op") // of passes
			b.ReportMetric(bare.total()/n, "bare-ns")
			b.ReportMetric(match/n, "match-ns")
			b.ReportMetric(match/bare.total(), "x-bare")
			b.ReportMetric(m.plain(thousand)/(match/n), "x-plain")
			b.ReportMetric(sets[2].total()/match, "x-10000")
			b.ReportMetric(match/sets[0].total(), "x-1")
			b.ReportMetric(m.allocations(thousand), "allocs")
			b.ReportMetric(n, "events")
		})
	}
}

// matching is enriched events with their bytes.
type matching struct {
	b      *testing.B
	events []*event.Event
	values [][]byte
}

// turn is what is measured: f for each event, and the least time of each chunk.
type turn struct {
	f     func(e *event.Event, value []byte)
	least []time.Duration
}

// took notes the time of chunk n in one pass.
func (t *turn) took(n int, d time.Duration) {
	switch {
	case n == len(t.least):
		t.least = append(t.least, d)
	case d < t.least[n]:
		t.least[n] = d
	}
}

func (t *turn) total() float64 {
	sum := time.Duration(0)
	for _, d := range t.least {
		sum += d
	}
	return float64(sum)
}

func newMatching(b *testing.B, records []bench.Record, only string) *matching {
	m := &matching{b: b}
	dec := event.NewDecoder(event.DecoderConfig{})
	st := state.New(state.DefaultConfig())
	lineage := enrich.NewLineage(enrich.DefaultConfig(), st)
	var changes []state.Change
	var e event.Event
	for i, r := range records {
		if err := dec.Decode(r.Value, &e); err != nil {
			b.Fatal(err)
		}
		e.Meta.Host, e.Meta.HasHost = r.Key, true
		st.Advance(r.Time.UnixMilli())
		lineage.Enrich(&e)
		if only == "" || e.Meta.Name == only {
			m.events = append(m.events, cloned(&e)) // what lineage attached belongs to the state
			m.values = append(m.values, r.Value)
		}
		if i%10_000 == 9_999 {
			changes = st.Changes(changes[:0])
			st.Committed()
		}
	}
	return m
}

func cloned(e *event.Event) *event.Event {
	meta := e.Meta
	e = e.Clone()
	e.Meta = meta
	return e
}

func (m *matching) measure(f func(e *event.Event, value []byte)) *turn {
	t := &turn{f: f}
	m.pass(t) // tables grow
	t.least = nil
	return t
}

func (m *matching) match(set *rules.Set) *turn {
	var res rules.Result
	return m.measure(func(e *event.Event, _ []byte) { set.Match(e, &res) })
}

// pass takes all events through t, in chunks that were copied just before: as after decoding, they are at hand.
func (m *matching) pass(t *turn) {
	const chunk = 64
	var events [chunk]*event.Event
	for from, n := 0, 0; from < len(m.events); from, n = from+chunk, n+1 {
		all := m.events[from:min(from+chunk, len(m.events))]
		for i, e := range all {
			events[i] = cloned(e)
		}
		start := time.Now()
		for i := range all {
			t.f(events[i], m.values[from+i])
		}
		t.took(n, time.Since(start))
	}
}

// plain is the mean time, in nanoseconds, of the plain evaluation of a sample of the events, each the least of two.
func (m *matching) plain(set *rules.Set) float64 {
	const sample = 1500
	var res rules.Result
	var took time.Duration
	n := 0
	for i := 0; i < len(m.events); i += max(len(m.events)/sample, 1) {
		var best shortest
		for range 2 {
			best.of(func() { set.MatchPlain(m.events[i], &res) })
		}
		took += time.Duration(best)
		n++
	}
	return float64(took) / float64(n)
}

// allocations of Match, once its tables have grown.
func (m *matching) allocations(set *rules.Set) float64 {
	var res rules.Result
	some := m.events[:min(1000, len(m.events))]
	return testing.AllocsPerRun(1, func() {
		for _, e := range some {
			set.Match(e, &res)
		}
	})
}

// BenchmarkRulesPath is one record from its bytes to its verdict, and its signal if it matches, through the whole
// pipeline on one goroutine with the ends in memory: with one rule, and with a thousand. They and a bare decode
// take turns over the traffic, and of every 500 records the least time of all passes counts. x-1 is how many times
// as long it takes with a thousand rules, x-bare is against the bare decode.
func BenchmarkRulesPath(b *testing.B) {
	one, thousand := oneRule(b), sigmaSet(b, 1)
	for _, lane := range []struct {
		name  string
		every int
		hosts int
	}{{"mix", 4, 1}, {"mix-hosts", 16, 10}} {
		b.Run(lane.name, func(b *testing.B) {
			fetched := fetchOf(multiplied(recordings(b, lane.every), lane.hosts)).Records
			// pass measures f on each fetch.
			pass := func(t *turn, f func([]pipeline.Record)) {
				for from, n := 0, 0; from < len(fetched); from, n = from+500, n+1 {
					start := time.Now()
					f(fetched[from:min(from+500, len(fetched))])
					t.took(n, time.Since(start))
				}
			}
			var bare turn
			var with [2]turn
			for b.Loop() {
				for range 6 {
					for i, set := range []*rules.Set{one, thousand} {
						p := pipeline.New(pipeline.DefaultConfig(), set, nil).Partition(pipeline.TopicPartition{Topic: "bench"}, "")
						pass(&with[i], func(some []pipeline.Record) { step(b, p, some, discard{}) })
					}
					pass(&bare, func(some []pipeline.Record) {
						for _, r := range some {
							unmarshal(b, r.Value)
						}
					})
				}
			}
			n := float64(len(fetched))
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(with[1].total()/n, "path-ns")
			b.ReportMetric(n/with[1].total()*1e9, "events/s")
			b.ReportMetric(with[1].total()/with[0].total(), "x-1")
			b.ReportMetric(with[1].total()/bare.total(), "x-bare")
		})
	}
}

// BenchmarkRulesKafka is BenchmarkKafkaToKafka with a thousand rules, on the recordings with ten times the hosts.
func BenchmarkRulesKafka(b *testing.B) {
	kafkaToKafka(b, sigmaSet(b, 1), workload{"mix-hosts", multiplied(recordings(b, 16), 10)})
}

// oneRule is a set of one rule.
func oneRule(b *testing.B) *rules.Set {
	return compile(b, oneRulePolicy)
}

// BenchmarkRulesCompile compiles two thousand rules, read from their files already: index-MB is what the index
// takes.
func BenchmarkRulesCompile(b *testing.B) {
	loaded := load(b, sigmaPolicies(b, 2))
	b.ReportAllocs()
	var stats rules.Stats
	for b.Loop() {
		set, ds := rules.Compile(loaded)
		if set == nil {
			b.Fatal(ds.Err())
		}
		stats = set.Stats()
	}
	b.ReportMetric(float64(stats.Rules), "rules")
	b.ReportMetric(float64(stats.IndexBytes)/1e6, "index-MB")
	b.ReportMetric(float64(stats.Unindexed), "unindexed")
}
