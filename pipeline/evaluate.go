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

	// What was counted since the last publish, by index into rules.
	matches    []int64
	signals    []int64
	overBudget []int64
	exceptions map[rules.ExceptionHit]int64
	dirty      bool
	costs      *rules.Profile // of sampled events
}

func bind(set *rules.Set, now func() time.Time) *bound {
	all := set.Rules()
	start := now()
	b := &bound{
		set:        set,
		rules:      all,
		matched:    make([]event.MatchedRule, len(all)),
		hash:       []byte(set.Hash()),
		matches:    make([]int64, len(all)),
		signals:    make([]int64, len(all)),
		overBudget: make([]int64, len(all)),
		exceptions: make(map[rules.ExceptionHit]int64),
		costs:      rules.NewProfile(set, func() time.Duration { return now().Sub(start) }),
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
		// What the old set counted is published with the commit that ended its last batch.
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
