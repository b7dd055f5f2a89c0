package state

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"spoor/pipeline/event"
)

// dump writes everything that later calls of s depend on, derived fields included, and checks on the way that
// the derived ones are what they are derived from.
func dump(t *testing.T, s *State) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "clock %+v seq-free nodes %d stubs %d bytes %d\n", s.clock, s.nodes, s.stubs, s.bytes)
	nodes := s.all(func(*Node) bool { return true })
	bySeq(nodes)
	if len(nodes) != s.nodes+s.stubs {
		t.Fatalf("%d nodes in the table, %d and %d stubs counted", len(nodes), s.nodes, s.stubs)
	}
	rank := make(map[*Node]int)
	for i, n := range nodes {
		rank[n] = i
		if i > 0 && nodes[i-1].seq == n.seq {
			t.Fatalf("two nodes with change %d", n.seq)
		}
	}
	for _, n := range nodes {
		if n.class != n.classify() {
			t.Fatalf("process %d is in class %d, belongs in %d", n.pid, n.class, n.classify())
		}
		if n.is(flagStub) && n.child == nil {
			t.Fatalf("stub %d without children", n.pid)
		}
		var children []int
		for c := n.child; c != nil; c = c.next {
			children = append(children, rank[c])
		}
		slices.Sort(children)
		fmt.Fprintf(&b, "%s %d %d [%d %d) ppid %d parent %d flags %b touched %d live %d class %d %s exe %v children %v\n", n.host.name, n.pid,
			n.id, n.start, n.end, n.ppid, n.parentID, n.flags, n.touched, n.live, n.class, describe(&n.proc), n.proc.Executable, children)
		if n.live != liveBelow(n, len(s.depths)) {
			t.Fatalf("process %d counts %d live descendants, has %d", n.pid, n.live, liveBelow(n, len(s.depths)))
		}
		if n.parent != nil && (n.parent.id != n.parentID || n.parent.pid != n.ppid || !n.is(flagLinked)) {
			t.Fatalf("process %d points to another parent than it names", n.pid)
		}
	}
	for c, order := range s.classes {
		last := uint64(0)
		for _, n := range order.Keys() {
			if n.seq <= last {
				t.Fatalf("class %d is out of order", c)
			}
			last = n.seq
		}
	}
	var waiting []string
	for _, h := range s.hosts {
		for pid, n := range h.waiting {
			for ; n != nil; n = n.next {
				waiting = append(waiting, fmt.Sprintf("%s/%d: %d", h.name, pid, rank[n]))
			}
		}
	}
	slices.Sort(waiting)
	fmt.Fprintln(&b, waiting)
	return b.String()
}

func liveBelow(n *Node, depth int) int32 {
	if depth == 0 {
		return 0
	}
	count := int32(0)
	for c := n.child; c != nil; c = c.next {
		if c.isLive() {
			count++
		}
		count += liveBelow(c, depth-1)
	}
	return count
}

func describe(p *event.Process) string {
	text := fmt.Sprintf("%q %q %v", p.Cmdline, p.User, p.ExecTime)
	if p.PID != nil {
		text += fmt.Sprintf(" pid %d", *p.PID)
	}
	if p.PPID != nil {
		text += fmt.Sprintf(" ppid %d", *p.PPID)
	}
	if p.Container != nil {
		text += fmt.Sprintf(" %v", *p.Container)
	}
	return text
}

// step is one call of a random history.
type step struct {
	advance int64
	kind    int
	g       Sighting
}

var programs = []string{"smss.exe", "System", "cmd.exe", "powershell.exe", "explorer.exe", "svchost.exe"}

// history returns n random steps over few hosts, process ids and times, so that everything collides.
func history(r *rand.Rand, n int, at *int64) []step {
	steps := make([]step, n)
	exe := func() *event.File {
		if r.IntN(12) == 0 {
			return nil
		}
		name := programs[2+r.IntN(4)]
		return &event.File{Path: `C:\Windows\` + name, Name: name}
	}
	process := func() event.Process {
		var p event.Process
		if r.IntN(30) > 0 {
			pid := int64(1 + r.IntN(14))
			p.PID = &pid
		}
		if r.IntN(6) > 0 {
			ppid := int64(r.IntN(14))
			p.PPID = &ppid
		}
		p.Executable = exe()
		if r.IntN(3) > 0 {
			p.Cmdline = strings.Repeat("x", r.IntN(40))
		}
		if r.IntN(3) == 0 {
			p.User = fmt.Sprintf("user%d", r.IntN(4))
		}
		if r.IntN(10) == 0 {
			p.Container = &event.Container{ID: fmt.Sprint(r.IntN(3)), Variables: event.Variables(`{"a":1}`)}
		}
		return p
	}
	for i := range steps {
		st := &steps[i]
		*at += r.Int64N(800)
		switch r.IntN(100) {
		case 0, 1:
			*at += 12 * 60 * 1000
		case 2:
			*at += 2 * maxJump // one record alone moves nothing
		}
		st.advance = *at
		date := (*at - r.Int64N(3000)) * int64(time.Millisecond)
		if r.IntN(3) == 0 {
			date -= date % second
		}
		if r.IntN(100) == 0 {
			date += int64(10 * 365 * 24 * time.Hour)
		}
		p := &event.ProcessContext{Process: process()}
		if r.IntN(40) == 0 { // a boot
			boot := programs[r.IntN(2)]
			p.Executable = &event.File{Path: boot, Name: boot}
			pid, ppid := int64(systemPID), int64(0)
			if boot == "smss.exe" {
				pid, ppid = 7, systemPID
			}
			p.PID, p.PPID = &pid, &ppid
		}
		if r.IntN(4) == 0 {
			p.ExecTime = event.Time(date - r.Int64N(3*second))
		}
		if r.IntN(5) == 0 {
			parent := process()
			if p.PPID != nil && r.IntN(4) > 0 {
				parent.PID = p.PPID
			}
			p.Parent = &parent
		}
		for r.IntN(8) == 0 {
			a := process()
			p.Ancestors = append(p.Ancestors, &a)
		}
		st.kind = min(r.IntN(4), 2)
		st.g = Sighting{Host: fmt.Sprintf("host%d", r.IntN(2)), Date: event.Time(date), Process: p}
		if r.IntN(2) == 0 {
			st.g.Host = "host0"
		}
	}
	// Chains, told from any end.
	for range len(steps) / 12 {
		i, pid := r.IntN(len(steps)-8), int64(20+r.IntN(30))
		start := steps[i].g.Date
		for k, at := range r.Perm(8) {
			st := &steps[i+at]
			p := &event.ProcessContext{}
			own, parent := pid+int64(k), pid+int64(k)-1
			p.PID, p.PPID, p.ExecTime = &own, &parent, start+event.Time(k)
			p.Executable = &event.File{Name: "cmd.exe"}
			st.kind, st.g.Process, st.g.Host = 0, p, "host0"
		}
	}
	return steps
}

func (st *step) apply(s *State) string {
	s.Advance(st.advance)
	var a Answer
	switch st.kind {
	case 0:
		a = s.Exec(&st.g)
	case 1:
		a = s.Exit(&st.g)
	default:
		a = s.Seen(&st.g)
	}
	text := fmt.Sprintf("%v %v", a.Result, a.NoParent)
	if a.Self != nil {
		text += " " + describe(a.Self.Process())
	}
	chain, truncated, complete := s.Chain(a.Parent, 5, nil)
	for _, p := range chain {
		text += " > " + describe(p)
	}
	return fmt.Sprint(text, truncated, complete)
}

func restored(t *testing.T, cfg Config, log []Change, c Clock) *State {
	t.Helper()
	s := New(cfg)
	for _, c := range log {
		if err := s.Restore(c); err != nil {
			t.Fatal(err)
		}
	}
	s.SetClock(c)
	if err := s.RestoreDone(); err != nil {
		t.Fatal(err)
	}
	return s
}

// compact keeps of each key the last change, where it stands, and no tombstones.
func compact(log []Change) []Change {
	last := make(map[string]int)
	for i, c := range log {
		last[string(c.Key)] = i
	}
	var out []Change
	for i, c := range log {
		if last[string(c.Key)] == i && c.Value != nil {
			out = append(out, c)
		}
	}
	return out
}

// tinyBounds are bounds under which nearly every step evicts, and none at all.
func tinyBounds() map[string]Config {
	return map[string]Config{
		"nodes":     {MaxNodes: 5, MaxAncestors: 3},
		"one":       {MaxNodes: 1, MaxAncestors: 1},
		"more":      {MaxNodes: 20, MaxAncestors: 64},
		"unbounded": {},
		"bytes":     {MaxBytes: 4000, MaxAncestors: 4},
	}
}

// TestRollbackIsRestoreIsNever is the property that the commit path rests on: a state that was rolled back, one that
// was restored from the changes up to then, and one that never saw what was rolled back are one and the
// same, now and for all that comes. The bounds are tiny, so that nearly every step evicts.
func TestRollbackIsRestoreIsNever(t *testing.T) {
	for name, cfg := range tinyBounds() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(30) {
				property(t, cfg, seed)
			}
		})
	}
}

func property(t *testing.T, cfg Config, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	never, rolled := New(cfg), New(cfg)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	var log []Change
	for interval := range 12 {
		fail := func(what, got, want string) {
			if got != want {
				t.Fatalf("seed %d, interval %d: %s\n%s\nwant\n%s", seed, interval, what, got, want)
			}
		}
		steps := history(r, r.IntN(40), &at)
		for i := range steps {
			got, want := steps[i].apply(rolled), steps[i].apply(never)
			fail(fmt.Sprintf("step %d answers", i), got, want)
		}
		changes := never.Changes(nil)
		if got := rolled.Changes(nil); !slices.EqualFunc(got, changes, func(a, b Change) bool {
			return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && (a.Value == nil) == (b.Value == nil)
		}) {
			t.Fatalf("seed %d, interval %d: the changes differ", seed, interval)
		}
		seen := make(map[string]bool)
		for _, c := range changes {
			if seen[string(c.Key)] {
				t.Fatalf("seed %d, interval %d: a key twice in one commit", seed, interval)
			}
			seen[string(c.Key)] = true
		}
		log = append(log, changes...)
		never.Committed()
		rolled.Committed()
		want := dump(t, never)
		if st := never.Stats(); st.Nodes > never.cfg.MaxNodes || st.Bytes > never.cfg.MaxBytes && st.Nodes > 1 {
			t.Fatalf("seed %d: %d nodes and %d bytes, %d and %d allowed", seed, st.Nodes, st.Bytes, never.cfg.MaxNodes, never.cfg.MaxBytes)
		}

		// What another attempt does is undone.
		elsewhen := at
		for _, st := range history(r, r.IntN(40), &elsewhen) {
			st.apply(rolled)
		}
		rolled.Rollback()
		fail("rolled back", dump(t, rolled), want)
		fail("restored", dump(t, restored(t, cfg, log, never.Clock())), want)
		again := restored(t, cfg, compact(log), never.Clock())
		fail("restored from the compacted log", dump(t, again), want)
		if interval%3 == 2 {
			rolled = again // go on with it
		}
	}
	if a, b := never.bytes, recount(never); a != b {
		t.Fatalf("seed %d: %d bytes counted, %d there", seed, a, b)
	}
}

// recount is what bytes ought to be.
func recount(s *State) int64 {
	var n int64
	for _, node := range s.all(func(*Node) bool { return true }) {
		n += node.size()
	}
	for name := range s.hosts {
		n += hostBytes + textBytes(len(name))
	}
	for f := range s.interned.files {
		n += sizeOfFile(&f)
	}
	for text := range s.interned.texts {
		n += userBytes + textBytes(len(text))
	}
	for _, c := range s.interned.containers {
		n += sizeOfContainer(&c.container)
	}
	return n
}
