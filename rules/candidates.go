package rules

import (
	"math"
	"slices"
	"strings"
)

// scratch is what matching one event needs beside the view: what was found out and which rules are to be
// evaluated. It belongs to a Result, and to its goroutine. Nothing in it is cleared between events: a stamp
// says which event it is of.
type scratch struct {
	index *index // that the tables below are made for
	epoch uint32
	// found is, for each condition, twice the epoch, plus one if it holds.
	found      []uint32
	seen       []uint32 // entries: the epoch in which it was found last
	candidate  []uint32 // rules: the epoch in which it became a candidate last
	candidates []int32  // of the bucket, in order of finding, but for those that always are
	dfas       []*dfa
	dfaBytes   int       // of their tables, about
	sieves     []sieveOf // by source
}

// begin makes the tables fit x and starts a new epoch.
func (s *scratch) begin(x *index) {
	if s.index != x {
		*s = scratch{
			index:     x,
			found:     make([]uint32, len(x.conditions)),
			seen:      make([]uint32, x.entries),
			candidate: make([]uint32, len(x.why)),
			dfas:      make([]*dfa, x.regexes),
			sieves:    make([]sieveOf, x.sources),
		}
	}
	s.epoch++
	if s.epoch == math.MaxUint32>>1 {
		clear(s.found)
		clear(s.seen)
		clear(s.candidate)
		for i := range s.sieves {
			s.sieves[i].epoch = 0
		}
		s.epoch = 1
	}
	s.candidates = s.candidates[:0]
	if s.dfaBytes > maxDFABytes { // strange texts, that other events may not have
		clear(s.dfas)
		s.dfaBytes = 0
	}
}

// dfa is the goroutine's own DFA of a regex. All of them together stay within a bound.
func (s *scratch) dfa(x *regex) *dfa {
	d := s.dfas[x.id]
	if d == nil {
		d = newDFA(x, &s.dfaBytes)
		s.dfas[x.id] = d
	}
	return d
}

// match finds the candidates for the event that r's view is pointed at, evaluates them and adds the answer to r.
func (s *Set) match(r *Result) {
	x := s.index
	m := &r.scratch
	m.begin(x)
	b := x.of(&r.view)
	r.view.work = math.MaxInt
	profile := r.Profile
	if profile != nil {
		profile.begin()
	}
	for i := range b.sources {
		b.sources[i].find(b, r)
	}
	found, always := m.candidates, b.always
	if profile != nil {
		profile.searched(len(found) + len(always))
	}
	if len(found)+len(always) == 0 {
		return
	}
	slices.Sort(found)
	sizes := tiers{text: r.view.tier(), all: -1}
	for len(found)+len(always) > 0 {
		if len(found) == 0 || len(always) > 0 && always[0] < found[0] {
			s.candidate(b, always[0], &sizes, r)
			always = always[1:]
			continue
		}
		s.candidate(b, found[0], &sizes, r)
		found = found[1:]
	}
}

// tiers are those of an event: by its texts, and by its ancestors' as well, -1 before somebody asked.
type tiers struct{ text, all int }

// candidate evaluates rule n of b.
func (s *Set) candidate(b *bucket, n int32, sizes *tiers, r *Result) {
	c := &b.rules[n]
	before := len(r.Live) + len(r.Shadow)
	at := sizes.text
	if c.ancestral {
		if sizes.all < 0 {
			sizes.all = r.view.tierWithAncestors()
		}
		at = sizes.all
	}
	if c.safe>>at&1 != 0 {
		s.evaluate(b, c, r)
	} else {
		s.again(c, r)
	}
	if r.Profile != nil {
		r.Profile.evaluated(c.rule, len(r.Live)+len(r.Shadow) > before)
	}
}

// evaluate evaluates one candidate, with its exceptions.
func (s *Set) evaluate(b *bucket, c *bucketRule, r *Result) {
	r.machine.over = false
	if !b.run(c.condition, r) {
		if r.machine.over {
			s.again(c, r)
		}
		return
	}
	for i, x := range c.exceptions {
		if b.run(x, r) {
			if r.machine.over {
				break
			}
			r.Exceptions = append(r.Exceptions, ExceptionHit{Rule: int(c.rule), Exception: i})
			return
		}
	}
	switch {
	case r.machine.over:
		s.again(c, r)
	case s.compiled[c.rule].rule.Shadow:
		r.Shadow = append(r.Shadow, int(c.rule))
	default:
		r.Live = append(r.Live, int(c.rule))
	}
}

// again lets the reference decide on a rule that it might cut off.
func (s *Set) again(c *bucketRule, r *Result) {
	s.matchRule(int(c.rule), r)
	r.view.work = math.MaxInt
}

// run runs code from at on.
func (b *bucket) run(at int32, r *Result) bool {
	m := &r.scratch
	no := m.epoch << 1
	for at >= 0 {
		i := &b.code[at]
		found := m.found[i.condition]
		if found|1 != no|1 {
			found = no
			if !i.known && m.index.conditions[i.condition].holds(r) {
				found |= 1
			}
			m.found[i.condition] = found
		}
		if found&1 != 0 {
			at = i.then
		} else {
			at = i.other
		}
	}
	return at == codeHolds
}

// find looks the source up.
func (x *sourceIndex) find(b *bucket, r *Result) {
	if !x.source.every {
		x.findIn(x.source.get(&r.view), b, r)
		return
	}
	for _, a := range r.view.ancestors {
		x.findIn(x.source.of(&r.view, a), b, r)
	}
}

func (x *sourceIndex) findIn(s string, b *bucket, r *Result) {
	if s == "" {
		return
	}
	if x.lengths>>(len(s)%64)&1 != 0 {
		if e, ok := x.equals[s]; ok {
			b.hit(e, r)
		}
	}
	if x.last != nil {
		if i := strings.LastIndexByte(s, '\\'); i >= 0 && x.lasts>>((len(s)-i)%64)&1 != 0 {
			for _, e := range x.last[s[i+1:]] {
				if strings.HasSuffix(s, b.entries[e].text) {
					b.hit(e, r)
				}
			}
		}
	}
	for _, a := range x.ends {
		texts := a.of(s)
		for i := range texts {
			if a.is(s, &texts[i]) {
				b.hit(texts[i].id, r)
			}
		}
	}
	if x.finds == nil {
		return
	}
	for _, g := range x.finds.in(s) {
		for i := g.next(s, 0); i >= 0; i = g.next(s, i+g.stride) {
			texts := g.at(s, i)
			for j := range texts {
				if t := &texts[j]; t.stands(s, i) {
					b.hit(t.id, r)
				}
			}
		}
	}
}

// hit notes that the text of an entry was found.
func (b *bucket) hit(n int32, r *Result) {
	m := &r.scratch
	if m.seen[b.base+n] == m.epoch {
		return
	}
	m.seen[b.base+n] = m.epoch
	e := &b.entries[n]
	for _, c := range e.conditions {
		m.found[c] = m.epoch<<1 | 1
	}
	for _, rule := range e.rules {
		if i := b.rules[rule].rule; m.candidate[i] != m.epoch {
			m.candidate[i] = m.epoch
			m.candidates = append(m.candidates, rule)
		}
	}
}
