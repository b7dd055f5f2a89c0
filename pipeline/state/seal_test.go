package state

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestSealedIsUndoneToo is TestRollbackIsRestoreIsNever with a commit under way while the next interval runs: whether
// the first one succeeds, and whether the second does, the state is that of one that never saw what failed.
func TestSealedIsUndoneToo(t *testing.T) {
	for name, cfg := range map[string]Config{
		"nodes":     {MaxNodes: 5, MaxAncestors: 3},
		"one":       {MaxNodes: 1, MaxAncestors: 1},
		"more":      {MaxNodes: 20, MaxAncestors: 64},
		"unbounded": {},
		"bytes":     {MaxBytes: 4000, MaxAncestors: 4},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(30) {
				sealed(t, cfg, seed)
			}
		})
	}
}

func sealed(t *testing.T, cfg Config, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 2))
	never, s := New(cfg), New(cfg)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	var log []Change
	run := func(on *State, steps []step) {
		for i := range steps {
			steps[i].apply(on)
		}
	}
	for interval := range 12 {
		check := func(what string) {
			t.Helper()
			if got, want := dump(t, s), dump(t, never); got != want {
				t.Fatalf("seed %d, interval %d, %s:\n%s\nwant\n%s", seed, interval, what, got, want)
			}
			if got, want := dump(t, restored(t, cfg, log, never.Clock())), dump(t, never); got != want {
				t.Fatalf("seed %d, interval %d, %s, restored:\n%s\nwant\n%s", seed, interval, what, got, want)
			}
		}
		first, second := history(r, r.IntN(40), &at), history(r, r.IntN(40), &at)
		run(s, first)
		changes := s.Changes(nil)
		s.Seal()
		run(s, second)
		if r.IntN(3) == 0 { // the first commit fails, and takes the second interval with it
			s.Rollback()
			check("both undone")
			continue
		}
		s.Committed()
		log = append(log, changes...)
		run(never, first)
		if got := never.Changes(nil); !slices.EqualFunc(got, changes, func(a, b Change) bool {
			return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value)
		}) {
			t.Fatalf("seed %d, interval %d: the sealed changes differ", seed, interval)
		}
		never.Committed()
		if r.IntN(2) == 0 {
			s.Rollback()
			check("the second undone")
			continue
		}
		log = append(log, s.Changes(nil)...)
		s.Seal()
		s.Committed()
		run(never, second)
		never.Committed()
		check("both committed")
	}
}

// TestSnapshot holds that a snapshot restores to the same state.
func TestSnapshot(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	s := New(Config{MaxNodes: 20, MaxAncestors: 5})
	for _, st := range history(r, 300, &at) {
		st.apply(s)
	}
	s.Committed()
	if got, want := dump(t, restored(t, s.cfg, s.Snapshot(nil), s.Clock())), dump(t, s); got != want {
		t.Fatalf("%s\nwant\n%s", got, want)
	}
}
