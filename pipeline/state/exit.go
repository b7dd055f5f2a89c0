package state

// Exit learns from an event that says that its process ended. The answer is who it was.
func (s *State) Exit(g *Sighting) Answer {
	p := g.Process
	t := s.when(g.Date)
	if p.ExitTime != 0 {
		t = int64(p.ExitTime)
	}
	pid, ok := id(p.PID)
	if !ok {
		return Answer{Result: s.count(Unknown)}
	}
	h := s.host(g.Host, true)
	n, r, refuted := s.who(h, pid, t, p.Executable, int64(p.ExecTime))
	switch {
	case r == Reused:
		if refutes(refuted, t, int64(p.ExecTime)) {
			s.end(refuted, t)
		}
		n = s.introduceDead(h, g, pid, t)
	case r == Unknown:
		n = s.introduceDead(h, g, pid, t)
	case r == Ambiguous: // two processes may have exited: neither is ended
	default:
		s.exit(n, t)
		if n.is(flagStub) {
			n, r = nil, Unknown
			break
		}
		s.teach(n, p)
		s.enforce(n)
	}
	s.count(r)
	return answer(n, r)
}

// exit ends n by its own word; in whole seconds that may be before its start, which is more precise. A second one, by another source, only makes the time more precise.
func (s *State) exit(n *Node, t int64) {
	switch {
	case !n.is(flagExited):
		s.change(n)
		n.flags |= flagExited
		if t < n.start && !sameSecond(t, n.start) {
			t = n.start
		}
		s.end(n, t)
	case whole(n.end) && !whole(t) && sameSecond(n.end, t):
		s.end(n, t)
	}
}

// introduceDead remembers the exit of a process whose exec has not come: it may come late, and then it is not
// the start of a process that runs for ever.
func (s *State) introduceDead(h *host, g *Sighting, pid, t int64) *Node {
	for n := h.pids[pid]; n != nil; n = n.older {
		if s.could(n, t) && !s.contradicts(n, g.Process.Executable, int64(g.Process.ExecTime)) {
			return nil
		}
	}
	p := g.Process
	at, f := t, flagLatest
	if start := int64(p.ExecTime); start != 0 && start <= t {
		at, f = start, 0
	}
	n := s.begin(h, pid, at, f)
	s.end(n, t)
	n.flags |= flagExited
	s.learn(n, &p.Process, false)
	if n.waits() {
		s.leave(n)
		s.adopt(n, executable(p.Parent))
	}
	s.teach(n, p)
	s.reunite(n)
	s.enforce(n)
	return n
}
