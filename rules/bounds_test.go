package rules

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"spoor/pipeline/event"
	"spoor/rules/policy"
)

// worstRules are rules that cost much, with as many conditions as scale says.
func worstRules(scale float64) map[string]string {
	many := func(n int, join, format string) string {
		parts := make([]string, int(float64(n)*scale))
		for i := range parts {
			parts[i] = strings.ReplaceAll(format, "%d", fmt.Sprint(i))
		}
		return strings.Join(parts, join)
	}
	return map[string]string{
		"contains":      many(2000, " or ", "process.cmdline contains `aaaaaaaab%d`"),
		"contains near": many(2000, " or ", "process.cmdline contains `"+strings.Repeat("a", 60)+"b%d`"),
		"fields":        many(2000, " or ", "process.cmdline contains process.parent.cmdline and process.pid == %d"),
		"lower":         "len(" + strings.Repeat("lower(upper(", 120) + "process.cmdline" + strings.Repeat("))", 120) + ") == 0",
		"join":          "len(" + many(3000, " + ", "process.cmdline") + ") == 0",
		"join in macro": "len(" + many(900, " + ", "process.parent.cmdline") + ") == 0 or " + many(900, " or ", "process.cmdline + process.cmdline == `%d`"),
		"regex":         many(500, " or ", "process.cmdline matches `(a|aa|b)*c%d$`"),
		"regex states":  "process.cmdline matches `(a?){500}b{500}`",
		"regex large":   "process.cmdline matches `[ab]{1000}[bc]{1000}x`",
		"regex dots":    "process.cmdline matches `(.*a){20}.*c`",
		"regex many":    many(200, " or ", "file.path matches `(x+x+)+y%d`"),
		"like":          many(2000, " or ", "like(process.cmdline, `*a?a?a?b*a?c%d`)"),
		"like many":     "like(process.cmdline, [" + many(2000, ", ", "`*aaaab?a%d*`") + "])",
		"like long":     "like(process.cmdline, `*" + strings.Repeat("a?", 1000) + "b*`)",
		"like longer":   many(20, " or ", "like(process.cmdline, `*"+strings.Repeat("a?", 100)+"b%d*`)"),
		"glob long":     "glob(file.path, `**\\" + strings.Repeat("a\\", 8) + "**\\" + strings.Repeat("a\\", 500) + "b`)",
		"glob runs":     "glob(file.path, `**\\" + strings.Repeat("?\\?\\a*\\x\\**\\", 100) + "b`)",
		"glob question": "glob(file.path, `**\\*" + strings.Repeat("x?", 100) + "y*\\**\\b`)",
		"glob":          many(1000, " or ", "glob(file.path, `**\\a\\**\\*a?\\**\\x%d`)"),
		"closures":      "any(process.ancestors, any(process.ancestors, " + many(1500, " or ", ".pid == %d and .cmdline contains `zz`") + "))",
		"closures text": "any(process.ancestors, any(process.ancestors, " + many(1500, " or ", ".cmdline contains `zz%d`") + "))",
		"count":         many(300, " or ", "count(process.ancestors, count(process.ancestors, .pid == %d) > 1) > 65"),
		"filter":        many(300, " or ", "len(filter(process.ancestors, len(filter(process.ancestors, .pid >= 0)) > 65)) > %d"),
		"map":           many(300, " or ", "`%d` in map(process.ancestors, .cmdline + .user)"),
		"list":          many(400, " or ", "any(tags, # contains `%d`)"),
		"list of list":  "any(tags, count(tags, true) < 0)",
		"list in list":  "any(process.ancestors, any(tags, # == `x`))",
		"list match":    "any(tags, # matches `(a?){30}b`)",
		"list in":       many(500, " or ", "process.cmdline in tags and process.pid == %d"),
		"length":        many(2000, " or ", "len(process.cmdline) == %d"),
		"exact":         many(2000, " or ", "exact(process.cmdline) contains `q%d`"),
		"trim":          many(2000, " or ", "trim(process.user) == `%d`"),
		"basename":      many(2000, " or ", "basename(file.path) + `x` == `%d` or extension(file.path) == `y`"),
		"pick":          many(1000, " or ", "last(process.ancestors).cmdline + first(process.ancestors).user == `%d`"),
		"ternary":       many(800, " or ", "(process.cmdline contains `zz` ? process.cmdline : process.parent.cmdline) == `%d`"),
	}
}

