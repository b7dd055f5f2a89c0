package rules

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// updating says that -update, which the reference's test defines, was given: golden files are rewritten.
func updating() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

// TestBad compiles each policy of testdata/bad and compares every diagnostic, with hints and notes.
func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			set, ds := compileText(t, filepath.Base(f), string(text))
			if ds.HasErrors() != (set == nil) {
				t.Errorf("errors: %v, set: %v", ds.HasErrors(), set != nil)
			}
			lines := strings.Split(string(text), "\n")
			var got bytes.Buffer
			for _, d := range ds {
				if d.Code == codeNoTest {
					continue
				}
				seen[d.Code] = true
				fmt.Fprintln(&got, d)
				if d.Line == d.EndLine && d.Line > 0 {
					line := []rune(lines[d.Line-1])
					fmt.Fprintf(&got, "    at:   %s\n", string(line[d.Col-1:min(d.EndCol-1, len(line))]))
				}
				if d.Hint != "" {
					fmt.Fprintln(&got, "    hint:", d.Hint)
				}
				for _, n := range d.Notes {
					fmt.Fprintf(&got, "    note: %s: %s\n", n.Span, n.Message)
				}
			}
			golden := strings.TrimSuffix(f, ".yaml") + ".golden"
			if updating() {
				if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got.String(), want)
			}
		})
	}
	for _, c := range expressionCodes() {
		if !seen[c.Name] && c.Name != codeInternal && c.Name != codeTooLarge {
			t.Errorf("no policy of testdata/bad gives %s", c.Name)
		}
	}
}
