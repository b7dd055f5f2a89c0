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
	for name, cfg := range tinyBounds() {
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

// TestTighterBounds holds that a state that was restored under tighter bounds than it was written under, and then rolled
// back, is as it was restored, and that what the bounds took away is told with the next changes.
func TestTighterBounds(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
		wide, tight := Config{MaxNodes: 20, MaxAncestors: 4}, Config{MaxNodes: 1 + r.IntN(5), MaxAncestors: 4}
		was := New(wide)
		for _, st := range history(r, 100, &at) {
			st.apply(was)
		}
		log := was.Changes(nil)
		s := restored(t, tight, log, was.Clock())
		if n := s.Stats().Nodes; n > tight.MaxNodes {
			t.Fatalf("seed %d: %d nodes restored, %d allowed", seed, n, tight.MaxNodes)
		}
		want := dump(t, s)
		if r.IntN(2) == 0 { // a commit on its way takes it away, or the one that runs
			log = append(log, s.Changes(nil)...)
			s.Seal()
			s.Committed()
		}
		elsewhen := at
		for _, st := range history(r, 20, &elsewhen) {
			st.apply(s)
		}
		s.Rollback()
		if got := dump(t, s); got != want {
			t.Fatalf("seed %d: rolled back\n%s\nwant\n%s", seed, got, want)
		}
		if r.IntN(2) == 0 { // a restore of nothing, as of commits that change nothing
			s.SetClock(s.Clock())
			if err := s.RestoreDone(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			if got := dump(t, s); got != want {
				t.Fatalf("seed %d: nothing on top\n%s\nwant\n%s", seed, got, want)
			}
		}
		if r.IntN(2) == 0 { // another member goes on with the log, within its own bounds, before this one has told
			other := restored(t, wide, log, s.Clock())
			for _, st := range history(r, 20, &at) {
				st.apply(other)
			}
			rest := other.Changes(nil)
			for _, c := range rest {
				if err := s.Restore(c); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
			s.SetClock(other.Clock())
			if err := s.RestoreDone(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			log = append(log, rest...)
			want = dump(t, restored(t, tight, log, s.Clock()))
			if got := dump(t, s); got != want {
				t.Fatalf("seed %d: the rest on top\n%s\nwant\n%s", seed, got, want)
			}
		}
		log = append(log, s.Changes(nil)...)
		s.Seal()
		s.Committed()
		if got := dump(t, restored(t, wide, log, s.Clock())); got != want {
			t.Fatalf("seed %d: restored from what was told\n%s\nwant\n%s", seed, got, want)
		}
	}
}

// TestTheRestOnTop holds that what a member does that keeps its state over doubt and over generations gives the state
// of one that never was in doubt: it goes back to its last commit, and takes on top of it what the changelog says came
// after, its own commit that had succeeded, another's, or none; also when the reading is cut off in between.
func TestTheRestOnTop(t *testing.T) {
	for name, cfg := range tinyBounds() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(30) {
				r := rand.New(rand.NewPCG(seed, 4))
				at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
				never, s := New(cfg), New(cfg)
				for interval := range 15 {
					var log []Change
					for range r.IntN(4) { // commits that s is not sure of, or not in on
						steps := history(r, r.IntN(30), &at)
						for i := range steps {
							steps[i].apply(never)
						}
						log = append(log, never.Changes(nil)...)
						never.Committed()
						if r.IntN(2) == 0 {
							s.Rollback()
							for i := range steps {
								steps[i].apply(s)
							}
							if r.IntN(2) == 0 {
								s.Changes(nil)
								s.Seal()
								elsewhen := at
								for _, st := range history(r, r.IntN(10), &elsewhen) {
									st.apply(s)
								}
							}
							if r.IntN(2) == 0 { // else Restore does
								s.Rollback()
							}
						}
					}
					if r.IntN(2) == 0 {
						log = compactTail(log)
					}
					for _, c := range log {
						if err := s.Restore(c); err != nil {
							t.Fatalf("seed %d, interval %d: %v", seed, interval, err)
						}
					}
					s.SetClock(never.Clock())
					if err := s.RestoreDone(); err != nil {
						t.Fatalf("seed %d, interval %d: %v", seed, interval, err)
					}
					if got, want := dump(t, s), dump(t, never); got != want {
						t.Fatalf("seed %d, interval %d:\n%s\nwant\n%s", seed, interval, got, want)
					}
				}
			}
		})
	}
}

// compactTail keeps of each key the last change where it stands, tombstones too: what the cleaner leaves within
// delete.retention.ms.
func compactTail(log []Change) []Change {
	last := make(map[string]int)
	for i, c := range log {
		last[string(c.Key)] = i
	}
	var out []Change
	for i, c := range log {
		if last[string(c.Key)] == i {
			out = append(out, c)
		}
	}
	return out
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
