package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"spoor/pipeline/state"
)

// Committer makes batches durable. Kafka, files and memory implement it.
type Committer interface {
	// Commit returns nil once every output is acknowledged and the input position is stored, in that order.
	// After an error nothing may be assumed of the batch, and the partition stops. The batch belongs to the
	// caller again when Commit returns. Calls of different partitions may run at once; those of one
	// partition never do.
	Commit(ctx context.Context, b *Batch) error
}

// ErrDead is returned by Step, Flush and Run of a partition whose commit failed: what its state should be is
// not known any more, so a new Partition has to start at the stored position.
var ErrDead = errors.New("the partition stopped after a failed commit")

// ErrRewound is in the error of a Commit that keeps the state in a changelog and knows, or will read there
// before the partition runs again, how far it got. The partition then goes back to its last commit, state and
// position, instead of being dead: it may be run again by a source that starts at Next.
var ErrRewound = errors.New("the partition went back to its last commit")

var errNoAnswer = errors.New("the commit ended without an answer")

// flight is a commit under way.
type flight struct {
	b     *building
	start time.Time
	state *state.State // that the batch's changes are of
	saved counts       // as of the batch's end
	bound *bound
	tally *tally
	acked time.Time  // when Commit returned; set before done is
	done  chan error // closed without a value when Commit did not return
}

// commit hands the batch out, after the one before it has landed. In Run it goes on at once, and the outcome is
// seen by a later land; otherwise it waits.
func (p *Partition) commit(ctx context.Context, out Committer) error {
	if err := p.land(true); err != nil {
		return err
	}
	b := p.batch
	if b.empty() {
		return nil
	}
	p.at(StageCommit, b.Next-1)
	b.Changes = p.state.Changes(b.Changes[:0])
	b.Clock = p.state.Clock()
	f := &flight{b: b, start: p.engine.now(), state: p.state, saved: p.counts, bound: p.bound, tally: p.bound.take(), done: make(chan error, 1)}
	f.saved.state = p.stateStats()
	p.state.Seal()
	p.flight, p.batch, p.spare = f, p.spare, nil
	if !p.ahead {
		err := out.Commit(ctx, &b.Batch)
		f.acked = p.engine.now()
		f.done <- err
		return p.land(true)
	}
	go func() {
		defer close(f.done)
		begun := time.Now() // the engine's clock is for the partition's goroutine, which may be slow to see the outcome
		err := out.Commit(ctx, &b.Batch)
		f.acked = f.start.Add(time.Since(begun))
		f.done <- err
	}()
	return nil
}

// land takes in the outcome of the commit under way, if there is one; wait says whether to wait for it. On
// success the state keeps what the batch did to it; on failure state, counts and position go back to the last
// commit, and what was begun since is dropped.
func (p *Partition) land(wait bool) error {
	f := p.flight
	if f == nil {
		return nil
	}
	var err error
	answered := true
	if wait {
		turn := p.computes
		if turn {
			p.pass()
		}
		err, answered = <-f.done
		if turn {
			p.take()
		}
	} else {
		select {
		case err, answered = <-f.done:
		default:
			return nil
		}
	}
	if !answered {
		err = errNoAnswer
	}
	p.flight = nil
	if err == nil {
		f.state.Committed() // not one that began since, because this one was thrown away
		p.next = f.b.Next
		p.saved = f.saved
		p.afterCommit(f)
		f.b.reset()
		p.spare = f.b
		return nil
	}
	err = fmt.Errorf("commit %s/%d up to offset %d: %w", p.tp.Topic, p.tp.Partition, f.b.Next, err)
	// A state that was thrown away in between is not what Rollback goes back to.
	p.dead = !errors.Is(err, ErrRewound) || f.b.StateLost || p.batch.StateLost
	p.state.Rollback()
	p.rewind()
	f.b.reset()
	p.spare = f.b
	return err
}

// rewind drops what was begun since the last commit. The state has been rolled back.
func (p *Partition) rewind() {
	p.batch.reset()
	p.bound = nil // with what it counted
	p.counts = p.saved
	p.position = p.next
}

// afterCommit publishes what the batch counted: counters become visible once what they count is durable.
func (p *Partition) afterCommit(f *flight) {
	f.saved.Committed++
	p.counts.Committed++
	p.engine.publish(p, f)
	p.meters.commit(f.start, f.acked)
	if p.live {
		p.meters.latency(&f.b.Batch, f.acked)
	}
}
