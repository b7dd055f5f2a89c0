package state

import "fmt"

// Restore applies one change that an earlier run handed out. Changes come in the order in which they were
// handed out, on an empty state or on top of what was committed or restored before, to which the state goes back: what
// the bounds took away since is not committed yet, and nobody else knows of it. Of equal keys only the last is needed, which
// is what a compacted log keeps. Nothing else may be called until RestoreDone. It fails for what Changes
// did not write, and for a version that this code does not know; the state is of no use then.
func (s *State) Restore(c Change) error {
	s.reopen()
	key, err := decodeKey(c.Key)
	if err != nil {
		return fmt.Errorf("restore: key %x: %w", c.Key, err)
	}
	h := s.host(key.host, c.Value != nil)
	if c.Value == nil {
		if h == nil {
			return nil
		}
		if n := h.find(key.pid, key.id); n != nil {
			h.displace(n)
		}
		return nil
	}
	old := h.find(key.pid, key.id)
	n := &Node{host: h, pid: key.pid, id: key.id}
	if err := s.decodeValue(c.Value, n); err != nil {
		return fmt.Errorf("restore: process %d of host %q: %w", key.pid, key.host, err)
	}
	if old != nil {
		h.displace(old)
	}
	s.seq++
	n.seq = s.seq
	h.place(n)
	return nil
}

// reopen begins a restore, if none is under way.
func (s *State) reopen() {
	if s.restoring {
		return
	}
	if len(s.journal.entries) > 0 || s.sealed != nil {
		s.undo()
	}
	s.restoring = true
}

// RestoreDone ends a restore, also one of no changes. It fails when a change is missing that another one needs; the state
// is of no use then.
func (s *State) RestoreDone() error {
	clock := s.clock // SetClock's
	s.reopen()
	s.clock, s.restoring = clock, false
	if err := s.rebuild(s.all(func(*Node) bool { return true })); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	s.journal.begin(s)
	s.mend()
	return nil
}

// mend does to a state that is as it was told what it is to be otherwise, as the first of a commit interval.
func (s *State) mend() {
	// A stub goes with its last child, so Changes writes none without one. A log that has it all the same is
	// mended: what takes it out is a change.
	childless := s.all(func(n *Node) bool { return n.is(flagStub) && n.child == nil })
	bySeq(childless)
	for _, n := range childless {
		s.forget(n)
	}
	// The bounds may be tighter than they were.
	s.enforce(nil)
}

// rebuild makes everything derived from the primary fields of nodes, which are all there are.
func (s *State) rebuild(nodes []*Node) error {
	old := s.hosts
	s.empty()
	bySeq(nodes)
	s.stats.SuspectHosts = 0
	for _, n := range nodes {
		h, ok := s.hosts[n.host.name]
		if !ok {
			h = s.addHost(n.host.name)
			if was := old[h.name]; was != nil {
				h.asked, h.missed, h.suspect = was.asked, was.missed, was.suspect
			}
			if h.suspect {
				s.stats.SuspectHosts++
			}
		}
		n.host = h
		n.parent, n.child, n.prev, n.next = nil, nil, nil, nil
		n.live, n.entry, n.class = 0, 0, outside
		if !n.is(flagStub) {
			n.show()
		}
		n.proc.Executable = s.internFile(n.proc.Executable)
		n.root = n.pid == systemPID || rootFile(n.proc.Executable)
		n.proc.User = s.internText(n.proc.User)
		n.proc.Container = s.internContainer(n.proc.Container)
		h.place(n)
		s.bytes += n.size()
		if n.is(flagStub) {
			s.stubs++
		} else {
			s.nodes++
		}
	}
	for _, n := range nodes {
		switch {
		case n.is(flagLinked):
			p := n.host.find(n.ppid, n.parentID)
			if p == nil {
				return fmt.Errorf("process %d of host %q: its parent %d is missing", n.pid, n.host.name, n.ppid)
			}
			n.parent, n.next = p, p.child
			if p.child != nil {
				p.child.prev = n
			}
			p.child = n
		case n.ripe():
			s.wait(n)
		}
	}
	if n := cyclic(nodes); n != nil {
		return fmt.Errorf("process %d of host %q descends from itself", n.pid, n.host.name)
	}
	for _, n := range nodes {
		if !n.isLive() {
			continue
		}
		for a, d := n.parent, 1; a != nil && d <= len(s.depths); a, d = a.parent, d+1 {
			a.live++
		}
	}
	for _, n := range nodes {
		if n.class = n.classify(); n.class != outside {
			s.classes[n.class].Add(n, struct{}{})
		}
	}
	return nil
}

// cyclic returns a node that descends from itself. Each node is walked over once: live, which is 0 before and
// after, tells in which walk.
func cyclic(nodes []*Node) (found *Node) {
	for i, n := range nodes {
		walk := int32(i + 1)
		for ; n != nil && n.live == 0; n = n.parent {
			n.live = walk
		}
		if n != nil && n.live == walk {
			found = n
			break
		}
	}
	for _, n := range nodes {
		n.live = 0
	}
	return found
}
