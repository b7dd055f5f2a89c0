package state

// journal remembers what the nodes that changed in one commit interval were before it, so that Rollback can
// restore them and Changes can tell what became of them. A State has one for the interval that runs, and one
// for the interval whose commit is under way.
type journal struct {
	entries []entry
	// gone are the nodes removed since the last commit, by name: when one of that name comes again it takes the
	// same entry, so that equal names coalesce.
	gone map[name]*Node
	seq  uint64 // of the State at the last commit
	at   Clock  // of the State at the last commit
}

type entry struct {
	node    *Node
	before  Node // its primary fields at the last commit
	existed bool // at the last commit
	exists  bool
}

// name is what a node is called in a change.
type name struct {
	host    string
	pid, id int64
}

func (n *Node) name() name { return name{n.host.name, n.pid, n.id} }

// keepEntries is how many entries stay allocated between commits.
const keepEntries = 1 << 14

// begin starts a commit interval.
func (j *journal) begin(s *State) {
	for i := range j.entries {
		j.entries[i].node.entry = 0
	}
	j.clear()
	j.seq, j.at = s.seq, s.clock
}

// clear lets go of everything but a moderate amount of memory.
func (j *journal) clear() {
	clear(j.entries)
	j.entries = j.entries[:0]
	if cap(j.entries) > keepEntries {
		j.entries = nil
	}
	if j.gone == nil || len(j.gone) > keepEntries {
		j.gone = make(map[name]*Node)
	} else {
		clear(j.gone)
	}
}

// change notes that n, which exists, is about to change, and makes it the newest of its class. It is called
// before every change of a primary field.
func (s *State) change(n *Node) {
	if n.entry == 0 {
		s.journal.add(n, true)
	}
	s.touch(n)
}

// touch makes n the newest of its class.
func (s *State) touch(n *Node) {
	s.seq++
	n.seq = s.seq
	n.touched = s.clock.Now
	if n.class != outside {
		s.classes[n.class].Get(n)
	}
}

func (j *journal) add(n *Node, existed bool) {
	j.entries = append(j.entries, entry{node: n, before: *n, existed: existed, exists: true})
	n.entry = int32(len(j.entries))
}

// removed notes that n, which change was told of, is gone.
func (j *journal) removed(n *Node) {
	j.entries[n.entry-1].exists = false
	j.gone[n.name()] = n
}

// create makes a node of that name, which must be free. The caller fills it in, places and touches it.
func (s *State) create(h *host, pid, id int64) *Node {
	n := s.journal.gone[name{h.name, pid, id}]
	if n != nil {
		delete(s.journal.gone, n.name())
		s.journal.entries[n.entry-1].exists = true
		*n = Node{entry: n.entry}
	} else {
		n = &Node{}
		s.journal.add(n, false)
	}
	n.host, n.pid, n.id, n.root = h, pid, id, pid == systemPID
	n.class = outside
	return n
}

// Seal ends the commit interval that runs: its changes, which Changes has told, are on their way, and the next
// interval begins. Committed ends the one sealed, and has to be called before the next Seal.
func (s *State) Seal() {
	if s.sealed != nil {
		panic("state: sealed twice without a commit in between")
	}
	for i := range s.journal.entries {
		s.journal.entries[i].node.entry = 0
	}
	j := s.journal
	s.sealed = &j
	s.journal = s.spare
	s.spare = journal{}
	s.journal.begin(s)
}

// Committed says that everything up to the last Seal, or without one up to now, is durable: it is what
// Rollback goes back to from here on.
func (s *State) Committed() {
	if s.sealed == nil {
		s.journal.begin(s)
		return
	}
	// The nodes in it may be in the running interval's journal by now, so their entry is not its any more.
	s.spare, s.sealed = *s.sealed, nil
	s.spare.clear()
}

// Rollback restores the state, partition time included, to what it was at the last Committed, or at the last
// RestoreDone: the interval that runs is undone, then the one sealed. It costs a walk over the whole table, as
// it is for the rare case of a commit in doubt.
func (s *State) Rollback() {
	s.undo()
	s.mend() // a restore under other bounds has, too
}

// undo is Rollback but for what the bounds take away: the state is what was told of it.
func (s *State) undo() {
	first := &s.journal
	sealed := make(map[*Node]struct{})
	if s.sealed != nil {
		first = s.sealed
		for i := range first.entries {
			sealed[first.entries[i].node] = struct{}{}
		}
	}
	nodes := s.all(func(n *Node) bool {
		_, older := sealed[n]
		return n.entry == 0 && !older
	})
	undo := func(j *journal, unless map[*Node]struct{}) {
		for i := range j.entries {
			e := &j.entries[i]
			if _, older := unless[e.node]; e.existed && !older {
				*e.node = e.before
				nodes = append(nodes, e.node)
			}
		}
	}
	undo(first, nil)
	if s.sealed != nil {
		undo(&s.journal, sealed) // what the sealed interval knows is older
	}
	s.seq, s.clock = first.seq, first.at
	s.sealed = nil
	if err := s.rebuild(nodes); err != nil {
		panic("state: rollback to a state that never was: " + err.Error())
	}
	s.journal.begin(s)
}

// all lists the nodes that satisfy want, in no order.
func (s *State) all(want func(*Node) bool) []*Node {
	nodes := make([]*Node, 0, s.nodes+s.stubs)
	for _, h := range s.hosts {
		for _, n := range h.pids {
			for ; n != nil; n = n.older {
				if want(n) {
					nodes = append(nodes, n)
				}
			}
		}
	}
	return nodes
}
