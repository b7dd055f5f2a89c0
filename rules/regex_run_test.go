package rules

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"regexp/syntax"
	"strings"
	"testing"
)

// What a regex begins with, as the number of its characters.
func TestRunOfRegex(t *testing.T) {
	for pattern, want := range map[string]int{
		`\s[a-f0-9]{64}\s[a-f0-9]{16}`: 82,
		`[a-f0-9]{9,}x`:                9,
		`([ab][cd]){5}(e|f)+`:          11,
		`(?i)abcdefgh`:                 8,
		`(?i)abcdefghk`:                8, // the Kelvin sign is a k
		`[0-9]{200}`:                   maxRun,
		`abcdefgh`:                     8,
		`[ab]{8}?`:                     8,
		`[ab]{7}`:                      0,
		`[ab]{7}.[ab]`:                 0,
		`[ab]{7}\b[ab]{7}`:             0,
		`^[ab]{9}`:                     0,
		`(?:[ab]{9}|[cd]{9}x)`:         0,
		`[^a]{9}`:                      0,
		`[aé]{9}`:                      0,
		`([ab]{9})?x`:                  0,
		`[ab]*[ab]{9}`:                 0,
		`[ab]+[ab]{9}`:                 0, // the first repeats
		``:                             0,
	} {
		tree, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		if x := newRun(tree); x != nil {
			got = len(x.classes)
		}
		if got != want {
			t.Errorf("%s begins with %d characters instead of %d", pattern, got, want)
		}
	}
}

// TestRunAgrees holds regexes that begin with a run against the package regexp, on texts that have it, or nearly.
func TestRunAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	classes := []string{"[ab]", "[a-c]", `\d`, `\s`, "x", "[^\\x{80}-\\x{10ffff}]", "(?i:q)"}
	samples := []string{"ab", "abc", "0123456789", " \t", "x", "abx 19\\.", "qQ"}
	rests := []string{"", "$", "b+", `\b`, "[é-ü]?y", "(?:aa|b)*c"}
	held, not := 0, 0
	for range 400 {
		var pattern, match strings.Builder
		for length := minRun + r.IntN(30); length > 0; {
			class, n := r.IntN(len(classes)), 1+r.IntN(12)
			fmt.Fprintf(&pattern, "%s{%d}", classes[class], n)
			for range n {
				match.WriteByte(samples[class][r.IntN(len(samples[class]))])
			}
			length -= n
		}
		re := regexp.MustCompile(pattern.String() + rests[r.IntN(len(rests))])
		x := newRegex(re)
		if x.prefix == "" && x.run == nil {
			t.Fatalf("%s has no run", re)
		}
		d := newDFA(x, new(int))
		for range 40 {
			run := []byte(match.String())
			if r.IntN(3) == 0 {
				run[r.IntN(len(run))] = "abxq0 é\xff"[r.IntN(9)]
			}
			s := textOf(r, r.IntN(60), []rune("abx0 qéK")) + string(run) + textOf(r, r.IntN(20), []rune("abcyé 0"))
			if r.IntN(4) == 0 {
				s = strings.Repeat("a", 300) + s
			}
			want := re.MatchString(s)
			if got := d.match(s); got != want {
				t.Fatalf("%s on %q: %v", re, s, got)
			}
			if want {
				held++
			} else {
				not++
			}
		}
	}
	if held < 1000 || not < 1000 {
		t.Errorf("%d matches and %d others tell little", held, not)
	}
}

// A text that has nearly all of a run all over takes no longer than reading it a few times: the search gives up at a place
// before which nothing matches.
func TestRunGivesUp(t *testing.T) {
	re := regexp.MustCompile(`[bc]a{100}`)
	x := newRegex(re)
	s := strings.Repeat("a", 10_000)
	if i := x.run.next(s); i <= 0 || i > 500 {
		t.Errorf("given up at %d", i)
	}
	d := newDFA(x, new(int))
	if d.match(s) || !d.match(s+"b"+s[:100]) {
		t.Error("a wrong answer")
	}
}
