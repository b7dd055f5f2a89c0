package rules

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func TestCompileRegex(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes     []string
		no      []string
	}{
		{`[A-Z]{2}`, []string{`ab`, `AB`, "k\u017f"}, []string{`a1`}},
		{`(?-i:X)y`, []string{`xy`, `XY`}, []string{`y`}},
		{`(?-i)X`, []string{`x`, `X`}, []string{`y`}},
		{`(?s-i:A.)B`, []string{"a\nb"}, []string{"a\n"}},
		{`(?i-s:A.)B`, []string{"axb"}, []string{"a\nb"}},
		{`\x41\x{42}`, []string{`ab`, `AB`}, nil},
		{`\QA.B\E`, []string{`a.b`, `A.B`}, []string{`axb`}},
		{`\Q(?-i)`, []string{`(?-I)`}, []string{`x`}},
		{`\pL\p{Lu}`, []string{`aa`, `éÉ`}, []string{`1a`}},
		{`^[^k]$`, []string{`a`, `S`}, []string{`k`, `K`, "\u212a"}},
		{`(?-i:^[^K]$)`, []string{`a`}, []string{`k`, `K`, "\u212a"}},
		{`^[^a-z]+$`, []string{`1é`}, []string{`A`, "\u017f", "\u212a"}},
		{`^\PL$`, []string{`1`}, []string{`k`, `É`}},
		{`^\W$`, []string{`é`, `-`}, []string{"\u212a", `K`}},
		{`k`, []string{"\u212a", `K`}, nil},
		{"\u212a", []string{`k`, `K`}, nil},
		{"[\u017f]", []string{`s`, `S`}, nil},
		{`a.c`, []string{`abc`}, []string{"a\nc"}},
		{`b`, []string{`abc`}, nil},
		{`[[:upper:](?-i)]`, []string{`a`, `(`}, []string{`1`}},
		{`[](?-i:]`, []string{`I`, `]`, `(`}, []string{`~`}},
		{`(?P<N>A)(?<M>B)`, []string{`ab`}, []string{`a`}},
		{`(a|B)+?$`, []string{`xAb`}, []string{`abx`}},
		{`ſ`, []string{`S`}, nil},
	} {
		re, err := compileRegex(c.pattern, false)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for _, s := range c.yes {
			if !re.MatchString(fold(s)) {
				t.Errorf("%q matches %q is false (compiled to %v)", s, c.pattern, re)
			}
		}
		for _, s := range c.no {
			if re.MatchString(fold(s)) {
				t.Errorf("%q matches %q is true (compiled to %v)", s, c.pattern, re)
			}
		}
	}

	re, err := compileRegex(`^(?-i:Ab)[c]`, true)
	if err != nil || !re.MatchString(`Abc`) || re.MatchString(`abc`) || re.MatchString(`AbC`) {
		t.Errorf("an exact regex does not match as written: %v, %v", re, err)
	}
}

func TestCompileRegexErrors(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{`a(B`, "error parsing regexp: missing closing ): `a(B`"},
		{`(?=A)`, "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"},
		{`A\1`, "error parsing regexp: invalid escape sequence: `\\1`"},
		{`A{1001}`, "error parsing regexp: invalid repeat count: `{1001}`"},
		{`(A{1000}){1000}`, "error parsing regexp: invalid repeat count: `{1000}`"},
		{`(?-:A)`, "error parsing regexp: missing argument to repetition operator: `?`"},
		{`[Z-A]`, "error parsing regexp: invalid character class range: `Z-A`"},
	} {
		for _, exact := range []bool{false, true} {
			_, err := compileRegex(c.pattern, exact)
			if err == nil || c.pattern != `(?-:A)` && err.Error() != c.want {
				t.Errorf("compileRegex(%q, %v): error %v, want %s", c.pattern, exact, err, c.want)
			}
		}
	}
}

