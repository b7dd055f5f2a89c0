package rules

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestSieve holds what a sieve tells against a search, for texts of every length, texts in the string and texts that
// nearly are, one sieve for all strings, so that its marks come round.
func TestSieve(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, letters := range []string{"ab", `powershel\ -enc.`, "abcdefghijklmnopqrstuvwxyz0123456789", "aäkßs˪ "} {
		var v sieve
		found, not := 0, 0
		for range 600 {
			s := textOf(r, sieveText+r.IntN(200), []rune(letters))
			if r.IntN(10) == 0 {
				s += strings.Repeat("a", 20*sieveTries)
			}
			v.fill(s)
			for range 30 {
				var texts []string
				for range 1 + r.IntN(3) {
					from := r.IntN(len(s))
					text := s[from:min(from+1+r.IntN(14), len(s))]
					if r.IntN(2) == 0 { // one byte is another
						at := r.IntN(len(text))
						text = text[:at] + string(letters[r.IntN(len(letters))]) + text[at+1:]
					}
					texts = append(texts, text)
				}
				want := false
				for _, text := range texts {
					want = want || strings.Contains(s, text)
				}
				c := &condition{}
				c.long, c.short = newSieved(texts)
				if len(c.long)+len(c.short) != len(texts) {
					t.Fatalf("%q became %d and %d", texts, len(c.long), len(c.short))
				}
				if got := v.contains(c, s); got != want {
					t.Fatalf("one of %q in %q: %v", texts, s, got)
				}
				if want {
					found++
				} else {
					not++
				}
			}
		}
		if found < 500 || not < 500 {
			t.Errorf("of letters %q %d were found and %d not: that tells little", letters, found, not)
		}
	}
}

// Many short texts would each be searched for over all of the text.
func TestSieveOfShortTexts(t *testing.T) {
	var texts []string
	for c := 'a'; len(texts) <= fewTexts; c++ {
		texts = append(texts, "x"+string(c))
	}
	if long, short := newSieved(append(texts, "mimikatz")); long != nil || short != nil {
		t.Errorf("%d short texts are searched for one by one", len(short))
	}
	if long, short := newSieved(append(texts[1:], "straße", "mimikatz")); len(long) != 2 || !long[0].ascii || len(short) != fewTexts {
		t.Errorf("%+v, %q", long, short)
	}
}

// A condition gives the same answer the first time, when it searches, and from the second on, when a sieve is asked; and a
// sieve of one event says nothing of the next.
func TestSieveOfEvents(t *testing.T) {
	set, ds := compileText(t, "a.yaml", `
rules:
  - {id: none, expression: 'evt.name == "exec" and not (process.cmdline contains "mimikatz")'}
  - {id: first, expression: 'evt.name == "exec" and process.cmdline contains "sekurlsa" and process.cmdline contains "logonpasswords"'}
  - {id: wide, expression: 'evt.name == "exec" and not (process.cmdline contains "straße") and not (process.cmdline contains "x;")'}
  - {id: many, expression: 'evt.name == "exec" and not any(["one text", "two texts", "three texts", "four texts", "five texts", "six texts", "seven texts"], process.cmdline contains #)'}
`)
	if set == nil {
		t.Fatal(ds.Err())
	}
	var r, plain Result
	pad := strings.Repeat(`C:\Windows\System32 `, 3)
	for round, c := range []string{"", "mimikatz", "sekurlsa::LogonPasswords", "STRASSE straße", "x;", "seven  texts", "seven texts", "y", "mimikat z", "", "two texts Mimikatz straße"} {
		e := decode(t, `{"evt":{"name":"exec"},"process":{"pid":1,"cmdline":"`+strings.ReplaceAll(pad, `\`, `\\`)+c+`"}}`)
		set.Match(e, &r)
		set.MatchPlain(e, &plain)
		if got, want := ids(set, r.Live), ids(set, plain.Live); got != want {
			t.Errorf("round %d, %q: %s instead of %s", round, c, got, want)
		}
	}
}
