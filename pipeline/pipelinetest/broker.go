// Package pipelinetest drives a whole pipeline in memory: feed records, read signals and rejects, crash at
// any step between "record read" and "offset committed", start again from what was stored, and compare. It
// owns the ends that live in memory and the crashes; the pipeline in between is the real one. It imports
// pipeline, pipeline/event and pipeline/state and nothing else of ours. Only tests import it.
package pipelinetest

import (
	"bytes"
	"context"
	"io"
	"slices"

	"spoor/pipeline"
)

// Broker is what survives a crash: the input log of one partition, the outputs acknowledged so far, in
// order and with duplicates, and the stored position. It is used by one goroutine at a time.
type Broker struct {
	Input []pipeline.Record // offsets ascending; there may be gaps
	// End is the position after the log: at least the last offset plus one.
	End int64

	Signals []pipeline.Output
	Shadow  []pipeline.Output
	Rejects []pipeline.Reject
	Next    int64    // the stored position; -1 when none was stored
	Commits int      // batches whose position was stored
	Sets    []string // the hash of the rule set of each such batch
	Lost    int      // such batches in which the state was thrown away
}

// NewBroker returns a broker whose input log is records.
func NewBroker(records ...pipeline.Record) *Broker {
	b := &Broker{Next: -1}
	b.Feed(records...)
	return b
}

// Feed appends records to the input log. Each is given the next offset unless it has a later one.
func (b *Broker) Feed(records ...pipeline.Record) {
	for _, r := range records {
		r.Offset = max(r.Offset, b.End)
		b.Input = append(b.Input, r)
		b.End = r.Offset + 1
	}
}

// cut makes the log end at a position.
func (b *Broker) cut(end int64) {
	n, _ := slices.BinarySearchFunc(b.Input, end, func(r pipeline.Record, o int64) int { return int(r.Offset - o) })
	b.Input, b.End = b.Input[:n:n], min(b.End, end)
}

// Source reads the input log from the stored position, or from its start, and ends at its end. Fetches have
// size() records; nil: all at once.
func (b *Broker) Source(size func() int) *Source {
	s := &Source{broker: b, size: size, position: max(b.Next, 0)}
	s.at, _ = slices.BinarySearchFunc(b.Input, s.position, func(r pipeline.Record, o int64) int { return int(r.Offset - o) })
	return s
}

// Source is a pipeline.Source over a Broker's input log. It owns what its records point to and overwrites it
// at the next call, as a network buffer would be: who keeps a record's bytes too long reads garbage.
type Source struct {
	broker   *Broker
	size     func() int
	at       int
	position int64
	records  []pipeline.Record
	buf      []byte
}

// Next yields the next fetch, and io.EOF when the position has reached the end of the log.
func (s *Source) Next(ctx context.Context) (pipeline.Fetch, error) {
	for i := range s.buf {
		s.buf[i] = '#'
	}
	if err := ctx.Err(); err != nil {
		return pipeline.Fetch{}, err
	}
	if s.position >= s.broker.End {
		return pipeline.Fetch{}, io.EOF
	}
	log := s.broker.Input[s.at:]
	if s.size != nil {
		log = log[:min(len(log), s.size())]
	}
	total := 0
	for i := range log {
		total += len(log[i].Key) + len(log[i].Value)
		for _, h := range log[i].Headers {
			total += len(h.Value)
		}
	}
	s.buf = slices.Grow(s.buf[:0], total)
	hold := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		n := len(s.buf)
		s.buf = append(s.buf, b...)
		return s.buf[n:len(s.buf):len(s.buf)]
	}
	s.records = s.records[:0]
	for _, r := range log {
		r.Key, r.Value = hold(r.Key), hold(r.Value)
		r.Headers = slices.Clone(r.Headers)
		for i := range r.Headers {
			r.Headers[i].Value = hold(r.Headers[i].Value)
		}
		s.records = append(s.records, r)
	}
	s.at += len(log)
	s.position = s.broker.End
	if s.at < len(s.broker.Input) {
		s.position = s.broker.Input[s.at].Offset // over the gap, as after a control batch
	}
	return pipeline.Fetch{Records: s.records, Next: s.position, End: s.broker.End}, nil
}

// Committer is a pipeline.Committer into a Broker. Before each of the points of a commit it asks At, when
// set: an error fails the commit there, with what was done so far done; a crash does not return.
type Committer struct {
	Broker *Broker
	At     func(Point) error
}

// Commit stores copies of the outputs, then the position.
func (c *Committer) Commit(ctx context.Context, b *pipeline.Batch) error {
	at := c.At
	if at == nil {
		at = func(Point) error { return nil }
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	half := len(b.Signals) / 2
	for _, o := range b.Signals[:half] {
		c.Broker.Signals = append(c.Broker.Signals, Clone(o))
	}
	if err := at(Acking); err != nil {
		return err
	}
	for _, o := range b.Signals[half:] {
		c.Broker.Signals = append(c.Broker.Signals, Clone(o))
	}
	for _, o := range b.Shadow {
		c.Broker.Shadow = append(c.Broker.Shadow, Clone(o))
	}
	for _, r := range b.Rejects {
		r.Output = Clone(r.Output)
		c.Broker.Rejects = append(c.Broker.Rejects, r)
	}
	if err := at(Acked); err != nil {
		return err
	}
	c.Broker.Next = b.Next
	c.Broker.Commits++
	c.Broker.Sets = append(c.Broker.Sets, b.Set)
	if b.StateLost {
		c.Broker.Lost++
	}
	return at(Stored)
}

// Clone copies an output out of its batch.
func Clone(o pipeline.Output) pipeline.Output {
	o.Key, o.Value = bytes.Clone(o.Key), bytes.Clone(o.Value)
	o.Headers = slices.Clone(o.Headers)
	for i := range o.Headers {
		o.Headers[i].Value = bytes.Clone(o.Headers[i].Value)
	}
	return o
}
