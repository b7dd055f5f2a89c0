package enrich

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"spoor/pipeline/event"
	"spoor/pipeline/state"
)

// mix is the recorded traffic, each recording with its hosts told apart, and times moved on from pass to pass.
type mix struct {
	hosts  []string
	values [][]byte
	times  []int64
}

func loadMix(tb testing.TB) *mix {
	tb.Helper()
	m := new(mix)
	names := make(map[string]string)
	for _, name := range recordings(tb, "noparent") {
		lines(tb, name, func(line []byte) {
			head, value := split(tb, line)
			key := name + "/" + head.Key
			if names[key] == "" {
				names[key] = key
			}
			m.hosts = append(m.hosts, names[key])
			m.values = append(m.values, bytes.Clone(value))
			m.times = append(m.times, int64(head.TS)/int64(time.Millisecond))
		})
	}
	return m
}

// split cuts a line into what stands before its value, which is its last member, and that.
func split(tb testing.TB, line []byte) (head record, value []byte) {
	at, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(`,"value":`))
	if !ok {
		tb.Fatalf("no value in %s", line)
	}
	if err := json.Unmarshal(append(bytes.Clone(at), '}'), &head); err != nil {
		tb.Fatal(err)
	}
	return head, value[:len(value)-1]
}

// BenchmarkEnrichMix says what lineage costs beside decoding, on the recorded mix, with every process known from
// the pass before. An operation is one event. Both are timed in short turns, and the medians are reported, so that
// what else the machine does hits neither.
func BenchmarkEnrichMix(b *testing.B) {
	m := loadMix(b)
	s := state.New(state.DefaultConfig())
	l := NewLineage(DefaultConfig(), s)
	d := event.NewDecoder(event.DecoderConfig{})
	var e event.Event
	run := func(from, to int, enriching bool) time.Duration {
		start := time.Now()
		for i := from; i < to; i++ {
			if err := d.Decode(m.values[i], &e); err != nil {
				b.Fatal(err)
			}
			if enriching {
				e.Meta.Host, e.Meta.HasHost = m.hosts[i], true
				s.Advance(m.times[i])
				l.Enrich(&e)
			}
		}
		return time.Since(start)
	}
	run(0, len(m.values), true)
	s.Committed()
	const turn = 500
	var decode, enrich, share []float64
	events := 0
	b.ReportAllocs()
	b.ResetTimer()
	for events < b.N {
		from := events % len(m.values)
		to := min(from+turn, len(m.values))
		run(from, to, false) // into the caches, for both
		bare := run(from, to, false)
		both := run(from, to, true)
		s.Committed()
		n := float64(to - from)
		decode = append(decode, float64(bare.Nanoseconds())/n)
		enrich = append(enrich, float64((both-bare).Nanoseconds())/n)
		share = append(share, 100*float64(both-bare)/float64(bare))
		events += to - from
	}
	b.ReportMetric(median(decode), "ns/decode")
	b.ReportMetric(median(enrich), "ns/enrich")
	b.ReportMetric(median(share), "%ofdecode")
	b.ReportMetric(0, "ns/op")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// BenchmarkEnrichKnown is the common case alone: an event of a known process with eight ancestors.
func BenchmarkEnrichKnown(b *testing.B) {
	s := state.New(state.DefaultConfig())
	l := NewLineage(DefaultConfig(), s)
	at := int64(1_767_225_600_000)
	ids := make([]int64, 10)
	file := &event.File{Path: `C:\Windows\System32\cmd.exe`, Name: "cmd.exe"}
	for i := 1; i < len(ids); i++ {
		ids[i] = int64(i)
		p := &event.ProcessContext{Process: event.Process{PID: &ids[i], PPID: &ids[i-1], Executable: file}}
		e := event.Event{Date: event.Time((at + int64(i)) * 1e6), Process: p}
		e.Meta = event.Meta{Host: "h", HasHost: true, Name: "exec"}
		s.Advance(at)
		l.Enrich(&e)
	}
	var p event.ProcessContext
	e := event.Event{Date: event.Time((at + 1000) * 1e6), Process: &p}
	e.Meta = event.Meta{Host: "h", HasHost: true, Name: "create"}
	b.ReportAllocs()
	for b.Loop() {
		p = event.ProcessContext{Process: event.Process{PID: &ids[9], Executable: file}}
		l.Enrich(&e)
	}
	if len(p.Ancestors) != 8 {
		b.Fatal(len(p.Ancestors))
	}
}
