package bench_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"spoor/bench"
	"spoor/pipeline"
	"spoor/pipeline/event"
	"spoor/pipeline/file"
)

// workload is traffic to measure with. It is a baseline: its content stays, so that numbers of different days
// can be compared.
type workload struct {
	name    string
	records []bench.Record
}

// workloads are the simulator's traffic and, where they lie beside the repository, recordings of real hosts.
func workloads(b *testing.B, f func(b *testing.B, w workload)) {
	b.Run("sim", func(b *testing.B) {
		f(b, workload{"sim", simulated(b)})
	})
	b.Run("recorded", func(b *testing.B) {
		f(b, workload{"recorded", recorded(b)})
	})
}

// simulated is 30,000 events of 20 hosts.
func simulated(b *testing.B) []bench.Record {
	return generate(b, bench.Config{Seed: 1, Hosts: 20, Events: 30_000, Attacks: bench.AttackNames()})
}

// recorded is every fourth recording, about 14,000 events, in the order of time as hosts would send them.
func recorded(b *testing.B) []bench.Record { return recordings(b, 4) }

// recordings is one in every recordings.
func recordings(b *testing.B, every int) []bench.Record {
	files, err := filepath.Glob(filepath.Join("..", "..", "shared", "traffic", "noparent", "*.zst"))
	if err != nil {
		b.Fatal(err)
	}
	if len(files) == 0 {
		b.Skip("no recordings in ../shared/traffic/noparent")
	}
	var some []string
	for i := 0; i < len(files); i += every {
		some = append(some, files[i])
	}
	r, err := file.Open(some, file.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	var rs []bench.Record
	for {
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		rs = append(rs, bench.Record{Key: string(l.Key), Time: time.UnixMilli(l.Timestamp), Value: bytes.Clone(l.Value)})
	}
	slices.SortStableFunc(rs, func(a, b bench.Record) int { return cmp.Compare(a.Time.UnixNano(), b.Time.UnixNano()) })
	return rs
}

// decodeAll decodes every record into an event of its own.
func decodeAll(b *testing.B, rs []bench.Record) []*event.Event {
	dec := event.NewDecoder(event.DecoderConfig{})
	var e event.Event
	events := make([]*event.Event, len(rs))
	for i, r := range rs {
		if err := dec.Decode(r.Value, &e); err != nil {
			b.Fatalf("record %d: %v", i, err)
		}
		events[i] = e.Clone()
		events[i].Meta.Host, events[i].Meta.HasHost = r.Key, true
	}
	return events
}

// perEvent reports what a run of n events took.
func perEvent(b *testing.B, n int, took time.Duration) {
	b.ReportMetric(float64(n)/took.Seconds(), "events/s")
}

func meanBytes(rs []bench.Record) int64 {
	var sum int64
	for _, r := range rs {
		sum += int64(len(r.Value))
	}
	return sum / int64(len(rs))
}

// shortest is the time of the fastest of several runs: what the work costs when nothing disturbs it.
type shortest time.Duration

func (s *shortest) of(run func()) {
	start := time.Now()
	run()
	if took := shortest(time.Since(start)); *s == 0 || took < *s {
		*s = took
	}
}

// step feeds records to a partition in fetches of 500, at the offsets they have.
func step(b *testing.B, p *pipeline.Partition, records []pipeline.Record, out pipeline.Committer) {
	for len(records) > 0 {
		n := min(500, len(records))
		next := records[n-1].Offset + 1
		if err := p.Step(context.Background(), pipeline.Fetch{Records: records[:n], Next: next, End: next}, out); err != nil {
			b.Fatal(err)
		}
		records = records[n:]
	}
}
