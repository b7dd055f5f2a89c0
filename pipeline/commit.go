package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"
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

// commit hands the batch out. On success the state keeps what the batch did to it; on failure the state goes
// back to the last commit and the partition is dead.
func (p *Partition) commit(ctx context.Context, out Committer) error {
	b := &p.batch
	if b.empty() {
		return nil
	}
	p.at(StageCommit, b.Next-1)
	start := p.engine.now()
	b.Changes = p.state.Changes(b.Changes[:0])
	if err := out.Commit(ctx, &b.Batch); err != nil {
		p.dead = true
		p.state.Rollback()
		return fmt.Errorf("commit %s/%d up to offset %d: %w", p.tp.Topic, p.tp.Partition, b.Next, err)
	}
	p.state.Committed()
	p.next = b.Next
	p.afterCommit(start, p.engine.now())
	b.reset()
	return nil
}

// afterCommit publishes what the batch counted: counters become visible once what they count is durable.
func (p *Partition) afterCommit(start, acked time.Time) {
	p.counts.Committed++
	p.engine.publish(p)
	p.meters.commit(start, acked)
	if p.live {
		p.meters.latency(&p.batch.Batch, acked)
	}
}
