package rules

import (
	"encoding/binary"
	"regexp"
	"regexp/syntax"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A regex is matched by a DFA whose states are made when a text first leads to them: one table lookup a byte,
// where the package regexp, which the reference uses, takes a hundred times as long for what it cannot
// backtrack. The table is a regex's own in each Result; what is made of the pattern is shared.
//
// A state is the set of instructions of the regexp/syntax program that are alive before a character is read,
// and what kind the character before it was, which ^ $ \b and the like ask for. Characters fall into classes
// that no instruction tells apart; a class beyond ASCII is found by binary search. Matching is not anchored, so
// the program starts anew at each character, unless it can begin at the beginning only.
type regex struct {
	id     int32 // its place in a Result's tables
	re     *regexp.Regexp
	prog   *syntax.Prog
	only   bool // matches at the beginning of the text only
	ascii  [utf8.RuneSelf]uint8
	from   []rune  // the first characters of the intervals beyond ASCII
	class  []uint8 // of each interval
	sample []rune  // a character of each class
	stride int32   // classes, and one for the end of the text
	least  int     // the bytes of the shortest match
	prefix string  // what every match begins with
	run    *run    // likewise; nil when that is too little, or prefix says it
	// Whether it asks for words and lines; if not, they make no states of their own.
	words, lines bool
}

// dfa is the states of one regex as far as one goroutine has made them. It is part of a Result.
type dfa struct {
	*regex
	next  []int32 // by state*stride + class: the next state times stride, or one of those below
	sets  [][]uint32
	index map[string]int32
	bytes *int // of all tables of the goroutine, about
	own   int  // of this one
	// home is the state in which nothing of the regex has begun, -1 before it is made; stay are the characters,
	// as far as they were met, that lead from it to itself: most of a text is passed over without the table.
	home int32
	stay [256]bool

	// Scratch of step.
	seen   []uint32
	middle [1]uint32 // the set of a state in which nothing is alive
	stamp  uint32
	stack  []uint32
	key    []byte
}

const (
	stepUnknown = -1
	stepMatch   = -2
	stepNever   = -3

	maxClasses   = 200
	maxStates    = 2_000    // of one regex
	maxProgram   = 4_000    // instructions
	maxDFABytes  = 16 << 20 // of all regexes, for a goroutine
	stateMinimum = 96
)

// What the character before a state was.
const (
	afterOther uint32 = iota
	afterWord
	afterNewline
	afterNothing // the beginning of the text
)

// newRegex prepares re for a DFA; nil when it is too large for one.
func newRegex(re *regexp.Regexp) *regex {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return nil
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil || len(prog.Inst) > maxProgram {
		return nil
	}
	x := &regex{re: re, prog: prog, least: leastBytes(tree)}
	if x.prefix, _ = re.LiteralPrefix(); x.prefix == "" {
		x.run = newRun(tree)
	}
	for i := range prog.Inst {
		if inst := &prog.Inst[i]; inst.Op == syntax.InstEmptyWidth {
			asks := syntax.EmptyOp(inst.Arg)
			x.words = x.words || asks&(syntax.EmptyWordBoundary|syntax.EmptyNoWordBoundary) != 0
			x.lines = x.lines || asks&(syntax.EmptyBeginLine|syntax.EmptyEndLine) != 0
		}
	}
	x.only = prog.StartCond()&syntax.EmptyBeginText != 0
	if !x.classify() {
		return nil
	}
	return x
}

// matchRune says that instruction i, which reads a character, reads r.
func matchRune(i *syntax.Inst, r rune) bool {
	switch i.Op {
	case syntax.InstRuneAny:
		return true
	case syntax.InstRuneAnyNotNL:
		return r != '\n'
	}
	return i.MatchRune(r)
}

// classify finds the classes of characters.
func (x *regex) classify() bool {
	var readers []*syntax.Inst
	seen := map[string]bool{}
	cuts := []rune{utf8.RuneSelf}
	for i := range x.prog.Inst {
		inst := &x.prog.Inst[i]
		switch inst.Op {
		case syntax.InstRuneAnyNotNL:
		case syntax.InstRune, syntax.InstRune1:
			for j, r := range inst.Rune {
				if j%2 == 1 || len(inst.Rune) == 1 {
					cuts = append(cuts, r+1)
				}
				if j%2 == 0 {
					cuts = append(cuts, r)
				}
				for o := unicode.SimpleFold(r); len(inst.Rune) == 1 && o != r; o = unicode.SimpleFold(o) {
					cuts = append(cuts, o, o+1)
				}
			}
		default:
			continue
		}
		key := string(inst.Rune) + string(rune(inst.Op)) + string(rune(inst.Arg))
		if !seen[key] {
			seen[key] = true
			readers = append(readers, inst)
		}
	}
	classes := map[string]uint8{}
	signature := make([]byte, len(readers)+1)
	classOf := func(r rune) (uint8, bool) {
		signature[0] = byte(x.kind(r))
		for i, inst := range readers {
			signature[i+1] = 0
			if matchRune(inst, r) {
				signature[i+1] = 1
			}
		}
		c, ok := classes[string(signature)]
		if !ok {
			if len(x.sample) == maxClasses {
				return 0, false
			}
			c = uint8(len(x.sample))
			x.sample = append(x.sample, r)
			classes[string(signature)] = c
		}
		return c, true
	}
	ok := true
	for r := range x.ascii {
		if x.ascii[r], ok = classOf(rune(r)); !ok {
			return false
		}
	}
	slices.Sort(cuts)
	for _, r := range slices.Compact(cuts) {
		if r < utf8.RuneSelf || r > unicode.MaxRune {
			continue
		}
		c, ok := classOf(r)
		if !ok {
			return false
		}
		if n := len(x.class); n == 0 || x.class[n-1] != c {
			x.from, x.class = append(x.from, r), append(x.class, c)
		}
	}
	x.stride = int32(len(x.sample) + 1)
	return true
}

func (x *regex) kind(r rune) uint32 {
	switch {
	case x.lines && r == '\n':
		return afterNewline
	case x.words && syntax.IsWordChar(r):
		return afterWord
	}
	return afterOther
}

// leastBytes is the length of the shortest text that re matches, or less.
func leastBytes(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune) // a character that ignores case may be a shorter one
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpPlus:
		return leastBytes(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min * leastBytes(re.Sub[0])
	case syntax.OpConcat:
		n := 0
		for _, sub := range re.Sub {
			n += leastBytes(sub)
		}
		return n
	case syntax.OpAlternate:
		n := leastBytes(re.Sub[0])
		for _, sub := range re.Sub[1:] {
			n = min(n, leastBytes(sub))
		}
		return n
	}
	return 0
}

