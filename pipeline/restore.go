package pipeline

import "spoor/pipeline/state"

// Restore applies one change that an earlier run handed out, as state.State's Restore does. It is called before
// Run, or between a Run that ended and the next, for all changes since the state was last whole; Restored ends it.
// After an error the partition is of no use.
func (p *Partition) Restore(c state.Change) error { return p.state.Restore(c) }

// Restored ends a restore: the state is that of input position next, at which the next Run's source starts.
func (p *Partition) Restored(next int64, clock state.Clock) error {
	p.state.SetClock(clock)
	if err := p.state.RestoreDone(); err != nil {
		return err
	}
	p.restored = true
	p.MoveTo(next)
	s := p.state.Stats()
	p.meters.remembered(&s)
	return nil
}

// MoveTo sets the position at which the next Run's source starts, and leaves the state as it is.
func (p *Partition) MoveTo(next int64) { p.next, p.position = next, next }

// Discard throws the state away. With tell, because it does not belong to the position where the partition goes on:
// the next batch says so with StateLost. Without, because it is to be restored from the beginning.
func (p *Partition) Discard(tell bool) {
	p.forget()
	p.restored, p.lostOnce = false, tell
}

// Snapshot is everything the state holds, and its clock. The partition must not be running.
func (p *Partition) Snapshot() ([]state.Change, state.Clock) {
	return p.state.Snapshot(nil), p.state.Clock()
}

// Processes is how many processes the state remembers. The partition must not be running.
func (p *Partition) Processes() int { return p.state.Stats().Nodes }