// worstRule compiles a rule of worstRules, as large as the language lets it be.
func worstRule(t testing.TB, name string) *Set {
	for scale := 1.0; scale > 0.1; scale *= 0.8 {
		set, ds := compileText(t, "a.yaml", "variables: {tags: {scope: event, type: [string]}}\nrules:\n  - id: worst\n    expression: |\n      evt.name == \"exec\" and ("+worstRules(scale)[name]+")\n")
		if set != nil {
			return set
		}
		if !hasCode(ds, codeTooLarge) {
			t.Fatal(ds.Err())
		}
	}
	t.Fatalf("%s is never legal", name)
	return nil
}

// worstEvents are events of 1 MiB with 64 ancestors, their bytes spread differently.
func worstEvents(t testing.TB) []*event.Event {
	const size = 1_000_000
	var ancestors []string
	for i := range 64 {
		ancestors = append(ancestors, fmt.Sprintf(`{"pid":%d,"cmdline":"%s","user":"%s"}`, i+5000, strings.Repeat("a", 6000), strings.Repeat("A", 6000)))
	}
	few := "[" + strings.Join(ancestors, ",") + "]"
	tags := make([]string, size/9)
	for i := range tags {
		tags[i] = `"aaaaa"`
	}
	document := func(cmdline, parent, path, user, ancestors, tags string) *event.Event {
		return decode(t, fmt.Sprintf(`{"evt":{"name":"exec","variables":{"tags":[%s]}},"file":{"path":"%s"},"process":{"pid":1,"cmdline":"%s","user":"%s","parent":{"cmdline":"%s"},"ancestors":%s}}`,
			tags, path, cmdline, user, parent, ancestors))
	}
	small := `[` + strings.Join(slicesRepeat(`{"pid":9}`, 64), ",") + `]`
	return []*event.Event{
		document(strings.Repeat("a", size), "a", "p", "u", small, `"x"`),
		document(strings.Repeat("ab", size/4), strings.Repeat("ab", size/8)+"c", strings.Repeat(`a/`, size/8), "u", small, `"x"`),
		document("a", "a", strings.Repeat(`a\\a`, size/5), strings.Repeat(" ", size/8), small, `"x"`),
		document(strings.Repeat("İ", size/32), "a", strings.Repeat("x", size/8), "u", few, `"x"`),
		document("aaaaa", "a", "p", "u", small, strings.Join(tags, ",")),
	}
}

func slicesRepeat(s string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = s
	}
	return out
}

// TestWorstRules holds that the worst legal rule on the worst event ends in time: 20 ms, with a factor and further
// tries for machines that do something else beside.
func TestWorstRules(t *testing.T) {
	const limit = 20 * time.Millisecond
	const factor = 5
	events := worstEvents(t)
	for name := range worstRules(1) {
		set := worstRule(t, name)
		for i, e := range events {
			best := time.Hour
			var r Result
			for n := 0; n < 3 && best > limit || n < 30 && best > factor*limit; n++ {
				start := time.Now()
				set.Match(e, &r)
				best = min(best, time.Since(start))
			}
			over := ""
			if len(r.OverBudget) > 0 {
				over = ", over budget"
			}
			if best > limit || testing.Verbose() {
				t.Logf("%-14s event %d: %v%s", name, i, best, over)
			}
			if best > factor*limit {
				t.Errorf("%s on event %d takes %v", name, i, best)
			}
		}
	}
}

