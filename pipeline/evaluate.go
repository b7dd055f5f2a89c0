package pipeline

import (
	"time"

	"spoor/pipeline/event"
	"spoor/rules"
)

// bound is a rule set as one partition uses it: what each rule says in a signal, made once, and what each
// rule did, counted without a lock. It is owned by the partition's goroutine and replaced with the set.
type bound struct {
	set     *rules.Set
	rules   []*rules.Rule
	matched []event.MatchedRule // by index into rules
	hash    []byte              // for the header spoor-policy-set; shared by all outputs, never written

	clock  func() time.Duration // for the costs of rules
	*tally                      // of the batch in the making
	spare  *tally               // of one that was published: empty
}

// tally is what the rules did in one batch, by index into rules.
type tally struct {
	matches    []int64
	signals    []int64
	overBudget []int64
	exceptions map[rules.ExceptionHit]int64
	dirty      bool
	costs      *rules.Profile // of sampled events
}

func newTally(set *rules.Set, clock func() time.Duration) *tally {
	n := len(set.Rules())
	return &tally{
		matches: make([]int64, n), signals: make([]int64, n), overBudget: make([]int64, n),
		exceptions: make(map[rules.ExceptionHit]int64), costs: rules.NewProfile(set, clock),
	}
}

// take ends the tally of a batch and begins that of the next.
func (b *bound) take() *tally {
	t := b.tally
	b.tally, b.spare = b.spare, nil
	if b.tally == nil {
		b.tally = newTally(b.set, b.clock)
	}
	return t
}

func bind(set *rules.Set, now func() time.Time) *bound {
	all := set.Rules()
	start := now()
	clock := func() time.Duration { return now().Sub(start) }
	b := &bound{
		set:     set,
		rules:   all,
		matched: make([]event.MatchedRule, len(all)),
		hash:    []byte(set.Hash()),
		clock:   clock,
		tally:   newTally(set, clock),
	}
	for i, r := range all {
		b.matched[i] = event.MatchedRule{
			ID: r.ID, Version: r.Version, Tags: r.Tags,
			PolicyName: r.PolicyName, PolicyVersion: r.PolicyVersion,
		}
	}
	return b
}

// pin takes the engine's current set for the batch that begins.
func (p *Partition) pin() {
	set := p.engine.set.Load()
	if p.bound == nil || p.bound.set != set {
		// What the old set counted is with the commit that ended its last batch.
		p.bound = bind(set, p.engine.now)
	}
	p.batch.Set = set.Hash()
}

// costsAt is which of sampleEvery events says what rules cost: not one whose stages are measured.
const costsAt = sampleEvery / 2

// evaluate asks the set which rules the enriched event matches; the answer is in p.res.
func (p *Partition) evaluate(offset int64) {
	b := p.bound
	if p.res.Profile == nil && p.counts.Events%sampleEvery == costsAt {
		p.res.Profile = b.costs
		b.set.Match(&p.ev, &p.res)
		p.res.Profile = nil
		b.dirty = b.dirty || b.costs.Candidates > 0
	} else {
		b.set.Match(&p.ev, &p.res)
	}
	for _, i := range p.res.Live {
		b.matches[i]++
		b.dirty = true
	}
	for _, i := range p.res.Shadow {
		b.matches[i]++
		b.dirty = true
	}
	for _, x := range p.res.Exceptions {
		b.exceptions[x]++
		b.dirty = true
	}
	for _, i := range p.res.OverBudget {
		b.overBudget[i]++
		b.dirty = true
		if skipped, ok := p.budgetLog.allow(p.engine.now()); ok {
			p.engine.log.Warn("the evaluation of a rule was cut off by its budget; it did not match", "rule", b.rules[i].ID,
				"topic", p.tp.Topic, "partition", p.tp.Partition, "offset", offset, "not_logged_since_last", skipped)
		}
	}
}
