package state

import (
	"cmp"
	"slices"
	"strings"

	"spoor/pipeline/event"
)

// Entry is one process as an operator looks at it.
type Entry struct {
	Host    string
	Process event.Process // nothing but the ids of a Stub
	PID     int64
	// Start and End are nanoseconds since 1970-01-01 UTC; Running has no End.
	Start, End int64
	Running    bool
	Exited     bool // its own exit was seen
	Stub       bool // forgotten but for its time, because another names it as parent
	// Changed is partition time of the last change, milliseconds.
	Changed int64
	Bytes   int64 // its share of the bound, without what it shares with others
	Parent  int64 // the parent's process id; 0 when it is not known
}

// Entries lists everything remembered, by host, process id and start. What they point to belongs to the State.
func (s *State) Entries() []Entry {
	nodes := s.all(func(*Node) bool { return true })
	out := make([]Entry, len(nodes))
	for i, n := range nodes {
		e := Entry{Host: n.host.name, Process: n.proc, PID: n.pid, Start: n.start, Running: n.isLive(), Exited: n.is(flagExited), Stub: n.is(flagStub),
			Changed: n.touched, Bytes: n.size()}
		if n.end != forever {
			e.End = n.end
		}
		if n.parent != nil {
			e.Parent = n.parent.pid
		}
		out[i] = e
	}
	slices.SortFunc(out, func(a, b Entry) int {
		return cmp.Or(strings.Compare(a.Host, b.Host), cmp.Compare(a.PID, b.PID), cmp.Compare(a.Start, b.Start))
	})
	return out
}
