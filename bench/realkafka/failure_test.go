//go:build realkafka

package realkafka

import (
	"bytes"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The rows of DESIGN.md's failure table that are about a moment of a commit. In each trial the members come to that
// moment and stand there, in every partition; then it happens. What a read_committed consumer sees is the replay,
// each id once, and what is remembered is what an undisturbed group remembers. With -short only some moments.
func TestFailureTable(t *testing.T) {
	if testing.Short() {
		t.Parallel() // with TestExactlyOnce: both wait most of the time
	}
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
	for _, s := range []step{stepAdd, stepPublish, stepChangelog, stepOffsets, stepOffset} {
		add(false, "delayed/"+s.name, func(x *trial) { x.delayed(s) })
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
	add(false, "restore/cut off", (*trial).cutOff)
	for name, f := range map[string]func(*trial){
		"answers lost": (*trial).answersLost, "foreign commit": (*trial).foreign, "moved forwards": (*trial).forwards,
		"expired": (*trial).expired, "state lost": (*trial).stateLost, "too large": (*trial).tooLarge,
	} {
		add(true, name, f)
	}
	add(false, "too large a change", (*trial).tooLargeChange)
	together(t, trials)
}

// crash is a SIGKILL before the broker sees a request, or when it has done what that asks.
func (x *trial) crash(at step, done bool) {
	h := x.stand(at, done)
	x.run()
	h.reach()
	x.kill()
	h.release(false)
	x.run()
	x.end()
}

// late is a SIGKILL after which the request reaches the broker all the same, when another member has gone on.
func (x *trial) late(at step) {
	h := x.stand(at, false)
	x.run()
	h.reach()
	x.kill()
	h.others()
	had := x.inits.Load()
	x.run()
	x.takenOver(had)
	h.release(true)
	x.end()
	h.fenced()
}

// delayed is a request that is so long on its way that the member asks again; the first reaches the broker in a later
// transaction of the same producer, just before that ends. Then the member is killed.
func (x *trial) delayed(at step) {
	first := x.stand(at, false)
	x.run()
	first.reach()
	first.others()
	id := func(*trial) string { return x.idIn(first) }
	next := x.stand(step{"EndTxn after that", apiEndTxn, id, 1}, false)
	next.reach()
	first.release(true)
	first.arrived()
	ended := x.stand(step{"the end of that", apiEndTxn, id, 0}, true)
	next.release(true)
	ended.reach()
	x.kill()
	ended.release(false)
	m := x.run()
	x.finished()
	// A late offset is the group's, then: the marker counts.
	if back := m.says("the marker counts"); back != at.in(stepOffset) {
		x.t.Errorf("the group's offset went back: %t", back)
	}
	x.end()
}

// idIn is the transactional id of the first request that was held.
func (x *trial) idIn(h *hold) string {
	for p := range labPartitions {
		if id := x.id(p); bytes.Contains(h.held[0].request, []byte(id)) {
			return id
		}
	}
	return "none"
}

// zombie freezes the member until another has gone on; then its request reaches the broker, and it wakes up.
func (x *trial) zombie(at step, done bool) {
	h := x.stand(at, done)
	m := x.run()
	h.reach()
	m.Process.Signal(syscall.SIGSTOP)
	h.others()
	had := x.inits.Load()
	x.run()
	x.takenOver(had)
	h.release(true)
	m.Process.Signal(syscall.SIGCONT)
	await(x.t, "the zombie to see what it is", func() bool { return m.says("generation over") })
	x.end()
	if !done {
		h.fenced()
	}
}

// rebalance lets another member join at the moment. The request goes on at once, or when the time to finish is over and
// others have gone on.
func (x *trial) rebalance(at step, beyond bool) {
	h := x.stand(at, false)
	m := x.run()
	h.reach()
	h.others()
	had, joins := x.inits.Load(), x.joins.Load()
	x.run()
	await(x.t, "another member to join", func() bool { return x.joins.Load() > joins })
	if beyond {
		await(x.t, "the first to give up", func() bool { return m.says("generation over") })
		x.takenOver(had)
	}
	h.release(true)
	x.end()
	if beyond {
		h.fenced()
	}
}

// restore is a crash in mid-commit and another while its state is read.
func (x *trial) restore(done bool) {
	x.leaveState()
	x.crash(stepRestore, done)
}

// cutOff loses an answer while the state is read: the rest is read on top.
func (x *trial) cutOff() {
	x.leaveState()
	h := x.stand(stepRestore, true)
	x.run()
	h.reach()
	h.release(false)
	x.end()
}

// leaveState is a crash in mid-commit that leaves a state, which takes several fetches to read.
func (x *trial) leaveState() {
	x.configure("  fetch_bytes: 1024\n")
	h := x.stand(stepEnd, true)
	x.run()
	h.reach()
	x.kill()
	h.release(false)
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
	x.patient()
	x.timeout.Store(int64(2 * time.Second))
	h := x.stand(at, false)
	m := x.run()
	h.reach()
	h.others() // a partition that was slow to start has its own time
	x.nobody("Ongoing")
	h.release(true)
	x.disturbed(m, goesOn)
	h.fenced()
}
