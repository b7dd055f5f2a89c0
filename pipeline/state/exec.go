package state

import (
	"spoor/pipeline/event"
)

// Exec learns from an event that says that its process started: the best there is to know of it. The answer's
// result is about the parent.
func (s *State) Exec(g *Sighting) Answer {
	p := g.Process
	start := s.when(g.Date)
	if p.ExecTime != 0 {
		start = int64(p.ExecTime)
	}
	pid, ok := id(p.PID)
	if !ok {
		return s.execWithoutID(g, start)
	}
	h := s.host(g.Host, true)
	n, added := s.generation(h, pid, start, p)
	if added {
		s.boot(n, p)
	}
	s.learn(n, &p.Process, true)
	s.use(n)
	r := Unknown
	if n.waits() {
		s.leave(n)
		r = s.adopt(n, executable(p.Parent))
	}
	s.teach(n, p)
	s.reunite(n)
	s.enforce(n)

	a := answer(n, r)
	switch {
	case a.Parent != nil || a.NoParent:
		a.Result = Hit
	case r == Hit:
		a.Result = Unknown // it was evicted at once
	}
	s.count(a.Result)
	if !a.NoParent {
		s.countParent(h, a.Result)
	}
	return a
}

// execWithoutID answers who the parent is of a process that gives no id itself, so cannot be remembered.
func (s *State) execWithoutID(g *Sighting, start int64) Answer {
	p := g.Process
	ppid, ok := id(p.PPID)
	if !ok {
		if p.PPID != nil && *p.PPID == 0 {
			return Answer{Result: s.count(Hit), NoParent: true}
		}
		return Answer{Result: s.count(Unknown)}
	}
	h := s.host(g.Host, false)
	if h == nil {
		return Answer{Result: s.count(Unknown)}
	}
	n, r := s.ask(h, ppid, start, executable(p.Parent))
	if r == Hit && n.is(flagStub) {
		n, r = nil, Unknown
	}
	return Answer{Result: s.count(r), Parent: n}
}

func executable(p *event.Process) *event.File {
	if p == nil {
		return nil
	}
	return p.Executable
}

// generation returns the node of the process that started at start: one that is known already, or a new one,
// which added says.
func (s *State) generation(h *host, pid, start int64, p *event.ProcessContext) (_ *Node, added bool) {
	var newer *Node // the one after it
	for n := h.pids[pid]; n != nil; n = n.older {
		switch {
		case n.is(flagLatest):
			if (start == n.start || start > n.start && sameSecond(start, n.start)) && !differ(n.proc.Executable, p.Executable) {
				s.restart(n, start, 0)
				return n, false
			}
		case n.start == start && !differ(n.proc.Executable, p.Executable) && !(whole(start) && n.otherParent(p)), s.twice(n, start, p):
			if whole(n.start) && !whole(start) {
				s.restart(n, start, 0)
			}
			return n, false
		}
		if n.start >= start {
			newer = n
		}
	}
	if newer != nil && newer.is(flagLatest) {
		// Somebody was seen to run later. Nobody came in between, so it is this process, or it is not what an
		// agent says.
		switch {
		case !differ(newer.proc.Executable, p.Executable):
			s.restart(newer, start, 0)
			return newer, false
		case newer.is(flagAgent):
			s.stats.Disagreements++
			s.drop(newer, DroppedRefuted, true)
		}
	}
	return s.begin(h, pid, start, 0), true
}

// otherParent reports whether p says another parent's id than n has.
func (n *Node) otherParent(p *event.ProcessContext) bool {
	ppid, ok := id(p.PPID)
	return ok && n.is(flagPPID) && ppid != n.ppid
}

// twice reports whether an exec tells of n once more, by another source with its own clock: the same program with
// the same parent and command line within the slack, and n had not exited. The Security log has
// times in whole seconds.
func (s *State) twice(n *Node, start int64, p *event.ProcessContext) bool {
	if n.is(flagStub) || n.is(flagExited) && n.end <= start || !agree(n.proc.Executable, p.Executable) {
		return false
	}
	if n.otherParent(p) {
		return false
	}
	line := cut(p.Cmdline)
	if whole(start) || whole(n.start) {
		return sameSecond(start, n.start) && (line == "" || n.proc.Cmdline == "" || line == n.proc.Cmdline)
	}
	d := since(start, n.start)
	return d < int64(s.cfg.Slack) && -d < int64(s.cfg.Slack) && line != "" && line == n.proc.Cmdline
}