// wide is the class of a character beyond ASCII.
func (x *regex) wide(r rune) uint8 {
	return x.class[sort.Search(len(x.from), func(i int) bool { return x.from[i] > r })-1]
}

// newDFA returns a DFA without states that adds what it takes to bytes.
func newDFA(x *regex, bytes *int) *dfa {
	d := &dfa{regex: x, seen: make([]uint32, len(x.prog.Inst)), bytes: bytes}
	d.flush()
	return d
}

// flush forgets all states but the first.
func (d *dfa) flush() {
	*d.bytes -= d.own
	d.next, d.sets, d.own = d.next[:0], d.sets[:0], 0
	d.index = map[string]int32{}
	d.home, d.stay = -1, [256]bool{}
	d.state([]uint32{afterNothing})
}

// state returns the number, times stride, of the state of a set: what was before it and its instructions,
// ascending.
func (d *dfa) state(set []uint32) int32 {
	d.key = d.key[:0]
	for _, v := range set {
		d.key = binary.LittleEndian.AppendUint32(d.key, v)
	}
	if at, ok := d.index[string(d.key)]; ok {
		return at
	}
	at := int32(len(d.sets)) * d.stride
	d.sets = append(d.sets, slices.Clone(set))
	for range d.stride {
		d.next = append(d.next, stepUnknown)
	}
	d.index[string(d.key)] = at
	if slices.Equal(set, d.middle[:]) {
		d.home = at
	}
	size := 8*len(set) + 4*int(d.stride) + stateMinimum
	d.own += size
	*d.bytes += size
	return at
}

