package enrich

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"spoor/pipeline/event"
	"spoor/pipeline/state"
)

// world is what truly happened on a simulated host, and what was recorded of it.
type world struct {
	// reuse is how long a process id is not given out again after an exit.
	reuse time.Duration
	// whole is the share of processes whose exec and exit are recorded in whole seconds.
	whole float64
	// late is how much later than another an event can arrive that was recorded with the same time.
	late time.Duration
	// lost are the shares of execs and exits that were not recorded.
	lostExec, lostExit float64
	// names is how many executables there are.
	names int
	// parents is the share of execs that carry the parent.
	parents float64
}

type truly struct {
	pid         int64
	name        string
	parent      *truly
	start, exit time.Time
	whole       bool
}

// recorded is the start as an exec says it.
func (p *truly) recorded() event.Time {
	if p.whole {
		return event.At(p.start.Truncate(time.Second))
	}
	return event.At(p.start)
}

type told struct {
	who     *truly
	name    string
	at      time.Time // as recorded
	arrives time.Time
	parent  bool
}

// events simulates n processes.
func (w *world) events(r *rand.Rand, n int) []told {
	const pool = 600
	var out []told
	now := epoch
	free := make(map[int64]time.Time)
	root := &truly{pid: 1, name: `C:\root.exe`, start: now, exit: now.Add(1000 * time.Hour)}
	live := []*truly{root}
	record := func(p *truly, name string, at time.Time, parent bool) {
		if p.whole && name != "create" {
			at = at.Truncate(time.Second)
		}
		out = append(out, told{p, name, at, at.Add(time.Duration(r.Int64N(int64(w.late) + 1))), parent})
	}
	record(root, "exec", root.start, false)
	for range n {
		now = now.Add(time.Duration(r.ExpFloat64() * 0.2 * float64(time.Second))).Truncate(time.Microsecond)
		live = slices.DeleteFunc(live, func(p *truly) bool {
			if p.exit.Before(now) {
				free[p.pid] = p.exit.Add(w.reuse)
				return true
			}
			return false
		})
		pid := int64(0)
		for pid == 0 {
			try := int64(4 * (2 + r.IntN(pool)))
			if free[try].Before(now) && !slices.ContainsFunc(live, func(p *truly) bool { return p.pid == try }) {
				pid = try
			}
			if len(live) > pool-5 {
				break
			}
		}
		if pid == 0 {
			continue
		}
		life := time.Duration((0.01 + r.ExpFloat64()*3) * float64(time.Second))
		p := &truly{pid: pid, name: fmt.Sprintf(`C:\p%d.exe`, r.IntN(w.names)), parent: live[r.IntN(len(live))], start: now,
			exit: now.Add(life).Truncate(time.Microsecond), whole: r.Float64() < w.whole}
		live = append(live, p)
		if r.Float64() >= w.lostExec {
			record(p, "exec", p.start, r.Float64() < w.parents)
		}
		for range r.IntN(5) {
			record(p, "create", p.start.Add(time.Duration(r.Int64N(int64(life)))), false)
		}
		if r.Float64() >= w.lostExit {
			record(p, "exit", p.exit, false)
		}
	}
	slices.SortStableFunc(out, func(a, b told) int { return cmp.Compare(a.arrives.UnixNano(), b.arrives.UnixNano()) })
	return out
}

// run enriches what was recorded and says of the ancestors how many there truly were, how many lineage named, and how
// many of these were not they.
func (w *world) run(t *testing.T, seed uint64, n int) (there, named, wrong int) {
	s := state.New(state.DefaultConfig())
	l := NewLineage(DefaultConfig(), s)
	for _, tell := range w.events(rand.New(rand.NewPCG(seed, 7)), n) {
		p := &event.ProcessContext{Process: event.Process{PID: &tell.who.pid, Executable: parseFile(tell.who.name)}}
		if tell.name == "exec" {
			zero := int64(0)
			p.PPID = &zero
			if q := tell.who.parent; q != nil {
				p.PPID = &q.pid
				if tell.parent {
					p.Parent = &event.Process{PID: &q.pid, Executable: parseFile(q.name)}
				}
			}
		}
		e := &event.Event{Date: event.At(tell.at), Process: p}
		e.Meta = event.Meta{Host: "h", HasHost: true, Name: tell.name}
		s.Advance(tell.arrives.UnixMilli())
		l.Enrich(e)
		q := tell.who.parent
		for _, a := range p.Ancestors {
			named++
			if q == nil || *a.PID != q.pid || a.Executable.Path != q.name || a.ExecTime != 0 && a.ExecTime != q.recorded() {
				wrong++
			}
			if q != nil {
				q = q.parent
			}
		}
		for q := tell.who.parent; q != nil; q = q.parent {
			there++
		}
	}
	return there, named, wrong
}

