package policy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spoor/rules/policy"
)

// outline writes what an importer sees of a document.
func outline(n *policy.ImportNode) string {
	switch n.Kind {
	case policy.ImportNull:
		return "-"
	case policy.ImportText:
		quote := "'"
		if n.Plain {
			quote = ""
		}
		return fmt.Sprintf("%s%s%s@%d:%d", quote, strings.ReplaceAll(n.Text, "\n", "|"), quote, n.Span.Line, n.Span.Col)
	case policy.ImportMap:
		var parts []string
		for _, e := range n.Entries {
			parts = append(parts, outline(e.Key)+"="+outline(e.Value))
		}
		return "{" + strings.Join(parts, " ") + "}"
	}
	var parts []string
	for _, item := range n.Items {
		parts = append(parts, outline(item))
	}
	return "[" + strings.Join(parts, " ") + "]"
}

func TestReadImportDocuments(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"one", "a: 1\nb: 'x'\n", "{a@1:1=1@1:4 b@2:1='x'@2:4}"},
		{"several, each at its place", "---\na: 1\n---\n# nothing\n---\nb: 2\n...\nc: 3\n", "{a@2:1=1@2:4}\n{b@6:1=2@6:4}\n{c@8:1=3@8:4}"},
		{"content on the mark's line", "--- {a: 1}\n--- [x]\n", "{a@1:6=1@1:9}\n[x@2:6]"},
		{"line ends of Windows", "a: 1\r\n---\r\nb: 2\r\n", "{a@1:1=1@1:4}\n{b@3:1=2@3:4}"},
		{"a directive and a byte order mark", "\ufeff%YAML 1.2\n---\na: 1\n", "{a@3:1=1@3:4}"},
		{"a broken document between others", "a: 1\n---\nb: [\n---\nc: 3\n", "{a@1:1=1@1:4}\nx.yml:3:4: error: this [ has no ] [yaml-syntax]\n{c@5:1=3@5:4}"},
		{"anchor and alias", "a: &x [1, 2]\nb: *x\n", "{a@1:1=[1@1:8 2@1:11] b@2:1=[1@1:8 2@1:11]}"},
		{"merge", "a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n", "{a@1:1={p@1:8=1@1:11 q@1:14=2@1:17} b@2:1={q@4:3=3@4:6 p@1:8=1@1:11}}"},
		{"an alias before its anchor", "b: *x\na: &x 1\n", "x.yml:1:4: error: no anchor &x stands before this alias [yaml-alias]"},
		{"an anchor that holds itself", "a: &x [*x]\n", "x.yml:1:8: error: no anchor &x stands before this alias [yaml-alias]"},
		{"a direction mark", "a: 'x\u202ey'\n", "{a@1:1='x\u202ey'@1:4}"},
		{"a tag", "a: !x 1\n", `x.yml:1:4: error: YAML takes "!x" for a tag; tags are not part of the format [yaml-tag]`},
		{"no text", "a:\n- b:\n", "{a@1:1=[{b@2:3=-}]}"},
		{"nothing", "# a comment\n---\n\n", ""},
		{"not UTF-8", "a: \xff\n", "x.yml:1:4: error: byte 0xff is not UTF-8 [encoding]"},
	} {
		var got []string
		for _, d := range policy.ReadImportDocuments(policy.ImportSource{Name: "x.yml", Data: []byte(c.in)}) {
			if d.Root == nil {
				got = append(got, d.Faults[0].String())
			} else {
				got = append(got, outline(d.Root))
			}
		}
		if text := strings.Join(got, "\n"); text != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, text, c.want)
		}
	}
}

// Aliases of aliases stand for a bounded number of values.
func TestReadImportDocumentsBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), i-1)
	}
	docs := policy.ReadImportDocuments(policy.ImportSource{Name: "x.yml", Data: []byte(b.String())})
	if len(docs) != 1 || docs[0].Root != nil || docs[0].Faults[0].Code != policy.CodeLimit {
		t.Fatalf("got %+v", docs)
	}
}

func TestImportNodeAt(t *testing.T) {
	docs := policy.ReadImportDocuments(policy.ImportSource{Name: "x.yml", Data: []byte("---\na: 'it''s x'\nb: |\n  one\n  two\n")})
	root := docs[0].Root
	for _, c := range []struct {
		key      string
		from, to int
		want     string
	}{
		{"a", 0, 2, "x.yml:2:5"},
		{"a", 5, 6, "x.yml:2:11"},
		{"b", 4, 5, "x.yml:5:3"},
		{"b", 99, 99, "x.yml:5:6"},
	} {
		if got := root.Get(c.key).At(c.from, c.to).String(); got != c.want {
			t.Errorf("%s %d: got %s, want %s", c.key, c.from, got, c.want)
		}
	}
}

