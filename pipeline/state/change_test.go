package state

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unsafe"

	"spoor/pipeline/event"
)

// at is n seconds after the tests' beginning.
func at(n float64) event.Time {
	return event.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) + event.Time(n*second)
}

func sighting(host string, t float64, pid, ppid int64, exe string) *Sighting {
	p := &event.ProcessContext{Process: event.Process{PID: &pid, PPID: &ppid}}
	if exe != "" {
		p.Executable = &event.File{Path: exe, Name: event.Basename(exe)}
	}
	return &Sighting{Host: host, Date: at(t), Process: p}
}

// kinds says what changed: +pid for a value, -pid for none.
func kinds(t *testing.T, changes []Change) string {
	t.Helper()
	var out []string
	for _, c := range changes {
		n, err := decodeKey(c.Key)
		if err != nil {
			t.Fatal(err)
		}
		sign := "+"
		if c.Value == nil {
			sign = "-"
		}
		out = append(out, fmt.Sprintf("%s%d", sign, n.pid))
	}
	return strings.Join(out, " ")
}

func TestChanges(t *testing.T) {
	s := New(Config{MaxNodes: 3, MaxAncestors: 4})
	check := func(what, want string) {
		t.Helper()
		if got := kinds(t, s.Changes(nil)); got != want {
			t.Fatalf("%s: got %q, want %q", what, got, want)
		}
		s.Committed()
		if got := s.Changes(nil); len(got) != 0 {
			t.Fatalf("%s: %d changes after the commit", what, len(got))
		}
	}
	s.Exec(sighting("h", 1.1, 10, 0, "a"))
	s.Exec(sighting("h", 2.1, 11, 10, "b"))
	s.Exit(sighting("h", 3.1, 11, 10, "b"))
	check("equal keys coalesce, in the order of the last change", "+10 +11")
	s.Exec(sighting("h", 2.1, 11, 10, "b"))
	s.Seen(sighting("h", 2.5, 11, 10, "b"))
	s.Seen(sighting("h", 3.0, 10, 0, "a"))
	check("nothing new", "")
	s.Exec(sighting("h", 5.1, 12, 10, "c"))
	s.Exec(sighting("h", 6.1, 13, 12, "d")) // 11 is evicted
	check("evicted", "+12 +13 -11")
	s.Exec(sighting("h", 7.1, 20, 0, "x")) // 10, live, becomes a stub for 12
	s.Exit(sighting("h", 7.2, 20, 0, "x"))
	check("a stub", "+10 +20")
	s.Exec(sighting("h", 8.1, 21, 0, "y")) // 20 goes
	s.Exit(sighting("h", 8.2, 21, 0, "y"))
	s.Exec(sighting("h", 9.1, 22, 0, "z")) // 21 goes: it came and went
	check("born and dead", "-20 +22")
	s.Rollback()
	check("rolled back to here", "")
}

