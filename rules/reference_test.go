package rules_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"spoor/pipeline"
	"spoor/pipeline/event"
	"spoor/rules"
	"spoor/rules/policy"
	"spoor/rules/ruletest"
)

var update = flag.Bool("update", false, "rewrite the generated parts of README.md and the golden files")

const readme = "README.md"

// TestReferenceGenerated holds the tables of README.md against the tables of the code.
func TestReferenceGenerated(t *testing.T) {
	text := readFile(t, readme)
	generated := map[string]string{
		"keys":        keysTable(t),
		"fields":      fieldsTable(),
		"operators":   operatorsTable(),
		"functions":   functionsTable(),
		"events":      eventsTable(),
		"diagnostics": diagnosticsTable(),
	}
	section := regexp.MustCompile(`(?s)<!-- generated: (\w+) -->\n(.*?)<!-- end -->`)
	seen := map[string]bool{}
	want := section.ReplaceAllStringFunc(text, func(s string) string {
		name := section.FindStringSubmatch(s)[1]
		body, ok := generated[name]
		if !ok {
			t.Errorf("%s has a generated part %q that nothing generates", readme, name)
		}
		seen[name] = true
		return "<!-- generated: " + name + " -->\n" + body + "<!-- end -->"
	})
	for name := range generated {
		if !seen[name] {
			t.Errorf("%s has no part <!-- generated: %s -->", readme, name)
		}
	}
	if text == want {
		return
	}
	if *update {
		if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s is out of date: run go test ./rules -run TestReference -update", readme)
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// table makes a Markdown table.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		b.WriteString("|")
		for _, c := range cells {
			b.WriteString(" " + strings.ReplaceAll(c, "|", `\|`) + " |")
		}
		b.WriteString("\n")
	}
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, r := range rows {
		line(r)
	}
	return b.String()
}

func code(s string) string {
	if strings.Contains(s, "`") {
		return "`` " + s + " ``"
	}
	return "`" + s + "`"
}

func fieldsTable() string {
	var rows [][]string
	for _, f := range rules.Fields() {
		description := f.Description
		if f.Derived {
			description = "*Derived.* " + description
		}
		rows = append(rows, []string{code(f.Path), f.Type, description})
	}
	return table([]string{"field", "type", "what it is"}, rows)
}

func operatorsTable() string {
	var rows [][]string
	for _, o := range rules.Operators() {
		rows = append(rows, []string{code(o.Name), o.Operands, o.Description})
	}
	return table([]string{"operator", "operands", "what it means"}, rows)
}

func functionsTable() string {
	var rows [][]string
	for _, f := range rules.Functions() {
		rows = append(rows, []string{code(f.Signature), f.Description})
	}
	return table([]string{"function", "what it gives"}, rows)
}

func eventsTable() string {
	var rows [][]string
	older := map[string][]string{}
	for _, a := range event.Aliases() {
		older[a.Canonical] = append(older[a.Canonical], code(a.Name))
	}
	for _, n := range event.Known() {
		rows = append(rows, []string{code(n), strings.Join(older[n], ", ")})
	}
	return table([]string{"name", "older name, read as the same"}, rows)
}

func diagnosticsTable() string {
	var rows [][]string
	seen := map[string]bool{}
	for _, c := range rules.Codes() {
		if seen[c.Name] {
			panic("two codes " + c.Name)
		}
		seen[c.Name] = true
		rows = append(rows, []string{code(c.Name), c.Level.String(), c.Help})
	}
	return table([]string{"code", "level", "what it means"}, rows)
}

