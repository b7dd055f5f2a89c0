package sigma

import (
	"regexp"
	"strings"
	"unicode"
)

// text is a value of Sigma: texts and wildcards, one after the other. Neighbouring texts are joined, and of
// several * in a row there is one.
type text []piece

// piece is a wildcard or a text.
type piece struct {
	wild rune // 0 for a text; '*' any run, '?' any character, '-' any of the dashes of windash
	text string
}

func (t text) add(p piece) text {
	if n := len(t); n > 0 {
		last := t[n-1]
		if p.wild == 0 && last.wild == 0 {
			t[n-1].text += p.text
			return t
		}
		if p.wild == '*' && last.wild == '*' {
			return t
		}
	}
	if p.wild == 0 && p.text == "" {
		return t
	}
	return append(t, p)
}

func (t text) join(others ...text) text {
	var out text
	for _, o := range append([]text{t}, others...) {
		for _, p := range o {
			out = out.add(p)
		}
	}
	return out
}

// parseText reads a value: * and ? are wildcards, and a backslash takes that from them and from itself. A
// backslash before anything else is one.
func parseText(s string) text {
	var out text
	var b strings.Builder
	flush := func() {
		out = out.add(piece{text: b.String()})
		b.Reset()
	}
	rs := []rune(s)
	for i := 0; i < len(rs); i++ {
		switch r := rs[i]; {
		case r == '\\' && i+1 < len(rs) && (rs[i+1] == '*' || rs[i+1] == '?' || rs[i+1] == '\\'):
			i++
			b.WriteRune(rs[i])
		case r == '*' || r == '?':
			flush()
			out = out.add(piece{wild: r})
		default:
			b.WriteRune(r)
		}
	}
	flush()
	return out
}

var anything = text{{wild: '*'}}

// around puts the wildcards of contains, startswith and endswith around t.
func (t text) around(m modifiers) text {
	if m.has("contains") {
		return anything.join(t, anything)
	}
	if m.has("startswith") {
		return t.join(anything)
	}
	if m.has("endswith") {
		return anything.join(t)
	}
	return t
}

// plain is the text without wildcards, and whether there are none.
func (t text) plain() (string, bool) {
	switch {
	case len(t) == 0:
		return "", true
	case len(t) == 1 && t[0].wild == 0:
		return t[0].text, true
	}
	return "", false
}

// test is one comparison of a field with a constant: operator is ==, contains, startsWith, endsWith, like,
// matches, length for "at least so many characters", or != for "not empty".
type test struct {
	operator string
	constant string
}

// test gives the comparison that says the same as t. cased: like, which knows no case, cannot be used.
func (t text) test(cased bool) test {
	begin, end := false, false
	inner := t
	if len(inner) > 0 && inner[0].wild == '*' {
		begin, inner = true, inner[1:]
	}
	if n := len(inner); n > 0 && inner[n-1].wild == '*' {
		end, inner = true, inner[:n-1]
	}
	if s, ok := inner.plain(); ok {
		switch {
		case s == "" && begin:
			return test{"!=", ""}
		case begin && end:
			return test{"contains", s}
		case begin:
			return test{"endsWith", s}
		case end:
			return test{"startsWith", s}
		}
		return test{"==", s}
	}
	if !cased && t.likeable() {
		return test{"like", t.like()}
	}
	return test{"matches", t.regex(begin, inner, end)}
}

// likeable says that like can say it: it has no escape for its wildcards, and no class of dashes.
func (t text) likeable() bool {
	for _, p := range t {
		if p.wild == '-' || strings.ContainsAny(p.text, "*?") {
			return false
		}
	}
	return true
}

func (t text) like() string {
	var b strings.Builder
	for _, p := range t {
		if p.wild != 0 {
			b.WriteRune(p.wild)
		}
		b.WriteString(p.text)
	}
	return b.String()
}

// regex is a regular expression for t, whose wildcards at both ends are taken off.
func (t text) regex(begin bool, inner text, end bool) string {
	var b strings.Builder
	dot := false
	for _, p := range inner {
		switch p.wild {
		case '*':
			b.WriteString(".*")
			dot = true
		case '?':
			b.WriteByte('.')
			dot = true
		case '-':
			b.WriteString("[" + dashes + "]")
		default:
			b.WriteString(quoteMeta(p.text))
		}
	}
	out := b.String()
	if !begin {
		out = "^" + out
	}
	if !end {
		out += "$"
	}
	if dot {
		out = "(?s)" + out
	}
	return out
}

// quoteMeta is regexp.QuoteMeta.
func quoteMeta(s string) string { return regexp.QuoteMeta(s) }

// matches says that s is like t, whatever the case.
func (t text) matches(s string) bool {
	inner := t
	re := t.regex(false, inner, false)
	ok, err := regexp.MatchString("(?is)"+re, s)
	return err == nil && ok
}

// dashes are what Windows programs take for a dash before an option, as in a class of a regular expression.
const dashes = "-/\u2013\u2014\u2015"

// windash gives t with every dash or slash before an option replaced by each of the dashes: a dash or slash
// with no letter, digit or _ before it and one behind it. Over maxDashes of them stay a class: their variants
// would be too many to list.
func (t text) windash() []text {
	places := 0
	for _, p := range t {
		places += len(p.optionDashes())
	}
	out := []text{nil}
	for _, p := range t {
		at := 0
		rs := []rune(p.text)
		for _, i := range p.optionDashes() {
			between := piece{text: string(rs[at:i])}
			at = i + 1
			var longer []text
			for _, o := range out {
				if places > maxDashes {
					longer = append(longer, text(nil).join(o).add(between).add(piece{wild: '-'}))
					continue
				}
				for _, dash := range dashes {
					longer = append(longer, text(nil).join(o).add(between).add(piece{text: string(dash)}))
				}
			}
			out = longer
		}
		rest := piece{p.wild, string(rs[at:])}
		for i := range out {
			out[i] = text(nil).join(out[i]).add(rest)
		}
	}
	return out
}

// maxDashes is of how many dashes in one value windash lists the variants: 25.
const maxDashes = 2

// optionDashes are the places of dashes before an option, in characters: what \B[-/]\b finds.
func (p piece) optionDashes() []int {
	var out []int
	rs := []rune(p.text)
	for i, r := range rs {
		if (r == '-' || r == '/') && (i == 0 || !wordRune(rs[i-1])) && i+1 < len(rs) && wordRune(rs[i+1]) {
			out = append(out, i)
		}
	}
	return out
}

func wordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }
