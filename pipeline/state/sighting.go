package state

import (
	"unicode/utf8"

	"spoor/pipeline/event"
)

// Sighting is what one event says of a process. Its texts may point into the record; what is kept of them is
// cloned.
type Sighting struct {
	Host    string
	Date    event.Time
	Process *event.ProcessContext // not nil
}

// Answer is what the table knows of the process an event is about.
type Answer struct {
	Result Result
	// Self is the process; nil when it is unknown.
	Self *Node
	// Parent is its parent: of an event that has no process id, too. nil when it is unknown or there is none.
	Parent *Node
	// NoParent says that the process is known to have no parent.
	NoParent bool
}

func answer(n *Node, r Result) Answer {
	if n == nil {
		return Answer{Result: r}
	}
	return Answer{Result: r, Self: n, Parent: n.Parent(), NoParent: n.NoParent()}
}

// id is a process id that can be one: 0 is the idle process, which starts nothing.
func id(p *int64) (int64, bool) {
	if p == nil || *p <= 0 {
		return 0, false
	}
	return *p, true
}

// What is remembered of one process is bounded, so that no event makes a change that a changelog does not take, which would
// stop its partition for good. A command line is cut; other texts that are longer than any real one are as good as not given.
const (
	maxCmdline   = 8 << 10
	maxFile      = 256 << 10 // path, device path and name; Windows has paths of 32,767 UTF-16 units
	maxUser      = 4 << 10
	maxContainer = 64 << 10 // id and variables
	maxChange    = 256      // what else is in a change: numbers
)

// MaxHost is the longest name of a host that is one, in bytes.
const MaxHost = 4 << 10

// MaxChangeBytes is the longest Change there is, key and value, of hosts up to MaxHost.
const MaxChangeBytes = MaxHost + maxFile + maxCmdline + maxUser + maxContainer + maxChange

// user is the user's name that p gives, "" when it gives none that can be remembered.
func user(p *event.Process) string {
	if len(p.User) > maxUser {
		return ""
	}
	return p.User
}

// container is the container that p gives, nil when it gives none that can be remembered.
func container(p *event.Process) *event.Container {
	if c := p.Container; c != nil && len(c.ID)+len(c.Variables) <= maxContainer {
		return c
	}
	return nil
}

// cut shortens a command line to what is remembered, at a character's end.
func cut(cmdline string) string {
	if len(cmdline) <= maxCmdline {
		return cmdline
	}
	n := maxCmdline
	for n > maxCmdline-utf8.UTFMax && !utf8.RuneStart(cmdline[n]) {
		n--
	}
	return cmdline[:n]
}

// Chain appends the ancestors of a process to dst, beginning with its parent, at most limit of them. Truncated
// says that there were more, complete that the last one has no parent as far as can be known (see Node.Ends).
func (s *State) Chain(parent *Node, limit int, dst []*event.Process) (_ []*event.Process, truncated, complete bool) {
	var last *Node
	n := 0
	for a := parent; a != nil; a = a.parent {
		if a.is(flagStub) {
			return dst, false, false
		}
		if n == limit {
			return dst, true, false
		}
		n++
		dst = append(dst, &a.proc)
		s.use(a)
		last = a
	}
	return dst, false, last != nil && last.Ends()
}
