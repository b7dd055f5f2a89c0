//go:build realkafka

package realkafka

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// The rows of DESIGN.md's failure table that are about a moment of a commit. In each trial the members come to that
// moment and stand there, in every partition; then it happens. What a read_committed consumer sees is the replay,
// each id once, and what is remembered is what an undisturbed group remembers. With -short only some moments.
func TestFailureTable(t *testing.T) {
	l := startLab(t)
	trials := map[string]func(*testing.T){}
	add := func(short bool, name string, f func(*trial)) {
		if testing.Short() && !short {
			return
		}
		name = strings.ReplaceAll(name, " ", "_")
		trials[name] = func(t *testing.T) {
			delivery := "exactly_once"
			if strings.HasPrefix(name, "at_least_once") {
				delivery = "at_least_once"
			}
			f(l.trial(t, strings.ReplaceAll(name, "/", "-"), delivery))
		}
	}
	for _, s := range []step{stepInit, stepAdd, stepPublish, stepChangelog, stepOffsets, stepOffset, stepEnd} {
		add(s.in(stepInit, stepChangelog, stepEnd), "crash/before "+s.name, func(x *trial) { x.crash(s, false) })
		add(s.in(stepPublish, stepOffset, stepEnd), "crash/after "+s.name, func(x *trial) { x.crash(s, true) })
		add(s.in(stepAdd, stepOffsets, stepEnd), "late/"+s.name, func(x *trial) { x.late(s) })
		add(s.in(stepEnd), "zombie/"+s.name, func(x *trial) { x.zombie(s, false) })
		add(s.in(stepOffset), "rebalance/"+s.name, func(x *trial) { x.rebalance(s, false) })
		add(s.in(stepEnd), "rebalance beyond the budget/"+s.name, func(x *trial) { x.rebalance(s, true) })
	}
	add(false, "zombie/after EndTxn", func(x *trial) { x.zombie(stepEnd, true) })
	for _, s := range []step{stepPublish, stepChangelog, stepOffsets, stepOffset, stepEnd} {
		add(s.in(stepEnd), "timeout/"+s.name, func(x *trial) { x.times(s) })
	}
	for _, s := range []step{stepPublish, stepChangelog, stepEnd} {
		add(s.in(stepPublish), "at least once/before "+s.name, func(x *trial) { x.crash(s, false) })
		add(false, "at least once/after "+s.name, func(x *trial) { x.crash(s, true) })
	}
	add(false, "restore/before", func(x *trial) { x.restore(false) })
	add(true, "restore/after", func(x *trial) { x.restore(true) })
	for name, f := range map[string]func(*trial){
		"foreign commit": (*trial).foreign, "moved forwards": (*trial).forwards,
		"expired": (*trial).expired, "state lost": (*trial).stateLost, "too large": (*trial).tooLarge,
	} {
		add(true, name, f)
	}
	add(false, "too large a change", (*trial).tooLargeChange)
	together(t, trials)
}

// crash is a SIGKILL before the broker sees a request, or when it has done what that asks.
func (x *trial) crash(at step, done bool) {
	x.stand(at, done)
	x.run()
	x.reach()
	x.kill()
	x.release(false)
	x.run()
	x.end()
}

// late is a SIGKILL after which the request reaches the broker all the same, when another member has gone on.
func (x *trial) late(at step) {
	x.stand(at, false)
	x.run()
	x.reach()
	x.kill()
	x.others()
	had := x.inits.Load()
	x.run()
	x.takenOver(had)
	x.release(true)
	x.end()
	x.fenced()
}

// zombie freezes the member until another has gone on; then its request reaches the broker, and it wakes up.
func (x *trial) zombie(at step, done bool) {
	x.stand(at, done)
	m := x.run()
	x.reach()
	m.Process.Signal(syscall.SIGSTOP)
	x.others()
	had := x.inits.Load()
	x.run()
	x.takenOver(had)
	x.release(true)
	m.Process.Signal(syscall.SIGCONT)
	await(x.t, "the zombie to see what it is", func() bool { return m.says("generation over") })
	x.end()
	if !done {
		x.fenced()
	}
}

// rebalance lets another member join at the moment. The request goes on at once, or when the time to finish is over and
// others have gone on.
func (x *trial) rebalance(at step, beyond bool) {
	x.stand(at, false)
	m := x.run()
	x.reach()
	x.others()
	had, joins := x.inits.Load(), x.joins.Load()
	x.run()
	await(x.t, "another member to join", func() bool { return x.joins.Load() > joins })
	if beyond {
		await(x.t, "the first to give up", func() bool { return m.says("generation over") })
		x.takenOver(had)
	}
	x.release(true)
	x.end()
	if beyond {
		x.fenced()
	}
}

// restore is a crash in mid-commit and another while its state is read.
func (x *trial) restore(done bool) {
	x.configure("  fetch_bytes: 1024\n")
	x.stand(stepEnd, true)
	x.run()
	x.reach()
	x.kill()
	x.release(false)
	x.crash(stepRestore, done)
}

const goesOn = "a commit failed; the partition goes on from the last one"

// disturbed holds that the member saw its commits fail with that text, and stayed in its generation.
func (x *trial) disturbed(m *member, text string) {
	x.t.Helper()
	x.finished()
	if !m.says(text) {
		x.t.Errorf("the engine does not say %q", text)
	}
	if m.says("generation over") {
		x.t.Error("the generation ended")
	}
	x.end()
}

// times lets a transaction take longer than it may while its member is alive: a request is long on its way.
// The coordinator aborts it and fences the member.
func (x *trial) times(at step) {
	x.timeout.Store(int64(2 * time.Second))
	x.stand(at, false)
	m := x.run()
	x.reach()
	time.Sleep(3500 * time.Millisecond)
	x.release(true)
	x.disturbed(m, goesOn)
	x.fenced()
}
