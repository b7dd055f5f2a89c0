package changelog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"spoor/pipeline"
)

// Replica is what a member remembers of a partition's changelog, beside the pipeline.Partition whose state it is:
// how far that state reflects it. It is owned by whoever owns the Partition, and kept with it over generations.
type Replica struct {
	position int64 // everything committed before it is in the state; -1: nothing is known
	marker   Marker
	markerAt int64     // where in the changelog it is
	marked   bool      // there is a marker
	changes  bool      // a restore has read some, whether or not it has reached its end
	whole    bool      // a restore has reached its end
	at       time.Time // when that was so, or before
	stale    bool      // the state was discarded, which the next commit tells
}

// NewReplica is that of a Partition with empty state.
func NewReplica() *Replica { return &Replica{position: -1} }

// Committer commits the batches of one partition: changelog, marker and input offset are one transaction; with
// Inside, so are the outputs, which else are acknowledged before it. Open makes it, and a failed Commit ends its
// use. It is owned by the partition's goroutine, and by Commit while that is under way.
type Committer struct {
	Log Log
	// Inside says that outputs are part of the transaction.
	Inside bool
	// Aborted, when set, is told why a transaction did not commit, or was in doubt.
	Aborted func(cause error)

	replica  *Replica
	producer Producer
	clock    func() time.Time
}

// Commit implements pipeline.Committer. It returns nil when the transaction is known to have committed.
//
// After an error the outcome is in doubt, and it is never decided from memory: the open transaction is ended by
// Init, then the marker is read. At the batch's end, the commit had succeeded. At its start it had not, and the
// partition goes back there (pipeline.ErrRewound). Anything else is ErrForeign. When the outcome cannot be read,
// because the generation is over or ctx ends, the partition goes back too, and Open reads what became of it.
func (c *Committer) Commit(ctx context.Context, b *pipeline.Batch) error {
	if b.Records == 0 && len(b.Changes) == 0 && !b.StateLost {
		return nil // only the position moved, over records that are not for consumers: they are as quickly skipped again
	}
	r := c.replica
	m := Marker{Sequence: r.marker.Sequence + 1, Next: b.Next, Set: b.Set, Clock: b.Clock, First: r.marker.First}
	began := c.clock() // when it ended, nobody can tell who may have stood still since
	end, err := c.transaction(ctx, b, &m)
	if err == nil {
		r.committed(end, end-2, m, began) // behind the marker is the transaction's end
		return nil
	}
	if c.Aborted != nil {
		c.Aborted(err)
	}
	if errors.Is(err, ErrForeign) {
		return err
	}
	return c.resolve(ctx, &m, began, err)
}

func (r *Replica) committed(end, markerAt int64, m Marker, at time.Time) {
	*r = Replica{position: end, marker: m, markerAt: markerAt, marked: true, whole: true, at: at}
}

// transaction is one commit. The position is that behind the transaction in the changelog.
func (c *Committer) transaction(ctx context.Context, b *pipeline.Batch, m *Marker) (position int64, err error) {
	var gone []Record
	if b.StateLost {
		if gone, err = c.tombstones(ctx); err != nil {
			return 0, err
		}
	}
	m.Producer = c.producer // which tombstones may have changed
	if !c.replica.marked {
		m.First = c.producer
	}
	if err := c.Log.Publish(ctx, b, c.Inside); err != nil {
		return 0, err
	}
	records := gone
	for _, ch := range b.Changes {
		records = append(records, Record(ch))
	}
	records = append(records, m.record())
	if position, err = c.Log.Append(ctx, records); err != nil {
		return 0, err
	}
	// The topic was made anew: what this commit's changes are relative to is gone. The transaction is left to the next
	// Init, which aborts it.
	if at := position - int64(len(records)); at < c.replica.position {
		return 0, fmt.Errorf("%w: these changes went to position %d, those before ended at %d", ErrForeign, at, c.replica.position)
	}
	if err := c.Log.SendOffset(ctx, b.Next, m.metadata()); err != nil {
		return 0, err
	}
	if err := c.Log.End(ctx); err != nil {
		return 0, err
	}
	return position + 1, nil // the transaction's own end takes an offset
}

// tombstones are for every key that the changelog holds: the state was thrown away, and what it was is known
// there only. It reads the partition, which is rare: the engine failed on a record, or an operator moved back.
//
// The answer to EndTxn comes before the transaction has ended in every partition: our own last commit may not be there
// for readers yet. Init waits for it.
func (c *Committer) tombstones(ctx context.Context) ([]Record, error) {
	if err := c.Log.Owned(ctx); err != nil {
		return nil, err
	}
	producer, err := c.Log.Init(ctx)
	if err != nil {
		return nil, err
	}
	c.producer = producer
	first, end, err := c.Log.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	live := make(map[string]struct{})
	_, err = c.Log.Read(ctx, first, end, func(_ int64, key, value []byte) error {
		switch {
		case isMarker(key):
		case value == nil:
			delete(live, string(key))
		default:
			live[string(key)] = struct{}{}
		}
		return nil
	})
	return tombstonesOf(live), err
}

func tombstonesOf(live map[string]struct{}) []Record {
	keys := slices.Sorted(maps.Keys(live))
	records := make([]Record, len(keys))
	for i, k := range keys {
		records[i] = Record{Key: []byte(k)}
	}
	return records
}

// resolve decides a commit in doubt that began at a time: nil says that it had committed.
func (c *Committer) resolve(ctx context.Context, m *Marker, began time.Time, cause error) error {
	undecided := func(err error) error {
		return fmt.Errorf("%w: %w, and what became of it is not known: %w", pipeline.ErrRewound, cause, err)
	}
	r := c.replica
	if err := c.Log.Owned(ctx); err != nil {
		return undecided(err)
	}
	producer, err := c.Log.Init(ctx)
	if err != nil {
		return undecided(err)
	}
	_, end, err := c.Log.Bounds(ctx)
	if err != nil {
		return undecided(err)
	}
	last, at := r.marker, r.markerAt
	if r.position > end {
		return fmt.Errorf("%w: it ends at %d, before position %d: %w", ErrForeign, end, r.position, cause)
	}
	_, err = c.Log.Read(ctx, max(r.position, 0), end, func(offset int64, key, value []byte) error {
		if !isMarker(key) {
			return nil
		}
		at = offset
		var err error
		last, err = decodeMarker(value)
		return err
	})
	switch {
	case err != nil:
		return undecided(err)
	case last == *m:
		r.committed(end, at, *m, began)
		c.producer = producer
		return nil
	case last == r.marker:
		r.position = end
		return fmt.Errorf("%w: %w", pipeline.ErrRewound, cause)
	}
	return fmt.Errorf("%w: commit %d up to offset %d, after %d of ours: %w", ErrForeign, last.Sequence, last.Next, r.marker.Sequence, cause)
}
