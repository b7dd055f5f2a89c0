package policy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDiagnosticsSort(t *testing.T) {
	at := func(file string, line, col int, code string) Diagnostic {
		return Diagnostic{Span: Span{File: file, Line: line, Col: col}, Level: Error, Code: code, Message: "m"}
	}
	got := Diagnostics{at("b", 1, 1, "x"), at("a", 2, 1, "x"), at("a", 1, 2, "x"), at("a", 1, 1, "z"), at("a", 1, 1, "y"), at("a", 0, 0, "x"), at("a", 1, 1, "y")}.Sort()
	var lines []string
	for _, d := range got {
		lines = append(lines, d.String())
	}
	want := []string{"a: error: m [x]", "a:1:1: error: m [y]", "a:1:1: error: m [z]", "a:1:2: error: m [x]", "a:2:1: error: m [x]", "b:1:1: error: m [x]"}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", lines, want)
	}
}

func TestDiagnosticsErr(t *testing.T) {
	warning := Diagnostic{Span: Span{File: "a", Line: 1, Col: 2}, Code: "w", Message: "careful"}
	if err := (Diagnostics{warning}).Err(); err != nil || (Diagnostics{warning}).HasErrors() {
		t.Errorf("a warning is an error: %v", err)
	}
	broken := Diagnostic{Span: Span{File: "b"}, Level: Error, Code: "e", Message: "broken"}
	if err := (Diagnostics{warning, broken}).Err(); err == nil || err.Error() != "b: error: broken [e]" {
		t.Errorf("got %v", err)
	}
	if got := warning.String(); got != "a:1:2: warning: careful [w]" {
		t.Errorf("got %q", got)
	}
}

func TestDiagnosticJSON(t *testing.T) {
	d := Diagnostic{Span: Span{"f.yaml", 1, 2, 3, 4}, Level: Error, Code: "c", Message: "m", Hint: "h", Notes: []Note{{Span{File: "g.yaml"}, "n"}}}
	got, err := json.Marshal(Diagnostics{d})
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"file":"f.yaml","line":1,"col":2,"end_line":3,"end_col":4,"severity":"error","code":"c","message":"m","hint":"h","notes":[{"file":"g.yaml","message":"n"}]}]`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRender(t *testing.T) {
	long := strings.Repeat("0123456789", 30)
	source := "\tname: ü日x\x1b[31m\r\n" + long
	at := func(line, col, endLine, endCol int) Diagnostic {
		return Diagnostic{Span: Span{"f", line, col, endLine, endCol}, Level: Error, Code: "c", Message: "m"}
	}
	hinted := at(1, 8, 1, 10)
	hinted.Hint, hinted.Notes = "do it", []Note{{Span{"f", 1, 2, 1, 6}, "here"}, {Span{}, "without a place"}, {Span{File: "g"}, "a file"}}
	ds := Diagnostics{hinted, at(2, 151, 2, 153), at(2, 1, 3, 1), at(9, 1, 9, 2), at(0, 0, 0, 0)}
	var b strings.Builder
	if err := ds.Render(&b, func(file string) []byte {
		if file == "f" {
			return []byte(source)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := "f:1:8: error: m [c]\n    1 | \tname: ü日x?[31m\n      | \t      ^^\n   hint: do it\n" +
		"   note: f:1:2: here\n    1 | \tname: ü日x?[31m\n      | \t^^^^\n   note: without a place\n   note: g: a file\n" +
		"f:2:151: error: m [c]\n    2 | ..." + long[90:210] + "...\n      | " + strings.Repeat(" ", 63) + "^^\n" +
		"f:2:1: error: m [c]\n    2 | " + long[:120] + "...\n      | " + strings.Repeat("^", 120) + "\n" +
		"f:9:1: error: m [c]\nf: error: m [c]\n"
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}

// TestCodes holds the codes unique and well formed, and each of them used by a case of testdata or named
// here with the test that has it.
func TestCodes(t *testing.T) {
	elsewhere := map[string]string{CodeUnreadable: "TestLoadNothing", CodeNoPolicies: "TestLoadNothing", CodeFileTooLarge: "TestLoadNothing"}
	var goldens strings.Builder
	if err := filepath.WalkDir("testdata", func(path string, d os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".txt" {
			data, _ := os.ReadFile(path)
			goldens.Write(data)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range Codes() {
		if seen[c.Name] || c.Name != strings.ToLower(c.Name) || strings.ContainsAny(c.Name, " _") {
			t.Errorf("code %q stands twice or is not kebab-case", c.Name)
		}
		seen[c.Name] = true
		if !strings.HasSuffix(c.Help, ".") {
			t.Errorf("code %q: help %q is no sentence", c.Name, c.Help)
		}
		if elsewhere[c.Name] == "" && !strings.Contains(goldens.String(), "["+c.Name+"]") {
			t.Errorf("code %q has no case in testdata", c.Name)
		}
	}
}

func TestSuggest(t *testing.T) {
	candidates := []string{"severity", "expression", "id", "tags", "title", "process.parent"}
	for in, want := range map[string]string{
		"severty": "severity", "Severity": "severity", "expresion": "expression", "tgas": "tags", "tag": "tags", "titel": "title",
		"procss.parent": "process.parent", "id": "", "x": "", "": "", "zzz": "", "color": "", "ie": "id",
		strings.Repeat("a", 500): "",
	} {
		if got := Suggest(in, candidates); got != want {
			t.Errorf("Suggest(%.20q) = %q, want %q", in, got, want)
		}
	}
}

func TestPositionWithoutPlaces(t *testing.T) {
	if line, col := (Expr{}).Position(3); line != 0 || col != 0 {
		t.Errorf("got %d:%d", line, col)
	}
	x := Expr{Text: "abc", Span: Span{"f", 3, 4, 3, 7}}
	if line, col := x.Position(1); line != 3 || col != 4 {
		t.Errorf("got %d:%d, want the place of the whole", line, col)
	}
}
