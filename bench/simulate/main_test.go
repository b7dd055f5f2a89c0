package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"spoor/bench"
	"spoor/pipeline/file"
)

// TestWrite holds that every encoding is traffic that the engine reads, record by record the same.
func TestWrite(t *testing.T) {
	cfg := bench.Config{Seed: 1, Hosts: 3, Events: 500}
	var want []string
	if err := bench.Generate(cfg, func(r bench.Record) error {
		want = append(want, fmt.Sprint(r.Key, r.Time.UnixMilli(), string(r.Value)))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.ndjson", "a.ndjson.gz", "a.ndjson.zst"} {
		path := filepath.Join(t.TempDir(), name)
		if err := write(cfg, path); err != nil {
			t.Fatal(err)
		}
		r, err := file.Open([]string{path}, file.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; ; i++ {
			l, err := r.Next()
			if errors.Is(err, io.EOF) {
				if i != len(want) {
					t.Errorf("%s: %d records, want %d", name, i, len(want))
				}
				break
			}
			if err != nil || l.Fault != nil {
				t.Fatal(name, i, err, l.Fault)
			}
			if got := fmt.Sprint(string(l.Key), l.Timestamp, string(l.Value)); got != want[i] {
				t.Fatalf("%s: record %d is\n%s\nwant\n%s", name, i, got, want[i])
			}
		}
		r.Close()
	}
}

// A wrong call leaves what stands in the file.
func TestWriteNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.ndjson")
	if err := os.WriteFile(path, []byte("kept\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []bench.Config{{Hosts: 0, Events: 1}, {Hosts: 1}, {Hosts: 1, Events: 1, Attacks: []string{"none"}}} {
		if err := write(cfg, path); err == nil {
			t.Errorf("%+v is written", cfg)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "kept\n" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}
