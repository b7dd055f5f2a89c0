package pipelinetest_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"spoor/pipeline"
	"spoor/pipeline/changelog"
	"spoor/pipeline/pipelinetest"
	"spoor/rules"
)

// schedules is how many random schedules each mode runs; PIPELINETEST_SCHEDULES sets it, PIPELINETEST_SEED the first seed.
func schedules(t *testing.T) (first, n uint64) {
	n = 40
	for name, v := range map[string]*uint64{"PIPELINETEST_SCHEDULES": &n, "PIPELINETEST_SEED": &first} {
		if s := os.Getenv(name); s != "" {
			var err error
			if *v, err = strconv.ParseUint(s, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
	}
	return first, n
}

// Random schedules. Two members take turns, with what they remember from earlier turns, or as zombies that stand still
// in a request while the other goes on; each request may fail, before, in the middle or after, or kill its process,
// or find the transaction timed out, the producer expired, the generation lost or revoked, the changelog compacted; policies
// are reloaded at any batch. With exactly_once an operator moves the group's offset now and then, and the changelog is
// lost. What is published and remembered in the end is what one undisturbed run gives that has the same policies for
// the same records and meets the same operator.
func TestRandomSchedules(t *testing.T) {
	sets := []*rules.Set{compile(t), otherSet(t)}
	first, n := schedules(t)
	for _, inside := range []bool{true, false} {
		t.Run(fmt.Sprintf("inside=%v", inside), func(t *testing.T) {
			t.Logf("seeds %d to %d", first, first+n-1)
			var all tally
			for seed := first; seed < first+n; seed++ {
				s := newSchedule(seed, inside, sets)
				err := s.run()
				if err == nil {
					err = s.check()
				}
				if err != nil {
					t.Fatalf("seed %d: %v\n%s", seed, err, strings.Join(s.events, "\n"))
				}
				all.add(&s.tally)
			}
			t.Logf("%+v", all)
			if n >= 40 {
				all.strikes(t, inside)
			}
		})
	}
}

// tally is what schedules did.
type tally struct {
	Deaths, Zombies, Failures, Timeouts, Lost, Revoked, Expired, Compacted, Warm, Moves, Changelogs, Repeats int
}

func (t *tally) add(o *tally) {
	t.Deaths, t.Zombies, t.Failures, t.Timeouts = t.Deaths+o.Deaths, t.Zombies+o.Zombies, t.Failures+o.Failures, t.Timeouts+o.Timeouts
	t.Lost, t.Revoked, t.Expired, t.Compacted = t.Lost+o.Lost, t.Revoked+o.Revoked, t.Expired+o.Expired, t.Compacted+o.Compacted
	t.Warm, t.Moves, t.Changelogs, t.Repeats = t.Warm+o.Warm, t.Moves+o.Moves, t.Changelogs+o.Changelogs, t.Repeats+o.Repeats
}

// strikes holds that the schedules strike where it matters.
func (t *tally) strikes(tb testing.TB, inside bool) {
	tb.Helper()
	some := []int{t.Deaths, t.Zombies, t.Failures, t.Timeouts, t.Lost, t.Revoked, t.Expired, t.Compacted, t.Warm}
	if inside {
		some = append(some, t.Moves, t.Changelogs)
	} else {
		some = append(some, t.Repeats)
	}
	if slices.Min(some) == 0 || inside && t.Repeats > 0 {
		tb.Error("the schedules do not strike where it matters")
	}
}

// schedule is one of them. Everything in it follows from the seed, but for who is faster, a partition or its commit.
type schedule struct {
	tally
	seed    uint64
	r       *rand.Rand // of the test's goroutine
	inside  bool
	sets    []*rules.Set
	records []pipeline.Record
	cfg     pipeline.Config
	cluster *pipelinetest.Cluster
	warm    atomic.Int64

	mu     sync.Mutex
	events []string // guarded by mu: what happened, for who has to find out why
}

func (s *schedule) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

func newSchedule(seed uint64, inside bool, sets []*rules.Set) *schedule {
	s := &schedule{seed: seed, r: rand.New(rand.NewPCG(seed, 11)), inside: inside, sets: sets}
	r := s.r
	s.records = wild(r, 20+r.IntN(60))
	s.cluster = pipelinetest.NewCluster(s.records...)
	s.cluster.Skip(r.Int64N(3))
	cfg := tiny()
	cfg.CommitRecords = 1 + r.IntN(12)
	if r.IntN(3) == 0 {
		cfg.CommitBytes = 1 + r.IntN(4000)
	}
	cfg.State.MaxNodes = 1 + r.IntN(8)
	if r.IntN(4) == 0 {
		cfg.State.MaxNodes, cfg.State.MaxBytes = 1000, 64<<10
	}
	cfg.MaxSignalBytes = 4<<10 + r.IntN(8<<10)
	cfg.PerRule = r.IntN(4) == 0
	bad := int64(-1)
	if r.IntN(4) == 0 {
		bad = s.records[r.IntN(len(s.records))].Offset
	}
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageEnrich && l.Offset == bad {
			panic("half way")
		}
	}
	s.cfg = cfg
	return s
}

// member is a process with the state it has kept; life makes its chances its own.
func (s *schedule) member(kept *pipelinetest.Process, life uint64, calm bool) *pipelinetest.Member {
	size, reload, fate := rand.New(rand.NewPCG(s.seed, life)), rand.New(rand.NewPCG(s.seed, life+1<<32)), map[string]uint64{}
	m := &pipelinetest.Member{
		Cluster: s.cluster, Config: s.cfg, Inside: s.inside, Process: kept,
		Engine: func(cfg pipeline.Config) *pipeline.Engine { return pipeline.New(cfg, s.sets[0], nil) },
		Reload: func(e *pipeline.Engine, _ int64) {
			if reload.IntN(3) == 0 {
				e.Swap(s.sets[reload.IntN(len(s.sets))])
			}
		},
		Size: func() int { return 1 + size.IntN(25) },
		Opened: func(start changelog.Start) {
			s.note("life %d starts: %+v", life, start)
			if start.Warm {
				s.warm.Add(1)
			}
		},
	}
	if calm {
		return m
	}
	// Policies change in the middle of a batch, too, which goes on with those that it began with.
	var engine *pipeline.Engine
	atBegin := m.Reload
	m.Reload = func(e *pipeline.Engine, position int64) {
		engine = e
		atBegin(e, position)
	}
	m.Config.Probe = func(l *pipeline.Look) {
		s.cfg.Probe(l)
		if l.Stage == pipeline.StageSource && reload.IntN(10) == 0 {
			engine.Swap(s.sets[reload.IntN(len(s.sets))])
		}
	}
	// What becomes of a request depends on which it is and on how many there were, not on when it comes.
	var mu sync.Mutex
	m.Fate = func(op pipelinetest.Op, w pipelinetest.When, revoke func()) error {
		mu.Lock()
		defer mu.Unlock()
		key := fmt.Sprint(op, w)
		fate[key]++
		h := fnv.New64a()
		fmt.Fprint(h, s.seed, life, key, fate[key])
		c := rand.New(rand.NewPCG(s.seed, h.Sum64()))
		if c.IntN(30) > 0 {
			return nil
		}
		n := c.IntN(20)
		s.note("life %d: %s %s: fate %d", life, op, w, n)
		switch {
		case n < 7:
			s.Failures++
			return errBroken
		case n < 9:
			return pipelinetest.ErrDie
		case n < 12:
			s.Timeouts++
			s.cluster.TimeOut()
		case n < 14:
			s.Lost++
			s.cluster.Join() // somebody else, who has nothing
		case n < 16:
			s.Revoked++
			revoke()
		case n < 18:
			s.Expired++
			s.cluster.ExpireProducer()
		case n < 19 || !s.inside:
			s.Compacted++
			s.cluster.Compact(true)
		default:
			s.Changelogs++
			s.cluster.LoseChangelog()
		}
		return nil
	}
	return m
}

// run lives until the log is at its end.
func (s *schedule) run() error {
	r := s.r
	kept := &[2]*pipelinetest.Process{new(pipelinetest.Process), new(pipelinetest.Process)}
	defer func() {
		for _, k := range kept {
			k.Close()
		}
	}()
	for life := uint64(1); ; life++ {
		calm := life > 12
		who := r.IntN(2)
		m := s.member(kept[who], life, calm)
		m.Rejoin = calm || r.IntN(2) == 0
		if !calm && r.IntN(4) == 0 {
			// It stands still somewhere, the other takes over, and it wakes up when that one is done, lost or dead.
			m.Fate = nil
			over := make(chan outcome, 1)
			hold := pipelinetest.Strike{Op: ops[r.IntN(len(ops)-1)], When: whens[r.IntN(len(whens))], Nth: 1 + r.IntN(6),
				Held: make(chan struct{}), Hold: make(chan struct{})}
			go func() {
				died, err := m.Live(hold)
				over <- outcome{died, err}
			}()
			select {
			case <-hold.Held:
				s.Zombies++
				s.note("life %d stands still: %s %s", life, hold.Op, hold.When)
				_, err := s.live(s.member(kept[1-who], life+1<<20, false), kept, 1-who)
				s.note("life %d wakes up", life)
				close(hold.Hold)
				if err != nil {
					return err
				}
				if _, err := s.over(<-over, kept, who); err != nil {
					return fmt.Errorf("the zombie: %w", err)
				}
			case o := <-over:
				if _, err := s.over(o, kept, who); err != nil {
					return err
				}
			}
			continue
		}
		var strikes []pipelinetest.Strike
		if !calm && r.IntN(3) == 0 {
			strikes = append(strikes, pipelinetest.Strike{Point: pipelinetest.Points()[r.IntN(6)], Nth: 1 + r.IntN(40)})
		}
		done, err := s.live(m, kept, who, strikes...)
		if err != nil {
			return err
		}
		if done && calm {
			break
		}
		s.meanwhile(kept)
	}
	s.Warm = int(s.warm.Load())
	return nil
}

// meanwhile is what happens while nobody lives.
func (s *schedule) meanwhile(kept *[2]*pipelinetest.Process) {
	r := s.r
	if r.IntN(2) == 0 {
		tombstones := r.IntN(2) == 0
		s.cluster.Compact(tombstones)
		if !tombstones { // so long ago that nothing kept is taken for warm
			kept[0].Close()
			kept[1].Close()
		}
	}
	if r.IntN(3) == 0 {
		s.cluster.TimeOut()
	}
	if s.inside && r.IntN(6) == 0 {
		s.Moves++
		offset := s.records[r.IntN(len(s.records))].Offset
		s.note("an operator sets the offset to %d", offset)
		s.cluster.SetOffset(offset)
	}
	if s.inside && r.IntN(20) == 0 {
		s.Changelogs++
		s.note("the changelog is lost")
		s.cluster.LoseChangelog()
	}
}

type outcome struct {
	died bool
	err  error
}

// live is one life; done says that it came to the end of the log.
func (s *schedule) live(m *pipelinetest.Member, kept *[2]*pipelinetest.Process, who int, strikes ...pipelinetest.Strike) (done bool, err error) {
	died, err := m.Live(strikes...)
	return s.over(outcome{died, err}, kept, who)
}

func (s *schedule) over(o outcome, kept *[2]*pipelinetest.Process, who int) (done bool, err error) {
	switch {
	case o.died:
		s.Deaths++
		kept[who] = new(pipelinetest.Process) // abandoned, not closed
		return false, nil
	case pipelinetest.Lost(o.err):
		return false, nil
	}
	return o.err == nil, o.err
}

// check holds what came of it against the undisturbed run.
func (s *schedule) check() error {
	want, state, err := s.undisturbed(s.committed)
	if err != nil {
		return err
	}
	s.Repeats = len(s.cluster.Signals()) - len(want.Signals())
	if s.inside {
		if err := sameOutputs(want, s.cluster); err != nil {
			return err
		}
	} else {
		// What was published and not committed may have been made with another rule set.
		may := []*pipelinetest.Cluster{want}
		for _, set := range s.sets {
			c, _, err := s.undisturbed(func([]pipelinetest.Happening, int64) *rules.Set { return set })
			if err != nil {
				return err
			}
			may = append(may, c)
		}
		if err := repeatedOutputs(want, may, s.cluster); err != nil {
			return err
		}
	}
	m := s.member(new(pipelinetest.Process), 0, true)
	m.Reload = nil
	if died, err := m.Live(); died || err != nil {
		return fmt.Errorf("restore: %v %w", died, err)
	}
	defer m.Process.Close()
	if got := describe(m.Process.Partition()); got != state {
		return fmt.Errorf("the state is\n%s\nshould be\n%s", got, state)
	}
	last := s.records[len(s.records)-1].Offset
	if next, _ := s.cluster.Offset(); next <= last {
		return fmt.Errorf("the group's offset is %d, the last record's %d", next, last)
	}
	return nil
}

// committed is the rule set of the commit that a record was in.
func (s *schedule) committed(stretch []pipelinetest.Happening, offset int64) *rules.Set {
	for _, h := range stretch {
		if h.Next > offset {
			return s.setOf(h.Set)
		}
	}
	return nil
}

func (s *schedule) setOf(hash string) *rules.Set {
	for _, set := range s.sets {
		if set.Hash() == hash {
			return set
		}
	}
	return nil
}
