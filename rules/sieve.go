package rules

import (
	"math"
	"strings"
)

// sieve tells of one text of an event which runs of four bytes stand in it, about: what has a run that is not marked
// does not stand in the text, which takes a look or two where a search takes the length of the text. It is filled
// when the second condition asks for texts in it, and pays from there on: the command lines of scripts are asked for
// dozens. It is part of a Result.
type sieve struct {
	ascii bool  // the text has ASCII characters only
	mark  uint8 // of the runs in this text; earlier texts left other marks
	marks [1 << sieveBits]uint8
}

// sieveOf is the sieve of a source, nil before it was needed, with the epoch in which somebody asked for a text
// there last, and whether it is filled for that.
type sieveOf struct {
	*sieve
	epoch  uint32
	filled bool
}

const (
	sieveGram = longGram
	// sieveBits make a table that a command line of 5,000 characters fills to a third, and that fits into the
	// nearest cache beside the text.
	sieveBits = 14
	// sieveText is the length from which on it is asked: searching a shorter text takes no longer.
	sieveText = 32
	// sieveTries is how often a search meets the rarest character of a text before it searches for all of it.
	sieveTries = 16
)

// sieved is a text to look for in what has a sieve.
type sieved struct {
	text  string
	runs  [3]uint16 // where those of its runs are marked that events have least
	rare  int32     // where in it the byte is that events have least
	ascii bool
}

// newSieved splits texts into those that a sieve can tell of, in ASCII first, and those that are too short. Of more than
// a few short ones, each of which would be searched for by itself, it is the finder that knows: then both are nil.
func newSieved(texts []string) (long []sieved, short []string) {
	var wide []sieved
	for _, t := range texts {
		if len(t) < sieveGram {
			short = append(short, t)
			continue
		}
		s := sieved{text: t, ascii: isASCII(t), runs: rareRuns(t)}
		for i := range len(t) {
			if byteRank(t[i]) < byteRank(t[s.rare]) {
				s.rare = int32(i)
			}
		}
		if s.ascii {
			long = append(long, s)
		} else {
			wide = append(wide, s)
		}
	}
	if len(short) > fewTexts {
		return nil, nil
	}
	return append(long, wide...), short
}

// rareRuns are the places of the runs of text that events have least; where it has few, one stands twice.
func rareRuns(text string) (runs [3]uint16) {
	var ranks [len(runs)]int
	for n := 0; n+sieveGram <= len(text); n++ {
		run, rank := sievePlace(load4(text, n)), gramRank(text[n:n+sieveGram])
		if n == 0 {
			runs, ranks = [...]uint16{run, run, run}, [...]int{rank, math.MaxInt, math.MaxInt}
			continue
		}
		for i := range runs {
			if rank < ranks[i] {
				run, runs[i] = runs[i], run
				rank, ranks[i] = ranks[i], rank
			}
		}
	}
	return runs
}

// byteRank is how common a byte is in command lines: the more, the higher.
func byteRank(c byte) int {
	return strings.IndexByte("jqzx|&%$^{}<>#@!~*+`;'[]()?,_=kvwybhgfump/cdln0123456789\\:\"-.rsoiaet ", c)
}

// sievePlace is where a run is marked.
func sievePlace(run uint32) uint16 { return uint16(run * gramHash >> (32 - sieveBits)) }

// sieve is the sieve of s, which is the text of a source; nil when it is the first time that the event's is asked
// for, which no sieve is made for.
func (m *scratch) sieve(source *textSource, s string) *sieve {
	of := &m.sieves[source.id]
	if of.epoch != m.epoch {
		of.epoch, of.filled = m.epoch, false
		return nil
	}
	if !of.filled {
		if of.sieve == nil {
			of.sieve = new(sieve)
		}
		of.fill(s)
		of.filled = true
	}
	return of.sieve
}

// fill marks the runs of s.
func (v *sieve) fill(s string) {
	if v.mark++; v.mark == 0 {
		v.marks = [1 << sieveBits]uint8{}
		v.mark = 1
	}
	v.ascii = isASCII(s)
	mark, i := v.mark, 0
	for ; i+8 <= len(s); i += 5 {
		x := load8(s, i)
		v.marks[sievePlace(uint32(x))] = mark
		v.marks[sievePlace(uint32(x>>8))] = mark
		v.marks[sievePlace(uint32(x>>16))] = mark
		v.marks[sievePlace(uint32(x>>24))] = mark
		v.marks[sievePlace(uint32(x>>32))] = mark
	}
	for ; i+sieveGram <= len(s); i++ {
		v.marks[sievePlace(load4(s, i))] = mark
	}
}

// contains says that one of the texts of c stands in s, which v is filled with.
func (v *sieve) contains(c *condition, s string) bool {
	for i := range c.long {
		t := &c.long[i]
		if !t.ascii && v.ascii { // and so are all that follow
			break
		}
		if v.marked(t.runs[0]) && v.marked(t.runs[1]) && v.marked(t.runs[2]) && t.in(s) {
			return true
		}
	}
	for _, t := range c.short {
		if strings.Contains(s, t) {
			return true
		}
	}
	return false
}

func (v *sieve) marked(run uint16) bool { return v.marks[run&(1<<sieveBits-1)] == v.mark }

// in says that t stands in s. It looks for its rarest byte, which leaves little to compare.
func (t *sieved) in(s string) bool {
	rare := int(t.rare)
	at := rare
	for range sieveTries {
		if at >= len(s) {
			return false
		}
		next := strings.IndexByte(s[at:], t.text[rare])
		if next < 0 {
			return false
		}
		at += next
		if strings.HasPrefix(s[at-rare:], t.text) {
			return true
		}
		at++
	}
	return strings.Contains(s[at-rare:], t.text)
}