// keysTable lists the keys of each part of a policy, from the schema that editors use.
func keysTable(t *testing.T) string {
	type object struct {
		Properties map[string]struct{ Description string }
		Required   []string
	}
	var schema struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(policy.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	parts := []struct{ name, title string }{
		{"", "A policy"}, {"defaults", "`defaults`"}, {"shared", "`shared`"}, {"macro", "A macro"}, {"variable", "A variable"},
		{"rule", "A rule"}, {"source", "`source` of a rule"}, {"exception", "An exception"}, {"override", "An override"},
		{"add", "`add` of an override"}, {"test", "A test"},
	}
	var b strings.Builder
	for _, part := range parts {
		o := schema.object
		if part.name != "" {
			o = schema.Defs[part.name]
		}
		if len(o.Properties) == 0 {
			t.Errorf("the schema has no keys for %q", part.name)
		}
		var keys []string
		replaced := 0
		for k, p := range o.Properties {
			if strings.HasPrefix(p.Description, "Replaces: ") { // the same as in a rule
				replaced++
				continue
			}
			keys = append(keys, k)
		}
		slices.SortFunc(keys, func(a, b string) int {
			if x, y := slices.Contains(o.Required, a), slices.Contains(o.Required, b); x != y {
				if x {
					return -1
				}
				return 1
			}
			return strings.Compare(a, b)
		})
		var rows [][]string
		for _, k := range keys {
			name := code(k)
			if slices.Contains(o.Required, k) {
				name = "**" + name + "**"
			}
			rows = append(rows, []string{name, o.Properties[k].Description})
		}
		if replaced > 0 {
			rows = append(rows, []string{"any other of a rule", "Replaces what the rule has."})
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s", part.title, table([]string{"key", "what it is"}, rows))
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// block is a fenced block of README.md.
type block struct {
	line int // of its first line of text
	lang string
	text string
}

func blocks(text string) []block {
	var out []block
	var open *block
	for i, line := range strings.Split(text, "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case open == nil && isFence:
			open = &block{line: i + 2, lang: fence}
		case open != nil && isFence:
			out = append(out, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	return out
}

// TestReferenceExamples runs every example of README.md: policies (yaml) load without warnings, but for
// those of the text block that follows, and pass their tests; conditions (expr) answer as they say on the
// event (json) before them; an explanation (explain) is that of the policy before it on the first event.
func TestReferenceExamples(t *testing.T) {
	var sample, first, lastPolicy string
	ran := map[string]int{}
	all := blocks(readFile(t, readme))
	for i, b := range all {
		ran[b.lang]++
		name := fmt.Sprintf("%s:%d", readme, b.line)
		switch b.lang {
		case "yaml":
			want := ""
			if i+1 < len(all) && all[i+1].lang == "text" {
				want = all[i+1].text
			}
			runPolicy(t, name, b.text, want)
			lastPolicy = b.text
		case "json":
			if sample = b.text; first == "" {
				first = sample
			}
		case "expr":
			for j, line := range strings.Split(strings.TrimSuffix(b.text, "\n"), "\n") {
				runCondition(t, fmt.Sprintf("%s:%d", readme, b.line+j), line, sample)
			}
		case "explain":
			if got := explain(t, lastPolicy, first); got != b.text {
				t.Errorf("%s: the explanation is\n%swant\n%s", name, got, b.text)
			}
		case "text", "sh":
		default:
			t.Errorf("%s: a block of unknown language %q", name, b.lang)
		}
	}
	if ran["yaml"] < 5 || ran["expr"] < 5 {
		t.Errorf("found few examples: %v", ran)
	}
}

func runPolicy(t *testing.T, name, text, want string) {
	set, got := load(text)
	var lines string
	for _, d := range got {
		if d.Code != "no-test" || strings.Contains(want, "[no-test]") { // most fragments have no tests
			lines += d.String() + "\n"
		}
	}
	if lines != want {
		t.Errorf("%s: diagnostics\n%swant\n%s", name, lines, want)
	}
	if set == nil {
		return
	}
	for _, o := range ruletest.Run(set, pipeline.DefaultConfig()) {
		for _, f := range o.Failures {
			t.Errorf("%s: test %q: %s\n%s", name, o.Name, f.Message, f.Explanation)
		}
	}
}

// load loads text as a set of one policy.
func load(text string) (*rules.Set, policy.Diagnostics) {
	loaded, found := policy.LoadFS(fstest.MapFS{"policy.yaml": {Data: []byte(text)}})
	if loaded == nil {
		return nil, found
	}
	set, more := rules.Compile(loaded)
	return set, append(found, more...).Sort()
}

// runCondition runs `condition  // answer`: true, false, = value, or error: code.
func runCondition(t *testing.T, name, line, sample string) {
	condition, answer, ok := strings.Cut(line, " // ")
	if !ok {
		t.Errorf("%s: no answer in %s", name, line)
		return
	}
	if value, ok := strings.CutPrefix(answer, "= "); ok {
		condition, answer = fmt.Sprintf("exact(%s) == %s", strings.TrimSpace(condition), value), "true"
	}
	set, found := load("rules:\n  - id: example\n    expression: |\n      " + strings.TrimSpace(condition) + "\n")
	if want, ok := strings.CutPrefix(answer, "error: "); ok {
		var codes []string
		for _, d := range found {
			if d.Level == policy.Error {
				codes = append(codes, d.Code)
			}
		}
		if !slices.Equal(codes, []string{want}) {
			t.Errorf("%s: errors %v, want %s\n%v", name, codes, want, found)
		}
		return
	}
	if set == nil {
		t.Errorf("%s: %v", name, found)
		return
	}
	var r rules.Result
	set.Match(decodeSample(t, sample), &r)
	if got := fmt.Sprint(len(r.Live) == 1); got != answer {
		t.Errorf("%s: %s is %s", name, line, got)
	}
}

func decodeSample(t *testing.T, sample string) *event.Event {
	t.Helper()
	var e event.Event
	if err := event.NewDecoder(event.DecoderConfig{}).Decode([]byte(sample), &e); err != nil {
		t.Fatalf("%s: %v", sample, err)
	}
	e.Meta.AncestorsComplete = true // what lineage would say
	return &e
}

func explain(t *testing.T, text, sample string) string {
	set, found := load(text)
	if set == nil {
		t.Fatal(found)
	}
	explanation, err := set.Explain(decodeSample(t, sample), set.Rules()[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := explanation.Render(&b, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
