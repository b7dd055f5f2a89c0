package rules

import (
	"encoding/binary"
	"unicode"
	"unicode/utf8"
)

// Folding maps every letter to one representative of its Unicode simple-fold orbit, so that two texts are
// equal without regard to case exactly when their folds are equal bytes: K, k and the Kelvin sign are k,
// S, s and the long s are s, and the dotless i, alone in its orbit, stays itself. The representative is the
// ASCII lower-case letter where the orbit has one and the lowest code point otherwise. Three things follow,
// and the code below rests on them:
//
//   - a fold is never longer than its text (the lowest code point has the shortest encoding);
//   - it has as many characters, in the same places, so ? of a pattern means the same on both;
//   - a byte that is not UTF-8 passes through, so two different broken bytes stay different. Only text cut
//     in the middle of a character, folded in parts and joined again, folds otherwise than the whole; events
//     come out of a JSON decoder and have no such text.

const (
	swarOnes = 0x0101010101010101
	swarHigh = 0x8080808080808080
)

// foldRune returns the representative of the orbit of r.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	// Accented Latin letters and Cyrillic, lower case above upper: the common letters beyond ASCII.
	switch {
	case 0xE0 <= r && r <= 0xFE && r != '÷', 'а' <= r && r <= 'я':
		return r - 0x20
	case 'ѐ' <= r && r <= 'џ':
		return r - 0x50
	case 0xC0 <= r && r <= 0xDE, 'Ѐ' <= r && r <= 'Я':
		return r
	}
	// Scripts without case, which a search in the tables of unicode would find out slowly: Hebrew to
	// Myanmar, and the Chinese, Japanese and Korean blocks. A test walks every code point.
	if 0x0590 <= r && r < 0x10A0 || 0x2E00 <= r && r < 0xA640 || 0xAC00 <= r && r < 0xFB00 {
		return r
	}
	least := r
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		if o < least {
			least = o
		}
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}

// load4 reads four bytes of s at i; the compiler makes one load of it.
func load4(s string, i int) uint32 {
	_ = s[i+3]
	return uint32(s[i]) | uint32(s[i+1])<<8 | uint32(s[i+2])<<16 | uint32(s[i+3])<<24
}

// load8 reads eight, as load4 does.
func load8(s string, i int) uint64 {
	_ = s[i+7]
	return uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
		uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
}

// isASCII says that s has ASCII characters only.
func isASCII(s string) bool {
	high := uint64(0)
	i := 0
	for ; i+8 <= len(s); i += 8 {
		high |= load8(s, i)
	}
	for ; i < len(s); i++ {
		high |= uint64(s[i])
	}
	return high&swarHigh == 0
}

// upperASCII has the high bit of each byte of x set that is an ASCII upper-case letter. Every byte of x is
// below 0x80, so no addition carries into its neighbour.
func upperASCII(x uint64) uint64 {
	return (x + swarOnes*(0x80-'A')) &^ (x + swarOnes*(0x80-'Z'-1)) & swarHigh
}

// foldedPrefix returns how much of s, in bytes, is its own fold.
func foldedPrefix(s string) int {
	i := 0
	for i < len(s) {
		if i+8 <= len(s) {
			if x := load8(s, i); x&swarHigh == 0 && upperASCII(x) == 0 {
				i += 8
				continue
			}
		}
		c := s[i]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				return i
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if foldRune(r) != r {
			return i
		}
		i += size
	}
	return i
}

// fold returns the fold of s, and s itself, without allocation, when it is folded already.
func fold(s string) string {
	n := foldedPrefix(s)
	if n == len(s) {
		return s
	}
	var buf [256]byte
	dst := append(buf[:0], s[:n]...)
	return string(appendFold(dst, s[n:]))
}

// appendFold appends the fold of s to dst, at most len(s) bytes.
func appendFold(dst []byte, s string) []byte {
	n := len(dst)
	if cap(dst)-n < len(s) {
		grown := make([]byte, n, max(2*cap(dst), n+len(s)))
		copy(grown, dst)
		dst = grown
	}
	size, _ := foldTo(dst[n:n+len(s)], s)
	return dst[:n+size]
}

// foldTo writes the fold of s to dst, which is as long as s, and returns its length and whether it is s. One pass
// both folds and finds out whether that changes anything.
func foldTo(dst []byte, s string) (n int, same bool) {
	if len(s) < 8 {
		return foldRest(dst, s, 0, true)
	}
	dst = dst[:len(s)]
	changed := uint64(0)
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := load8(s, i)
		if x&swarHigh != 0 {
			return foldRest(dst, s, i, changed == 0)
		}
		// The upper-case mark, 0x80, shifted to 0x20, is what makes a letter lower case.
		upper := upperASCII(x)
		changed |= upper
		binary.LittleEndian.PutUint64(dst[i:], x|upper>>2)
	}
	if i < len(s) { // the last bytes, with some before them once more
		i = len(s) - 8
		x := load8(s, i)
		if x&swarHigh != 0 {
			return foldRest(dst, s, len(s)&^7, changed == 0)
		}
		upper := upperASCII(x)
		changed |= upper
		binary.LittleEndian.PutUint64(dst[i:], x|upper>>2)
	}
	return len(s), changed == 0
}

// foldRest is foldTo from i on, where the fold has been as long as the text.
func foldRest(dst []byte, s string, i int, same bool) (int, bool) {
	n := i
	for i < len(s) {
		if i+8 <= len(s) {
			if x := load8(s, i); x&swarHigh == 0 {
				upper := upperASCII(x)
				same = same && upper == 0
				binary.LittleEndian.PutUint64(dst[n:], x|upper>>2)
				i, n = i+8, n+8
				continue
			}
		}
		c := s[i]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
				same = false
			}
			dst[n] = c
			i, n = i+1, n+1
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst[n] = c
			n++
		} else {
			f := foldRune(r)
			same = same && f == r
			n += utf8.EncodeRune(dst[n:], f)
		}
		i += size
	}
	return n, same
}