// TestRegexRandom holds a folded regex on folded text against the same regex that ignores case on the text
// as it came. \b is left out: it alone depends on letters being ASCII (see compileRegex).
func TestRegexRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	atoms := []string{
		"a", "A", "k", "K", "\u212a", "s", "\u017f", "é", "É", "µ", "ς", "Σ", "ß", "ẞ", "ı", "İ", "I", "𐐀", "ꭰ", "1", "-",
		".", `\w`, `\W`, `\d`, `\D`, `\s`, `\pL`, `\PL`, `\p{Lu}`, `\P{Lu}`, `\p{Greek}`, `\PN`, `\x41`, `\x{212A}`, `\.`,
		"[a-z]", "[^a-z]", "[A-Z]", "[^K]", "[k]", "[kK]", "[^\u212a]", "[^É]", "[À-Ö]", "[^à-ö]", "[[:upper:]]", "[[:^lower:]]", `[\W]`, `[^\w]`,
		`[^\PL]`, "[α-ω]", "[Ѐ-Я]", `\QK.\E`, "^", "$", `\A`, `\z`, "(?:", "(", ")", "|", "*", "+", "?", "{0,2}", "*?", "(?s)", "(?m)", "(?U)", "(?i)", "(?s:", "[aA]", "[a-cX]",
	}
	tried, yes := 0, 0
	for range 500 {
		pattern := randomOf(r, atoms, 7)
		oracle, err := regexp.Compile("(?i:" + pattern + ")")
		if _, alone := regexp.Compile(pattern); err != nil || alone != nil {
			continue
		}
		re, err := compileRegex(pattern, false)
		if err != nil {
			t.Fatalf("%q: %v", pattern, err)
		}
		tried++
		for range 40 {
			s := randomText(r, 6)
			if r.IntN(3) == 0 {
				s = randomCase(r, strings.Map(func(c rune) rune { return c }, pattern))
			}
			got, want := re.MatchString(fold(s)), oracle.MatchString(s)
			if got != want {
				t.Fatalf("%q matches %q = %v as %v, ignoring case %v", s, pattern, got, re, want)
			}
			if got {
				yes++
			}
		}
	}
	if tried < 150 || yes < 1000 {
		t.Errorf("too few cases: %d patterns, %d matches", tried, yes)
	}
}

// TestDropCaseSensitive adds (?-i:...) around parts of random patterns: nothing may change.
func TestDropCaseSensitive(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	parts := []string{"a", "K", "[^k]", `\W`, `[^\W]`, "É", `\x41`, `\Q(?-i:\E`, "[(?-i)]", `\(`, "(?P<n>s)", "|", ".", `\p{Lu}`, "[[:upper:]]", `[\]]`, `[]a]`}
	for range 100 {
		var plain, marked strings.Builder
		for n := r.IntN(5) + 1; n > 0; n-- {
			part := parts[r.IntN(len(parts))]
			if part == "(?P<n>s)" && strings.Contains(plain.String(), part) {
				continue
			}
			plain.WriteString("(?:" + part + ")")
			marked.WriteString([]string{"(?-i:", "(?-i)(?:", "(?s-i)(?-s)(?:", "(?-is:", "(?:"}[r.IntN(5)] + part + ")")
		}
		a, err := compileRegex(plain.String(), false)
		b, err2 := compileRegex(marked.String(), false)
		if err != nil || err2 != nil {
			t.Fatalf("%q: %v, %q: %v", plain.String(), err, marked.String(), err2)
		}
		for range 50 {
			s := fold(randomText(r, 5))
			if a.MatchString(s) != b.MatchString(s) {
				t.Fatalf("%q: %q says %v, %q says %v", s, plain.String(), a.MatchString(s), marked.String(), b.MatchString(s))
			}
		}
	}
}

func BenchmarkRegex(b *testing.B) {
	pattern := `-e(nc|ncodedcommand)?\s+[a-z0-9+/]{16}`
	s := `"C:\Windows\System32\WindowsPowerShell\v1.0\PowerShell.exe" -NoProfile -ExecutionPolicy Bypass -Enc ZQBjAGgAbwA=`
	folded, _ := compileRegex(pattern, false)
	b.Run("folded", func(b *testing.B) {
		f := fold(s)
		for b.Loop() {
			folded.MatchString(f)
		}
	})
	ignoring := regexp.MustCompile("(?i:" + pattern + ")")
	b.Run("ignoring-case", func(b *testing.B) {
		for b.Loop() {
			ignoring.MatchString(s)
		}
	})
}
