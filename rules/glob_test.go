package rules

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes     []string
		no      []string
	}{
		{`C:\a\**`, []string{`C:\a\b`, `c:\A\b\c`, `C:/a//b`, `C:\a\`}, []string{`C:\a`, `C:\ab`, `C:\`, `D:\a\b`, ``}},
		{`**\x.exe`, []string{`x.exe`, `C:\x.exe`, `\x.exe`, `C:\a\b\X.EXE`}, []string{`ax.exe`, `C:\ax.exe`, `x.exe\`, ``}},
		{`C:\**\x`, []string{`C:\x`, `C:\a\x`, `C:\a\b\x`, `C:\x\x`}, []string{`C:`, `C:\`, `x`, `C:\x\y`}},
		{`**\a\**\b\**\c`, []string{`a\b\c`, `1\a\2\a\b\3\b\c`}, []string{`b\a\c`, `a\c\b`}},
		{`**`, []string{``, `a`, `\`, `a\b\`}, nil},
		{`**\**`, []string{``, `a`, `\`, `a\b\`}, nil},
		{`C:\*\x.exe`, []string{`C:\a\x.exe`, `C:/a/x.exe`, `C:\\a\\x.exe`}, []string{`C:\x.exe`, `C:\a\b\x.exe`}},
		{`C:\\a\*`, []string{`C:\a\b`, `C:\a\`}, []string{`C:\a`, `C:\a\b\c`}},
		{`\\server\share\?.dll`, []string{`\\server\share\a.dll`, `\server\share\é.dll`}, []string{`\\server\share\.dll`, `server\share\a.dll`}},
		{`*.tmp`, []string{`.tmp`, `a.tmp`}, []string{`\a.tmp`, `a.tmp.x`}},
		{`**\1\2\3\4\5\6\7\8\**\9\10`, []string{`1\2\3\4\5\6\7\8\9\10`, `1\1\2\3\4\5\6\7\8\1\2\9\10`}, []string{`1\2\3\4\5\6\7\8\10`}},
		{`a\b\**\b\c`, []string{`a\b\b\c`, `a\b\x\b\c`}, []string{`a\b\c`}},
		{`[a]{b}\(c)`, []string{`[A]{B}\(C)`}, []string{`a\c`}},
		{`?:\k`, []string{"C:\\\u212a"}, []string{`CC:\k`}},
		{``, []string{``}, []string{`a`, `\`}},
		{`\`, []string{`\`, `//`}, []string{``, `a\`}},
	} {
		p, err := compileGlob(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for _, s := range c.yes {
			if !p.match(fold(s)) {
				t.Errorf("glob(%q, %q) is false", s, c.pattern)
			}
		}
		for _, s := range c.no {
			if p.match(fold(s)) {
				t.Errorf("glob(%q, %q) is true", s, c.pattern)
			}
		}
	}
	for _, bad := range []string{`a**`, `**a`, `C:\**.exe`, `***`, `C:\a\****\b`,
		`**\1\2\3\4\5\6\7\8\9\**`, `C:\` + strings.Repeat("a", 256)} {
		if _, err := compileGlob(bad); err == nil {
			t.Errorf("compileGlob(%q) has no error", bad)
		}
	}
}

// globOracle says what a pattern means with a regex over the path with single separators, written from the
// definition: ** and the separator after it are any components with theirs, a last ** is anything at all.
func globOracle(pattern string) *regexp.Regexp {
	runs := regexp.MustCompile(`[\\/]+`)
	var b strings.Builder
	b.WriteString(`(?is)\A`)
	components := runs.Split(pattern, -1)
	for i, c := range components {
		last := i == len(components)-1
		switch {
		case c == "**" && last:
			b.WriteString(`.*`)
		case c == "**":
			b.WriteString(`(?:[^/]*/)*`)
			continue
		default:
			for _, r := range c {
				switch r {
				case '*':
					b.WriteString(`[^/]*`)
				case '?':
					b.WriteString(`[^/]`)
				default:
					b.WriteString(regexp.QuoteMeta(string(r)))
				}
			}
		}
		if !last {
			b.WriteString(`/`)
		}
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

func randomOf(r *rand.Rand, parts []string, most int) string {
	var b strings.Builder
	for n := r.IntN(most + 1); n > 0; n-- {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

func TestGlobRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	runs := regexp.MustCompile(`[\\/]+`)
	patterns := []string{"a", "B", "k", "é", "?", "*", "**", `\`, "/", `\**\`, `**/`, `\**`, `\`}
	texts := []string{"a", "A", "b", "\u212a", "É", `\`, "/", `\`, "."}
	yes, no := 0, 0
	for range 5_000 {
		pattern := randomOf(r, patterns, 9)
		p, err := compileGlob(pattern)
		if err != nil {
			continue
		}
		oracle := globOracle(pattern)
		for range 30 {
			s := randomOf(r, texts, 10)
			got, want := p.match(fold(s)), oracle.MatchString(runs.ReplaceAllString(s, "/"))
			if got != want {
				t.Fatalf("glob(%q, %q) = %v, the oracle %v says %v", s, pattern, got, oracle, want)
			}
			if got {
				yes++
			} else {
				no++
			}
		}
	}
	if yes < 1000 || no < 1000 {
		t.Errorf("a lopsided test: %d match, %d do not", yes, no)
	}
}

func TestLike(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes     []string
		no      []string
	}{
		{`* -enc*`, []string{`powershell -ENC abc`, ` -enc`}, []string{`powershell-enc`, ``}},
		{`a*b`, []string{`ab`, `a\x/b`, "a\nb"}, []string{`a`, `b`, `abc`}},
		{`a?c`, []string{`abc`, `a\c`, `aéc`, "a\nc"}, []string{`ac`, `abbc`}},
		{`*?`, []string{`a`, `ab`}, []string{``}},
		{`?*?`, []string{`ab`, `abc`}, []string{`a`, ``}},
		{`*a?c*`, []string{`xaac`, `aacx`, `aabc`}, []string{`ac`}},
		{`**`, []string{``, `x`}, nil},
		{``, []string{``}, []string{`a`}},
		{`a\*`, []string{`a\`, `a\b`}, []string{`a*`}},
		{`aa*aa`, []string{`aaaa`}, []string{`aaa`}},
	} {
		p := compileLike(c.pattern)
		for _, s := range c.yes {
			if !p.match(fold(s)) {
				t.Errorf("like(%q, %q) is false", s, c.pattern)
			}
		}
		for _, s := range c.no {
			if p.match(fold(s)) {
				t.Errorf("like(%q, %q) is true", s, c.pattern)
			}
		}
	}
}

func TestLikeRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	patterns := []string{"a", "B", "k", "é", "?", "*", "ab", `\`}
	texts := []string{"a", "A", "b", "\u212a", "É", `\`}
	yes := 0
	for range 5_000 {
		pattern := randomOf(r, patterns, 8)
		p := compileLike(pattern)
		oracle := regexp.MustCompile(`(?is)\A` + strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern)) + `\z`)
		for range 30 {
			s := randomOf(r, texts, 10)
			got, want := p.match(fold(s)), oracle.MatchString(s)
			if got != want {
				t.Fatalf("like(%q, %q) = %v, the oracle %v says %v", s, pattern, got, oracle, want)
			}
			if got {
				yes++
			}
		}
	}
	if yes < 1000 {
		t.Errorf("only %d matches", yes)
	}
}

// TestLikeLongPieces has pieces with ? that are longer than what one pass finds.
func TestLikeLongPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 10))
	yes := 0
	for range 300 {
		var pattern, text strings.Builder
		for range 60 + r.IntN(80) {
			c := []string{"a", "b", "é"}[r.IntN(3)]
			text.WriteString(c)
			if r.IntN(4) == 0 {
				c = "?"
			}
			pattern.WriteString(c)
		}
		p := compileLike("*" + pattern.String() + "*b")
		oracle := regexp.MustCompile(`(?s)\A.*` + strings.ReplaceAll(pattern.String(), "?", ".") + `.*b\z`)
		for range 10 {
			s := randomOf(r, []string{"a", "b", "é"}, 9) + text.String() + randomOf(r, []string{"a", "b"}, 3)
			if r.IntN(2) == 0 { // one character other than it should be, perhaps under a ?
				runes := []rune(s)
				runes[r.IntN(len(runes))] = 'c'
				s = string(runes)
			}
			got, want := p.match(fold(s)), oracle.MatchString(s)
			if got != want {
				t.Fatalf("like(%q, %q) = %v, want %v", s, pattern.String(), got, want)
			}
			if got {
				yes++
			}
		}
	}
	if yes < 300 {
		t.Errorf("only %d matches", yes)
	}
}

// TestPatternsAreBounded holds the patterns that make a backtracking matcher explode against a megabyte.
func TestPatternsAreBounded(t *testing.T) {
	deep := strings.Repeat(`a\`, 1<<19) + "a"
	flat := strings.Repeat("a", 1<<20)
	glob := func(pattern string) func(string) bool {
		p, err := compileGlob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		return p.match
	}
	for name, run := range map[string]func() bool{
		"stars":          func() bool { return glob(strings.Repeat("a*", 30) + "b")(flat) },
		"double stars":   func() bool { return glob(strings.Repeat(`**\a\`, 30) + `x\**\b`)(deep + `\b`) },
		"middle":         func() bool { return glob(`**\` + strings.Repeat(`a\`, 7) + `b\**\a`)(deep) },
		"middle pieces":  func() bool { return glob(`**\` + strings.Repeat(`*?a\`, 7) + `b\**\a`)(deep) },
		"like stars":     func() bool { return compileLike(strings.Repeat("*a", 30) + "*b").match(flat) },
		"like questions": func() bool { return compileLike("*" + strings.Repeat("a?", 15) + "b*").match(flat) },
	} {
		start := time.Now()
		if run() {
			t.Errorf("%s: a match", name)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("%s: took %v", name, d)
		}
	}
	p, l := glob(`C:\**\a?\*.e*e`), compileLike(`*\a?\*.e?e`)
	if n := testing.AllocsPerRun(100, func() { p(`c:\x\y\ab\z.exe`); l.match(`c:\x\y\ab\z.exe`) }); n != 0 {
		t.Errorf("%v allocations a match", n)
	}
}

func BenchmarkGlob(b *testing.B) {
	p, _ := compileGlob(`C:\Users\*\AppData\**\*.exe`)
	s := fold(`C:\Users\alice\AppData\Local\Microsoft\Teams\current\Update.exe`)
	for b.Loop() {
		p.match(s)
	}
}

func BenchmarkLike(b *testing.B) {
	p := compileLike(`*powershell* -enc*`)
	s := fold(`"C:\Windows\System32\WindowsPowerShell\v1.0\PowerShell.exe" -NoProfile -ExecutionPolicy Bypass -Enc ZQBjAGgAbwA=`)
	for b.Loop() {
		p.match(s)
	}
}
