package pipeline

import (
	"fmt"
	"sort"
	"strconv"

	"spoor/pipeline/event"
)

// The headers of signals, in the order they are written.
const (
	HeaderSignalID      = "spoor-signal-id"      // topic/partition/offset, in per-rule mode also /rule
	HeaderSource        = "spoor-source"         // cluster/topic/partition/offset; the cluster of files is empty
	HeaderPolicySet     = "spoor-policy-set"     // hash of the rule set
	HeaderEngineVersion = "spoor-engine-version" //
	HeaderMode          = "spoor-mode"           // "shadow"; a live signal has none
)

// sink is the scratch that signals are built in: copies of those parts of the event that a signal changes,
// so that the event itself, which points into the partition's state, stays as it was for the next signal.
// It is owned by the partition's goroutine.
type sink struct {
	ev      event.Event
	agent   event.Agent
	evt     event.Evt
	process event.ProcessContext
	parent  event.Process
	nearest event.Process
	matched []event.MatchedRule
	buf     []byte
	id      []byte

	// Of the current record, made for its first signal and shared by all of its signals.
	key, signalID, source []byte
}

// emit appends the signals of the event, live and shadow. When some are too large it returns why, once for
// the record.
func (p *Partition) emit(r *Record) *event.Error {
	p.sink.key, p.sink.signalID, p.sink.source = nil, nil, nil
	live := p.emitMode(r, p.res.Live, false, &p.batch.Signals)
	shadow := p.emitMode(r, p.res.Shadow, true, &p.batch.Shadow)
	if live != nil {
		return live
	}
	return shadow
}

func (p *Partition) emitMode(r *Record, matched []int, shadow bool, out *[]Output) *event.Error {
	if len(matched) == 0 {
		return nil
	}
	if !p.engine.cfg.PerRule {
		return p.emitOne(r, matched[0], matched, shadow, out)
	}
	var first *event.Error
	for i := range matched {
		if err := p.emitOne(r, matched[i], matched[i:i+1], shadow, out); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// emitOne appends one signal of primary that names the rules of matched.
func (p *Partition) emitOne(r *Record, primary int, matched []int, shadow bool, out *[]Output) *event.Error {
	s, b := &p.sink, p.batch
	s.build(&p.ev, p.bound, primary, matched)
	if err := p.fit(r, primary); err != nil {
		return err
	}
	if s.signalID == nil {
		p.identify(r)
	}
	id := s.signalID
	if p.engine.cfg.PerRule {
		s.id = append(append(append(s.id[:0], id...), '/'), p.bound.rules[primary].ID...)
		id = b.bytes.copy(s.id)
	}
	from := len(b.headers)
	b.header(HeaderSignalID, id)
	b.header(HeaderSource, s.source)
	b.header(HeaderPolicySet, p.bound.hash)
	b.header(HeaderEngineVersion, p.engine.version)
	if shadow {
		b.header(HeaderMode, p.engine.shadow)
	}
	*out = append(*out, Output{
		Key:       s.key,
		Value:     b.bytes.copy(s.buf),
		Headers:   b.headersFrom(from),
		Timestamp: r.Timestamp,
		Offset:    r.Offset,
	})
	p.bound.signals[primary]++
	p.bound.dirty = true
	if shadow {
		p.counts.Shadow++
	} else {
		p.counts.Signals++
	}
	return nil
}

// identify makes what all signals of the record share.
func (p *Partition) identify(r *Record) {
	s, b := &p.sink, p.batch
	s.key = b.bytes.copy(r.Key)
	s.id = strconv.AppendInt(append(s.id[:0], p.idPrefix...), r.Offset, 10)
	s.signalID = b.bytes.copy(s.id)
	s.id = append(append(append(s.id[:0], p.cluster...), '/'), s.signalID...)
	s.source = b.bytes.copy(s.id)
}

// build makes s.ev the signal document: the event with the identity of the primary rule. Nothing the event
// points to is written.
func (s *sink) build(e *event.Event, b *bound, primary int, matched []int) {
	rule := b.rules[primary]
	s.ev = *e
	s.ev.Title = rule.Title

	s.agent = event.Agent{}
	if e.Agent != nil {
		s.agent = *e.Agent
	}
	s.agent.RuleID = rule.ID
	s.agent.RuleVersion = rule.Version
	s.agent.RuleActions = rule.Actions
	s.agent.PolicyName = rule.PolicyName
	s.agent.PolicyVersion = rule.PolicyVersion
	s.ev.Agent = &s.agent

	s.evt = event.Evt{}
	if e.Evt != nil {
		s.evt = *e.Evt
	}
	s.matched = append(s.matched[:0], s.evt.MatchedRules...)
	for _, i := range matched {
		s.matched = append(s.matched, b.matched[i])
	}
	s.evt.MatchedRules = s.matched
	s.ev.Evt = &s.evt
}

// fit encodes s.ev into s.buf, cutting what makes it larger than a signal may be: ancestors from the far end
// down to the nearest; then the command lines of the nearest and the parent; then the nearest, too.
func (p *Partition) fit(r *Record, primary int) *event.Error {
	s := &p.sink
	most := p.engine.cfg.MaxSignalBytes - len(r.Key)
	err := s.encode()
	if err == nil && len(s.buf) > most && s.ev.Process != nil {
		err = s.cut(most)
	}
	switch {
	case err != nil:
		return &event.Error{Reason: ReasonInternal, Detail: fmt.Sprintf("encode the signal of rule %s: %v", p.bound.rules[primary].ID, err)}
	case len(s.buf) > most:
		return &event.Error{Reason: event.ReasonSignalTooLarge, Detail: fmt.Sprintf(
			"the signal of rule %s has %d bytes without ancestors; at most %d", p.bound.rules[primary].ID, len(s.buf), most)}
	}
	return nil
}

// encode writes s.ev to s.buf.
func (s *sink) encode() (err error) {
	s.buf, err = event.AppendSignal(s.buf[:0], &s.ev)
	return err
}

// cut makes the signal at most most bytes long by what it drops of the lineage, if that is enough. It encodes
// a handful of times: such signals are rare.
func (s *sink) cut(most int) (err error) {
	s.process = *s.ev.Process
	s.ev.Process = &s.process
	all := s.process.Ancestors
	keep := func(n int) bool {
		s.process.Ancestors = all[:n]
		s.process.TruncatedAncestors = s.process.TruncatedAncestors || n < len(all)
		if err == nil {
			err = s.encode()
		}
		return err == nil && len(s.buf) <= most
	}
	if len(all) > 1 {
		// The fewest ancestors cut that are enough, from 1 to all but the nearest.
		n := 1 + sort.Search(len(all)-1, func(i int) bool { return keep(len(all) - 1 - i) })
		if n < len(all) && keep(len(all)-n) {
			return nil
		}
	}
	if s.process.Parent != nil {
		s.parent = *s.process.Parent
		s.parent.Cmdline = ""
		s.process.Parent = &s.parent
	}
	if len(all) > 0 {
		s.nearest = *all[0]
		s.nearest.Cmdline = ""
		all = []*event.Process{&s.nearest}
		if keep(1) {
			return nil
		}
	}
	keep(0)
	return err
}
