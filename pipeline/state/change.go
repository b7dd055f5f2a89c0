package state

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"spoor/pipeline/event"
)

// Change is one absolute value of the state: what Key holds now. A nil Value means that Key is gone. Keys
// and values are encoded with a version; they belong to the receiver.
type Change struct{ Key, Value []byte }

// The first byte of a key says what it is of, the first of a value how it is written.
const (
	kindProcess    = 'p'
	processVersion = 1
)

// Changes appends to dst what changed since the last Seal, Committed or Rollback: one value for each key that is not
// what it was, and none for what came and went. They stand in the order of the last change, which Restore
// needs to find the same order of eviction.
func (s *State) Changes(dst []Change) []Change {
	order := make([]*entry, 0, len(s.journal.entries))
	for i := range s.journal.entries {
		if e := &s.journal.entries[i]; e.exists || e.existed {
			order = append(order, e)
		}
	}
	slices.SortFunc(order, func(a, b *entry) int { return cmp.Compare(a.node.seq, b.node.seq) })
	// One buffer for all of them. It grows by moving, so the parts are cut out at the end.
	var buf []byte
	ends := make([]int, 0, 2*len(order))
	for _, e := range order {
		buf = appendKey(buf, e.node.name())
		ends = append(ends, len(buf))
		if e.exists {
			buf = appendValue(buf, e.node)
		}
		ends = append(ends, len(buf))
	}
	start := 0
	for i := range order {
		key, end := ends[2*i], ends[2*i+1]
		c := Change{Key: buf[start:key:key]}
		if end > key {
			c.Value = buf[key:end:end]
		}
		dst = append(dst, c)
		start = end
	}
	return dst
}

func appendKey(b []byte, n name) []byte {
	b = append(b, kindProcess)
	b = appendText(b, n.host)
	b = binary.AppendVarint(b, n.pid)
	return binary.AppendVarint(b, n.id)
}

func decodeKey(b []byte) (name, error) {
	r := reader{rest: string(b)}
	if kind := r.byte(); kind != kindProcess && r.err == nil {
		return name{}, fmt.Errorf("unknown kind %q", kind)
	}
	n := name{host: r.text(), pid: r.varint(), id: r.varint()}
	return n, r.done()
}

// appendValue writes the primary fields of n that its key does not hold. Times are relative to the id, which
// they are near.
func appendValue(b []byte, n *Node) []byte {
	b = append(b, processVersion)
	b = binary.AppendUvarint(b, uint64(n.flags))
	b = binary.AppendVarint(b, n.ppid)
	b = binary.AppendVarint(b, n.start-n.id)
	b = binary.AppendVarint(b, n.end-n.id)
	if n.is(flagLinked) {
		b = binary.AppendVarint(b, n.parentID-n.id)
	}
	b = binary.AppendVarint(b, n.touched)
	if n.is(flagStub) {
		return b
	}
	p := &n.proc
	var f event.File
	if p.Executable != nil {
		f = *p.Executable
	}
	b = appendText(b, f.Path)
	b = appendText(b, f.DevicePath)
	b = appendText(b, f.Name)
	b = appendText(b, p.Cmdline)
	b = appendText(b, p.User)
	if c := p.Container; c != nil {
		b = append(b, 1)
		b = appendText(b, c.ID)
		b = binary.AppendVarint(b, int64(c.CreatedAt))
		b = appendText(b, string(c.Variables))
		return b
	}
	return append(b, 0)
}

// decodeValue fills n, whose key is set. What it keeps of b is cloned or interned.
func (s *State) decodeValue(b []byte, n *Node) error {
	r := reader{rest: string(b)} // one copy, which the texts are cut from and does not outlive the call
	if v := r.byte(); v != processVersion && r.err == nil {
		return &FormatError{Format: int(v), Reads: processVersion}
	}
	f := r.uvarint()
	if f&^flagsKnown != 0 {
		return errBroken
	}
	n.flags = flags(f)
	if n.is(flagLinked) && !n.is(flagPPID) {
		return errBroken
	}
	n.ppid = r.varint()
	n.start = n.id + r.varint()
	n.end = n.id + r.varint()
	if n.is(flagLinked) {
		n.parentID = n.id + r.varint()
	}
	n.touched = r.varint()
	if n.is(flagStub) {
		if n.is(flagLinked | flagPPID) {
			return errBroken
		}
		return r.done()
	}
	file := event.File{Path: r.text(), DevicePath: r.text(), Name: r.text()}
	cmdline, user := r.text(), r.text()
	var container *event.Container
	switch r.byte() {
	case 0:
	case 1:
		container = &event.Container{ID: r.text(), CreatedAt: event.Time(r.varint())}
		if v := r.text(); v != "" {
			container.Variables = event.Variables(v)
		}
	default:
		return errBroken
	}
	if err := r.done(); err != nil {
		return err
	}
	// Interned for now, so that a restore does not hold what many processes share many times over; rebuild
	// interns anew, with the right counts.
	n.proc.Executable = s.internFile(&file)
	n.proc.Cmdline = strings.Clone(cmdline)
	n.proc.User = s.internText(user)
	n.proc.Container = s.internContainer(container)
	return nil
}

// FormatError says that something was written by a later release than this one can read.
type FormatError struct{ Format, Reads int }

func (e *FormatError) Error() string {
	return fmt.Sprintf("written in format %d, this engine reads up to %d", e.Format, e.Reads)
}

// Snapshot appends to dst everything the state holds, in the order of the last change: what a changelog holds
// after compaction.
func (s *State) Snapshot(dst []Change) []Change {
	nodes := s.all(func(*Node) bool { return true })
	bySeq(nodes)
	for _, n := range nodes {
		dst = append(dst, Change{Key: appendKey(nil, n.name()), Value: appendValue(nil, n)})
	}
	return dst
}

var errBroken = errors.New("broken or cut short")

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// reader reads what the append functions wrote. After the first fault it yields zeros.
type reader struct {
	rest string
	err  error
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.err = errBroken
		return 0
	}
	c := r.rest[0]
	r.rest = r.rest[1:]
	return c
}

func (r *reader) varint() int64 {
	u := r.uvarint()
	v := int64(u >> 1)
	if u&1 != 0 {
		v = ^v
	}
	return v
}

func (r *reader) uvarint() uint64 {
	var v uint64
	for i := 0; i < len(r.rest) && i < binary.MaxVarintLen64; i++ {
		c := r.rest[i]
		if c < 0x80 {
			if i == binary.MaxVarintLen64-1 && c > 1 {
				break // more than 64 bits
			}
			r.rest = r.rest[i+1:]
			return v | uint64(c)<<(7*i)
		}
		v |= uint64(c&0x7f) << (7 * i)
	}
	r.err, r.rest = errBroken, ""
	return 0
}

// text is cut from what is read, and keeps it in memory.
func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.err, r.rest = errBroken, ""
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *reader) done() error {
	if r.err == nil && len(r.rest) > 0 {
		return errBroken
	}
	return r.err
}
