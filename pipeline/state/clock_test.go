package state

import (
	"testing"
	"time"
)

func TestAdvance(t *testing.T) {
	const start, hour = int64(1_767_225_600_000), int64(time.Hour / time.Millisecond)
	s := New(Config{})
	now := func(what string, want int64) {
		t.Helper()
		if got := s.Clock().Now; got != want {
			t.Fatalf("%s: partition time is %d, want %d", what, got, want)
		}
	}
	s.Advance(-1)
	s.Advance(0)
	now("no timestamps", 0)
	s.Advance(start)
	now("the first record", start)
	s.Advance(start - 5*hour)
	now("an older record", start)
	s.Advance(start + hour)
	now("an hour on", start+hour)
	for range jumpRecords - 1 {
		s.Advance(start + 9*hour)
	}
	now("99 records far ahead", start+hour)
	s.Advance(start + hour + 1)
	now("one that is not", start+hour+1)
	for range jumpRecords - 1 {
		s.Advance(start + 9*hour)
	}
	s.Advance(start + 1000*hour)
	now("100 records far ahead, the earliest counts", start+9*hour)
}

func TestValidate(t *testing.T) {
	if errs := DefaultConfig().Validate(); errs != nil {
		t.Error(errs)
	}
	if errs := (Config{}).Validate(); errs != nil {
		t.Error(errs)
	}
	bad := Config{MaxNodes: -1, MaxBytes: 1, MaxAncestors: 5000, ExitedTTL: -1, LiveTTL: 1, TouchInterval: -1,
		MaxClockAhead: -1, Slack: time.Hour}
	if errs := bad.Validate(); len(errs) != 8 {
		t.Errorf("%d errors, want 8: %v", len(errs), errs)
	}
}
