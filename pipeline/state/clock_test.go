package state

import (
	"testing"
	"time"
)

func TestAdvance(t *testing.T) {
	const start, hour = int64(1_767_225_600_000), int64(time.Hour / time.Millisecond)
	s := New(Config{})
	for _, c := range []struct {
		what        string
		at          int64
		times       int
		now, record int64
	}{
		{"no timestamp", -1, 1, 0, 0},
		{"nor this", 0, 1, 0, 0},
		{"the first record", start, 1, start, start},
		{"one without a timestamp", -1, 1, start, 0},
		{"an older record", start - 5*hour, 1, start, start - 5*hour},
		{"an hour on", start + hour, 1, start + hour, start + hour},
		{"99 records far ahead", start + 9*hour, jumpRecords - 1, start + hour, start + 9*hour},
		{"one that is not", start + hour + 1, 1, start + hour + 1, start + hour + 1},
		{"99 more", start + 9*hour, jumpRecords - 1, start + hour + 1, start + 9*hour},
		{"an older one", start, 1, start + hour + 1, start},
		{"one very far ahead", start + 1000*hour, 1, start + hour + 1, start + 1000*hour},
		{"98 more that are not as far", start + 9*hour, jumpRecords - 2, start + hour + 1, start + 9*hour},
		{"the hundredth: the earliest counts", start + 10*hour, 1, start + 9*hour, start + 10*hour},
	} {
		for range c.times {
			s.Advance(c.at)
		}
		if got := s.Clock(); got.Now != c.now || got.Record != c.record {
			t.Fatalf("%s: partition time is %d and the record's %d, want %d and %d", c.what, got.Now, got.Record, c.now, c.record)
		}
	}
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
