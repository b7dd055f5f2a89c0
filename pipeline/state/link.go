package state

import "spoor/pipeline/event"

// attach makes p the parent of n, unless p descends from n. Both are derived fields; the caller records the
// link (bind).
func (s *State) attach(n, p *Node) bool {
	if n.child != nil {
		for a := p; a != nil; a = a.parent {
			if a == n {
				return false
			}
		}
	}
	n.parent = p
	n.prev, n.next = nil, p.child
	if p.child != nil {
		p.child.prev = n
	}
	p.child = n
	s.spread(n, 1)
	return true
}

// detach takes n from its parent. A stub that nobody names any more goes with it.
func (s *State) detach(n *Node) {
	p := n.parent
	if p == nil {
		return
	}
	s.spread(n, -1)
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		p.child = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	}
	n.parent, n.prev, n.next = nil, nil, nil
	if p.is(flagStub) && p.child == nil {
		s.remove(p)
	}
}

// spread adds, or takes away, what n and its descendants are worth to the ancestors of n: each counts its live
// descendants at most MaxAncestors away. It costs a walk up and, only when n has live descendants, one down.
func (s *State) spread(n *Node, sign int32) {
	own := int32(0)
	if n.isLive() {
		own = 1
	}
	if n.live == 0 {
		if own != 0 {
			s.climb(n, sign)
		}
		return
	}
	clear(s.depths)
	s.measure(n, 0)
	total := int32(0)
	for _, c := range s.depths {
		total += c
	}
	// The ancestor at distance d counts those at depths up to MaxAncestors - d; depths end one before
	// MaxAncestors, so the nearest counts all.
	for a, d := n.parent, 1; a != nil && d <= len(s.depths); a, d = a.parent, d+1 {
		s.addLive(a, sign*total)
		total -= s.depths[len(s.depths)-d]
	}
}

// measure counts the live among n and its descendants by depth.
func (s *State) measure(n *Node, depth int) {
	if n.isLive() {
		s.depths[depth]++
	}
	if depth+1 == len(s.depths) || n.live == 0 {
		return
	}
	for c := n.child; c != nil; c = c.next {
		s.measure(c, depth+1)
	}
}

// climb adds delta to the live descendants of the ancestors of n.
func (s *State) climb(n *Node, delta int32) {
	for a, d := n.parent, 1; a != nil && d <= len(s.depths); a, d = a.parent, d+1 {
		s.addLive(a, delta)
	}
}

func (s *State) addLive(n *Node, delta int32) {
	n.live += delta
	s.reclass(n)
}

// ripe reports whether n lacks a parent that may still be found.
func (n *Node) ripe() bool {
	return n.is(flagPPID) && n.ppid > 0 && n.ppid != n.pid && !n.is(flagLinked|flagUnlinked|flagStub|flagLatest)
}

// waits reports whether n stands among those that wait for a parent. Whatever changes the answer takes n out
// before and puts it back after.
func (n *Node) waits() bool { return n.parent == nil && n.ripe() }

// wait puts n, which is ripe, among those that wait for their parent's exec.
func (s *State) wait(n *Node) {
	first := n.host.waiting[n.ppid]
	n.prev, n.next = nil, first
	if first != nil {
		first.prev = n
	}
	n.host.waiting[n.ppid] = n
}

// leave takes n out of those that wait. It must be ripe still.
func (s *State) leave(n *Node) {
	switch {
	case n.prev != nil:
		n.prev.next = n.next
	case n.next != nil:
		n.host.waiting[n.ppid] = n.next
	default:
		delete(n.host.waiting, n.ppid)
	}
	if n.next != nil {
		n.next.prev = n.prev
	}
	n.prev, n.next = nil, nil
}

// bind records that p is the parent of n. n must not have one and must not wait.
func (s *State) bind(n, p *Node) bool {
	if !s.attach(n, p) {
		return false
	}
	s.change(n)
	n.flags |= flagLinked
	n.parentID = p.id
	return true
}

// unbind takes the parent of n away for good; again says that it may be looked for once more.
func (s *State) unbind(n *Node, again bool) {
	s.change(n)
	s.detach(n)
	n.flags &^= flagLinked
	n.parentID = 0
	if !again {
		n.flags |= flagUnlinked
	} else if n.waits() {
		s.wait(n)
	}
}

// adopt looks for the parent of n, which has none, is ripe and does not wait, and lets it wait when there is
// none.
func (s *State) adopt(n *Node, hint *event.File) Result {
	p, r := s.ask(n.host, n.ppid, n.start, hint)
	if r == Hit {
		if p.is(flagStub) {
			r = Unknown // whoever it was, it is forgotten
		} else if s.bind(n, p) {
			return Hit
		} else {
			r = Unknown
		}
	}
	s.wait(n)
	return r
}

// release takes from n, if there is one, the children of which it is not certain any more that they are its own: an exit or
// another process with its id, just learnt, says that they were started later, or perhaps so. They wait for the one
// they are from. It costs a look at each child, whenever a time of n changes.
func (s *State) release(n *Node) {
	if n == nil || n.child == nil || n.is(flagStub) {
		return
	}
	s.scratch = s.scratch[:0]
	for c := n.child; c != nil; c = c.next {
		if p, _ := s.ask(n.host, n.pid, c.start, nil); p != n {
			s.scratch = append(s.scratch, c)
		}
	}
	bySeq(s.scratch)
	for _, c := range s.scratch {
		s.unbind(c, true)
	}
}

// reunite links those that waited for n, whose start has become known. Slack does not count here, as there is
// nothing that says that n is meant but its process id: a start in whole seconds is only compared in whole
// seconds.
func (s *State) reunite(n *Node) {
	if n.is(flagLatest|flagStub) || n.host.waiting[n.pid] == nil {
		return
	}
	s.scratch = s.scratch[:0]
	for w := n.host.waiting[n.pid]; w != nil; w = w.next {
		if n.holds(w.start) || sameSecond(n.start, w.start) {
			s.scratch = append(s.scratch, w)
		}
	}
	bySeq(s.scratch)
	for _, w := range s.scratch {
		if p, r := s.ask(n.host, n.pid, w.start, nil); r != Hit || p != n {
			continue
		}
		s.leave(w)
		if !s.bind(w, n) {
			s.wait(w)
		}
	}
}

// sameSecond reports whether two times cannot be told apart: one is in whole seconds, the other in that second.
func sameSecond(a, b int64) bool {
	return whole(a) && since(b, a) >= 0 && since(b, a) < second || whole(b) && since(a, b) >= 0 && since(a, b) < second
}
