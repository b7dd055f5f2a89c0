package file

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"spoor/pipeline"
)

// sequencer is the Committer between the partitions of a replay and its output. Partitions commit when they
// like; it keeps what they commit until the end of the epoch and passes it on in the order of the lines. It is
// owned by Replay's goroutine.
type sequencer struct {
	out    pipeline.Committer
	lanes  map[pipeline.TopicPartition]*lane
	order  []*lane // as they first came
	last   *lane   // of the last line: most lines follow one of the same partition
	seq    int64   // of the next line
	items  []item  // of this epoch
	bytes  int     // in items
	memory []byte  // what items point to, or the last piece of it: see keep
	failed error   // of out
}

// lane is one partition of a replay.
type lane struct {
	tp        pipeline.TopicPartition
	partition *pipeline.Partition
	lines     []mark // of this epoch, offsets ascending
	fetch     [1]pipeline.Record
}

// mark says which line of all the line at an offset is.
type mark struct{ offset, seq int64 }

// item is one output that waits for its turn.
type item struct {
	seq  int64
	lane *lane
	set  string
	kind kind
	out  pipeline.Reject // for signals only the Output of it
}

type kind uint8

const (
	signal kind = iota
	shadow
	reject
)

func (s *sequencer) lane(engine *pipeline.Engine, tp pipeline.TopicPartition) *lane {
	if s.last != nil && s.last.tp == tp {
		return s.last
	}
	l := s.lanes[tp]
	if l == nil {
		l = &lane{tp: tp, partition: engine.Partition(tp, "")}
		s.lanes[tp] = l
		s.order = append(s.order, l)
	}
	s.last = l
	return l
}

// Commit takes copies of the outputs in: the partition uses the batch's memory again.
func (s *sequencer) Commit(_ context.Context, b *pipeline.Batch) error {
	l := s.lanes[b.TopicPartition]
	if l == nil {
		return fmt.Errorf("a batch of the unknown partition %s/%d", b.Topic, b.Partition)
	}
	for _, o := range b.Signals {
		if err := s.add(l, b.Set, signal, pipeline.Reject{Output: o}); err != nil {
			return err
		}
	}
	for _, o := range b.Shadow {
		if err := s.add(l, b.Set, shadow, pipeline.Reject{Output: o}); err != nil {
			return err
		}
	}
	for _, o := range b.Rejects {
		if err := s.add(l, b.Set, reject, o); err != nil {
			return err
		}
	}
	return nil
}

func (s *sequencer) add(l *lane, set string, k kind, o pipeline.Reject) error {
	i, ok := slices.BinarySearchFunc(l.lines, o.Offset, func(m mark, offset int64) int { return cmp.Compare(m.offset, offset) })
	if !ok {
		return fmt.Errorf("an output of %s/%d names the offset %d, which is no line's", l.tp.Topic, l.tp.Partition, o.Offset)
	}
	o.Key, o.Value = s.keep(o.Key), s.keep(o.Value)
	o.Headers = slices.Clone(o.Headers)
	for i := range o.Headers {
		o.Headers[i].Value = s.keep(o.Headers[i].Value)
	}
	s.items = append(s.items, item{l.lines[i].seq, l, set, k, o})
	s.bytes += len(o.Value)
	return nil
}

// keep returns a copy of b that lives until the end of the epoch; nil stays nil.
func (s *sequencer) keep(b []byte) []byte {
	if b == nil {
		return nil
	}
	if cap(s.memory)-len(s.memory) < len(b) {
		// What was handed out of the full piece stays where it is.
		s.memory = make([]byte, 0, max(256<<10, len(b)))
	}
	n := len(s.memory)
	s.memory = append(s.memory, b...)
	return s.memory[n:len(s.memory):len(s.memory)]
}

// flush ends the epoch: every partition commits, and out gets the outputs in order.
func (s *sequencer) flush(ctx context.Context) error {
	for _, l := range s.order {
		if len(l.lines) > 0 {
			if err := l.partition.Flush(ctx, s); err != nil {
				return err
			}
		}
	}
	for _, l := range s.order {
		l.lines = l.lines[:0]
	}
	// Outputs of one line keep the order in which the pipeline gave them.
	slices.SortStableFunc(s.items, func(a, b item) int { return cmp.Compare(a.seq, b.seq) })
	var b pipeline.Batch
	for i := range s.items {
		it := &s.items[i]
		if b.Next > 0 && (it.lane.tp != b.TopicPartition || it.set != b.Set) {
			if err := s.pass(ctx, &b); err != nil {
				return err
			}
		}
		b.TopicPartition, b.Set, b.Next = it.lane.tp, it.set, it.out.Offset+1
		switch it.kind {
		case signal:
			b.Signals = append(b.Signals, it.out.Output)
		case shadow:
			b.Shadow = append(b.Shadow, it.out.Output)
		case reject:
			b.Rejects = append(b.Rejects, it.out)
		}
	}
	clear(s.items)
	s.items, s.bytes = s.items[:0], 0
	if b.Next > 0 {
		if err := s.pass(ctx, &b); err != nil {
			return err
		}
	}
	s.memory = s.memory[:0]
	return nil
}

// pass hands b to out and empties it.
func (s *sequencer) pass(ctx context.Context, b *pipeline.Batch) error {
	if err := s.out.Commit(ctx, b); err != nil {
		s.failed = err
		return err
	}
	*b = pipeline.Batch{Signals: b.Signals[:0], Shadow: b.Shadow[:0], Rejects: b.Rejects[:0]}
	return nil
}
