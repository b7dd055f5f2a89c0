package rules

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"spoor/pipeline/event"
)

// texts that fold, cut and search in ways of their own: dotless i, dotted I, Kelvin sign, long s, final sigma, sharp
// s, texts of no, one and two characters, texts in texts, separators, broken UTF-8, roots of the registry.
var specialTexts = []string{"", "a", "K", "\u212a", "ı", "İ", "i", "I", "ſ", "s", "ß", "ẞ", "ss", "σ", "ς", "Σ", "ab", "aab", "abab", "ba", "-e", "/c",
	"É", "é", "e\u0301", "日本", "kelvin", "\u212aelvin", "straße", "STRASSE", "ὈΔΥΣΣΕΎΣ", "\\", `\a`, `a\`, `\ab\cmd.exe`, `cmd.exe`, `\cmd.exe`, `\CMD.EXE`,
	`c:\ab\cmd.exe`, `c:/ab/cmd.exe`, "aaaaaaaa", "aaaaaaab", "abcdefghijk", "cdef", "bcdefg", "*", "?", "a*b",
	`HKLM\ab`, `HKEY_LOCAL_MACHINE\ab`, `HKCU\ab`, `HKU\S-1-5\ab`, `HKLM\SYSTEM\ControlSet001\ab`, "\ufffd", "ab\ufffd"}

// TestIndexSpecialTexts holds the index against the reference for every operator with every special text, on
// events of every special text and pairs of them.
func TestIndexSpecialTexts(t *testing.T) {
	fields := []string{"process.cmdline", "registry.key_path", "process.parent.executable.path", "process.ancestors[1].cmdline", "registry.target"}
	var text strings.Builder
	text.WriteString("rules:\n")
	n := 0
	rule := func(format string, args ...any) {
		fmt.Fprintf(&text, "  - id: r%d\n    expression: |\n      evt.name == `exec` and %s\n", n, fmt.Sprintf(format, args...))
		n++
	}
	for i, s := range specialTexts {
		field := fields[i%len(fields)]
		if i%3 > 0 {
			field = fields[0]
		}
		literal := "`" + s + "`"
		for _, op := range []string{"==", "contains", "startsWith", "endsWith"} {
			rule("%s %s %s", field, op, literal)
			rule("process.pid > 0 and not (%s %s %s)", field, op, literal)
			rule("exact(%s) %s %s", field, op, literal)
			rule("any(process.ancestors, .cmdline %s %s)", op, literal)
		}
		if !strings.Contains(s, "\\") {
			rule("%s matches `%s`", field, strings.NewReplacer("*", `\*`, "?", `\?`, ".", `\.`).Replace(s))
			rule("exact(%s) matches `(x|%s)?b*a`", field, strings.NewReplacer("*", `\*`, "?", `\?`, ".", `\.`).Replace(s))
		}
		rule("like(%s, `*%s*b`)", field, s)
		rule("like(%s, [`%s?`, `%s*`])", field, s, s)
		rule("glob(%s, `**\\%s`)", field, s)
		rule("%s in [%s, `zz`, `y`]", field, literal)
		rule("%s not in [%s, `a`] and (%s contains `ab` or %s startsWith %s)", field, literal, field, field, literal)
		rule("any([%s, `abab`, `qqqq`, `wwww`, `eeee`, `rrrr`, `tttt`, `yyyy`], %s contains #)", literal, field)
		rule("any([%s, `abab`, `qqqq`, `wwww`, `eeee`, `rrrr`, `tttt`, `yyyy`], %s endsWith #)", literal, field)
	}
	set := mustCompile(t, "a.yaml", text.String())
	if s := set.Stats(); s.Unindexed*2 > s.Rules {
		t.Errorf("%d of %d rules are not indexed: this tests little", s.Unindexed, s.Rules)
	}
	r := rand.New(rand.NewPCG(1, 2))
	pick := func() string { return specialTexts[r.IntN(len(specialTexts))] }
	var res Result
	for i := range 3 * len(specialTexts) {
		texts := make([]string, 6)
		for j := range texts {
			texts[j] = pick() + pick()
			if i < len(specialTexts) {
				texts[j] = specialTexts[(i+j/3)%len(specialTexts)]
			}
		}
		document, _ := json.Marshal(map[string]any{
			"evt":      map[string]any{"name": "exec"},
			"registry": map[string]any{"key_path": texts[0], "value_name": texts[1]},
			"process": map[string]any{"pid": 4, "cmdline": texts[2], "parent": map[string]any{"executable": map[string]any{"path": texts[3]}},
				"ancestors": []any{map[string]any{"cmdline": texts[4]}, map[string]any{"cmdline": texts[5]}}},
		})
		indexAgrees(t, set, decode(t, string(document)), &res)
		if t.Failed() {
			t.Fatalf("on %s", document)
		}
	}
}

// TestIndexCases are rules whose verdict is known.
func TestIndexCases(t *testing.T) {
	thousands := make([]string, 3000)
	for i := range thousands {
		thousands[i] = fmt.Sprintf("`value-%04d`", i)
	}
	list, short := strings.Join(thousands, ", "), strings.Join(thousands[:1200], ", ")
	for _, c := range []struct {
		expression, cmdline string
		want                bool
	}{
		{"process.cmdline contains `kelvin`", "0 \u212aELVIN", true},
		{"process.cmdline contains `\u212aelvin`", "0 kelvin", true},
		{"exact(process.cmdline) contains `\u212aelvin`", "0 kelvin", false},
		{"process.cmdline contains `ipconfig`", "ıpconfig", false},
		{"process.cmdline contains `ipconfig`", "İPCONFIG", false},
		{"process.cmdline endsWith `ΟΔΟΣ`", "x οδος", true},
		{"process.cmdline endsWith `οδος`", "x ΟΔΟΣ", true},
		{"process.cmdline contains `straße`", "STRASSE", false},
		{"process.cmdline contains `straße`", "STRAẞE", true},
		{"process.cmdline startsWith `ſ`", "Straße", true},
		{"process.cmdline contains ``", "", true},
		{"process.cmdline == ``", "", true},
		{"process.cmdline != `` and process.cmdline contains ``", "", false},
		{"process.cmdline contains `-e`", "x -E y", true},
		{"process.cmdline contains `c`", "C", true},
		{"process.cmdline in [" + list + "]", "VALUE-2999", true},
		{"process.cmdline in [" + list + "]", "value-3000", false},
		{"any([" + short + "], process.cmdline contains #)", "a Value-0000b", true},
		{"any([" + short + "], process.cmdline endsWith #)", "a value-0000b", false},
		{"any([" + short + "], process.cmdline endsWith #)", "a VALUE-1199", true},
		{"process.cmdline contains `abab` and process.cmdline contains `baba`", "ababa", true},
		{"any([`he`, `she`, `hers`], process.cmdline startsWith #) and process.cmdline endsWith `hers`", "shers", true},
		{"process.cmdline matches `net1?\\.exe`", "NET.EXE", true},
		{"process.cmdline matches `net1?\\.exe`", "net11.exe", false},
		{"process.cmdline matches `(foo|ba(r|z))(qux)?$`", "baz", true},
		{"process.cmdline matches `(foo|ba(r|z))(qux)?$`", "bazqu", false},
		{"process.cmdline matches `(foo)?`", "", true},
		{"process.cmdline matches `^(?:a|bc|def){2,3}$`", "bcDEFa", true},
		{"process.cmdline matches `k\\pL`", "\u212aß", true},
		{"not (process.cmdline contains `abc`)", "", true},
		{"not (process.cmdline contains `abc` and process.cmdline contains `def`)", "abc", true},
		{"not (not (process.cmdline contains `abc`))", "xABCx", true},
		{"process.cmdline contains `abc` ? process.cmdline contains `def` : process.cmdline contains `ghi`", "ghi", true},
		{"process.cmdline contains `abc` ? process.cmdline contains `def` : process.cmdline contains `ghi`", "abc ghi", false},
		{"like(process.cmdline, `*a?c*`)", "xxabcxx", true},
		{"glob(process.cmdline, `C:\\*\\cmd.exe`)", "c:/windows/CMD.exe", true},
	} {
		set := mustCompile(t, "a.yaml", "rules:\n  - id: a\n    expression: |\n      "+c.expression+"\n  - id: other\n    expression: |\n      process.cmdline contains `nothing like it`\n")
		document, _ := json.Marshal(map[string]any{"evt": map[string]any{"name": "exec"}, "process": map[string]any{"pid": 1, "cmdline": c.cmdline}})
		e := decode(t, string(document))
		var r Result
		set.Match(e, &r)
		if got := len(r.Live) == 1; got != c.want {
			t.Errorf("%.80s on %q: %v", c.expression, c.cmdline, got)
		}
		indexAgrees(t, set, e, &r)
	}
}

// TestUnindexed holds why rules are evaluated for every event.
func TestUnindexed(t *testing.T) {
	for expression, want := range map[string]string{
		"process.cmdline contains `abc`":                                    "",
		"any(process.ancestors, .cmdline contains `abc`)":                   "",
		"process.cmdline matches `a+bcd`":                                   "",
		"not (process.cmdline contains `abc`)":                              "a negation",
		"process.cmdline matches `[a-f0-9]{64}`":                            "a regex without a text that every match has",
		"process.cmdline contains `c`":                                      "a text of one character",
		"process.cmdline == ``":                                             "an empty text",
		"process.cmdline == process.user":                                   "a comparison, but not of a text field with constants",
		"process.cmdline contains `abc` or process.cmdline contains `d`":    "a text of one character",
		"not (not (process.cmdline contains `abc`) or process.user == `x`)": "",
		"none(process.ancestors, .cmdline contains `abc`)":                  "none(...) demands no text",
		"evt.async": "a condition that is no comparison",
		"true":      "it always holds",
	} {
		set := mustCompile(t, "a.yaml", "rules:\n  - id: a\n    expression: |\n      evt.name == `exec` and ("+expression+")\n")
		if got := set.Unindexed(0); got != want {
			t.Errorf("%s: %q, want %q", expression, got, want)
		}
		if set.Stats().Unindexed == 0 != (want == "") {
			t.Errorf("%s: %+v", expression, set.Stats())
		}
	}
}

// TestIndexBudget holds the index against the reference for rules that are cut off, on events around the sizes
// where that begins.
func TestIndexBudget(t *testing.T) {
	var text strings.Builder
	text.WriteString("variables: {tags: {scope: event, type: [string]}}\nrules:\n")
	for name, x := range worstRules(0.1) {
		id := strings.ReplaceAll(name, " ", "_")
		fmt.Fprintf(&text, "  - id: %s\n    expression: |\n      %s\n  - id: not_%s\n    expression: |\n      not (%s)\n", id, x, id, x)
	}
	set, ds := compileText(t, "a.yaml", text.String())
	if set == nil {
		t.Fatal(ds.Err())
	}
	var r Result
	over := 0
	for _, size := range []int{190, 960, 4000, 16_000} {
		for _, ancestors := range []int{0, 9, 64} {
			p := map[string]any{"pid": 1, "cmdline": strings.Repeat("aB", size/2), "parent": map[string]any{"cmdline": strings.Repeat("a", size/3)},
				"ancestors": make([]any, ancestors)}
			for i := range ancestors {
				p["ancestors"].([]any)[i] = map[string]any{"pid": i, "cmdline": strings.Repeat("ab", size/40)}
			}
			document, _ := json.Marshal(map[string]any{"evt": map[string]any{"name": "exec", "variables": map[string]any{"tags": []string{"x"}}},
				"file": map[string]any{"path": strings.Repeat(`a\`, size/2)}, "process": p})
			if ancestors*size > 70_000 {
				continue // the reference takes its time
			}
			indexAgrees(t, set, decode(t, string(document)), &r)
			over += len(r.OverBudget)
			if size*max(ancestors, 1) < 10_000 {
				boundHolds(t, set, decode(t, string(document)), &r)
			}
			if t.Failed() {
				t.Fatalf("size %d, %d ancestors", size, ancestors)
			}
		}
	}
	if over == 0 {
		t.Error("nothing was cut off")
	}
}

// TestLongestText holds that no text that a rule can read is left out of an event's size.
func TestLongestText(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	for i := range eventFields {
		f := &eventFields[i]
		if f.kind != kindText || f.Path == "host" || f.owner == ofProcess && f.slot < 0 {
			continue
		}
		path := f.Path
		if path == "registry.target" {
			path = "registry.value_name"
		}
		e := decode(t, nested(path, long))
		if n := longestText(e); n < len(long) {
			t.Errorf("%s: %d", f.Path, n)
		}
	}
	if n := longestText(&event.Event{Meta: event.Meta{Host: long}}); n < len(long) {
		t.Errorf("host: %d", n)
	}
	for i := range processFields {
		if f := &processFields[i]; f.kind == kindText {
			var v view
			v.reset(decode(t, `{"process":{"pid":1,"ancestors":[`+nested(f.Path, long)+`]}}`))
			if got := v.tierWithAncestors(); got != tierOf(len(long), 1) {
				t.Errorf("%s of an ancestor: tier %d", f.Path, got)
			}
		}
	}
}

// nested is a document with one text.
func nested(path, text string) string {
	var v any = text
	names := strings.Split(path, ".")
	for i := len(names) - 1; i >= 0; i-- {
		v = map[string]any{names[i]: v}
	}
	document, _ := json.Marshal(v)
	return string(document)
}

// FuzzIndex holds the index against the reference on any expression and event.
func FuzzIndex(f *testing.F) {
	g := &generator{Rand: rand.New(rand.NewPCG(8, 8))}
	for range 30 {
		f.Add(g.condition(3), g.condition(1), g.event())
	}
	f.Add("process.cmdline matches `(foo|ba(r|z))(qux)?$`", "process.cmdline contains `\u212a`", `{"evt":{"name":"exec"},"process":{"cmdline":"baz K"}}`)
	f.Fuzz(func(t *testing.T, expression, exception, document string) {
		if strings.ContainsAny(expression+exception, "\n\r") {
			return
		}
		e := new(event.Event)
		if event.NewDecoder(event.DecoderConfig{}).Decode([]byte(document), e) != nil {
			return
		}
		set, _ := compileText(t, "a.yaml", generatedNames+"rules:\n  - id: a\n    expression: |\n      "+expression+
			"\n  - id: b\n    expression: |\n      evt.name == `exec` and ("+expression+")\n    exceptions:\n      - name: x\n        expression: |\n          "+exception+
			"\n  - id: c\n    expression: |\n      not ("+expression+") or ("+exception+")\n")
		if set == nil {
			return
		}
		var r Result
		indexAgrees(t, set, e, &r)
		indexAgrees(t, set, e, &r) // with tables that have grown
	})
}

// TestNestedChoice holds that ?: in the condition of ?: stays what it is, and that what would grow without bound is
// refused at once.
func TestNestedChoice(t *testing.T) {
	for _, depth := range []int{3, 9, 60} {
		x := "process.pid == 1"
		for i := range depth {
			x = fmt.Sprintf("(%s ? process.cmdline contains `a%d` : process.user contains `b%d`)", x, i, i)
		}
		set, ds := compileText(t, "a.yaml", "rules:\n  - id: a\n    expression: |\n      evt.name == `exec` and "+x+"\n")
		if depth == 60 {
			if set != nil || !hasCode(ds, codeTooLarge) {
				t.Errorf("depth %d: %v", depth, ds)
			}
			continue
		}
		var r Result
		for n := range 40 {
			document := fmt.Sprintf(`{"evt":{"name":"exec"},"process":{"pid":%d,"cmdline":"a%d a%d a1","user":"b%d b2"}}`, n%2, n, depth-1, n%7)
			indexAgrees(t, set, decode(t, document), &r)
		}
	}
}
