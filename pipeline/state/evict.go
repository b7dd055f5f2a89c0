package state

import (
	"math"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// newOrder returns an order of nodes by last change. It never evicts by itself: the bounds are over all of
// them together.
func newOrder() *simplelru.LRU[*Node, struct{}] {
	order, err := simplelru.NewLRU[*Node, struct{}](math.MaxInt, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return order
}

// classify says where n belongs in the order of eviction.
func (n *Node) classify() class {
	switch {
	case n.is(flagStub):
		return outside
	case n.end == forever:
		return running
	case n.live > 0:
		return needed
	}
	return exited
}

// reclass moves n to where it belongs now. That is a change, so that an order by last change stays the order
// of the list, also after a restore; and an exited process is remembered for ExitedTTL after its last live
// descendant went.
func (s *State) reclass(n *Node) {
	c := n.classify()
	if c == n.class {
		return
	}
	if n.class != outside {
		s.classes[n.class].Remove(n)
	}
	n.class = c
	if c != outside {
		s.classes[c].Add(n, struct{}{})
		s.change(n)
	}
}

// enforce evicts until the bounds hold. It spares keep, which the current event is about, so at least one node
// always stays.
func (s *State) enforce(keep *Node) {
	if s.fits() {
		return
	}
	if keep != nil {
		s.change(keep) // now it is the oldest of its class only when it is alone there
	}
	for !s.fits() {
		victim := s.victim(keep)
		if victim == nil {
			return
		}
		s.stats.Evictions[Kind(victim.class)]++
		s.forget(victim)
	}
}

func (s *State) fits() bool { return s.nodes <= s.cfg.MaxNodes && s.bytes <= s.cfg.MaxBytes }

// victim is the node to evict next: nil when there is none but keep.
func (s *State) victim(keep *Node) *Node {
	if s.nodes <= 1 {
		return nil
	}
	for _, order := range s.classes {
		if n, _, ok := order.GetOldest(); ok && n != keep {
			return n
		}
	}
	return nil
}

// forget drops what is known of n. While others name it as their parent its time stays, as a stub; their
// chains end there. It is recorded as a change, so a restored state forgets the same.
func (s *State) forget(n *Node) {
	if n.child == nil {
		s.remove(n)
		if n.host.nodes == 0 {
			s.dropHost(n.host)
		}
		return
	}
	s.change(n)
	s.secede(n)
	s.bytes -= n.size()
	s.clear(n)
	n.flags |= flagStub
	s.bytes += n.size()
	s.nodes--
	s.stubs++
	s.reclass(n)
}

// secede takes n from its parent or from those that wait for one.
func (s *State) secede(n *Node) {
	if n.parent != nil {
		s.detach(n)
	} else if n.waits() {
		s.leave(n)
	}
}

// remove drops n, which has no children, altogether.
func (s *State) remove(n *Node) {
	s.change(n)
	s.secede(n)
	s.bytes -= n.size()
	if n.is(flagStub) {
		s.stubs--
	} else {
		s.nodes--
		s.classes[n.class].Remove(n)
		s.clear(n)
	}
	n.host.displace(n)
	s.journal.removed(n)
}

// disown takes the parent away from every child of n; again says that they may find another.
func (s *State) disown(n *Node, again bool) {
	children := make([]*Node, 0, 8)
	for c := n.child; c != nil; c = c.next {
		children = append(children, c)
	}
	bySeq(children)
	for _, c := range children {
		if c.parent == n { // a stub goes with its last child, which is this one
			s.unbind(c, again)
		}
	}
}

// drop removes n with its name: its children have no parent any more.
func (s *State) drop(n *Node, why Kind, again bool) {
	s.stats.Evictions[why]++
	stub := n.is(flagStub)
	s.disown(n, again)
	if !stub { // a stub went with its last child
		s.remove(n)
	}
}
