package pipeline

import (
	"maps"

	"spoor/pipeline/state"
	"spoor/rules"
)

// Counters say what was done: the summary of a replay.
type Counters struct {
	Events        int64            // records taken in, rejects included
	Rejected      int64            // rejects
	Signals       int64            // live signals
	ShadowSignals int64            //
	RuleMatches   map[string]int64 // by rule id: events matched, by live and shadow rules
	Lineage       LineageCounters
}

// LineageCounters are the answers to the question who a pid was.
type LineageCounters struct{ Hit, Unknown, Reused, Ambiguous, NoHost int64 }

// lineageOf picks the answers out of the state's statistics.
func lineageOf(s *state.Stats) LineageCounters {
	n := func(r state.Result) int64 { return int64(s.Lookups[r]) }
	return LineageCounters{
		Hit: n(state.Hit), Unknown: n(state.Unknown), Reused: n(state.Reused), Ambiguous: n(state.Ambiguous), NoHost: n(state.NoHost),
	}
}

// counts are a partition's numbers since it began. They are plain: the partition's goroutine counts, and
// publishes the differences at each commit.
type counts struct {
	Events, Bytes, Rejected, Signals, Shadow, UnknownFields, Committed int64

	matches map[string]int64 // by rule id, up to the last publish
	state   state.Stats      // as of the last publish
}

// stateStats is what the partition's state did, those that it lost included.
func (p *Partition) stateStats() state.Stats {
	s := p.state.Stats()
	for i := range s.Lookups {
		s.Lookups[i] += p.lost.Lookups[i]
	}
	for i := range s.Evictions {
		s.Evictions[i] += p.lost.Evictions[i]
	}
	s.Disagreements += p.lost.Disagreements
	s.ClocksAhead += p.lost.ClocksAhead
	return s
}

// Counters say what the partition did so far, uncommitted work included. Only the partition's goroutine may
// ask.
func (p *Partition) Counters() Counters {
	stats := p.stateStats()
	c := Counters{
		Events: p.counts.Events, Rejected: p.counts.Rejected,
		Signals: p.counts.Signals, ShadowSignals: p.counts.Shadow,
		RuleMatches: maps.Clone(p.counts.matches), Lineage: lineageOf(&stats),
	}
	add := func(b *bound, t *tally) {
		for i, n := range t.matches {
			if n > 0 {
				c.RuleMatches[b.rules[i].ID] += n
			}
		}
	}
	if f := p.flight; f != nil {
		add(f.bound, f.tally)
	}
	if p.bound != nil {
		add(p.bound, p.bound.tally)
	}
	return c
}

// Counters say what all partitions did, up to their last commits.
func (e *Engine) Counters() Counters {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.totals
	c.RuleMatches = maps.Clone(c.RuleMatches)
	if c.RuleMatches == nil {
		c.RuleMatches = map[string]int64{}
	}
	return c
}

// publish adds what the batch of a commit that landed counted to the engine's totals and to the metrics.
func (e *Engine) publish(p *Partition, f *flight) {
	was, now := p.meters.published, f.saved
	p.meters.publish(was, now)
	p.meters.published = now

	e.mu.Lock()
	defer e.mu.Unlock()
	t := &e.totals
	t.Events += now.Events - was.Events
	t.Rejected += now.Rejected - was.Rejected
	t.Signals += now.Signals - was.Signals
	t.ShadowSignals += now.Shadow - was.Shadow
	before, after := lineageOf(&was.state), lineageOf(&now.state)
	t.Lineage.Hit += after.Hit - before.Hit
	t.Lineage.Unknown += after.Unknown - before.Unknown
	t.Lineage.Reused += after.Reused - before.Reused
	t.Lineage.Ambiguous += after.Ambiguous - before.Ambiguous
	t.Lineage.NoHost += after.NoHost - before.NoHost
	if f.tally.dirty {
		if t.RuleMatches == nil {
			t.RuleMatches = make(map[string]int64)
		}
		f.tally.publish(f.bound.rules, e.metrics, p.counts.matches, t.RuleMatches)
	}
	f.bound.spare = f.tally
}

// publish moves the counts of rules to the metrics and the totals, and starts them at 0 again. Labels are
// looked up here, once per rule and commit, and only for rules that did something.
func (b *tally) publish(all []*rules.Rule, m *Metrics, own, totals map[string]int64) {
	mode := func(r *rules.Rule) string {
		if r.Shadow {
			return "shadow"
		}
		return "live"
	}
	for i, r := range all {
		if n := b.matches[i]; n > 0 {
			own[r.ID] += n
			totals[r.ID] += n
			m.Matches.WithLabelValues(r.ID, mode(r)).Add(float64(n))
			b.matches[i] = 0
		}
		if n := b.signals[i]; n > 0 {
			m.Signals.WithLabelValues(r.ID, mode(r)).Add(float64(n))
			b.signals[i] = 0
		}
		if n := b.overBudget[i]; n > 0 {
			m.OverBudget.WithLabelValues(r.ID).Add(float64(n))
			b.overBudget[i] = 0
		}
		if c := &b.costs.Rules[i]; c.Time > 0 {
			m.RuleSeconds.WithLabelValues(r.ID).Add(sampleEvery * c.Time.Seconds())
		}
	}
	if b.costs.Events > 0 {
		b.costs.Clear()
	}
	for x, n := range b.exceptions {
		r := all[x.Rule]
		m.Exceptions.WithLabelValues(r.ID, r.Source.Exceptions[x.Exception].Name.Value).Add(float64(n))
	}
	clear(b.exceptions)
	b.dirty = false
}
