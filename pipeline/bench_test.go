package pipeline_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"spoor/pipeline"
)

// typical is an event of about 500 bytes that no rule of testPolicy matches.
func typical(i int) string {
	return fmt.Sprintf(`{"agent":{"os":"windows","version":"7.60.0","arch":"amd64"},"evt":{"name":"set_key_value","category":"Registry Activity","outcome":"success"},"date":%q,`+
		`"registry":{"key_path":"HKLM\\SYSTEM\\CurrentControlSet\\Services\\bam\\State\\UserSettings\\S-1-5-21-%d","value_name":"\\Device\\HarddiskVolume4\\Windows\\explorer.exe"},`+
		`"process":{"pid":%d,"executable":{"path":"C:\\Windows\\System32\\svchost.exe","name":"svchost.exe"},"cmdline":"C:\\Windows\\System32\\svchost.exe -k netsvcs -p","user":"NT AUTHORITY\\SYSTEM"},"usr":{"name":"NT AUTHORITY\\SYSTEM","sid":"S-1-5-18"}}`,
		time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC).Format(time.RFC3339), i%7, 100+i%50)
}

// traffic is n records, one of ten matching.
func traffic(n int) []pipeline.Record {
	var rs []pipeline.Record
	for i := range n {
		r := record(i, typical(i))
		if i%10 == 0 {
			r = record(i, execCmd)
		}
		rs = append(rs, r)
	}
	return rs
}

// loop feeds records to a partition again and again, at offsets that go on.
type loop struct {
	p       *pipeline.Partition
	records []pipeline.Record
	next    int64
}

func newLoop(tb testing.TB, cfg pipeline.Config, records []pipeline.Record) *loop {
	e := pipeline.New(cfg, compile(tb, testPolicy), nil)
	return &loop{p: e.Partition(pipeline.TopicPartition{Topic: "events"}, "lab"), records: records}
}

func (l *loop) turn(tb testing.TB) {
	for i := range l.records {
		l.records[i].Offset = l.next
		l.next++
	}
	f := pipeline.Fetch{Records: l.records, Next: l.next, End: l.next}
	if err := l.p.Step(context.Background(), f, discard); err != nil {
		tb.Fatal(err)
	}
}

var discard = committerFunc(func(context.Context, *pipeline.Batch) error { return nil })

func repeat(value string, n int) []pipeline.Record {
	rs := make([]pipeline.Record, n)
	for i := range rs {
		rs[i] = record(1, value)
	}
	return rs
}

// BenchmarkPipeline is bytes in, signals out, in memory: one of ten events matches.
func BenchmarkPipeline(b *testing.B) {
	for _, lineage := range []bool{true, false} {
		b.Run(fmt.Sprintf("lineage=%v", lineage), func(b *testing.B) {
			cfg := testConfig()
			cfg.Lineage = lineage
			l := newLoop(b, cfg, traffic(1000))
			size := 0
			for _, r := range l.records {
				size += len(r.Value)
			}
			b.SetBytes(int64(size / len(l.records)))
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += len(l.records) {
				l.turn(b)
			}
		})
	}
}

// METRICS.md is generated: UPDATE=1 go test ./pipeline -run TestMetricsTable writes it.
func TestMetricsTable(t *testing.T) {
	path := filepath.Join("METRICS.md")
	want := "# Metrics\n\nGenerated from the collectors in `metrics.go`; do not edit.\n\n" + pipeline.MetricsTable()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the collectors say: UPDATE=1 go test ./pipeline -run TestMetricsTable", path)
	}
}
