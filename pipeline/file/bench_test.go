package file

import (
	"io"
	"testing"
)

// BenchmarkRead is what a line costs from the compressed file to the record; ns/op is for one line.
func BenchmarkRead(b *testing.B) {
	files := recordings(b)
	b.ReportAllocs()
	var r *Reader
	for b.Loop() {
		if r == nil {
			var err error
			if r, err = Open(files, Options{}); err != nil {
				b.Fatal(err)
			}
		}
		switch l, err := r.Next(); {
		case err == io.EOF:
			r = nil
		case err != nil:
			b.Fatal(err)
		case l.Fault != nil:
			b.Fatal(l.Fault)
		}
	}
}

// Every line of the recordings is a record with a host and a time.
func TestRecordings(t *testing.T) {
	files := recordings(t)
	n := 0
	r, err := Open(files[:min(len(files), 10)], Options{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		l, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if l.Fault != nil || len(l.Key) == 0 || l.Timestamp == 0 || len(l.Value) < 2 || l.Value[0] != '{' || l.Value[len(l.Value)-1] != '}' {
			t.Fatalf("%s:%d: %s", l.File, l.Number, render(l))
		}
		n++
	}
	if n < 1000 {
		t.Errorf("%d lines only", n)
	}
}
