package rules

import (
	"math/bits"
	"slices"
	"strings"
)

// grams finds which of many texts stand in a string, in one pass over it. Of each text one gram, a run of 2 or
// 4 bytes, is entered in a bitmap; the pass tests every gram of the string against the bitmap, and only where
// it says "perhaps" are the texts with that gram compared. So the pass costs about a nanosecond a byte however
// many texts there are: the bitmap grows with them, and stays a thirtieth full. An Aho-Corasick automaton
// answers the same question; it needs a table a hundred times as large, whose cache misses cost more than the
// comparisons here (one step of it waits for the step before).
//
// The gram of a text is the one that events have least (see gramRank), so that comparing is rare.
//
// It works on bytes: of folded UTF-8, which finds characters. Constant after construction.
type grams struct {
	size  int // of a gram, in bytes
	bits  []uint64
	shift uint     // from a hash to its place in bits
	table []uint32 // open addressing from a gram to its first place, plus one; 0 is empty
	tmask uint32
	keys  []uint32 // gram of a place
	from  []uint32 // first pattern of a place; one more at the end
	texts []gramText
}

// gramText is one text to look for.
type gramText struct {
	text string
	at   uint32 // where its gram is in it
	id   int32  // what the caller calls it
	op   textOp // contains, or startsWith and endsWith: where it has to stand
}

// The sizes of grams. Texts shorter than the long ones have the short ones.
const (
	longGram  = 4
	shortGram = 2
)

// newGrams builds the finder for texts, each of size bytes at least.
func newGrams(size int, texts []gramText) *grams {
	if len(texts) == 0 {
		return nil
	}
	g := &grams{size: size}
	used := make(map[uint32]int, len(texts))
	gramOf := make([]uint32, len(texts))
	// The shortest first: they have the least choice.
	slices.SortStableFunc(texts, func(a, b gramText) int { return len(a.text) - len(b.text) })
	for i := range texts {
		t := &texts[i]
		best := 1 << 30
		for at := 0; at+size <= len(t.text); at++ {
			gram := g.gram(t.text[at:])
			if rank := 8*gramRank(t.text[at:at+size]) + min(used[gram], 64); rank < best {
				best, t.at, gramOf[i] = rank, uint32(at), gram
			}
		}
		used[gramOf[i]]++
	}
	order := make([]int, len(texts))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case gramOf[a] < gramOf[b]:
			return -1
		case gramOf[a] > gramOf[b]:
			return 1
		}
		return 0
	})
	// 32 bits for each gram, and the bitmap of a few is a cache line or two.
	log := max(bits.Len(uint(len(used)*32-1)), 9)
	g.bits, g.shift = make([]uint64, 1<<(log-6)), uint(32-log)
	g.table = make([]uint32, 1<<bits.Len(uint(len(used)*2)))
	g.tmask = uint32(len(g.table) - 1)
	for n, i := range order {
		gram := gramOf[i]
		if n == 0 || gram != g.keys[len(g.keys)-1] {
			h := gram * gramHash
			g.bits[h>>g.shift>>6] |= 1 << (h >> g.shift & 63)
			at := (h >> 7) & g.tmask
			for g.table[at] != 0 {
				at = (at + 1) & g.tmask
			}
			g.keys = append(g.keys, gram)
			g.from = append(g.from, uint32(n))
			g.table[at] = uint32(len(g.keys))
		}
		g.texts = append(g.texts, texts[i])
	}
	g.from = append(g.from, uint32(len(g.texts)))
	return g
}

// gramHash spreads grams; it is odd.
const gramHash = 0x9E3779B1

func (g *grams) gram(s string) uint32 {
	if g.size == shortGram {
		return uint32(s[0]) | uint32(s[1])<<8
	}
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

// maybe says that a text may have this gram.
func (g *grams) maybe(gram uint32) bool {
	h := gram * gramHash >> g.shift
	return g.bits[h>>6]&(1<<(h&63)) != 0
}

// next is the first place in s, from i on, whose gram may be one of a text; -1 without one. It is the hot loop.
func (g *grams) next(s string, i int) int {
	if g.size == longGram {
		table, shift := g.bits, g.shift&31
		for i+8 <= len(s) {
			// Eight bytes have five grams. They are tested together, which leaves one branch.
			x := load8(s, i)
			h0 := uint32(x) * gramHash >> shift
			h1 := uint32(x>>8) * gramHash >> shift
			h2 := uint32(x>>16) * gramHash >> shift
			h3 := uint32(x>>24) * gramHash >> shift
			h4 := uint32(x>>32) * gramHash >> shift
			some := table[h0>>6]>>(h0&63) | table[h1>>6]>>(h1&63) | table[h2>>6]>>(h2&63) | table[h3>>6]>>(h3&63) | table[h4>>6]>>(h4&63)
			if some&1 != 0 {
				for !g.maybe(uint32(x)) {
					x >>= 8
					i++
				}
				return i
			}
			i += 5
		}
	}
	for ; i+g.size <= len(s); i++ {
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
		n := g.table[at]
		if n == 0 {
			return nil
		}
		if g.keys[n-1] == gram {
			return g.texts[g.from[n-1]:g.from[n]]
		}
	}
}

// stands says that t is in s with its gram at i.
func (t *gramText) stands(s string, i int) bool {
	from := i - int(t.at)
	end := from + len(t.text)
	if from < 0 || end > len(s) || s[from:end] != t.text {
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

// bytes is about what g takes.
func (g *grams) bytes() int {
	if g == nil {
		return 0
	}
	n := 8*len(g.bits) + 4*(len(g.table)+len(g.keys)+len(g.from)) + 40*len(g.texts)
	for i := range g.texts {
		n += len(g.texts[i].text)
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

// any says that one of the texts stands in s.
func (g *grams) any(s string) bool {
	for i := g.next(s, 0); i >= 0; i = g.next(s, i+1) {
		for _, t := range g.at(s, i) {
			if t.stands(s, i) {
				return true
			}
		}
	}
	return false
}

// gramPair looks for long and short texts in one pass. Either may be nil.
type gramPair struct{ long, short *grams }

func newGramPair(long, short *grams) *gramPair {
	if long == nil && short == nil {
		return nil
	}
	return &gramPair{long, short}
}

// next is the first place in s, from i on, where a long or a short text may have its gram; -1 without one.
func (g *gramPair) next(s string, i int) int {
	switch {
	case g.short == nil:
		return g.long.next(s, i)
	case g.long == nil:
		return g.short.next(s, i)
	}
	long, short := g.long, g.short
	lbits, lshift, sbits, sshift := long.bits, long.shift&31, short.bits, short.shift&31
	for i+8 <= len(s) {
		x := load8(s, i)
		for j := 0; j < 5; j++ {
			h := uint32(x) * gramHash >> lshift
			k := uint32(x) & 0xFFFF * gramHash >> sshift
			if (lbits[h>>6]>>(h&63)|sbits[k>>6]>>(k&63))&1 != 0 {
				return i + j
			}
			x >>= 8
		}
		i += 5
	}
	for ; i+shortGram <= len(s); i++ {
		if short.maybe(short.gram(s[i:])) || i+longGram <= len(s) && long.maybe(long.gram(s[i:])) {
			return i
		}
	}
	return -1
}

// bytes is about what g takes.
func (g *gramPair) bytes() int {
	if g == nil {
		return 0
	}
	return g.long.bytes() + g.short.bytes()
}
