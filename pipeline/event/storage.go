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
}

// absent marks a process id that the record did not give: a value that no process has.
const absent = math.MinInt64

var absentText = strconv.AppendInt(nil, absent, 10)

// attach empties the storage and points e's objects at it.
func (s *storage) attach(e *Event) {
	*s = storage{pid: absent, ppid: absent}
	s.file.Destination = &s.target
	s.process.Executable = &s.executable
	s.process.PID, s.process.PPID = &s.pid, &s.ppid
	*e = Event{Agent: &s.agent, Evt: &s.evt, File: &s.file, Exit: &s.exit, Process: &s.process,
		Registry: &s.registry, Usr: &s.usr, PermissionChange: &s.permission}
}

// detach takes the process ids away that are marked absent. It returns false when the mark may be the
// record's own, which its text tells.
func (s *storage) detach(value []byte, e *Event) bool {
	p := e.Process
	if p == nil {
		return true
	}
	pid := p.PID != nil && *p.PID == absent
	ppid := p.PPID != nil && *p.PPID == absent
	if (pid || ppid) && bytes.Contains(value, absentText) {
		return false
	}
	if pid {
		p.PID = nil
	}
	if ppid {
		p.PPID = nil
	}
	return true
}
