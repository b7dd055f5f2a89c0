package rules

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"spoor/pipeline/event"
)

var regexParts = []string{"a", "b", "k", "s", "S", `\d`, `\w`, `\W`, `\s`, ".", "^", "$", `\b`, `\B`, `\A`, `\z`, "(?m:^)", "(?m:$)", "(?i:k)", "(?i:ß)",
	"[a-f0-9]", "[^b]", "[é-ü]", "É", "K", `\pL`, `[^\pL]`, "(?s:.)", "ſ", "\n", "(?:ab|ba)", "cmd", `\\`}

var regexTexts = []string{"", "a", "b", "ab", "abba", "k", "K", "\u212a", "s", "ſ", "é", "É", "ß", "ẞ", "cmd.exe", "a b", "a\nb", "\n", "0f3", `\`, "aé b", "日本", "b\xffa", "a\xc3", "_a-"}

func randomRegex(r *rand.Rand, depth int) string {
	part := func() string {
		if depth > 0 && r.IntN(3) == 0 {
			return "(" + randomRegex(r, depth-1) + ")"
		}
		return regexParts[r.IntN(len(regexParts))]
	}
	var b strings.Builder
	for range 1 + r.IntN(4) {
		b.WriteString(part())
		b.WriteString([]string{"", "", "", "*", "+", "?", "{2}", "{1,3}", "|", "*?"}[r.IntN(10)])
	}
	return b.String()
}

// TestDFAAgrees holds the DFA against the package regexp, and the texts it says a match has against matches.
func TestDFAAgrees(t *testing.T) {
	for _, seed := range seeds(t, 3) {
		r := rand.New(rand.NewPCG(seed, 4))
		for range 250 {
			pattern := randomRegex(r, 2)
			exact := r.IntN(2) == 0
			re, err := compileRegex(pattern, exact)
			if err != nil {
				continue
			}
			dfaAgrees(t, r, pattern, re)
		}
	}
	for _, pattern := range []string{"", "^$", "(a|aa|b)*c$", `(?i)kelvin`, `\bnet1?\.exe\b`, "(a?){20}b{20}", "x.{30}y", `^[a-f0-9]{64}$`, "a(b(c|d)?)?e", "(?:foo|ba[rz])(?:qux)?"} {
		for _, exact := range []bool{false, true} {
			re, err := compileRegex(pattern, exact)
			if err != nil {
				t.Fatal(err)
			}
			dfaAgrees(t, rand.New(rand.NewPCG(5, 5)), pattern, re)
		}
	}
}

func dfaAgrees(t *testing.T, r *rand.Rand, pattern string, re *regexp.Regexp) {
	t.Helper()
	x := newRegex(re)
	if x == nil {
		t.Fatalf("no DFA for %q", pattern)
	}
	d := newDFA(x, new(int))
	demanded := regexDemands(re)
	for n := range 60 {
		text := ""
		if n < len(regexTexts) {
			text = regexTexts[n]
		} else {
			for range r.IntN(6) {
				text += regexTexts[r.IntN(len(regexTexts))]
			}
		}
		want := re.MatchString(text)
		if got := d.match(text); got != want {
			t.Fatalf("%q on %q: %v, the package regexp says %v", pattern, text, got, want)
		}
		if want && len(demanded) > 0 {
			found := false
			for _, s := range demanded {
				found = found || strings.Contains(fold(text), fold(s))
			}
			if !found {
				t.Fatalf("%q matches %q, which has none of %q", pattern, text, demanded)
			}
		}
	}
}

// TestDFABounds holds that a regex with more states than are kept, and a text that needs a new one at every
// character, give the same answers.
func TestDFABounds(t *testing.T) {
	re := regexp.MustCompile(`a.{14}b`)
	d := newDFA(newRegex(re), new(int))
	r := rand.New(rand.NewPCG(1, 1))
	most := 0
	for range 3000 {
		text := make([]byte, 40)
		for i := range text {
			text[i] = "abc"[r.IntN(3)]
		}
		if got, want := d.match(string(text)), re.MatchString(string(text)); got != want {
			t.Fatalf("%s: %v, want %v", text, got, want)
		}
		most = max(most, len(d.sets))
	}
	if most < maxStates || most > maxStates+1 {
		t.Errorf("%d states, want about %d", most, maxStates)
	}
}

// TestDFAMemory holds that the tables of many regexes, each of which wants many states, stay within their bound.
func TestDFAMemory(t *testing.T) {
	var text strings.Builder
	text.WriteString("rules:\n")
	for i := range 150 {
		fmt.Fprintf(&text, "  - id: r%d\n    expression: |\n      process.cmdline matches `[a%c].{%d}[bz]`\n", i, 'c'+i%20, 10+i/20)
	}
	set := mustCompile(t, "a.yaml", text.String())
	r := rand.New(rand.NewPCG(2, 2))
	var res, plain Result
	most := 0
	for range 700 {
		line := make([]byte, 60)
		for i := range line {
			line[i] = "abcdefghijklmnop"[r.IntN(16)]
		}
		e := &event.Event{Process: &event.ProcessContext{Process: event.Process{Cmdline: string(line)}}}
		set.Match(e, &res)
		most = max(most, res.scratch.dfaBytes)
		if r.IntN(100) == 0 {
			set.MatchPlain(e, &plain)
			if !slices.Equal(res.Live, plain.Live) {
				t.Fatalf("%s: %v, want %v", line, res.Live, plain.Live)
			}
		}
	}
	if most > maxDFABytes+1<<20 {
		t.Errorf("%d bytes", most)
	}
	if most < maxDFABytes {
		t.Errorf("only %d bytes", most)
	}
}
