package state

import "spoor/pipeline/event"

// teach learns from what an agent says of the parent and the ancestors of n. That is worth less than what an event
// says of its own process, and that less than an exec: it never changes one of them, and nothing is
// taught about a time that another process may have held the id. What is taught has an unknown start,
// no later than the child's.
func (s *State) teach(n *Node, p *event.ProcessContext) {
	next, rest := p.Parent, p.Ancestors
	switch {
	case len(rest) == 0:
	case next == nil:
		next, rest = rest[0], rest[1:]
	case sameProcess(next, rest[0]):
		rest = rest[1:]
	default:
		s.stats.Disagreements++
		rest = nil
	}
	for depth := 0; next != nil && depth < s.cfg.MaxAncestors; depth++ {
		if n = s.teachParent(n, next); n == nil {
			return
		}
		if len(rest) == 0 {
			return
		}
		next, rest = rest[0], rest[1:]
	}
}

// sameProcess reports whether two descriptions are of one process.
func sameProcess(a, b *event.Process) bool {
	x, okX := id(a.PID)
	y, okY := id(b.PID)
	return okX && okY && x == y && !differ(a.Executable, b.Executable)
}

// teachParent learns that p is the parent of n, and returns its node; nil when nothing follows from it.
func (s *State) teachParent(n *Node, p *event.Process) *Node {
	pid, ok := id(p.PID)
	if !ok || pid == n.pid {
		return nil
	}
	if n.is(flagPPID) && n.ppid != pid {
		s.stats.Disagreements++
		return nil
	}
	if n.parent != nil {
		return s.taught(n.parent, p)
	}
	if n.is(flagUnlinked) {
		return nil
	}
	var held *Node
	could, agrees := 0, 0
	for g := n.host.pids[pid]; g != nil; g = g.older {
		if !s.could(g, n.start) {
			continue
		}
		could++
		if !differ(g.proc.Executable, p.Executable) && (g.is(flagStub) || !g.is(flagLatest) || agree(g.proc.Executable, p.Executable)) {
			held = g
			agrees++
		}
	}
	switch {
	case could == 0:
		held = s.introduceParent(n, pid, p)
	case agrees == 0:
		s.stats.Disagreements++
		return nil
	case agrees > 1:
		return nil
	default:
		held = s.taught(held, p)
	}
	if held == nil {
		return nil
	}
	if held.is(flagLatest) && n.start < held.start {
		s.restart(held, n.start, flagLatest)
	}
	if n.waits() {
		s.leave(n)
	}
	s.change(n)
	n.setPPID(pid)
	if !s.bind(n, held) {
		if n.waits() {
			s.wait(n)
		}
		return nil
	}
	return held
}

// taught gives n, of which an agent says p, what it lacks, unless it was learnt better. It returns nil when the
// two disagree, or when nothing is known of n.
func (s *State) taught(n *Node, p *event.Process) *Node {
	if differ(n.proc.Executable, p.Executable) {
		s.stats.Disagreements++
		return nil
	}
	if !n.is(flagExec) {
		s.learn(n, p, false)
	}
	if n.is(flagStub) {
		return nil
	}
	return n
}

// introduceParent remembers the parent of n, which nobody told of but the agent.
func (s *State) introduceParent(n *Node, pid int64, p *event.Process) *Node {
	if !nameable(p.Executable) {
		return nil
	}
	at, f := n.start, flagLatest
	if start := int64(p.ExecTime); start != 0 && start <= at {
		free := true
		for g := n.host.pids[pid]; g != nil; g = g.older {
			free = free && !s.could(g, start) && g.start < start
		}
		if free {
			at, f = start, 0
		}
	}
	m := s.begin(n.host, pid, at, f|flagAgent)
	s.learn(m, p, false)
	return m
}
