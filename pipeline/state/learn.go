package state

import (
	"strings"

	"spoor/pipeline/event"
)

// learn gives n what p says of it and n lacks. Its own exec replaces what was learnt otherwise. It costs a few
// comparisons when there is nothing new.
func (s *State) learn(n *Node, p *event.Process, own bool) {
	better := own && !n.is(flagExec)
	if !better && !n.lacks(p) {
		return
	}
	s.change(n)
	ppid, hasPPID := parentID(p)
	if better && n.is(flagLinked) && hasPPID && ppid != n.ppid {
		s.stats.Disagreements++
		s.unbind(n, true)
	}
	if n.waits() {
		s.leave(n)
	}
	s.bytes -= n.size()
	s.revive(n)
	if better {
		n.flags = n.flags&^flagAgent | flagExec
	}
	if (better || n.proc.Executable == nil) && nameable(p.Executable) {
		s.setExecutable(n, p.Executable)
	}
	if (better || n.proc.Cmdline == "") && p.Cmdline != "" {
		n.proc.Cmdline = strings.Clone(cut(p.Cmdline))
	}
	if u := user(p); (better || n.proc.User == "") && u != "" {
		s.setUser(n, u)
	}
	if c := container(p); (better || n.proc.Container == nil) && c != nil {
		s.setContainer(n, c)
	}
	if hasPPID && !n.is(flagLinked) && (better || !n.is(flagPPID)) {
		n.setPPID(ppid)
	}
	s.bytes += n.size()
	if n.waits() {
		s.wait(n)
	}
	s.reclass(n)
}

// lacks reports whether p says what n does not know. A stub learns only from who it may be.
func (n *Node) lacks(p *event.Process) bool {
	if n.proc.Executable == nil && nameable(p.Executable) {
		return true
	}
	if n.is(flagStub) {
		return false
	}
	_, hasPPID := parentID(p)
	return n.proc.Cmdline == "" && p.Cmdline != "" || n.proc.User == "" && user(p) != "" ||
		n.proc.Container == nil && container(p) != nil || !n.is(flagPPID) && hasPPID
}

// parentID is the parent's id that p gives; 0 says that there is none, a negative one nothing.
func parentID(p *event.Process) (int64, bool) {
	if p.PPID == nil {
		return 0, false
	}
	return *p.PPID, true
}

// revive makes a stub a node again. The caller counts its bytes and calls reclass.
func (s *State) revive(n *Node) {
	if !n.is(flagStub) {
		return
	}
	n.flags &^= flagStub
	s.stubs--
	s.nodes++
	n.show()
}

// show sets what events see of the fields that are not texts.
func (n *Node) show() {
	n.proc.PID = &n.pid
	n.proc.PPID = nil
	if n.is(flagPPID) {
		n.proc.PPID = &n.ppid
	}
	n.proc.ExecTime = 0
	if !n.is(flagLatest) {
		n.proc.ExecTime = event.Time(n.start)
	}
}

// begin makes a node for a process that started at start, or with flagLatest no later than that, and ends the
// one before it. The caller makes it learn.
func (s *State) begin(h *host, pid, start int64, f flags) *Node {
	name := start
	for h.find(pid, name) != nil {
		name++
	}
	n := s.create(h, pid, name)
	n.start, n.end, n.flags = start, forever, f
	n.show()
	older, newer := h.place(n)
	if newer != nil {
		n.end = newer.start
	}
	s.bytes += n.size()
	s.nodes++
	s.touch(n)
	s.reclass(n)
	s.endBy(older, start)
	s.release(older)
	s.release(newer)
	s.limit(h, n)
	return n
}

// restart sets the start of n, which has become known, or known better; with flagLatest it is still the latest
// that it can be.
func (s *State) restart(n *Node, start int64, f flags) {
	s.change(n)
	if n.waits() {
		s.leave(n)
	}
	h := n.host
	h.displace(n)
	later := start > n.start
	n.start = start
	n.flags = n.flags&^flagLatest | f
	if !n.is(flagStub) {
		n.show()
	}
	if n.end < start && !sameSecond(n.end, start) {
		s.end(n, start)
	}
	older, newer := h.place(n)
	s.endBy(older, start)
	s.release(older)
	s.release(newer)
	if later { // an earlier start takes no child away
		s.release(n)
	}
	if n.waits() {
		s.wait(n)
	}
}

// endBy ends a generation, if there is one, that the next one shows to have ended by t. Its own exit, if seen,
// says so better. Which of two processes that started in one second was first, nobody knows.
func (s *State) endBy(n *Node, t int64) {
	if n != nil && n.end > t && !n.is(flagExited) && !(n.start == t && whole(t)) {
		s.end(n, t)
	}
}

// end sets the end of n.
func (s *State) end(n *Node, t int64) {
	s.change(n)
	live := n.isLive()
	n.end = t
	if live {
		s.climb(n, -1)
		s.reclass(n)
	}
	s.release(n)
}

// limit drops the oldest generation of a process id that has too many.
func (s *State) limit(h *host, keep *Node) {
	count, oldest := 0, (*Node)(nil)
	for g := h.pids[keep.pid]; g != nil; g = g.older {
		count++
		if g != keep {
			oldest = g
		}
	}
	if count > maxGenerations {
		s.drop(oldest, DroppedOldest, false)
	}
}
