package rules

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
	"strings"
)

// finder finds which of many texts stand in a string. Texts with characters beyond ASCII, of which obfuscation
// makes many, are looked for in strings that have some only. Constant after construction.
type finder struct {
	ascii []*grams // of texts in ASCII
	all   []*grams // and of the others
}

// newFinder returns the finder of texts, each of minDemand bytes at least; nil without any.
func newFinder(texts []gramText) *finder {
	var long, short, wideLong, wideShort []gramText
	for _, t := range texts {
		switch isLong, ascii := len(t.text) >= longText, isASCII(t.text); {
		case isLong && ascii:
			long = append(long, t)
		case ascii:
			short = append(short, t)
		case isLong:
			wideLong = append(wideLong, t)
		default:
			wideShort = append(wideShort, t)
		}
	}
	var f finder
	for i, some := range [][]gramText{long, short, wideLong, wideShort} {
		if g := newGrams(some); g != nil {
			f.all = append(f.all, g)
			if i < 2 {
				f.ascii = f.all
			}
		}
	}
	if f.all == nil {
		return nil
	}
	return &f
}

// in is what may find a text in s.
func (f *finder) in(s string) []*grams {
	if len(f.all) == len(f.ascii) || isASCII(s) {
		return f.ascii
	}
	return f.all
}

// any says that one of the texts stands in s.
func (f *finder) any(s string) bool {
	for _, g := range f.in(s) {
		for i := g.next(s, 0); i >= 0; i = g.next(s, i+g.stride) {
			for _, t := range g.at(s, i) {
				if t.stands(s, i) {
					return true
				}
			}
		}
	}
	return false
}

// grams finds which of many texts stand in a string, in one pass over it. Of each text one gram, a run of 2 or
// 4 bytes, is entered in a bitmap; the pass tests the grams of the string against the bitmap, and only where
// it says "perhaps" are the texts with that gram compared. The bitmap grows with the texts, and stays a thirtieth
// full, so the pass takes the same time however many there are. An Aho-Corasick automaton
// answers the same question; it needs a table a hundred times as large, whose cache misses cost more than the
// comparisons here (one step of it waits for the step before).
//
// Texts that are long enough are entered with two grams, one byte apart. Wherever such a text stands, one of the
// two begins at an even place, so only every other gram of the string is tested.
//
// The gram of a text is the one that events have least (see gramRank), so that comparing is rare.
//
// It works on bytes: of folded UTF-8, which finds characters. Constant after construction.
type grams struct {
	size   int // of a gram, in bytes
	stride int // between the grams that are tested, in bytes
	bits   []uint64
	shift  uint // from a hash to its place in bits
	table  []gramPlace
	tmask  uint32
	texts  []gramText // by gram
}

// gramPlace is where the texts of a gram are. The table is of open addressing; a place without texts is empty.
type gramPlace struct{ gram, from, to uint32 }

// gramText is one text to look for.
type gramText struct {
	text string
	at   uint32 // where its gram is in it
	id   int32  // what the caller calls it
	op   textOp // contains, or startsWith and endsWith: where it has to stand
	// head are the first eight bytes of text, or all there are, and mask the bits of them: most false finds need
	// nothing else of the text, which may be far away.
	head, mask uint64
}

// The sizes of grams. Texts of longText bytes have two long ones.
const (
	longGram  = 4
	shortGram = 2
	longText  = longGram + 1
)