// TestSimulated holds lineage against hosts whose truth is known. What it names is right unless the events that came so
// far say otherwise with one voice. What is wrong, by world:
//
//   - "both, soon": the exit of the one before and the exec of its successor are both on their way when a child of the
//     successor, stamped early by its whole second, comes. All that has come says that the one before lives. It is put
//     right when the exit comes.
//   - "both, at once": the same, more often; and a successor of the same program is seen before its exec and the exit before
//     come, so nothing tells the two apart; and a parent exits within the whole second of a child, as many do, which is
//     the successor's, whose exec is on its way.
//   - "everything": the exit before, the successor's exec, or both are not late but lost. Its children, until it is seen
//     itself, and it itself if it is the same program, are taken for the one before's: a host on which
//     nothing was lost, and the one before lived on, would have sent the same.
//
// What is not named is mostly what did not come (an exec that was lost; one that comes after its children), or the fifth
// process since that had its id, and with it all that descends from there: some seeds lose much, so a run over
// many seeds has bounds of its own.
//
// SPOOR_LINEAGE_SEEDS is the number of seeds; the usual run has the first two. The bounds for many hold for 40 and 100.
func TestSimulated(t *testing.T) {
	seeds, many := uint64(2), false
	if n, err := strconv.ParseUint(os.Getenv("SPOOR_LINEAGE_SEEDS"), 10, 32); err == nil {
		seeds, many = n, true
	}
	// bounds are at least and at most, of 100 ancestors of all seeds together.
	type bounds struct{ named, wrong float64 }
	for _, c := range []struct {
		name          string
		world         world
		usual, ofMany bounds
	}{
		{"all recorded", world{reuse: time.Second, names: 20}, bounds{99.9, 0}, bounds{98, 0}},
		{"ids reused at once", world{reuse: 0, names: 3}, bounds{99, 0}, bounds{97, 0}},
		{"late", world{reuse: time.Second, names: 20, late: time.Second}, bounds{89, 0}, bounds{85, 0}},
		{"whole seconds", world{reuse: 3 * time.Second, names: 20, whole: 1}, bounds{99.9, 0}, bounds{97, 0}},
		{"both", world{reuse: 3 * time.Second, names: 20, whole: 0.5, late: time.Second}, bounds{90, 0}, bounds{85, 0}},
		{"both, soon", world{reuse: time.Second, names: 20, whole: 0.5, late: time.Second}, bounds{90, 0}, bounds{85, 0.001}},
		{"both, at once", world{reuse: 0, names: 3, whole: 0.5, late: time.Second}, bounds{90, 0.001}, bounds{85, 0.05}},
		{"lost exits", world{reuse: time.Second, names: 20, lostExit: 0.2}, bounds{99.9, 0}, bounds{96, 0}},
		{"lost execs", world{reuse: time.Second, names: 20, lostExec: 0.05}, bounds{55, 0}, bounds{50, 0}},
		{"parents", world{reuse: time.Second, names: 20, lostExec: 0.1, parents: 1}, bounds{35, 0}, bounds{35, 0}},
		{"everything", world{reuse: time.Second, names: 20, lostExec: 0.05, lostExit: 0.1, whole: 0.3, late: time.Second, parents: 0.3}, bounds{60, 0.5}, bounds{48, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var there, named, wrong int
			for seed := range seeds {
				a, b, d := c.world.run(t, seed, 2500)
				there, named, wrong = there+a, named+b, wrong+d
			}
			t.Logf("of %d ancestors %.2f %% named, %.4f %% wrong", there, share(named, there), share(wrong, there))
			want := c.usual
			if many {
				want = c.ofMany
			}
			if share(named, there) < want.named || share(wrong, there) > want.wrong {
				t.Errorf("%.2f %% named, want %g %%; %.4f %% wrong, want at most %g %%", share(named, there), want.named, share(wrong, there), want.wrong)
			}
		})
	}
}

func share(n, of int) float64 { return 100 * float64(n) / float64(of) }
