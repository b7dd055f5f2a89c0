package state

import (
	"math"
	"strings"
	"time"

	"spoor/pipeline/event"
)

const second = 1_000_000_000

// whole reports whether t was recorded in whole seconds: the true time is then up to a second later.
func whole(t int64) bool { return t%second == 0 }

// since is a - b, at the ends of what int64 holds cut to them.
func since(a, b int64) int64 {
	d := a - b
	if a >= b && d < 0 {
		return math.MaxInt64
	}
	if a < b && d > 0 {
		return math.MinInt64
	}
	return d
}

// holds reports whether n is known to have run at t.
func (n *Node) holds(t int64) bool { return n.start <= t && t < n.end }

// recordingLag is how much later than it happened the start of a process is stamped: what started it may have exited by
// then. In recordings of Windows hosts one exec in a few hundred is stamped 2 to 5 ms after its parent's exit, all
// times being precise.
const recordingLag = 20 * int64(time.Millisecond)

// near reports whether n, which does not hold t, would if the times were more precise: one of them is in whole
// seconds, or n exited just before. The generation widened on both sides is half open as it is itself.
func (s *State) near(n *Node, t int64) bool {
	slack := int64(s.cfg.Slack)
	if t < n.start {
		return (whole(t) || whole(n.start)) && since(n.start, t) <= slack
	}
	late := since(t, n.end)
	return (whole(t) || whole(n.end)) && late < slack || n.is(flagExited) && late < recordingLag
}

// could reports whether nothing rules out that n ran at t.
func (s *State) could(n *Node, t int64) bool {
	return n.holds(t) || n.is(flagLatest) && t < n.start || s.near(n, t)
}

// ask answers who process pid was at time t, for a child that says nothing else of its parent, or that its
// executable is hint. More than one who could be meant is Ambiguous; slack counts only when nobody is
// known to have run then.
func (s *State) ask(h *host, pid, t int64, hint *event.File) (*Node, Result) {
	n, r := s.pick(h, pid, t, hint, (*State).strictly)
	if r == Unknown {
		n, r = s.pick(h, pid, t, hint, (*State).near)
	}
	return n, r
}

func (s *State) strictly(n *Node, t int64) bool { return n.holds(t) }

func (s *State) pick(h *host, pid, t int64, hint *event.File, meant func(*State, *Node, int64) bool) (*Node, Result) {
	var one, agreeing *Node
	many, manyAgree := 0, 0
	for g := h.pids[pid]; g != nil; g = g.older {
		if !meant(s, g, t) {
			continue
		}
		one = g
		many++
		if agree(g.proc.Executable, hint) {
			agreeing = g
			manyAgree++
		}
	}
	switch {
	case many == 0:
		return nil, Unknown
	case many == 1:
		return one, Hit
	case manyAgree == 1:
		return agreeing, Hit
	}
	return nil, Ambiguous
}

// who answers which process an event dated t comes from, given what it says of its executable and start (0: it
// does not). When it is nobody known, refuted is the process that should have been it by time and is not.
func (s *State) who(h *host, pid, t int64, exe *event.File, start int64) (n *Node, r Result, refuted *Node) {
	ambiguous := false
	newest := h.newest(pid)
	for g := newest; g != nil; g = g.older {
		switch {
		case !g.holds(t):
		case s.contradicts(g, exe, start):
			refuted = g
		case n != nil:
			ambiguous = true
		default:
			n = g
		}
	}
	switch {
	case ambiguous:
		return nil, Ambiguous, nil
	case n != nil:
		return n, Hit, nil
	}
	// Nobody, strictly. An executable that agrees is as good as a time in whole seconds, and it is needed when
	// somebody else ran then.
	for g := newest; g != nil; g = g.older {
		if g.holds(t) || s.contradicts(g, exe, start) {
			continue
		}
		agrees := agree(g.proc.Executable, exe)
		switch {
		case agrees && (g.is(flagLatest) && t < g.start || s.within(g, t)):
		case refuted == nil && s.near(g, t):
		default:
			continue
		}
		if n != nil {
			return nil, Ambiguous, nil
		}
		n = g
	}
	switch {
	case n != nil:
		return n, Hit, nil
	case refuted != nil:
		return nil, Reused, refuted
	}
	return nil, Unknown, nil
}

// within reports whether n missed t by no more than the slack.
func (s *State) within(n *Node, t int64) bool {
	if t < n.start {
		return since(n.start, t) <= int64(s.cfg.Slack)
	}
	return since(t, n.end) <= int64(s.cfg.Slack)
}

// contradicts reports whether an event cannot come from n: it names another executable, or another start.
func (s *State) contradicts(n *Node, exe *event.File, start int64) bool {
	if start != 0 && start != n.start {
		if n.is(flagLatest) {
			if start > n.start && since(start, n.start) >= int64(s.cfg.Slack) {
				return true
			}
		} else if d := since(start, n.start); d >= int64(s.cfg.Slack) || -d >= int64(s.cfg.Slack) {
			return true
		}
	}
	return differ(n.proc.Executable, exe)
}

// base is the basename of an executable, "" when there is none.
func base(f *event.File) string {
	if f == nil {
		return ""
	}
	// The name is nearly always the end of the path.
	if d := len(f.Path) - len(f.Name); d <= 0 || f.Name == "" || f.Path[d:] != f.Name || f.Path[d-1] != '\\' {
		if f.Path != "" {
			return event.Basename(f.Path)
		}
	}
	return f.Name
}

// differ reports whether two executables are known and have different basenames. A short name (IEXPLO~1.EXE)
// says too little.
func differ(a, b *event.File) bool {
	if a == nil || b == nil {
		return false
	}
	if a.Path == b.Path && a.Path != "" {
		return false
	}
	x, y := base(a), base(b)
	return x != y && x != "" && y != "" && !strings.EqualFold(x, y) && !strings.Contains(x, "~") && !strings.Contains(y, "~")
}

// agree reports whether two executables are known and have the same basename.
func agree(a, b *event.File) bool {
	if a == nil || b == nil {
		return false
	}
	if a.Path == b.Path && a.Path != "" {
		return true
	}
	x, y := base(a), base(b)
	return x != "" && (x == y || strings.EqualFold(x, y))
}

// nameable reports whether f is an executable that may teach who a process is. "-" and "<unknown process>", which
// Windows logs say, are none.
func nameable(f *event.File) bool {
	return f != nil && (f.Path != "" || f.Name != "") && f.Path != "-" && f.Name != "-" &&
		!strings.ContainsAny(f.Path, `<>|"*`) && !strings.ContainsAny(f.Name, `<>|"*`)
}