func TestOverBudget(t *testing.T) {
	set := mustCompile(t, "a.yaml", "rules:\n  - id: dear\n    expression: |\n      evt.name == \"exec\" and ("+worstRules(0.5)["join"]+" or true or process.pid == 1)\n"+
		"  - id: dearer\n    expression: |\n      evt.name == \"exec\" and ("+worstRules(0.5)["regex"]+" or process.pid == 1)\n"+
		"  - id: cheap\n    expression: |\n      evt.name == \"exec\"\n"+
		"  - id: dear_exception\n    expression: |\n      evt.name == \"exec\"\n    exceptions:\n      - name: x\n        expression: |\n          "+worstRules(0.5)["join"]+"\n")
	e := worstEvents(t)[0]
	var r Result
	set.Match(e, &r)
	if got, want := ids(set, r.OverBudget), "dearer dear_exception"; got != want {
		t.Errorf("over budget: %s, want %s", got, want)
	}
	if got, want := ids(set, r.Live), "dear cheap"; got != want {
		t.Errorf("live: %s, want %s", got, want)
	}
	x, err := set.Explain(e, "dearer")
	if err != nil || x.Verdict != VerdictOverBudget {
		t.Errorf("explained as %v, %v", x.Verdict, err)
	}
	set.Match(decode(t, `{"evt":{"name":"exec"}}`), &r)
	if len(r.OverBudget) > 0 {
		t.Errorf("a small event is over budget: %s", ids(set, r.OverBudget))
	}
}

// TestTooLarge holds the bound on the inlined size, and that reaching it takes no time.
func TestTooLarge(t *testing.T) {
	var macros strings.Builder
	for i := range 40 {
		body := "evt.async"
		if i > 0 {
			body = fmt.Sprintf("m%d(p) or m%d(p)", i-1, i-1)
		}
		fmt.Fprintf(&macros, "  - {id: m%d, params: [p], expression: '%s'}\n", i, body)
	}
	nested := "process.cmdline"
	for range 60 {
		nested = "id(" + nested + ")"
	}
	long := strings.Repeat("evt.async or ", 6000) + "true"
	for name, text := range map[string]string{
		"doubling":  "macros:\n" + macros.String() + "rules:\n  - {id: a, expression: 'm39(1)'}\n",
		"long":      "rules:\n  - id: a\n    expression: |\n      " + long + "\n",
		"deep":      "rules:\n  - id: a\n    expression: |\n      " + strings.Repeat("(", 200_000) + "\n",
		"not":       "rules:\n  - id: a\n    expression: |\n      " + strings.Repeat("not ", 60_000) + "evt.async\n",
		"minus":     "rules:\n  - id: a\n    expression: |\n      " + strings.Repeat("-", 200_000) + "1\n",
		"ternary":   "rules:\n  - id: a\n    expression: |\n      " + strings.Repeat("evt.async?true:", 15_000) + "true\n",
		"huge":      "rules:\n  - id: a\n    expression: |\n      " + strings.Repeat("evt.async or ", 30_000) + "true\n",
		"arguments": "macros:\n  - {id: id, params: [p], expression: 'p + \"\"'}\nrules:\n  - id: a\n    expression: |\n      " + nested + " == `a`\n",
	} {
		start := time.Now()
		set, ds := compileText(t, "a.yaml", text)
		if elapsed := time.Since(start); elapsed > 5*time.Second {
			t.Errorf("%s takes %v", name, elapsed)
		}
		if name == "arguments" {
			if set == nil && !hasCode(ds, codeTooLarge) {
				t.Errorf("%s: %v", name, ds)
			}
			continue
		}
		if set != nil || !hasCode(ds, codeTooLarge) && !hasCode(ds, codeSyntax) {
			t.Errorf("%s: %v", name, ds)
		}
	}
	runtime.GC()
}

func hasCode(ds policy.Diagnostics, code string) bool {
	for _, d := range ds {
		if d.Code == code {
			return true
		}
	}
	return false
}
