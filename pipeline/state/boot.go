package state

import (
	"strings"

	"spoor/pipeline/event"
)

// systemPID is the process id of System on every Windows.
const systemPID = 4

// boot ends every generation of a host when n, which has just been seen to start, shows that it started anew:
// System itself, or the smss.exe that System starts once. When System's own exec was seen, its
// smss.exe is no news.
func (s *State) boot(n *Node, p *event.ProcessContext) {
	exe := base(p.Executable)
	switch {
	case n.pid == systemPID:
		if !strings.EqualFold(exe, "System") && !strings.EqualFold(exe, "ntoskrnl.exe") {
			return
		}
	case p.PPID != nil && *p.PPID == systemPID && strings.EqualFold(exe, "smss.exe"):
		sys, r := s.ask(n.host, systemPID, n.start, nil)
		if r == Hit && sys.is(flagExec) && !startedSmss(sys) {
			return
		}
	default:
		return
	}
	var before []*Node
	for _, g := range n.host.pids {
		for ; g != nil; g = g.older {
			// A start in whole seconds may be after the boot in the same second.
			early := g.start < n.start && !(whole(g.start) && sameSecond(g.start, n.start))
			if g != n && early && g.end > n.start {
				before = append(before, g)
			}
		}
	}
	bySeq(before)
	for _, g := range before {
		s.end(g, n.start)
	}
}

func startedSmss(sys *Node) bool {
	for c := sys.child; c != nil; c = c.next {
		if c.is(flagExec) && strings.EqualFold(base(c.proc.Executable), "smss.exe") {
			return true
		}
	}
	return false
}

// Root reports whether p is a process whose parent is not expected to be known: the kernel's own, and those that
// are started by a process that exits at once, before anything else can name it: smss.exe for
// each session, userinit.exe for the desktop. A namesake in another folder is none.
func Root(p *event.Process) bool {
	return p.PID != nil && *p.PID == systemPID || rootFile(p.Executable)
}

func rootFile(f *event.File) bool {
	if f == nil {
		return false
	}
	name := base(f)
	for i := range roots {
		r := &roots[i]
		if len(name) != len(r.name) || !strings.EqualFold(name, r.name) {
			continue
		}
		dir := f.Path[:max(0, len(f.Path)-len(name))]
		return dir == "" || r.dir != "" && len(dir) >= len(r.dir) && strings.EqualFold(dir[len(dir)-len(r.dir):], r.dir)
	}
	return false
}

// roots are the processes that Root knows by name; those without a folder are no files. Constant.
var roots = [...]struct{ name, dir string }{
	{"System", ""},
	{"Registry", ""},
	{"MemCompression", ""},
	{"smss.exe", `\System32\`},
	{"csrss.exe", `\System32\`},
	{"wininit.exe", `\System32\`},
	{"winlogon.exe", `\System32\`},
	{"explorer.exe", `\Windows\`},
}