// TestOwnMemory scribbles over everything that an event pointed to.
func TestOwnMemory(t *testing.T) {
	buffer := []byte(strings.Repeat("h", 4) + `C:\Windows\cmd.exe` + "cmd /c x" + "CORP\\ann" + "container")
	text := func(from, to int) string { return unsafe.String(&buffer[from], to-from) }
	s := New(Config{})
	pid, ppid := int64(10), int64(0)
	p := &event.ProcessContext{Process: event.Process{PID: &pid, PPID: &ppid, ExecTime: at(1),
		Executable: &event.File{Path: text(4, 22), Name: text(15, 22)}, Cmdline: text(22, 30), User: text(30, 38),
		Container: &event.Container{ID: text(38, 47), Variables: event.Variables(`{"a":1}`)}}}
	s.Exec(&Sighting{Host: text(0, 4), Process: p})
	for i := range buffer {
		buffer[i] = '!'
	}
	p.Container.Variables[2] = '!'
	pid, ppid = 77, 78
	*p = event.ProcessContext{}
	a := s.Seen(sighting("hhhh", 2, 10, 0, ""))
	if a.Result != Hit {
		t.Fatalf("the host is lost: %v", a.Result)
	}
	got := describe(a.Self.Process()) + fmt.Sprint(*a.Self.Process().Executable)
	want := `"cmd /c x" "CORP\\ann" 2026-01-01T00:00:01Z pid 10 ppid 0 {container 0 {"a":1}}{C:\Windows\cmd.exe  cmd.exe}`
	got = strings.ReplaceAll(got, "[123 34 97 34 58 49 125]", `{"a":1}`)
	got = strings.ReplaceAll(got, "{container  ", "{container 0 ")
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLongCommandLine(t *testing.T) {
	s := New(Config{})
	g := sighting("h", 1, 10, 0, "a")
	g.Process.Cmdline = strings.Repeat("x", maxCmdline-1) + "ä and more"
	a := s.Exec(g)
	if got := a.Self.Process().Cmdline; got != strings.Repeat("x", maxCmdline-1) {
		t.Errorf("%d bytes, ending in %q: want %d and no part of a character", len(got), got[len(got)-3:], maxCmdline-1)
	}
	if len(g.Process.Cmdline) < maxCmdline {
		t.Error("the event's own command line was cut")
	}
}

// TestLongestChange holds that no process makes a longer change than MaxChangeBytes, and that it is remembered none the less.
func TestLongestChange(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	f := func(name string, more int, want string) {
		t.Helper()
		s := New(Config{})
		host := long(MaxHost)
		pid, ppid := int64(math.MaxInt64), int64(math.MaxInt64-1)
		p := &event.ProcessContext{Process: event.Process{PID: &pid, PPID: &ppid, Cmdline: long(maxCmdline + more), User: long(maxUser + more),
			Executable: &event.File{Path: long(maxFile - 200 + more), DevicePath: long(100), Name: long(100)},
			Container:  &event.Container{ID: long(100), CreatedAt: math.MaxInt64, Variables: event.Variables(long(maxContainer - 100 + more))}}}
		s.Advance(math.MaxInt64 / 2)
		s.Exec(&Sighting{Host: host, Date: math.MinInt64, Process: p})
		ppid, pid = pid, ppid
		s.Exec(&Sighting{Host: host, Date: math.MinInt64 + 1, Process: p})
		got := ""
		for _, c := range s.Changes(nil) {
			if n := len(c.Key) + len(c.Value); n > MaxChangeBytes {
				t.Errorf("%s: %d bytes, more than %d", name, n, MaxChangeBytes)
			} else if more == 0 && n < MaxChangeBytes-maxChange {
				t.Errorf("%s: %d bytes: the bound is too high", name, n)
			}
		}
		n := s.host(host, false).newest(pid)
		for what, is := range map[string]bool{"executable": n.proc.Executable != nil, "user": n.proc.User != "", "container": n.proc.Container != nil} {
			if is {
				got += what[:1]
			}
		}
		if len(got) != len(want) || len(n.proc.Cmdline) != maxCmdline {
			t.Errorf("%s: %q is remembered and %d bytes of command line", name, got, len(n.proc.Cmdline))
		}
	}
	f("as long as can be", 0, "ecu")
	f("too long", 1, "")
}

// TestDeepChain has each process start the next, 10,000 of them.
func TestDeepChain(t *testing.T) {
	const length, bound = 10_000, 1000
	for name, order := range map[string]func(int) int{
		"parents first":  func(i int) int { return i },
		"children first": func(i int) int { return length - i },
	} {
		t.Run(name, func(t *testing.T) {
			s := New(Config{MaxNodes: bound})
			for i := range length {
				n := order(i)
				s.Exec(sighting("h", 1.5+float64(n), int64(10+n), int64(9+n), "a"))
				st := s.Stats()
				if st.Nodes > bound || st.Stubs > bound {
					t.Fatalf("after %d: %d nodes and %d stubs, at most %d of each", i, st.Nodes, st.Stubs, bound)
				}
			}
			last := int64(9 + length)
			if name == "children first" {
				last = 10 + bound - 1 + 1
			}
			a := s.Seen(sighting("h", float64(last-10)+1.6, last, 0, "a"))
			chain, truncated, _ := s.Chain(a.Parent, 64, nil)
			if a.Result != Hit || len(chain) != 64 || !truncated {
				t.Errorf("%v, %d ancestors, truncated %v", a.Result, len(chain), truncated)
			}
		})
	}
}

// TestSuspectHost shows the sign of wrong partitioning: the hosts's other events go elsewhere. It is about the last hundred
// parents or so, and about no host of which little was seen.
func TestSuspectHost(t *testing.T) {
	s := New(Config{})
	check := func(what string, want int) {
		t.Helper()
		if got := s.Stats().SuspectHosts; got != want {
			t.Fatalf("%s: %d suspect hosts, want %d", what, got, want)
		}
	}
	now := 0
	exec := func(host string, n int, known bool) {
		for range n {
			now++
			ppid := int64(999 + now)
			if !known {
				ppid += 1_000_000
			}
			s.Exec(sighting(host, float64(now), int64(1000+now), ppid, "a"))
		}
	}
	exec("lost", 31, false)
	check("too few to tell", 0)
	exec("lost", 970, false)
	exec("fine", 100, true)
	check("a thousand unknown parents", 1)
	exec("lost", 200, true)
	check("it got better", 0)
	exec("lost", 1000, false)
	check("and worse", 1)
	s.Advance(int64(at(0)) / 1e6)
	s.Committed()
	s.Rollback()
	check("rolled back", 1)
	for range jumpRecords {
		s.Advance(int64(at(100*24*3600)) / 1e6)
	}
	check("everybody is forgotten", 0)
}

// TestTouch has a process that is used stay, and one that is not used go, although both changed at the same time.
func TestTouch(t *testing.T) {
	s := New(Config{MaxNodes: 3})
	ms := int64(at(0)) / 1e6
	s.Advance(ms)
	s.Exec(sighting("h", 1, 10, 0, "used"))
	s.Exec(sighting("h", 2, 11, 0, "idle"))
	s.Exec(sighting("h", 3, 12, 10, "child"))
	s.Committed()
	s.Advance(ms + 9*60*1000)
	use := func() {
		a := s.Seen(sighting("h", 700, 12, 10, "child"))
		s.Chain(a.Parent, 64, nil)
	}
	use()
	if got := kinds(t, s.Changes(nil)); got != "" {
		t.Fatalf("touched before its time: %s", got)
	}
	s.Advance(ms + 10*60*1000)
	use()
	use()
	if got := kinds(t, s.Changes(nil)); got != "+12 +10" {
		t.Fatalf("touched: %s, want +12 +10", got)
	}
	s.Exec(sighting("h", 701, 13, 10, "more"))
	if a := s.Seen(sighting("h", 702, 11, 0, "")); a.Result != Unknown {
		t.Errorf("the idle process is still there: %v", a.Result)
	}
	if a := s.Seen(sighting("h", 702, 10, 0, "")); a.Result != Hit {
		t.Errorf("the used process is gone: %v", a.Result)
	}
}

func TestRestoreRefuses(t *testing.T) {
	s := New(Config{})
	s.Exec(sighting("h", 1, 10, 0, "a"))
	s.Exec(sighting("h", 2, 11, 10, "b"))
	log := s.Changes(nil)
	linked := func(pid, ppid int64) Change {
		n := &Node{id: 1, flags: flagExec | flagPPID | flagLinked, ppid: ppid, start: 1, end: forever, parentID: 1}
		return Change{appendKey(nil, name{"h", pid, 1}), appendValue(nil, n)}
	}
	value := func(n Node) Change { return Change{appendKey(nil, name{"h", 10, 1}), appendValue(nil, &n)} }
	newer := Change{log[0].Key, append([]byte{processVersion + 1}, log[0].Value[1:]...)}
	for name, c := range map[string]struct {
		log  []Change
		want string
	}{
		"a newer format":   {[]Change{newer}, `restore: process 10 of host "h": written in format 2, this engine reads up to 1`},
		"another kind":     {[]Change{{[]byte("x"), log[0].Value}}, `restore: key 78: unknown kind 'x'`},
		"cut short":        {[]Change{{log[0].Key, log[0].Value[:5]}}, `restore: process 10 of host "h": broken or cut short`},
		"too long":         {[]Change{{log[0].Key, append(log[0].Value[:len(log[0].Value):len(log[0].Value)], 0)}}, `restore: process 10 of host "h": broken or cut short`},
		"flags to come":    {[]Change{value(Node{flags: flagsKnown + 1})}, `restore: process 10 of host "h": broken or cut short`},
		"a link to nobody": {[]Change{value(Node{flags: flagLinked})}, `restore: process 10 of host "h": broken or cut short`},
		"a linked stub":    {[]Change{value(Node{flags: flagStub | flagLinked | flagPPID})}, `restore: process 10 of host "h": broken or cut short`},
		"a text too long":  {[]Change{{[]byte{kindProcess, 9, 'h', 2, 2}, log[0].Value}}, `restore: key 7009680202: broken or cut short`},
		"a number too long": {[]Change{{[]byte("p\x01h\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x02"), log[0].Value}},
			`restore: key 700168ffffffffffffffffff0202: broken or cut short`},
		"nothing":          {[]Change{{nil, log[0].Value}}, `restore: key : broken or cut short`},
		"a cycle":          {[]Change{log[0], log[1], linked(20, 22), linked(21, 20), linked(22, 21)}, `restore: process 20 of host "h" descends from itself`},
		"its own parent":   {[]Change{linked(20, 20)}, `restore: process 20 of host "h" descends from itself`},
		"a missing parent": {log[1:], `restore: process 11 of host "h": its parent 10 is missing`},
	} {
		t.Run(name, func(t *testing.T) {
			r := New(Config{})
			var err error
			for _, change := range c.log {
				if err = r.Restore(change); err != nil {
					break
				}
			}
			if err == nil {
				err = r.RestoreDone()
			}
			if err == nil || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// FuzzRestore holds that what comes out of a log, whatever it is, is refused or is a state that works.
func FuzzRestore(f *testing.F) {
	s := New(Config{})
	g := sighting("h", 1, 10, 4, `C:\Windows\cmd.exe`)
	g.Process.Container = &event.Container{ID: "c", CreatedAt: at(0), Variables: event.Variables(`{"a":1}`)}
	s.Exec(g)
	s.Exec(sighting("h", 2, 11, 10, "b"))
	s.Exit(sighting("h", 3, 10, 4, ""))
	for _, c := range s.Changes(nil) {
		f.Add(c.Key, c.Value)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		s := New(Config{MaxNodes: 3})
		if s.Restore(Change{key, value}) != nil || s.RestoreDone() != nil {
			return
		}
		s.Advance(int64(at(5)) / 1e6)
		s.Exec(sighting("h", 5, 12, 11, "c"))
		s.Exec(sighting("h", 6, 11, 10, "c"))
		s.Exit(sighting("h", 7, 11, 10, "c"))
		s.Committed()
		s.Exec(sighting("h", 8, 11, 10, "d"))
		s.Rollback()
		dump(t, s)
	})
}
