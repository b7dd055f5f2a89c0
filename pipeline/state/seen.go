package state

// Seen answers who an event is from, and learns what is not known of that process yet: that it ran then, at least.
func (s *State) Seen(g *Sighting) Answer {
	p := g.Process
	pid, ok := id(p.PID)
	if !ok {
		return Answer{Result: s.count(Unknown)}
	}
	t := s.when(g.Date)
	h := s.host(g.Host, false)
	start := int64(p.ExecTime)
	r, n := Unknown, (*Node)(nil)
	var refuted *Node
	if h != nil {
		n, r, refuted = s.who(h, pid, t, p.Executable, start)
	}
	switch r {
	case Hit:
		if !n.is(flagLatest|flagStub) && p.Parent == nil && p.Ancestors == nil && !n.lacks(&p.Process) {
			s.use(n) // nearly every event ends here
			s.count(Hit)
			return answer(n, Hit)
		}
		return s.recognised(n, g, t)
	case Ambiguous:
		s.count(Ambiguous)
		return Answer{Result: Ambiguous}
	case Reused:
		if !refutes(refuted, t, start) {
			s.count(Reused)
			return Answer{Result: Reused}
		}
		at := t
		if start > refuted.start && start < t {
			at = start
		}
		s.end(refuted, at)
	}
	s.count(r)
	return answer(s.introduce(g, pid, t), r)
}

// refutes reports whether an event that is not from n shows that n had ended by its time: not when it claims to be
// from an older process than n, nor in the second that n started in, when one of the two times is whole.
func refutes(n *Node, t, start int64) bool {
	return t >= n.start && !sameSecond(t, n.start) && (start == 0 || start > n.start || n.is(flagLatest))
}

// recognised learns from an event what n, which it comes from, lacks.
func (s *State) recognised(n *Node, g *Sighting, t int64) Answer {
	p := g.Process
	r := Hit
	if n.is(flagStub) {
		if !nameable(p.Executable) {
			s.count(Unknown)
			return Answer{Result: Unknown}
		}
		r = Unknown // it is known again from here on
	}
	start := int64(p.ExecTime)
	settled := n.is(flagLatest) && start != 0 && start <= n.start
	switch {
	case settled:
		s.restart(n, start, 0)
	case n.is(flagLatest) && t < n.start:
		s.restart(n, t, flagLatest)
	}
	known := n.is(flagPPID)
	s.learn(n, &p.Process, false)
	s.use(n)
	if n.waits() && (settled || !known) {
		s.leave(n)
		s.adopt(n, executable(p.Parent))
	}
	s.teach(n, p)
	if settled {
		s.reunite(n)
	}
	s.enforce(n)
	s.count(r)
	return answer(n, r)
}

// introduce remembers the process of an event that nobody told of, when it names its executable and nobody
// else could have run then. It returns nil when it does not.
func (s *State) introduce(g *Sighting, pid, t int64) *Node {
	p := g.Process
	if !nameable(p.Executable) {
		return nil
	}
	h := s.host(g.Host, true)
	at, f := t, flagLatest
	if start := int64(p.ExecTime); start != 0 && start <= t {
		at, f = start, 0
	}
	for n := h.pids[pid]; n != nil; n = n.older {
		if (s.could(n, at) || s.could(n, t)) && !s.contradicts(n, p.Executable, int64(p.ExecTime)) {
			return nil
		}
	}
	n := s.begin(h, pid, at, f)
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