// newGrams builds the finder for texts, which are all long or all short.
func newGrams(texts []gramText) *grams {
	if len(texts) == 0 {
		return nil
	}
	// The shortest first: they have the least choice.
	slices.SortStableFunc(texts, func(a, b gramText) int { return len(a.text) - len(b.text) })
	g := &grams{size: longGram, stride: 2}
	if shortest := len(texts[0].text); shortest < longText {
		g.size, g.stride = shortGram, min(shortest-shortGram+1, 2)
	}
	used := make(map[uint32]int, g.stride*len(texts))
	entered := make([]gramText, 0, g.stride*len(texts))
	for _, t := range texts {
		var head [8]byte
		n := copy(head[:], t.text)
		t.head, t.mask = binary.LittleEndian.Uint64(head[:]), ^uint64(0)>>(64-8*n)
		best := 1 << 30
		for at := 0; at+g.size+g.stride-1 <= len(t.text); at++ {
			rank := 0
			for i := at; i < at+g.stride; i++ {
				rank += 8*gramRank(t.text[i:i+g.size]) + min(used[g.gram(t.text[i:])], 64)
			}
			if rank < best {
				best, t.at = rank, uint32(at)
			}
		}
		for range g.stride {
			used[g.gram(t.text[t.at:])]++
			entered = append(entered, t)
			t.at++
		}
	}
	gramOf := func(t *gramText) uint32 { return g.gram(t.text[t.at:]) }
	slices.SortStableFunc(entered, func(a, b gramText) int { return cmp.Compare(gramOf(&a), gramOf(&b)) })
	g.texts = entered
	if g.size == longGram {
		// 32 bits for each gram, and four times as many where that still is a few kilobytes.
		log := max(bits.Len(uint(len(used)*32-1)), 9)
		log = max(log, min(log+2, 15))
		g.bits, g.shift = make([]uint64, 1<<(log-6)), uint(32-log)
	} else {
		g.bits = make([]uint64, 1<<(8*shortGram-6)) // a bit for each there is
	}
	g.table = make([]gramPlace, 1<<bits.Len(uint(len(used)*2)))
	g.tmask = uint32(len(g.table) - 1)
	for from := 0; from < len(entered); {
		gram, to := gramOf(&entered[from]), from+1
		for to < len(entered) && gramOf(&entered[to]) == gram {
			to++
		}
		h := g.place(gram)
		g.bits[h>>6] |= 1 << (h & 63)
		at := (gram * gramHash >> 7) & g.tmask
		for g.table[at].to != 0 {
			at = (at + 1) & g.tmask
		}
		g.table[at] = gramPlace{gram, uint32(from), uint32(to)}
		from = to
	}
	return g
}

// gramHash spreads grams; it is odd.
const gramHash = 0x9E3779B1

func (g *grams) gram(s string) uint32 {
	if g.size == shortGram {
		return uint32(s[0]) | uint32(s[1])<<8
	}
	return load4(s, 0)
}

// place is where the bit of a gram is.
func (g *grams) place(gram uint32) uint32 {
	if g.size == shortGram {
		return gram
	}
	return gram * gramHash >> (g.shift & 31)
}

// maybe says that a text may have this gram.
func (g *grams) maybe(gram uint32) bool {
	h := g.place(gram)
	return g.bits[h>>6]&(1<<(h&63)) != 0
}