func TestConditionText(t *testing.T) {
	a, b, c := policy.Compare("a", "==", `"1"`), policy.Compare("b", "contains", `"2"`), policy.Call("c")
	long := policy.Compare("process.cmdline", "contains", policy.Quote(strings.Repeat("x", 70)))
	members := policy.QuoteAll([]string{`\one.exe` + strings.Repeat("1", 40), `\two.exe` + strings.Repeat("2", 40), "three"})
	list := policy.OverList("any", members, "process.executable.path endsWith #")
	for _, x := range []struct {
		in   policy.Condition
		want string
	}{
		{policy.And(a, policy.Or(b, c)), `a == "1" and (b contains "2" or c)`},
		{policy.Or(policy.And(a, b), c), `(a == "1" and b contains "2") or c`},
		{policy.And(a, policy.And(b, c)), `a == "1" and b contains "2" and c`},
		{policy.Not(policy.Not(a)), `a == "1"`},
		{policy.Not(a), `a != "1"`},
		{policy.Not(b), `b not contains "2"`},
		{policy.Not(c), `not c`},
		{policy.Not(policy.And(a, c)), `not (a == "1" and c)`},
		{policy.Not(policy.Compare("n", "<", "3")), `not (n < 3)`},
		{policy.And(c, policy.Compare("n", "<", "3")), `c and n < 3`},
		{policy.Not(policy.InList("a", []string{"1", "2"})), `a not in [1, 2]`},
		{policy.Not(policy.OverList("any", []string{"1", "2"}, "a contains #")), `not any([1, 2], a contains #)`},
		{policy.Not(policy.CallList("like", "a", []string{"1", "2"})), `not like(a, [1, 2])`},
		{policy.And(a, policy.Or(long, policy.Not(list))), `a == "1"
  and (process.cmdline contains "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    or not any([
      ` + "`" + `\one.exe1111111111111111111111111111111111111111` + "`" + `,
      ` + "`" + `\two.exe2222222222222222222222222222222222222222` + "`" + `,
      "three"
    ], process.executable.path endsWith #))`},
		{policy.InList("process.executable.name", policy.QuoteAll(strings.Fields(strings.Repeat("abc.exe defg.exe ", 9)))), `process.executable.name in [
  "abc.exe", "defg.exe", "abc.exe", "defg.exe", "abc.exe", "defg.exe", "abc.exe", "defg.exe", "abc.exe",
  "defg.exe", "abc.exe", "defg.exe", "abc.exe", "defg.exe", "abc.exe", "defg.exe", "abc.exe", "defg.exe"
]`},
	} {
		if got := x.in.Text(); got != x.want {
			t.Errorf("got\n%s\nwant\n%s", got, x.want)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"":         `""`,
		"a'b":      `"a'b"`,
		`a\b`:      "`a\\b`",
		`a"b`:      "`a\"b`",
		"a`b":      "\"a`b\"",
		"`a\\`b":   "```a\\``b`",
		"a\tb":     "`a\tb`",
		"\u202eab": "\"\u202eab\"",
	} {
		if got := policy.Quote(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestImportReport(t *testing.T) {
	im := policy.Import{Rules: []policy.ImportedRule{
		{ID: "sigma-1", Source: policy.Span{File: "a.yml", Line: 1, Col: 1}, Status: policy.StatusImported},
		{ID: "sigma-2", Source: policy.Span{File: "b.yml", Line: 1, Col: 1}, Status: policy.StatusNarrowed, Reason: "the schema has no Hashes",
			Place: policy.Span{File: "b.yml", Line: 9, Col: 3}, Dropped: []string{"Hashes|contains (b.yml:9:3)"}},
	}}
	var b strings.Builder
	if err := im.WriteReport(&b); err != nil {
		t.Fatal(err)
	}
	const want = `{"rules": [
{"id":"sigma-1","source":"a.yml:1:1","status":"imported","reason":"","dropped":[],"notes":[]},
{"id":"sigma-2","source":"b.yml:1:1","status":"narrowed","reason":"b.yml:9:3: the schema has no Hashes","dropped":["Hashes|contains (b.yml:9:3)"],"notes":[]}
]}
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	if !json.Valid([]byte(b.String())) {
		t.Error("not JSON")
	}
	b.Reset()
	if err := im.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	const table = `STATUS    RULE     WHY
narrowed  sigma-2  b.yml:9:3: the schema has no Hashes

2 rules: 1 imported, 1 narrowed
`
	if b.String() != table {
		t.Errorf("got\n%s\nwant\n%s", b.String(), table)
	}
}

func TestReadImportSources(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"a/x.yml", "a/b/y.YAML", "a/.git/z.yml", "a/notes.txt", "c.yml", "d[1].yml"} {
		p := filepath.Join(dir, filepath.FromSlash(f))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte("a: 1\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"a"}, "a/b/y.YAML a/x.yml"},
		{[]string{"a/x.yml", "a", "./a/x.yml"}, "a/x.yml a/b/y.YAML"},
		{[]string{"a/notes.txt"}, "a/notes.txt"},
		{[]string{"*.yml"}, "c.yml d[1].yml"},
		{[]string{"a/*"}, "a/b/y.YAML a/x.yml"},
		{[]string{"d[1].yml"}, "d[1].yml"},
		{[]string{"empty", "c.yml"}, "c.yml empty: error: no *.yml, *.yaml file here [no-policies]"},
		{[]string{"no.yml", "*.zip", "c.yml"}, "c.yml *.zip: error: cannot be read: no file matches [unreadable] no.yml: error: cannot be read: no such file or directory [unreadable]"},
	} {
		t.Chdir(dir)
		sources, diags := policy.ReadImportSources(c.args, ".yml", ".yaml")
		var got []string
		for _, s := range sources {
			got = append(got, s.Name)
		}
		for _, d := range diags {
			got = append(got, d.String())
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%v:\n got %s\nwant %s", c.args, text, c.want)
		}
	}
}
