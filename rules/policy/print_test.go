package policy

import (
	"fmt"
	"math/rand"
	"slices"
	"sort"
	"strings"
	"testing"
)

// TestPrintRandom prints policies as an importer builds them, with texts that are hard to write in YAML,
// and loads them again.
func TestPrintRandom(t *testing.T) {
	for seed := range int64(200) {
		rng := rand.New(rand.NewSource(seed))
		p := randomPolicy(rng)
		printed := Print(p)
		set, diags := loadOne(string(printed))
		if err := diags.Err(); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, printed)
		}
		if got, want := describe(set.Policies[0]), describe(p); got != want {
			t.Fatalf("seed %d\ngot:\n%s\nwant:\n%s\nprinted:\n%s", seed, got, want, printed)
		}
	}
}

// nasty is a text without blanks around it: those of a title are an editor's slip.
func nasty(rng *rand.Rand) string {
	pieces := []string{"a", "Word", "null", "~", "true", "on", "1.10", "0x10", "-", "- ", ": ", ":", " #", "#", "'", "\"", "\\", "\\n", "{", "}", "[", "]", ",", "&", "*", "!", "|",
		">", "%", "@", "`", "?", "<<", "---", "...", " ", "  ", "\n", "\n\n", "\n  ", "\t", "ü", "日本", "🎉", "\x07", "\x7f", "\u0085", "\u2028", "\u202e", "\ufeff", "\r", "C:\\a\\b", "=", "\ufdd0", "\ufdd1", "\ufffd"}
	for {
		var b strings.Builder
		for range 1 + rng.Intn(5) {
			b.WriteString(pieces[rng.Intn(len(pieces))])
		}
		if s := strings.TrimSpace(b.String()); s != "" {
			return s
		}
	}
}

func nasties(rng *rand.Rand, n int) []string {
	var out []string
	for range rng.Intn(n) {
		out = append(out, nasty(rng))
	}
	return out
}

func randomPolicy(rng *rand.Rand) *Policy {
	text := func(s string) Text { return Text{Value: s} }
	p := &Policy{Name: text(nasty(rng)), Version: text(nasty(rng)), Description: text(nasty(rng))}
	expr := func() Expr { return Expr{Text: nasty(rng), Scope: p} }
	for i := range rng.Intn(3) {
		l := List{Name: text(fmt.Sprintf("l%d", i))}
		for _, m := range nasties(rng, 30) {
			l.Members = append(l.Members, text(m))
		}
		p.Lists = append(p.Lists, l)
	}
	p.SharedMacros = []Macro{{ID: text("m"), Params: []Text{text("p")}, Expression: expr()}}
	for i := range 1 + rng.Intn(3) {
		r := Rule{ID: text([]string{"-", "1", "...", "null", "0x1", "a.b-c"}[rng.Intn(6)] + fmt.Sprint(i)), Version: p.Version.Value, Description: nasty(rng), Expression: expr(),
			Severity: Severity(rng.Intn(5)), Priority: rng.Intn(3) - 1, Shadow: rng.Intn(2) == 0, Disabled: rng.Intn(2) == 0, Policy: p,
			References: nasties(rng, 4), Authors: nasties(rng, 4), FalsePositives: nasties(rng, 4),
			Status: nasty(rng), License: nasty(rng), Date: nasty(rng), Modified: nasty(rng), Source: Source{Kind: nasty(rng), ID: nasty(rng), URL: nasty(rng)}}
		r.Title = r.Description
		if rng.Intn(2) == 0 {
			r.Title, r.Version = nasty(rng), nasty(rng)
		}
		r.Tags = append(r.Tags, "severity:"+r.Severity.String())
		for _, key := range []string{"k", "null", "- x", "é: y"[:2]} {
			for _, v := range nasties(rng, 3) {
				r.Tags = append(r.Tags, key+":"+v)
			}
		}
		sort.Strings(r.Tags)
		r.Tags = slices.Compact(r.Tags)
		if rng.Intn(2) == 0 {
			r.Metadata = map[string]string{strings.ReplaceAll(nasty(rng), "\n", " "): nasty(rng), "empty": ""}
		}
		for j := range rng.Intn(3) {
			r.Exceptions = append(r.Exceptions, Exception{Name: text(nasty(rng) + fmt.Sprint(j)), Expression: expr()})
		}
		p.Rules = append(p.Rules, r)
	}
	return p
}
