package rules

import (
	"strings"
	"unicode/utf8"
)

// likePattern is a compiled pattern of like: * is any run of characters, ? any one, the match is of the
// whole text and nothing escapes. It is immutable.
//
// The pattern is cut at its stars. The piece before the first star must begin the text, the piece after
// the last must end it, and the ones between are found from left to right, each at its first place: an
// earlier place never spoils a later piece. So nothing is tried twice, a match is linear in the text and
// allocates nothing. The exception is a piece of more than 64 characters with a ? in it: what follows its
// first 64 is compared anew wherever those are found.
type likePattern struct {
	first, last piece
	middle      []piece
	star        bool // without one, first is the whole pattern
}

// piece is a run of a pattern without stars: text, in which every ? is one character.
type piece struct {
	text   string
	marks  bool    // has a ?
	search *search // of a piece with a ? that stands between stars
}

// compileLike compiles a pattern of like for folded text. Every pattern is valid.
func compileLike(pattern string) *likePattern {
	pieces := strings.Split(fold(pattern), "*")
	p := &likePattern{first: newPiece(pieces[0]), star: len(pieces) > 1}
	if !p.star {
		return p
	}
	p.last = newPiece(pieces[len(pieces)-1])
	for _, text := range pieces[1 : len(pieces)-1] {
		if text != "" {
			one := newPiece(text)
			if one.marks {
				one.search = newSearch(text)
			}
			p.middle = append(p.middle, one)
		}
	}
	return p
}

func newPiece(text string) piece { return piece{text: text, marks: strings.Contains(text, "?")} }

// match reports whether the whole of folded text s matches.
func (p *likePattern) match(s string) bool {
	n, ok := p.first.prefix(s)
	if !ok {
		return false
	}
	s = s[n:]
	if !p.star {
		return s == ""
	}
	n, ok = p.last.suffix(s)
	if !ok {
		return false
	}
	s = s[:len(s)-n]
	for i := range p.middle {
		n = p.middle[i].find(s)
		if n < 0 {
			return false
		}
		s = s[n:]
	}
	return true
}

// prefix returns how many bytes of s, from its beginning, the piece takes.
func (p *piece) prefix(s string) (int, bool) {
	if !p.marks {
		return len(p.text), strings.HasPrefix(s, p.text)
	}
	n := 0
	for i := 0; i < len(p.text); i++ {
		if n == len(s) {
			return 0, false
		}
		switch c := p.text[i]; {
		case c == '?':
			_, size := utf8.DecodeRuneInString(s[n:])
			n += size
		case c != s[n]:
			return 0, false
		default:
			n++
		}
	}
	return n, true
}

// suffix returns how many bytes of s, up to its end, the piece takes.
func (p *piece) suffix(s string) (int, bool) {
	if !p.marks {
		return len(p.text), strings.HasSuffix(s, p.text)
	}
	n := len(s)
	for i := len(p.text) - 1; i >= 0; i-- {
		if n == 0 {
			return 0, false
		}
		switch c := p.text[i]; {
		case c == '?':
			_, size := utf8.DecodeLastRuneInString(s[:n])
			n -= size
		case c != s[n-1]:
			return 0, false
		default:
			n--
		}
	}
	return len(s) - n, true
}

// find returns the end of the first place in s that the piece takes, -1 without one.
func (p *piece) find(s string) int {
	if p.search != nil {
		return p.search.find(s)
	}
	i := strings.Index(s, p.text)
	if i < 0 {
		return -1
	}
	return i + len(p.text)
}

// search finds a piece with ? in one pass: bit i of the state says that the characters just read are the
// first i+1 of the piece, and reading one more is a shift and a mask. Immutable.
type search struct {
	ascii  [utf8.RuneSelf]uint64 // the places of each character in the piece, those of ? included
	others []runePlaces
	any    uint64 // the places of ?
	last   uint64
	rest   piece // what follows the first 64 characters
}

type runePlaces struct {
	r      rune
	places uint64
}

func newSearch(text string) *search {
	x := &search{}
	n := 0
	for at, r := range text {
		if n == 64 {
			x.rest = newPiece(text[at:])
			break
		}
		place := uint64(1) << n
		n++
		x.last = place
		switch {
		case r == '?':
			x.any |= place
		case r < utf8.RuneSelf:
			x.ascii[r] |= place
		default:
			x.others = append(x.others, runePlaces{r, place})
		}
	}
	for c := range x.ascii {
		x.ascii[c] |= x.any
	}
	return x
}

// find returns the end of the first place in s that the piece takes, -1 without one.
func (x *search) find(s string) int {
	state := uint64(0)
	for i := 0; i < len(s); {
		places, size := x.any, 1
		if c := s[i]; c < utf8.RuneSelf {
			places = x.ascii[c]
		} else {
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || size > 1 {
				for j := range x.others {
					if x.others[j].r == r {
						places |= x.others[j].places
					}
				}
			}
		}
		i += size
		state = (state<<1 | 1) & places
		if state&x.last != 0 {
			if n, ok := x.rest.prefix(s[i:]); ok {
				return i + n
			}
		}
	}
	return -1
}
