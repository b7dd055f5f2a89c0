package rules

import "time"

// Profile collects what the rules of one set cost. Match adds to the one that its Result points at; that makes
// it slower, by two looks at the clock and one for each candidate. It is owned by the Result's goroutine.
type Profile struct {
	// Rules is by index into Set.Rules.
	Rules []RuleCost
	// Events were matched, and Candidates evaluated for them: the rules that the index could not rule out.
	Events, Candidates int64
	// Search is the time of finding the candidates: reading and folding texts, and looking them up.
	Search time.Duration

	now     func() time.Duration
	last    time.Duration
	reading time.Duration // what one look at the clock takes
}

// RuleCost is what one rule cost. A condition that several rules share is paid for by the first that needs it.
type RuleCost struct {
	Candidates int64 // events it was evaluated for
	Matches    int64 // events that it matched, shadow or not
	Time       time.Duration
}

// NewProfile returns an empty profile for set. now reads a monotonic clock.
func NewProfile(set *Set, now func() time.Duration) *Profile {
	p := &Profile{Rules: make([]RuleCost, len(set.rules)), now: now, reading: time.Hour}
	last := now()
	for range 200 {
		t := now()
		p.reading = min(p.reading, t-last)
		last = t
	}
	return p
}

// Clear empties p, for the next sample.
func (p *Profile) Clear() {
	clear(p.Rules)
	p.Events, p.Candidates, p.Search = 0, 0, 0
}

// begin starts the clock for one event.
func (p *Profile) begin() { p.last = p.now() }

// lap is the time since the last look at the clock.
func (p *Profile) lap() time.Duration {
	t := p.now()
	d := max(t-p.last-p.reading, 0)
	p.last = t
	return d
}

// searched notes that candidates were found.
func (p *Profile) searched(candidates int) {
	p.Search += p.lap()
	p.Events++
	p.Candidates += int64(candidates)
}

// evaluated notes that rule was evaluated.
func (p *Profile) evaluated(rule int32, matched bool) {
	c := &p.Rules[rule]
	c.Time += p.lap()
	c.Candidates++
	if matched {
		c.Matches++
	}
}

// Stats are the sizes of a compiled set.
type Stats struct {
	Rules      int
	Conditions int   // that are different; each is evaluated at most once for an event
	Lookups    int   // texts that events are searched for, by event name
	Unindexed  int   // rules that are evaluated for every event of their names
	IndexBytes int64 // about what the index takes, the conditions included
}

// Stats are the sizes of s.
func (s *Set) Stats() Stats {
	out := Stats{Rules: len(s.rules), Conditions: len(s.index.conditions), Lookups: s.index.entries, IndexBytes: s.index.bytes()}
	for _, why := range s.index.why {
		if why != "" {
			out.Unindexed++
		}
	}
	return out
}

// Unindexed says why the rule of that index into Rules is evaluated for every event of its names, because
// nothing that it demands can be looked up; "" for the others.
func (s *Set) Unindexed(rule int) string { return s.index.why[rule] }

// bytes is about what x takes.
func (x *index) bytes() int64 {
	const pointer, header = 8, 24
	n := 0
	text := func(s string) { n += 16 + len(s) }
	for _, c := range x.conditions {
		n += 250 + c.finds.bytes() + c.affixes.bytes() + 32*len(c.long) + 16*len(c.short)
		text(c.key)
		for _, t := range c.texts {
			text(t)
		}
		n += len(c.set) * 40
		if c.regex != nil {
			n += 40*len(c.regex.prog.Inst) + 200 + 5*len(c.regex.from)
		}
	}
	buckets := []*bucket{x.other}
	for _, b := range x.buckets {
		buckets = append(buckets, b)
	}
	for _, b := range buckets {
		n += 40*len(b.rules) + 16*len(b.code) + 4*len(b.always)
		for i := range b.entries {
			e := &b.entries[i]
			n += 2*header + 4*(len(e.conditions)+len(e.rules))
			text(e.text)
		}
		for i := range b.sources {
			s := &b.sources[i]
			n += 40*len(s.equals) + 72*len(s.last) + s.finds.bytes() + 8*pointer
			for _, a := range s.ends {
				n += a.bytes()
			}
		}
	}
	return int64(n)
}
