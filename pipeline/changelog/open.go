package changelog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"spoor/pipeline"
	"spoor/pipeline/state"
)

// warmFor is how long a replica that nobody updated can be caught up by reading the rest: after delete.retention.ms,
// an hour, the tombstones of what it still remembers may be gone.
const warmFor = 30 * time.Minute

// away is how long ago at was, by the clock of this process or by that on the wall: the first stands still while the
// machine does, and the second may be set back.
func away(now, at time.Time) time.Duration { return max(now.Sub(at), now.Round(0).Sub(at.Round(0))) }

// Cause says why a partition starts where it does.
type Cause string

// The causes: the rows of the start table.
const (
	AtMarker   Cause = "marker"           // where the state is
	AtOffset   Cause = "offset"           // there is no marker: the group's offset, with empty state
	AtFallback Cause = "none"             // neither: where the config says, with empty state
	Forwards   Cause = "moved_forwards"   // the group's offset was moved by somebody else; the state is kept
	Backwards  Cause = "moved_backwards"  // likewise; the state is of the future, and is discarded
	MarkerLost Cause = "changelog_lost"   // there is no marker, and the group's offset says that there was one
	Disagrees  Cause = "offset_disagrees" // the group's offset names another marker than there is: the marker counts
)

// Start is where a partition starts.
type Start struct {
	Next int64 // the input position
	Cause
	Offset   int64 // the group's; -1 when there is none
	Metadata string
	Marker   int64 // the marker's position; -1 when there is none
	Records  int64 // changelog records that were read
	Warm     bool  // the state was kept, and at most the rest was read
}

// Options are what Open needs beside the Log.
type Options struct {
	Inside   bool // see Committer
	Aborted  func(cause error)
	Clock    func() time.Time                     // nil: time.Now
	Fallback func(context.Context) (int64, error) // where to start without an offset and a marker
}

// Open takes a partition over: it ends what transaction is open, brings p, whose replica is r, to where the
// changelog is, and decides where p starts. P keeps what it has when that is still true of the changelog: nothing
// is read when the changelog ends where r left it, else only what came after. After an error p and r may be
// given to Open again, and a restore goes on where it was, unless the error is a *state.FormatError.
//
// Another changelog of that name may happen to be long enough for what r remembers. So r's marker is read again, or a
// later one of the same line.
func Open(ctx context.Context, log Log, p *pipeline.Partition, r *Replica, o Options) (*Committer, Start, error) {
	now := o.Clock
	if now == nil {
		now = time.Now
	}
	start := Start{Offset: -1, Marker: -1}
	producer, err := log.Init(ctx)
	if err != nil {
		return nil, start, fmt.Errorf("take the partition over: %w", err)
	}
	began := now() // not when it was read: that may take its time
	first, end, err := log.Bounds(ctx)
	if err != nil {
		return nil, start, fmt.Errorf("find the changelog's end: %w", err)
	}
	start.Warm = !r.stale && (r.marked && r.markerAt >= first || !r.whole) && r.position >= first && r.position <= end && away(began, r.at) < warmFor
	for {
		if !start.Warm {
			r.discard(p, first, began)
		}
		remembers := r.marked
		proved, err := r.read(ctx, log, p, end, &start)
		if err != nil {
			return nil, start, err
		}
		r.at = began
		if err := r.start(ctx, log, p, &o, &start); err != nil {
			return nil, start, err
		}
		if proved || !remembers {
			break
		}
		start.Warm = false
	}
	// Whoever stood still in here, while another went on, has seen two halves that do not belong together.
	if err := log.Owned(ctx); err != nil {
		return nil, start, fmt.Errorf("make sure of the partition: %w", err)
	}
	return &Committer{Log: log, Inside: o.Inside, Aborted: o.Aborted, replica: r, producer: producer, clock: now}, start, nil
}

// discard begins a restore from the changelog's first offset.
func (r *Replica) discard(p *pipeline.Partition, first int64, now time.Time) {
	p.Discard(false)
	*r = Replica{position: first, at: now}
}

