// Package state is what one partition remembers: lineage today; variables, windows and limiters later, with
// one change log, one expiry and one journal for all of them. It is pure memory: no I/O, no clock, no
// goroutine. Everything in it is deterministic: the same calls give the same state and the same changes.
// It imports pipeline/event and nothing else of ours.
//
// Lineage is a table of process nodes by host. A question is always "who was process P at time T" (lookup.go);
// the answers come from what events said of themselves and of their parents (exec.go, exit.go, seen.go,
// teach.go). What a node knows is bounded (evict.go) and forgotten with time (expire.go). Every node has
// primary fields, which a Change carries, and derived ones (who its children are, where it stands in the order
// of eviction), which one function, rebuild, makes from the primary ones of all nodes. Rollback and restore
// both end in it, so both give what an uninterrupted run would have.
package state

import (
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// State is what one partition remembers. It is owned by the goroutine that owns the partition.
type State struct {
	cfg   Config // constant after New
	clock Clock
	seq   uint64 // of the last change; orders the nodes of a class

	hosts    map[string]*host
	lastHost *host // the host asked for last: records of a host come in runs
	nodes    int   // nodes with fields
	stubs    int
	bytes    int64
	interned intern
	// classes order the nodes with fields by their last change, oldest first in eviction order.
	classes [classCount]*simplelru.LRU[*Node, struct{}]

	journal   journal  // of the commit interval that runs
	sealed    *journal // of the one whose commit is under way; nil when there is none
	spare     journal  // memory for the next
	restoring bool
	stats     Stats

	scratch []*Node // of one call
	depths  []int32 // of one call; live descendants by depth
}

// New returns an empty state. A zero field of cfg takes its default.
func New(cfg Config) *State {
	s := &State{cfg: cfg.withDefaults()}
	s.depths = make([]int32, s.cfg.MaxAncestors)
	s.empty()
	s.journal.begin(s)
	return s
}

// empty drops every node, and what is derived from them.
func (s *State) empty() {
	s.hosts, s.lastHost = make(map[string]*host), nil
	s.nodes, s.stubs, s.bytes = 0, 0, 0
	s.interned.empty()
	for i := range s.classes {
		s.classes[i] = newOrder()
	}
}
