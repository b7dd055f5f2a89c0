package rules

import (
	"regexp/syntax"
	"unicode"
	"unicode/utf8"
)

// run is what every match of a regex begins with: a number of ASCII characters, each of a class, as in
// `\s[0-9a-f]{64}\s`. A text is searched for it as Horspool searches for a word ("Practical fast searching in
// strings", 1980): the byte where the run would end says how far its next place can be, so most bytes of a text are
// never read. Constant after construction.
type run struct {
	classes []asciiSet
	shift   [256]uint8 // by the byte at the end of a place: how far the next one is
}

// asciiSet is a set of ASCII characters.
type asciiSet [2]uint64

func (s *asciiSet) has(c byte) bool { return c < utf8.RuneSelf && s[c>>6]>>(c&63)&1 != 0 }

// The sizes of runs: a shorter one lets too few bytes be passed over, and a longer one is cut.
const (
	minRun = 8
	maxRun = 128
)

// newRun returns the run of a regex, nil when it has none that is long enough.
func newRun(re *syntax.Regexp) *run {
	var x run
	x.begin(re)
	n := len(x.classes)
	if n < minRun {
		return nil
	}
	for c := range x.shift {
		x.shift[c] = uint8(n)
		for i := range n - 1 {
			if x.classes[i].has(byte(c)) {
				x.shift[c] = uint8(n - 1 - i)
			}
		}
	}
	return &x
}

// begin appends what re begins with, and says whether that is all of re.
func (x *run) begin(re *syntax.Regexp) bool {
	if len(x.classes) >= maxRun {
		return false
	}
	switch re.Op {
	case syntax.OpEmptyMatch:
		return true
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			set := []rune{r, r}
			for o := unicode.SimpleFold(r); re.Flags&syntax.FoldCase != 0 && o != r; o = unicode.SimpleFold(o) {
				set = append(set, o, o)
			}
			if !x.class(set) {
				return false
			}
		}
		return true
	case syntax.OpCharClass:
		return x.class(re.Rune)
	case syntax.OpCapture:
		return x.begin(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !x.begin(sub) {
				return false
			}
		}
		return true
	case syntax.OpPlus:
		x.begin(re.Sub[0])
	case syntax.OpRepeat:
		for range re.Min {
			if !x.begin(re.Sub[0]) {
				return false
			}
		}
		return re.Min == re.Max
	}
	return false
}

// class appends one character, of pairs of first and last. Beyond ASCII a character is more than a byte, so there the
// run ends.
func (x *run) class(pairs []rune) bool {
	if len(x.classes) >= maxRun {
		return false
	}
	var set asciiSet
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] >= utf8.RuneSelf {
			return false
		}
		for r := pairs[i]; r <= pairs[i+1]; r++ {
			set[r>>6] |= 1 << (r & 63)
		}
	}
	x.classes = append(x.classes, set)
	return true
}

// next is a place in s before which no match begins, -1 when none begins anywhere. Mostly the run stands there; in a
// text that nearly has it all over, it is where the search was given up: it looks at a bounded number of bytes.
func (x *run) next(s string) int {
	last := len(x.classes) - 1
	left := 64 + 4*len(s)
	for i := 0; i+last < len(s); i += int(x.shift[s[i+last]]) {
		at := last
		for at >= 0 && x.classes[at].has(s[i+at]) {
			at--
		}
		if left -= last - at; at < 0 || left < 0 {
			return i
		}
	}
	return -1
}
