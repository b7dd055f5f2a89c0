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
// earlier place never spoils a later piece. So nothing is tried twice, a match is linear in the text
// (times the piece, for a piece with ? inside) and allocates nothing.
type likePattern struct {
	first, last piece
	middle      []piece
	star        bool // without one, first is the whole pattern
}

// piece is a run of a pattern without stars: text, in which every ? is one character.
type piece struct {
	text  string
	marks bool // has a ?
	skip  int  // the literal bytes before the first ?
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
			p.middle = append(p.middle, newPiece(text))
		}
	}
	return p
}

func newPiece(text string) piece {
	i := strings.IndexByte(text, '?')
	if i < 0 {
		return piece{text: text, skip: len(text)}
	}
	return piece{text: text, marks: true, skip: i}
}

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
	if !p.marks {
		i := strings.Index(s, p.text)
		if i < 0 {
			return -1
		}
		return i + len(p.text)
	}
	for at := 0; at <= len(s); {
		if p.skip > 0 {
			i := strings.Index(s[at:], p.text[:p.skip])
			if i < 0 {
				return -1
			}
			at += i
		}
		if n, ok := p.prefix(s[at:]); ok {
			return at + n
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		at += max(size, 1)
	}
	return -1
}
