package policy

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLoad loads anything: it never panics, every diagnostic stands inside the file and has a known code,
// and of what loads every expression's places are right and printing it gives the same policy again.
func FuzzLoad(f *testing.F) {
	err := filepath.WalkDir("testdata", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(filepath.Ext(path), ".y") {
			data, _ := os.ReadFile(path)
			f.Add(data)
		}
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"a: |2\n\n  x", "rules:\n- id: a\n  expression: |2-\n\n     \tx\n", "name: \"\\ud83d\\ude00\"", "lists:\n  a:\n  - |\n   x\n", "a: 'b\n c'", "a: b\n c\n", "{", "- ? a", "a: !", "&", "*", "a: [b, c", "\t", "\r", "\xEF\xBB\xBF", "rules: [{id: a, expression: 'x', every: 1h}]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 {
			return
		}
		set, diags := loadOne(string(data))
		lines := splitLines(data)
		for _, d := range diags {
			if d.Line > len(lines) || d.Line < 0 || d.Line > 0 && d.Col < 1 {
				t.Errorf("%s: outside the file of %d lines", d, len(lines))
			}
			if d.Line > 0 && d.Col > len([]rune(string(lines[d.Line-1])))+1 {
				t.Errorf("%s: behind the end of its line", d)
			}
		}
		checkCodes(t, diags)
		if err := diags.Render(discard{}, func(string) []byte { return data }); err != nil {
			t.Error(err)
		}
		if set.Hash == "" {
			return
		}
		p := set.Policies[0]
		for _, x := range expressions(p) {
			checkPositions(t, string(data), x)
		}
		checkPrint(t, set)
	})
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// expressions are all of p that were read from its file.
func expressions(p *Policy) []Expr {
	var out []Expr
	for _, ms := range [][]Macro{p.Macros, p.SharedMacros} {
		for _, m := range ms {
			out = append(out, m.Expression)
		}
	}
	for _, r := range p.Rules {
		out = append(out, r.Expression)
		for _, e := range r.Exceptions {
			out = append(out, e.Expression)
		}
	}
	return out
}

// checkPrint prints the only policy of a set and loads it again.
func checkPrint(t *testing.T, set *Set) {
	t.Helper()
	p := set.Policies[0]
	printed := Print(p)
	again, diags := loadOne(string(printed))
	if err := diags.Err(); err != nil {
		t.Fatalf("what Print wrote does not load: %v\n%s", err, printed)
	}
	if got, want := describe(again.Policies[0]), describe(p); got != want {
		t.Fatalf("printing changed the policy\ngot:\n%s\nwant:\n%s\nprinted:\n%s", got, want, printed)
	}
	if again.Hash != set.Hash {
		t.Fatalf("printing changed the hash\n%s", printed)
	}
	if twice := Print(again.Policies[0]); string(twice) != string(printed) {
		t.Fatalf("printing twice differs\n%s\n%s", printed, twice)
	}
}

func TestPrintGood(t *testing.T) {
	paths, _ := filepath.Glob("testdata/good/*.yaml")
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			set, diags := Load(path)
			if err := diags.Err(); err != nil {
				t.Fatal(err)
			}
			checkPrint(t, set)
			golden(t, strings.TrimSuffix(path, ".yaml")+".printed", Print(set.Policies[0]))
		})
	}
}