// match says whether s has a match. It makes the states it lacks; when a text needs too many, the package
// regexp takes over, which takes the same time for each byte.
func (d *dfa) match(s string) bool {
	if len(s) < d.least {
		return false
	}
	made, limit := 0, 64+len(s)/4
	at, i := int32(0), 0
	switch {
	case d.prefix != "":
		i = strings.Index(s, d.prefix)
	case d.run != nil:
		i = d.run.next(s)
	}
	if i < 0 {
		return false
	}
	if i > 0 { // neither asks for anything before it
		at = d.state(d.middle[:])
	}
	ascii := &d.ascii
	for i < len(s) {
		if at == d.home {
			for i < len(s) && d.stay[s[i]] {
				i++
			}
			if i == len(s) {
				break
			}
		}
		c, size := uint8(0), 1
		if b := s[i]; b < utf8.RuneSelf {
			c = ascii[b]
		} else {
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			c = d.wide(r)
		}
		next := d.next[at+int32(c)]
		if next < 0 {
			if next == stepUnknown {
				if made++; made > limit {
					return d.re.MatchString(s)
				}
				next = d.step(at, c)
			}
			if next == stepMatch {
				return true
			}
			if next == stepNever {
				return false
			}
		}
		at = next
		i += size
	}
	end := d.stride - 1
	if d.next[at+end] == stepUnknown {
		d.step(at, uint8(end))
	}
	return d.next[at+end] == stepMatch
}

// step finds where class c leads from state at, and notes it.
func (d *dfa) step(at int32, c uint8) int32 {
	set := d.sets[at/d.stride]
	end := int32(c) == d.stride-1
	kind := afterNothing
	var r rune
	if !end {
		r = d.sample[c]
		kind = d.kind(r)
	}
	flags := emptyOp(set[0], kind)
	if d.stamp++; d.stamp == 0 {
		clear(d.seen)
		d.stamp = 1
	}
	d.stack = append(d.stack[:0], set[1:]...)
	if !d.only || set[0] == afterNothing {
		d.stack = append(d.stack, uint32(d.prog.Start))
	}
	alive := []uint32{kind}
	for len(d.stack) > 0 {
		pc := d.stack[len(d.stack)-1]
		d.stack = d.stack[:len(d.stack)-1]
		if d.seen[pc] == d.stamp {
			continue
		}
		d.seen[pc] = d.stamp
		inst := &d.prog.Inst[pc]
		switch inst.Op {
		case syntax.InstMatch:
			d.next[at+int32(c)] = stepMatch
			return stepMatch
		case syntax.InstAlt, syntax.InstAltMatch:
			d.stack = append(d.stack, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			d.stack = append(d.stack, inst.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(inst.Arg)&^flags == 0 {
				d.stack = append(d.stack, inst.Out)
			}
		case syntax.InstFail:
		default:
			if !end && matchRune(inst, r) {
				alive = append(alive, inst.Out)
			}
		}
	}
	if end || d.only && len(alive) == 1 {
		d.next[at+int32(c)] = stepNever
		return stepNever
	}
	slices.Sort(alive[1:])
	alive = alive[:1+len(slices.Compact(alive[1:]))]
	if len(d.sets) >= maxStates {
		d.flush()
		return d.state(alive)
	}
	next := d.state(alive)
	d.next[at+int32(c)] = next
	if next == at && at == d.home {
		for b, of := range d.ascii {
			d.stay[b] = d.stay[b] || of == c
		}
	}
	return next
}

// emptyOp is what holds between two characters.
func emptyOp(before, after uint32) syntax.EmptyOp {
	var flags syntax.EmptyOp
	if before == afterNothing {
		flags |= syntax.EmptyBeginText | syntax.EmptyBeginLine
	}
	if before == afterNewline {
		flags |= syntax.EmptyBeginLine
	}
	if after == afterNothing { // the end
		flags |= syntax.EmptyEndText | syntax.EmptyEndLine
	}
	if after == afterNewline {
		flags |= syntax.EmptyEndLine
	}
	if (before == afterWord) != (after == afterWord) {
		return flags | syntax.EmptyWordBoundary
	}
	return flags | syntax.EmptyNoWordBoundary
}
