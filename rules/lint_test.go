package rules_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// markedName is a name of a rule, list, macro or exception, in the line that declares it, that says whether
// lint has to warn about it.
var markedName = regexp.MustCompile(`^\s*(?:- )?(?:id: |name: )?((?:bad|good)_\w+)`)

// TestLint runs testdata/lint. A file is named for the code that it is about: each name in it that begins
// with bad_ has at least one warning of that code, no name that begins with good_ has any. The full text of
// all diagnostics is in the .txt file beside it.
func TestLint(t *testing.T) {
	files, err := filepath.Glob("testdata/lint/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		code := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(code, func(t *testing.T) {
			text := readFile(t, file)
			set, found := load(text)
			if set == nil {
				t.Fatalf("it does not load: %v", found)
			}
			lines := strings.Split(text, "\n")
			got := map[string]bool{}
			var golden strings.Builder
			for _, d := range found {
				if d.Code == "no-test" && code != "no-test" {
					continue
				}
				fmt.Fprintln(&golden, d)
				if d.Hint != "" {
					fmt.Fprintf(&golden, "  hint: %s\n", d.Hint)
				}
				for _, n := range d.Notes {
					fmt.Fprintf(&golden, "  note: %s: %s\n", n.Span, n.Message)
				}
				if d.Code == code {
					for i := d.Line - 1; i >= 0; i-- {
						if m := markedName.FindStringSubmatch(lines[i]); m != nil {
							got[m[1]] = true
							break
						}
					}
				}
			}
			for _, line := range lines {
				if m := markedName.FindStringSubmatch(line); m != nil {
					if want := strings.HasPrefix(m[1], "bad_"); got[m[1]] != want {
						t.Errorf("%s: a warning is %v", m[1], got[m[1]])
					}
				}
			}
			compareGolden(t, strings.TrimSuffix(file, ".yaml")+".txt", golden.String())
		})
	}
}

// A list is not called unused because the expression that uses it cannot be read.
func TestLintOfFaultyRules(t *testing.T) {
	_, found := load("lists:\n  shells: [cmd.exe]\n  spare: [x.exe]\nrules:\n  - id: broken\n    expression: |\n      process.executable.name in shells and process.user == \"x\n")
	var codes []string
	for _, d := range found {
		codes = append(codes, fmt.Sprintf("%d %s", d.Line, d.Code))
	}
	if got, want := strings.Join(codes, ", "), "3 unused-list, 7 expression-syntax"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := readFile(t, file); got != want {
		t.Errorf("%s is\n%s\nwant (see -update)\n%s", file, got, want)
	}
}
