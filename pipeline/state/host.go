package state

import (
	"cmp"
	"slices"
)

// maxGenerations is how many processes are kept that had the same process id on a host.
const maxGenerations = 4

// host is the table of one host. Process ids and times mean something only within it.
type host struct {
	name    string
	pids    map[int64]*Node // the newest generation; older ones hang on it, start descending
	last    *Node           // the newest generation asked for last: events of a process come in runs; may be nil
	waiting map[int64]*Node // by the process id of the parent they lack
	nodes   int             // stubs included; a host without any is dropped

	// Parent ids asked for and not found lately; not part of the state, see countParent.
	asked, missed int
	suspect       bool
}

// What a host takes beside its nodes.
const hostBytes = 112 + 2*200 + 64

// host returns the table of a host, with a new one when there is none and add is set.
func (s *State) host(name string, add bool) *host {
	if h := s.lastHost; h != nil && h.name == name {
		return h
	}
	h, ok := s.hosts[name]
	if !ok {
		if !add {
			return nil
		}
		h = s.addHost(name)
	}
	s.lastHost = h
	return h
}

func (s *State) addHost(name string) *host {
	name = string([]byte(name)) // out of the record
	h := &host{name: name, pids: make(map[int64]*Node), waiting: make(map[int64]*Node)}
	s.hosts[name] = h
	s.bytes += hostBytes + textBytes(len(name))
	return h
}

func (s *State) dropHost(h *host) {
	delete(s.hosts, h.name)
	if s.lastHost == h {
		s.lastHost = nil
	}
	if h.suspect {
		s.stats.SuspectHosts--
	}
	s.bytes -= hostBytes + textBytes(len(h.name))
}

// A host becomes suspect when of its last suspectSample parent ids, or up to twice as many, most are unknown.
const suspectSample = 64

func (s *State) countParent(h *host, r Result) {
	h.asked++
	if r != Hit {
		h.missed++
	}
	if h.asked < suspectSample/2 {
		return
	}
	suspect := 2*h.missed > h.asked
	if suspect != h.suspect {
		h.suspect = suspect
		if suspect {
			s.stats.SuspectHosts++
		} else {
			s.stats.SuspectHosts--
		}
	}
	if h.asked == 2*suspectSample {
		h.asked, h.missed = h.asked/2, h.missed/2
	}
}

// newest is the newest generation of a process id.
func (h *host) newest(pid int64) *Node {
	if n := h.last; n != nil && n.pid == pid {
		return n
	}
	n := h.pids[pid]
	if n != nil {
		h.last = n
	}
	return n
}

// place puts n among the generations of its process id and returns the next older and the next newer one.
func (h *host) place(n *Node) (older, newer *Node) {
	h.last = nil
	for g := h.pids[n.pid]; g != nil && g.before(n); g = g.older {
		newer = g
	}
	if newer == nil {
		older = h.pids[n.pid]
		h.pids[n.pid] = n
	} else {
		older = newer.older
		newer.older = n
	}
	n.older = older
	h.nodes++
	return older, newer
}

// before reports whether g stands before n in the list, which is newest first. The name breaks a tie.
func (g *Node) before(n *Node) bool {
	if g.start != n.start {
		return g.start > n.start
	}
	return g.id > n.id
}

// displace takes n out of the generations of its process id.
func (h *host) displace(n *Node) {
	h.last = nil
	at := h.pids[n.pid]
	if at == n {
		if n.older == nil {
			delete(h.pids, n.pid)
		} else {
			h.pids[n.pid] = n.older
		}
	} else {
		for at.older != n {
			at = at.older
		}
		at.older = n.older
	}
	n.older = nil
	h.nodes--
}

// find returns the node of that name.
func (h *host) find(pid, id int64) *Node {
	for g := h.pids[pid]; g != nil; g = g.older {
		if g.id == id {
			return g
		}
	}
	return nil
}

// bySeq sorts nodes by their last change, so that what is done to all of them has one order.
func bySeq(nodes []*Node) {
	slices.SortFunc(nodes, func(a, b *Node) int { return cmp.Compare(a.seq, b.seq) })
}
