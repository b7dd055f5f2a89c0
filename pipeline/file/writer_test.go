package file

import (
	"bytes"
	"io"
	"os"
	"reflect"
	"testing"

	"spoor/pipeline"
)

func TestRoundTrip(t *testing.T) {
	tp := pipeline.TopicPartition{Topic: `to"pic`, Partition: 7}
	records := []pipeline.Record{
		{Offset: 0},
		{Offset: 1, Key: []byte{}, Value: []byte{}},
		{Offset: 2, Key: []byte("host"), Value: []byte(`{"evt":{"name":"exec"},"date":"2026-01-01T00:00:00Z"}`), Timestamp: 1767225600123},
		{Offset: 3, Key: []byte("h\xff"), Value: []byte("\x00\x01"), Timestamp: -1},
		{Offset: 4, Key: []byte("a\"\\\n\u2028é"), Value: []byte(`not json`)},
		{Offset: 5, Value: []byte("{\"a\":\n1}")},
		{Offset: 6, Value: []byte(` {"a":1}`)},
		{Offset: 7, Value: []byte(`{"a":1} `)},
		{Offset: 8, Value: []byte(`{"a":1}{"b":2}`)},
		{Offset: 9, Value: []byte(`null`)},
		{Offset: 10, Value: []byte(`"text"`)},
		{Offset: 11, Value: []byte("{\"a\":\"\xff\"}")},
		{Offset: 12, Value: []byte(`{"a":[1,2,{"b":"}"}]}`), Headers: []pipeline.Header{{Key: "b", Value: []byte("1")}, {Key: "a", Value: []byte("x\ny")}}},
		{Offset: 13, Value: []byte(`{}`), Headers: []pipeline.Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}}},
		{Offset: 14, Value: []byte(`{}`), Headers: []pipeline.Header{{Key: "", Value: nil}, {Key: "a", Value: []byte{}}, {Key: "b", Value: []byte{0xff}}}},
		{Offset: 1 << 40, Value: []byte(`{}`), Timestamp: 1 << 60},
		{Offset: 1<<40 + 1, Value: []byte(`{"value":{"evt":{}}}`), Timestamp: -1 << 60},
	}
	t.Chdir(t.TempDir())
	for _, name := range []string{"a.ndjson", "a.ndjson.gz", "a.ndjson.zst"} {
		w, err := Create(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range records {
			if err := w.Write(tp, &records[i]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := Open([]string{name}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range records {
			l, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			want := records[i]
			if len(l.Headers) == 0 {
				l.Headers = nil
			}
			if l.TopicPartition != tp || !reflect.DeepEqual(l.Record, want) {
				t.Errorf("%s, record %d: got %+v of %v, want %+v", name, i, l.Record, l.TopicPartition, want)
			}
		}
		if _, err := r.Next(); err != io.EOF {
			t.Errorf("%s: after the last record: %v", name, err)
		}
		r.Close()
	}
	if head, err := os.ReadFile("a.ndjson.zst"); err != nil || !bytes.HasPrefix(head, zstdMagic) {
		t.Errorf("a.ndjson.zst is not compressed: %v", err)
	}
}

// FuzzRecord: any record comes back as it was, and any line is read without a panic.
func FuzzRecord(f *testing.F) {
	f.Add([]byte("k"), []byte(`{"a":1}`), []byte("v"), int64(1), int64(2))
	f.Add([]byte("\xff"), []byte(`{"value":{},"key":"a","topic":"t","partition":1,"offset":3,"headers":{"a":"b"}}`), []byte(nil), int64(-1), int64(0))
	f.Add([]byte(""), []byte(`{"headers":[{"key":"a","raw":"aa=="}],"raw":"e30="}`), []byte("\n"), int64(1)<<62, int64(1)<<62)
	f.Add([]byte(nil), []byte("{\"a\":\"\\"), []byte("\xff"), int64(0), int64(0))
	f.Fuzz(func(t *testing.T, key, value, header []byte, ts, offset int64) {
		if l, err := parseLine(value, new([]member)); err == nil && l.positioned && l.topic == "" {
			t.Errorf("%q names no topic", value)
		}
		if offset < 0 || offset == 1<<63-1 {
			return
		}
		in := pipeline.Record{Offset: offset, Timestamp: ts, Key: key, Value: value,
			Headers: []pipeline.Header{{Key: "a", Value: header}, {Key: "b", Value: key}}}
		tp := pipeline.TopicPartition{Topic: "t"}
		text := appendRecord(nil, &tp, &in)
		if n := bytes.IndexByte(text, '\n'); n != len(text)-1 {
			t.Fatalf("%q is not one line", text)
		}
		l, err := parseLine(text[:len(text)-1], new([]member))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if l.topic != "t" || !l.positioned || !reflect.DeepEqual(l.rec, in) {
			t.Fatalf("%+v was written as %s and read as %+v", in, text, l.rec)
		}
	})
}
