package event

import (
	"bufio"
	"bytes"
	stdjson "encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-json"
	"github.com/klauspost/compress/zstd"
)

// traffic returns the values of every stride-th line of the recordings that lie beside the repository.
func traffic(tb testing.TB, stride int) [][]byte {
	tb.Helper()
	files, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "traffic", "noparent", "*.zst"))
	if len(files) == 0 {
		tb.Skip("no recordings in ../shared/traffic/noparent")
	}
	var values [][]byte
	n := 0
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			tb.Fatal(err)
		}
		z, err := zstd.NewReader(f)
		if err != nil {
			tb.Fatal(err)
		}
		lines := bufio.NewScanner(z)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			if n++; n%stride != 0 {
				continue
			}
			// The value is the last member of its line.
			_, value, ok := bytes.Cut(lines.Bytes(), []byte(`"value":`))
			if !ok {
				tb.Fatalf("%s: a line without a value", name)
			}
			values = append(values, bytes.Clone(value[:len(value)-1]))
		}
		if err := lines.Err(); err != nil {
			tb.Fatal(err)
		}
		z.Close()
		f.Close()
	}
	return values
}

func BenchmarkDecode(b *testing.B) {
	values := traffic(b, 1)
	d := NewDecoder(DecoderConfig{})
	var e Event
	var bytes int64
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := d.Decode(values[i], &e); err != nil {
			b.Fatal(err)
		}
		bytes += int64(len(values[i]))
		if i++; i == len(values) {
			i = 0
		}
	}
	b.SetBytes(bytes / int64(b.N))
}

// BenchmarkDecodeUnknown is BenchmarkDecode when every record has a member that the schema lacks.
func BenchmarkDecodeUnknown(b *testing.B) {
	values := traffic(b, 1)
	for i, v := range values {
		values[i] = append([]byte(`{"schema":2,`), v[1:]...)
	}
	d := NewDecoder(DecoderConfig{})
	var e Event
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if err := d.Decode(values[i], &e); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(values) {
			i = 0
		}
	}
}

// BenchmarkBareUnmarshal is what BenchmarkDecode is held against: go-json alone, into the same types.
func BenchmarkBareUnmarshal(b *testing.B) {
	values := traffic(b, 1)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		var e Event
		if err := json.Unmarshal(values[i], &e); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(values) {
			i = 0
		}
	}
}

// BenchmarkStdUnmarshal is encoding/json, for comparison.
func BenchmarkStdUnmarshal(b *testing.B) {
	values := traffic(b, 1)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		var e Event
		if err := stdjson.Unmarshal(values[i], &e); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(values) {
			i = 0
		}
	}
}

func BenchmarkAppendSignal(b *testing.B) {
	values := traffic(b, 1000)
	events := make([]*Event, len(values))
	d := NewDecoder(DecoderConfig{})
	for i, v := range values {
		var e Event
		if err := d.Decode(v, &e); err != nil {
			b.Fatal(err)
		}
		events[i] = e.Clone()
	}
	var buf []byte
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		var err error
		if buf, err = AppendSignal(buf[:0], events[i]); err != nil {
			b.Fatal(err)
		}
		if i++; i == len(events) {
			i = 0
		}
	}
}