// next is the first place in s, from i on and a number of strides from it, whose gram may be one of a text; -1 without
// one. It is the hot loop: the grams of some bytes are tested together, which leaves one branch.
func (g *grams) next(s string, i int) int {
	table := g.bits
	switch {
	case g.size == longGram:
		shift := g.shift & 31
		for i+14 <= len(s) {
			x, y := load8(s, i), load8(s, i+6)
			h0 := uint32(x) * gramHash >> shift
			h1 := uint32(x>>16) * gramHash >> shift
			h2 := uint32(x>>32) * gramHash >> shift
			h3 := uint32(y) * gramHash >> shift
			h4 := uint32(y>>16) * gramHash >> shift
			h5 := uint32(y>>32) * gramHash >> shift
			b0, b1, b2 := table[h0>>6]>>(h0&63), table[h1>>6]>>(h1&63), table[h2>>6]>>(h2&63)
			b3, b4, b5 := table[h3>>6]>>(h3&63), table[h4>>6]>>(h4&63), table[h5>>6]>>(h5&63)
			if (b0|b1|b2|b3|b4|b5)&1 != 0 {
				// Which is counted, not guessed by a branch for each.
				some := b0&1 | b1&1<<1 | b2&1<<2 | b3&1<<3 | b4&1<<4 | b5&1<<5
				return i + 2*bits.TrailingZeros64(some)
			}
			i += 12
		}
	case g.stride == 2:
		for i+8 <= len(s) {
			x := load8(s, i)
			h0, h1, h2, h3 := uint16(x), uint16(x>>16), uint16(x>>32), uint16(x>>48)
			some := table[h0>>6]>>(h0&63) | table[h1>>6]>>(h1&63) | table[h2>>6]>>(h2&63) | table[h3>>6]>>(h3&63)
			if some&1 != 0 {
				break
			}
			i += 8
		}
	default:
		for i+8 <= len(s) {
			x := load8(s, i)
			h0, h1, h2, h3 := uint16(x), uint16(x>>8), uint16(x>>16), uint16(x>>24)
			h4, h5, h6 := uint16(x>>32), uint16(x>>40), uint16(x>>48)
			b0, b1, b2, b3 := table[h0>>6]>>(h0&63), table[h1>>6]>>(h1&63), table[h2>>6]>>(h2&63), table[h3>>6]>>(h3&63)
			b4, b5, b6 := table[h4>>6]>>(h4&63), table[h5>>6]>>(h5&63), table[h6>>6]>>(h6&63)
			if (b0|b1|b2|b3|b4|b5|b6)&1 != 0 {
				some := b0&1 | b1&1<<1 | b2&1<<2 | b3&1<<3 | b4&1<<4 | b5&1<<5 | b6&1<<6
				return i + bits.TrailingZeros64(some)
			}
			i += 7
		}
	}
	for ; i+g.size <= len(s); i += g.stride {
		if g.maybe(g.gram(s[i:])) {
			return i
		}
	}
	return -1
}

// at lists the texts whose gram is the one at i.
func (g *grams) at(s string, i int) []gramText {
	gram := g.gram(s[i:])
	for at := (gram * gramHash >> 7) & g.tmask; ; at = (at + 1) & g.tmask {
		switch p := &g.table[at]; {
		case p.to == 0:
			return nil
		case p.gram == gram:
			return g.texts[p.from:p.to]
		}
	}
}

// stands says that t is in s with its gram at i.
func (t *gramText) stands(s string, i int) bool {
	from := i - int(t.at)
	end := from + len(t.text)
	if from < 0 || end > len(s) {
		return false
	}
	if from+8 <= len(s) && load8(s, from)&t.mask != t.head || s[from:end] != t.text {
		return false
	}
	switch t.op {
	case opStarts:
		return from == 0
	case opEnds:
		return end == len(s)
	}
	return true
}

// bytes is about what f takes.
func (f *finder) bytes() int {
	if f == nil {
		return 0
	}
	n := 0
	for _, g := range f.all {
		n += 8*len(g.bits) + 12*len(g.table) + 48*len(g.texts)
		for i := range g.texts {
			n += len(g.texts[i].text) / g.stride
		}
	}
	return n
}

// gramRank is how common a gram is in what Windows hosts report: the more, the higher.
func gramRank(gram string) int {
	rank := commonGrams[gram]
	for i := 0; i < len(gram); i++ {
		switch c := gram[i]; {
		case strings.IndexByte(`etaoinsr\\`, c) >= 0:
			rank += 2
		case 'a' <= c && c <= 'z' || c == ' ' || c == '.':
			rank++
		}
	}
	return rank
}

// commonGrams is the weight of the common texts that a gram stands in. Constant.
var commonGrams = func() map[string]int {
	m := map[string]int{}
	for _, c := range commonTexts {
		seen := map[string]bool{}
		for _, size := range []int{shortGram, longGram} {
			for i := 0; i+size <= len(c.text); i++ {
				if gram := c.text[i : i+size]; !seen[gram] {
					seen[gram] = true
					m[gram] += c.weight
				}
			}
		}
	}
	return m
}()
