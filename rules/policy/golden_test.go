package policy

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestBad loads every file and folder of testdata/bad and compares everything that is said of it with the
// .txt beside it.
func TestBad(t *testing.T) {
	entries, err := os.ReadDir("testdata/bad")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".txt") {
			continue
		}
		cases++
		t.Run(e.Name(), func(t *testing.T) {
			path := filepath.Join("testdata/bad", e.Name())
			set, diags := Load(path)
			if !diags.HasErrors() {
				t.Error("no error")
			}
			if set.Hash != "" {
				t.Error("a set with errors has a hash")
			}
			var got bytes.Buffer
			if err := diags.Render(&got, readOrNil); err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", got.Bytes())
			checkCodes(t, diags)
		})
	}
	if cases < 40 {
		t.Errorf("%d cases of bad policies, want at least 40", cases)
	}
}

// TestGood loads every policy of testdata/good on its own; none has an error.
func TestGood(t *testing.T) {
	paths, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatal("no good policies", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			set, diags := Load(path)
			if err := diags.Err(); err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if err := diags.Render(&got, readOrNil); err != nil {
				t.Fatal(err)
			}
			for _, p := range set.Policies {
				got.WriteString(describe(p))
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", got.Bytes())
			checkCodes(t, diags)
		})
	}
}

func readOrNil(file string) []byte {
	data, _ := os.ReadFile(file)
	return data
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run with -update)", err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (run with -update and read the diff)\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// checkCodes holds every diagnostic against the list of codes.
func checkCodes(t *testing.T, diags Diagnostics) {
	t.Helper()
	levels := map[string]Level{}
	for _, c := range Codes() {
		levels[c.Name] = c.Level
	}
	for _, d := range diags {
		if level, known := levels[d.Code]; !known || level != d.Level {
			t.Errorf("%s: code or level is not in Codes", d)
		}
		if d.Line > 0 && (d.EndLine < d.Line || d.EndLine == d.Line && d.EndCol < d.Col) {
			t.Errorf("%s: ends at %d:%d, before it starts", d, d.EndLine, d.EndCol)
		}
	}
}
