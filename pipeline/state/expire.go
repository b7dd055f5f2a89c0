package state

import "time"

// expire drops what is too old by partition time. The nodes of a class stand in the order of their last change,
// and partition time never goes back, so the oldest are those that expire: a call that finds nothing to do costs
// two looks.
func (s *State) expire() {
	s.expireClass(exited, s.cfg.ExitedTTL, ExpiredExited)
	s.expireClass(running, s.cfg.LiveTTL, ExpiredLive)
}

func (s *State) expireClass(c class, ttl time.Duration, why Kind) {
	deadline := s.clock.Now - int64(ttl/time.Millisecond)
	for {
		n, _, ok := s.classes[c].GetOldest()
		if !ok || n.touched > deadline {
			return
		}
		s.stats.Evictions[why]++
		s.forget(n)
	}
}

// use notes that n was used for an event. Only the first use in a TouchInterval is remembered.
func (s *State) use(n *Node) {
	if s.clock.Now-n.touched >= int64(s.cfg.TouchInterval/time.Millisecond) {
		s.change(n)
	}
}
