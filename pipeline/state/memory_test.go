package state

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"spoor/pipeline/event"
)

// populate makes processes on hosts of 150 each, most of them children of a few, with command lines of 120
// bytes on average and paths and users that repeat.
func populate(s *State, processes int) {
	const perHost = 150
	r := rand.New(rand.NewPCG(1, 2))
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	line := strings.Repeat(`C:\Program Files\Vendor\Product\bin\program.exe --type=utility --lang=en-US `, 4)
	for i := range processes {
		host := fmt.Sprintf("workstation-%05d.corp.example.com", i/perHost)
		at = at.Add(time.Millisecond)
		pid := int64(1000 + 4*(i%perHost))
		ppid := int64(1000 + 4*r.IntN(i%perHost+1))
		if i%perHost == 0 {
			ppid = 0
		}
		name := fmt.Sprintf("program%03d.exe", r.IntN(400))
		p := &event.ProcessContext{Process: event.Process{PID: &pid, PPID: &ppid, ExecTime: event.At(at),
			Executable: &event.File{Path: `C:\Program Files\Vendor\Product\` + name, Name: name},
			Cmdline:    line[:20+r.IntN(201)], User: fmt.Sprintf(`CORP\user%04d`, i/perHost%2000)}}
		s.Advance(at.UnixMilli())
		s.Exec(&Sighting{Host: host, Process: p})
		if i%1000 == 0 {
			s.Committed()
		}
	}
	s.Committed()
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// unbounded keeps whatever comes.
var unbounded = Config{MaxNodes: maxNodesPossible, MaxBytes: 1 << 40}

// TestBytes holds the bytes that are counted against the bound to those that the heap has.
func TestBytes(t *testing.T) {
	for _, processes := range []int{20_000, 45_000} {
		before := heap()
		s := New(unbounded)
		populate(s, processes)
		took := heap() - before
		st := s.Stats()
		ratio := float64(st.Bytes) / float64(took)
		t.Logf("%d processes: %d bytes each on the heap, %d counted", st.Nodes, took/int64(st.Nodes), st.Bytes/int64(st.Nodes))
		if st.Nodes != processes || ratio < 0.8 || ratio > 1.2 {
			t.Errorf("%d processes: %d bytes counted, %d on the heap: want within 20 %%", st.Nodes, st.Bytes, took)
		}
	}
}

// BenchmarkMemory reports what a million processes take.
func BenchmarkMemory(b *testing.B) {
	before := heap()
	s := New(unbounded)
	for b.Loop() {
		s = New(unbounded)
		populate(s, 1_000_000)
	}
	b.ReportMetric(float64(heap()-before)/1e6, "MB")
	b.ReportMetric(float64(s.Stats().Bytes)/1e6, "MBcounted")
}

// BenchmarkRestore reports how fast a state is rebuilt from its changes, a core.
func BenchmarkRestore(b *testing.B) {
	s := New(unbounded)
	populate(s, 200_000)
	var log []Change
	for _, n := range s.all(func(*Node) bool { return true }) {
		log = append(log, Change{Key: appendKey(nil, n.name()), Value: appendValue(nil, n)})
	}
	b.ReportAllocs()
	for b.Loop() {
		s := New(unbounded)
		for _, c := range log {
			if err := s.Restore(c); err != nil {
				b.Fatal(err)
			}
		}
		if err := s.RestoreDone(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(log))*float64(b.N)/b.Elapsed().Seconds(), "changes/s")
}

// BenchmarkExec is the life of a process in a full table: exec, three events, exit, with an eviction and the changes of
// a commit interval.
func BenchmarkExec(b *testing.B) {
	s := New(Config{MaxNodes: 50_000})
	populate(s, 60_000)
	at := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	ppid := int64(1000)
	b.ReportAllocs()
	i := 0
	var changes []Change
	for b.Loop() {
		i++
		at = at.Add(time.Millisecond)
		pid := int64(5000 + 4*(i%3000))
		p := &event.ProcessContext{Process: event.Process{PID: &pid, PPID: &ppid,
			Executable: &event.File{Path: `C:\Windows\System32\cmd.exe`, Name: "cmd.exe"}, Cmdline: "cmd.exe /c whoami"}}
		g := &Sighting{Host: "workstation-00300.corp.example.com", Date: event.At(at), Process: p}
		s.Advance(at.UnixMilli())
		s.Exec(g)
		for range 3 {
			s.Seen(g)
		}
		s.Exit(g)
		if i%500 == 0 {
			changes = s.Changes(changes[:0])
			s.Committed()
		}
	}
}
