package state

import (
	"time"

	"spoor/pipeline/event"
)

// Clock is partition time: the running maximum of the record timestamps, in milliseconds since 1970-01-01
// UTC. It drives expiry and age, and never runs on a host's word. It is part of the commit marker, not of the
// changes: whoever restores a state restores its clock with SetClock.
type Clock struct {
	Now int64 // 0 before the first record
	// Beyond counts the records in a row that lie more than maxJump after Now; Nearest is the earliest of
	// them. Only when jumpRecords came in a row does the clock follow, so that a few records with a wrong
	// timestamp do not expire everything.
	Beyond  int
	Nearest int64
	// Record is the timestamp of the current record, which stands in for the date of an event without one.
	Record int64
}

const (
	maxJump     = int64(time.Hour / time.Millisecond)
	jumpRecords = 100
)

// Advance tells the state the timestamp of the next record, in milliseconds since 1970-01-01 UTC, and drops
// what has become too old. Times that are not after 1970 are ignored: the log has none then.
func (s *State) Advance(recordTimestampMs int64) {
	c := &s.clock
	t := recordTimestampMs
	c.Record = t
	switch {
	case t <= 0:
		c.Record = 0
		return
	case c.Now == 0:
		c.Now = t
		return
	case t <= c.Now:
		c.Beyond = 0
		return
	case t-c.Now <= maxJump:
		c.Beyond = 0
		c.Now = t
	default:
		if c.Beyond == 0 || t < c.Nearest {
			c.Nearest = t
		}
		if c.Beyond++; c.Beyond < jumpRecords {
			return
		}
		c.Now, c.Beyond = c.Nearest, 0
	}
	s.expire()
}

// Clock is partition time now.
func (s *State) Clock() Clock { return s.clock }

// SetClock restores partition time. It is called with Restore, before RestoreDone.
func (s *State) SetClock(c Clock) { s.clock = c }

// when is the time of an event: its date, or its record's timestamp when it has none. A date too far ahead
// of partition time is counted; lineage compares it with its own host's only, so it is used as it is.
func (s *State) when(date event.Time) int64 {
	if date == 0 {
		return s.clock.Record * int64(time.Millisecond)
	}
	t := int64(date)
	if s.clock.Now > 0 && t/int64(time.Millisecond)-s.clock.Now > int64(s.cfg.MaxClockAhead/time.Millisecond) {
		s.stats.ClocksAhead++
	}
	return t
}
