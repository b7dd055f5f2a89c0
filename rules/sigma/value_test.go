package sigma_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"spoor/pipeline/event"
	"spoor/rules"
	"spoor/rules/policy"
	"spoor/rules/sigma"
)

// reference is what a value of Sigma means, as one regular expression for the whole text: the short way, which
// the importer does not go, because nobody would want to read it.
func reference(value string, modifiers []string) *regexp.Regexp {
	has := map[string]bool{}
	for _, m := range modifiers {
		has[m] = true
	}
	// What is escaped, what is a wildcard, and the rest.
	token := regexp.MustCompile(`\\[\\*?]|[*?]|[^\\*?]+|\\`)
	var b strings.Builder
	literal := ""
	flush := func() {
		text := regexp.QuoteMeta(literal)
		if has["windash"] {
			const mark = "\x00"
			text = regexp.QuoteMeta(regexp.MustCompile(`\B[-/]\b`).ReplaceAllString(literal, mark))
			text = strings.ReplaceAll(text, mark, `[-/\x{2013}\x{2014}\x{2015}]`)
		}
		b.WriteString(text)
		literal = ""
	}
	for _, t := range token.FindAllString(value, -1) {
		switch {
		case t == "*" || t == "?":
			flush()
			b.WriteString(map[string]string{"*": ".*", "?": "."}[t])
		case len(t) == 2 && t[0] == '\\' && strings.ContainsAny(t[1:], `\*?`):
			literal += t[1:]
		default:
			literal += t
		}
	}
	flush()
	before, behind := "^", "$"
	if has["contains"] || has["endswith"] {
		before = ""
	}
	if has["contains"] || has["startswith"] {
		behind = ""
	}
	flags := "(?is)"
	if has["cased"] {
		flags = "(?s)"
	}
	return regexp.MustCompile(flags + before + b.String() + behind)
}

// TestValues holds random values, with wildcards, escapes and modifiers, against what they mean, on texts that
// are near to them.
func TestValues(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	var patterns []*regexp.Regexp
	var values, texts []string
	var b strings.Builder
	for i := range 500 {
		value := ""
		for range 1 + r.IntN(5) {
			value += pick("a", "B", "ab", " -a", "/b", `\`, `\\`, "*", "?", `\*`, `\?`, `\\*`, ".", "+", "(", "x y", "-", "'", `"`, "`")
		}
		var modifiers []string
		if m := pick("", "contains", "startswith", "endswith"); m != "" {
			modifiers = append(modifiers, m)
		}
		for _, m := range []string{"windash", "cased"} {
			if r.IntN(4) == 0 {
				modifiers = append(modifiers, m)
			}
		}
		key := strings.Join(append([]string{"CommandLine"}, modifiers...), "|")
		fmt.Fprintf(&b, "---\ntitle: %d\nid: r%d\nlogsource: {category: process_creation}\ndetection:\n  s:\n    %s: '%s'\n  condition: s\n",
			i, i, key, strings.ReplaceAll(value, "'", "''"))
		values, patterns = append(values, key+": "+value), append(patterns, reference(value, modifiers))
		// A text that the value may well match: wildcards and escapes are filled in one way or another.
		text := strings.NewReplacer(`\\`, `\`, `\*`, "*", `\?`, "?", "*", pick("", "zz", `\`), "?", pick("q", ""), "a", pick("a", "A"), "-", pick("-", "/", "\u2013")).Replace(value)
		texts = append(texts, text, "x"+text, text+"x")
	}
	im := sigma.Import([]policy.ImportSource{{Name: "x.yml", Path: "x.yml", Data: []byte(b.String())}}, sigma.Options{})
	loaded, diags := policy.LoadFS(printed(im))
	if loaded == nil {
		t.Fatal(diags.Err())
	}
	set, diags := rules.Compile(loaded)
	if set == nil {
		t.Fatal(diags.Err())
	}
	number := map[string]int{}
	for i := range values {
		number[fmt.Sprintf("sigma-r%d", i)] = i
	}
	d := event.NewDecoder(event.DecoderConfig{})
	var result rules.Result
	matches := 0
	for _, text := range texts {
		set.Match(decode(t, d, fmt.Appendf(nil, `{"evt":{"name":"exec"},"process":{"cmdline":%q}}`, text)), &result)
		got := map[int]bool{}
		for _, i := range result.Live {
			got[number[set.Rules()[i].ID]] = true
			matches++
		}
		for i, p := range patterns {
			// Sigma's * also stands for nothing; a value of nothing but * asks for the field to be there.
			if want := p.MatchString(text); got[i] != want && text != "" {
				t.Errorf("%s on %q: %t, want %t", values[i], text, got[i], want)
			}
		}
	}
	t.Logf("%d values, %d texts, %d matches", len(values), len(texts), matches)
	if matches < 1000 {
		t.Error("hardly anything matches")
	}
}