// read brings p to the changelog's position end. It says whether it has seen the marker that r had, or a later one of the
// same line.
func (r *Replica) read(ctx context.Context, log Log, p *pipeline.Partition, end int64, start *Start) (proved bool, err error) {
	was, from := *r, r.position
	if r.whole {
		from = r.markerAt
	}
	r.whole = false
	var fault error // of a record: reading again gives it again
	n := int64(0)
	position, err := log.Read(ctx, from, end, func(offset int64, key, value []byte) error {
		m := Marker{}
		if isMarker(key) && value != nil {
			if m, fault = decodeMarker(value); fault != nil {
				return fault
			}
			proved = proved || was.marked && m.First == was.marker.First
		}
		if offset < was.position {
			return nil
		}
		n++
		if isMarker(key) {
			r.marker, r.markerAt, r.marked = m, offset, value != nil
			return nil
		}
		r.changes = true
		fault = p.Restore(state.Change{Key: key, Value: value})
		return fault
	})
	start.Records += n
	if fault != nil {
		r.position = -1
		return proved, fmt.Errorf("restore the state: %w", fault)
	}
	r.position = max(r.position, position)
	if err != nil {
		if n == 0 {
			r.whole = was.whole
		}
		return proved, fmt.Errorf("read the changelog: %w", err)
	}
	if was.whole && n == 0 {
		r.whole = true // nothing, or ends of transactions and what was aborted
		return proved, nil
	}
	if err := p.Restored(r.marker.Next, r.marker.Clock); err != nil {
		r.position = -1
		return proved, fmt.Errorf("restore the state: %w", err)
	}
	r.whole = true
	return proved, nil
}

// start decides where p starts: the start table. Whether the log holds that position is the source's to find out.
func (r *Replica) start(ctx context.Context, log Log, p *pipeline.Partition, o *Options, s *Start) (err error) {
	if s.Offset, s.Metadata, err = log.Committed(ctx); err != nil {
		return fmt.Errorf("fetch the group's offset: %w", err)
	}
	ours := hasMarker(s.Metadata)
	switch {
	case !r.marked && s.Offset < 0:
		if s.Next, err = o.Fallback(ctx); err != nil {
			return fmt.Errorf("find where to start: %w", err)
		}
		s.Cause = AtFallback
	case !r.marked:
		s.Next, s.Cause = s.Offset, AtOffset
		if ours {
			s.Cause = MarkerLost
		}
	default:
		s.Marker, s.Next, s.Cause = r.marker.Next, r.marker.Next, AtMarker
		switch {
		case s.Offset < 0, s.Offset == r.marker.Next:
		case ours:
			s.Cause = Disagrees
		case s.Offset > r.marker.Next:
			s.Next, s.Cause = s.Offset, Forwards
		default:
			s.Next, s.Cause = s.Offset, Backwards
			p.Discard(true)
			r.stale = true
		}
	}
	if !r.marked {
		r.stale = r.changes // without a marker they are nobody's state
		p.Discard(r.stale)
	}
	p.MoveTo(s.Next)
	return nil
}

// Kept is a partition with its replica: what a member keeps over generations, and gives up when it is of no use any
// more. The zero value is a partition that is not there yet. It is owned by one goroutine at a time.
type Kept struct {
	partition *pipeline.Partition
	replica   *Replica
}

// Run opens the partition, making it first when there is none, and runs it once over the source that source
// returns for its start. The error is that of pipeline.Partition.Run, or of Open. After ErrRewound, ctx's own error
// and errors of Open, Run may be called again and goes on with what there is; after others it begins anew.
func (k *Kept) Run(ctx context.Context, log Log, fresh func() *pipeline.Partition, source func(Start) pipeline.Source, o Options) error {
	if k.partition != nil && k.partition.Dead() {
		k.Close() // it went back to a state that was thrown away: there is nothing to keep
	}
	if k.partition == nil {
		k.partition, k.replica = fresh(), NewReplica()
	}
	c, start, err := Open(ctx, log, k.partition, k.replica, o)
	if err != nil {
		return err
	}
	err = k.partition.Run(ctx, source(start), c)
	if err != nil && err != ctx.Err() && !errors.Is(err, pipeline.ErrRewound) {
		k.Close()
	}
	return err
}

// Partition is the partition; nil when there is none.
func (k *Kept) Partition() *pipeline.Partition { return k.partition }

// Restored says whether the state is whole, and how many processes it remembers: what is lost when another member
// gets the partition.
func (k *Kept) Restored() (processes int, whole bool) {
	if k.partition == nil || !k.replica.whole {
		return 0, false
	}
	return k.partition.Processes(), true
}

// Close gives up what is kept.
func (k *Kept) Close() {
	if k.partition != nil {
		k.partition.Close()
	}
	*k = Kept{}
}
