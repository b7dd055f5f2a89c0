package event

import (
	"bytes"
	"math"
	"strconv"
)

// storage holds the objects that a record may need, so that decoding it allocates none of them. Its owner is
// the Decoder's. Attached to an event they are all there, empty; complete takes away those that the record
// did not fill. A null in the record, or an object that comes twice, is handled by go-json as for any other
// pointers.
type storage struct {
	agent      Agent
	evt        Evt
	file       FileEvent
	target     File
	exit       Exit
	process    ProcessContext
	executable File
	pid, ppid  int64
	registry   Registry
	usr        User
	permission PermissionChange

	// ancestors are as many as the records lately had: agents that know them send them with every event.
	// chain points at them, and is the list that a record is decoded into.
	ancestors []ancestor
	chain     []*Process
}

// ancestor is a process in a list, with the objects it may need.
type ancestor struct {
	process    Process
	executable File
	pid, ppid  int64
}

// maxAncestors bounds the ancestors kept from record to record.
const maxAncestors = 64

// absent marks a process id that the record did not give: a value that no process has.
const absent = math.MinInt64

var absentText = strconv.AppendInt(nil, absent, 10)

// attach empties the storage and points e's objects at it. With marks, process ids are there too, marked as
// absent.
func (s *storage) attach(e *Event, marks bool) {
	*s = storage{pid: absent, ppid: absent, ancestors: s.ancestors, chain: s.chain}
	s.file.Destination = &s.target
	s.process.Executable = &s.executable
	if marks {
		s.process.PID, s.process.PPID = &s.pid, &s.ppid
	}
	for i := range s.ancestors {
		a := &s.ancestors[i]
		*a = ancestor{pid: absent, ppid: absent}
		a.process.Executable = &a.executable
		if marks {
			a.process.PID, a.process.PPID = &a.pid, &a.ppid
		}
		s.chain[i] = &a.process
	}
	// Go-json decodes into the elements up to the capacity, as it does for a list that comes twice.
	s.process.Ancestors = s.chain[:0]
	*e = Event{Agent: &s.agent, Evt: &s.evt, File: &s.file, Exit: &s.exit, Process: &s.process,
		Registry: &s.registry, Usr: &s.usr, PermissionChange: &s.permission}
}

// detach takes the process ids away that are marked absent. It returns false when a mark may be the record's
// own, which its text tells.
func (s *storage) detach(value []byte, e *Event) bool {
	if e.Process == nil {
		return true
	}
	marked := unmark(&e.Process.Process)
	for _, a := range e.Process.Ancestors {
		if a != nil && unmark(a) {
			marked = true
		}
	}
	return !marked || !bytes.Contains(value, absentText)
}

// unmark takes absent ids away and reports whether there were any.
func unmark(p *Process) (marked bool) {
	if p.PID != nil && *p.PID == absent {
		p.PID, marked = nil, true
	}
	if p.PPID != nil && *p.PPID == absent {
		p.PPID, marked = nil, true
	}
	return marked
}

// grow makes room for as many ancestors as e has. E keeps those it has; it takes effect at the next attach.
func (s *storage) grow(e *Event) {
	if e.Process == nil || len(e.Process.Ancestors) <= len(s.ancestors) || len(s.ancestors) == maxAncestors {
		return
	}
	n := min(len(e.Process.Ancestors), maxAncestors)
	s.ancestors = make([]ancestor, n)
	s.chain = make([]*Process, n)
}
