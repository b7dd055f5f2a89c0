package state

import (
	"math"

	"spoor/pipeline/event"
)

// forever is the end of a generation that has none yet.
const forever = math.MaxInt64

// Node is one process of one host: a generation [start, end) of its process id. It is owned by its State, and
// what it says holds until the State's next call that learns or advances.
//
// The fields up to touched are primary: a Change carries them. The others are derived (see rebuild).
type Node struct {
	// proc is what events show of the process. PID and PPID point to the fields below, Executable, Container
	// and User into the interned values.
	proc      event.Process
	pid, ppid int64
	// id and the process id are the node's name, which children keep. It is the start as first learnt, moved
	// on by a nanosecond when that was taken, and never changes; start may, when it is learnt better.
	id         int64
	start, end int64 // nanoseconds since 1970-01-01 UTC
	parentID   int64 // id of the parent, whose process id is ppid; with flagLinked
	flags      flags
	seq        uint64 // of the last change; derived from the order of changes on restore
	touched    int64  // partition time of the last change, milliseconds

	root              bool // the process is one that Root knows
	class             class
	live              int32 // live descendants at most MaxAncestors away
	entry             int32 // 1 + index in the journal; 0: unchanged since the last commit
	host              *host
	older             *Node // the next older generation of the process id
	parent            *Node
	child, prev, next *Node // first child; siblings, or those that wait for the same parent
}

type flags uint16

const (
	flagExec     flags = 1 << iota // learnt from its own exec
	flagAgent                      // taught by an agent as somebody's parent
	flagLatest                     // start is only the latest that it can be
	flagExited                     // end is its own exit, not a later process's start
	flagLinked                     // parentID names the parent
	flagUnlinked                   // had a parent that was dropped; never linked again
	flagPPID                       // ppid is known
	flagStub                       // evicted; only its time is left
	flagsKnown   = 1<<iota - 1
)

// class is where a node stands in the order of eviction.
type class uint8

const (
	exited  class = iota // no live descendant
	needed               // exited, with a live descendant
	running              // live
	classCount
	outside class = classCount // stubs are in no order
)

func (n *Node) is(f flags) bool { return n.flags&f != 0 }

// isLive reports whether no end is known.
func (n *Node) isLive() bool { return n.end == forever && !n.is(flagStub) }

// Process is what is known of the process. It must not be changed.
func (n *Node) Process() *event.Process { return &n.proc }

// Parent is the process that started n; nil when it is unknown, forgotten, or there is none.
func (n *Node) Parent() *Node {
	if n.parent == nil || n.parent.is(flagStub) {
		return nil
	}
	return n.parent
}

// NoParent reports whether n is known to have no parent.
func (n *Node) NoParent() bool {
	if n.is(flagPPID) {
		return n.ppid == 0
	}
	return n.is(flagExec)
}

// Ends reports whether a chain that reaches n is complete: n has no parent, or is one whose parent is not
// expected to be known.
func (n *Node) Ends() bool { return n.root || n.NoParent() }

// A node takes these bytes beside its texts: itself, its entry in an order of eviction, and its share of the
// three maps that lead to them. A test holds the sum against the heap.
const (
	nodeBytes = 240 + 64 + 40 + 44
	stubBytes = 240 + 44
)

func (n *Node) size() int64 {
	if n.is(flagStub) {
		return stubBytes
	}
	return nodeBytes + textBytes(len(n.proc.Cmdline))
}

// textBytes is what a text of n bytes takes on the heap: its size class, roughly.
func textBytes(n int) int64 {
	switch {
	case n == 0:
		return 0
	case n <= 128:
		return int64(n+15) &^ 15
	case n <= 1024:
		return int64(n+63) &^ 63
	}
	return int64(n + n/16)
}

// clear forgets everything but the node's name and time.
func (s *State) clear(n *Node) {
	s.setExecutable(n, nil)
	s.setUser(n, "")
	s.setContainer(n, nil)
	n.proc = event.Process{}
	n.ppid, n.parentID = 0, 0
	n.flags &^= flagPPID | flagLinked | flagUnlinked | flagExec | flagAgent
}

// setPPID and the others set one field and say whether that changed it. The node must have been given to
// change before, or be new; bytes are the caller's to count.
func (n *Node) setPPID(ppid int64) {
	n.ppid = ppid
	n.flags |= flagPPID
	n.proc.PPID = &n.ppid
}

func (s *State) setExecutable(n *Node, f *event.File) {
	old := n.proc.Executable
	n.proc.Executable = s.internFile(f)
	s.releaseFile(old)
	n.root = n.pid == systemPID || rootFile(n.proc.Executable)
}

func (s *State) setUser(n *Node, user string) {
	old := n.proc.User
	n.proc.User = s.internText(user)
	s.releaseText(old)
}

func (s *State) setContainer(n *Node, c *event.Container) {
	old := n.proc.Container
	n.proc.Container = s.internContainer(c)
	s.releaseContainer(old)
}
