package rules

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// alphabet has letters whose orbits have one, two, three and four members, some that change their length
// when folded, a letter beyond the first plane, and characters that patterns give a meaning.
var alphabet = []rune("aAbBkK\u212asS\u017fiI\u0130\u0131éÉåÅ\u212bµμΜßẞσςΣжЖѱѰꭰᎠ𐐀𐐨漢 .-_09\\/*?")

func randomText(r *rand.Rand, most int) string {
	var b strings.Builder
	for n := r.IntN(most + 1); n > 0; n-- {
		b.WriteRune(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

// randomCase spells the letters of s anew, each as some member of its orbit.
func randomCase(r *rand.Rand, s string) string {
	return strings.Map(func(c rune) rune {
		for n := r.IntN(4); n > 0; n-- {
			c = unicode.SimpleFold(c)
		}
		return c
	}, s)
}

func TestFoldEveryRune(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if 0xD800 <= r && r < 0xE000 {
			continue
		}
		got, want := foldRune(r), leastOfOrbit(r)
		if got != want {
			t.Fatalf("foldRune(%U) = %U, want %U", r, got, want)
		}
		if n := utf8.RuneLen(got) - utf8.RuneLen(r); n > 0 {
			t.Fatalf("the fold of %U is %d bytes longer", r, n)
		}
		if s := string(r); fold(s) != string(want) {
			t.Fatalf("fold(%q) = %q, want %q", s, fold(s), string(want))
		}
	}
}

func leastOfOrbit(r rune) rune {
	least := r
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		least = min(least, o)
	}
	if least < 0x80 {
		return unicode.ToLower(least)
	}
	return least
}

func TestFold(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"K\u212ak", "kkk"},
		{"S\u017fs", "sss"},
		{"I\u0130\u0131i", "i\u0130\u0131i"},
		{`C:\Windows\System32\CMD.EXE`, `c:\windows\system32\cmd.exe`},
		{"@AZ[`az{", "@az[`az{"},
		{"éÉ", "ÉÉ"},
		{"ﬀ", "ﬀ"},
		{"A\xffB\xfe", "a\xffb\xfe"}, // not UTF-8: as it is
		{"A\xe2\x84", "a\xe2\x84"},   // a character cut off
		{"\ufffdA", "\ufffda"},
	} {
		if got := fold(c.in); got != c.want {
			t.Errorf("fold(%q) = %q, want %q", c.in, got, c.want)
		}
		if got := string(appendFold([]byte("X"), c.in)); got != "X"+c.want {
			t.Errorf("appendFold(X, %q) = %q", c.in, got)
		}
	}
}

func TestFoldRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 50_000 {
		a := randomText(r, 20)
		b := randomText(r, 3)
		if r.IntN(2) == 0 {
			b = randomCase(r, a)
			if n := len([]rune(b)); n > 0 { // a part of it
				from := r.IntN(n)
				b = string([]rune(b)[from : from+r.IntN(n-from+1)])
			}
		}
		fa, fb := fold(a), fold(b)
		if fold(fa) != fa {
			t.Fatalf("fold(%q) = %q folds on to %q", a, fa, fold(fa))
		}
		if string(appendFold(nil, a)) != fa {
			t.Fatalf("appendFold(%q) = %q, fold gives %q", a, appendFold(nil, a), fa)
		}
		if utf8.RuneCountInString(fa) != utf8.RuneCountInString(a) || len(fa) > len(a) {
			t.Fatalf("fold(%q) = %q has another length", a, fa)
		}
		if got, want := fa == fb, strings.EqualFold(a, b); got != want {
			t.Fatalf("%q == %q is %v folded, strings.EqualFold says %v", a, b, got, want)
		}
		ra, rb := []rune(a), []rune(b)
		occurs := func(at int) bool {
			return at >= 0 && at+len(rb) <= len(ra) && strings.EqualFold(string(ra[at:at+len(rb)]), b)
		}
		within := false
		for i := range len(ra) + 1 {
			within = within || occurs(i)
		}
		if strings.Contains(fa, fb) != within || strings.HasPrefix(fa, fb) != occurs(0) ||
			strings.HasSuffix(fa, fb) != occurs(len(ra)-len(rb)) {
			t.Fatalf("contains, startsWith or endsWith of %q and %q go wrong on %q and %q", a, b, fa, fb)
		}
	}
}

func TestFoldDoesNotAllocate(t *testing.T) {
	folded := `c:\windows\system32\ÉÀ漢\cmd.exe`
	mixed := `C:\Windows\System32\éà漢\CMD.exe`
	dst := make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() {
		_ = fold(folded)
		_ = appendFold(dst, mixed)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkFold(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"ascii", `"C:\Windows\System32\WindowsPowerShell\v1.0\PowerShell.exe" -NoProfile -ExecutionPolicy Bypass`},
		{"cyrillic", `C:\Пользователи\Иван\Рабочий стол\Отчёт за Январь.docx`},
		{"han", `C:\用户\张三\桌面\一月份的报告文件夹\报告.docx`},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst = appendFold(dst[:0], c.text)
			}
		})
	}
}
