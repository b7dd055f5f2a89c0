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

// near reports whether n, which does not hold t, would if the times were more precise: a time in whole seconds is up to
// one second too early, so t, or the end of n, may have been later. A precise time is never later than it says: a
// child of 7 s is none of a parent that exited at 6.5 s.
func (s *State) near(n *Node, t int64) bool {
	slack := int64(s.cfg.Slack)
	if t < n.start {
		return whole(t) && since(n.start, t) < slack
	}
	return whole(n.end) && since(t, n.end) < slack
}

// lags reports whether n exited just before t, when t may be the start of a child.
func (n *Node) lags(t int64) bool {
	return n.is(flagExited) && t >= n.end && since(t, n.end) < recordingLag && !whole(t)
}

// could reports whether nothing rules out that n ran at t, or started what is stamped t.
func (s *State) could(n *Node, t int64) bool {
	return n.holds(t) || n.is(flagLatest) && t < n.start || s.near(n, t) || n.lags(t)
}

// may reports whether n, which newer followed, may have run at t as precisely as the times say. A precise start of newer
// bounds an end of n in whole seconds.
func (s *State) may(n, newer *Node, t int64) bool {
	if n.holds(t) {
		return true
	}
	return s.near(n, t) && (t < n.start || newer == nil || newer.is(flagLatest) || whole(newer.start) || t < newer.start)
}

// ask answers who process pid was at time t, for a child that says nothing else of its parent, or that its
// executable is hint. More than one who could be meant is Ambiguous.
func (s *State) ask(h *host, pid, t int64, hint *event.File) (*Node, Result) {
	var one, agreeing, newer *Node
	many, manyAgree := 0, 0
	newest := h.pids[pid]
	for g := newest; g != nil; newer, g = g, g.older {
		if !s.may(g, newer, t) || differ(g.proc.Executable, hint) {
			continue
		}
		one = g
		many++
		if agree(g.proc.Executable, hint) {
			agreeing = g
			manyAgree++
		}
	}
	if many == 0 {
		for g := newest; g != nil; g = g.older {
			if g.lags(t) && !differ(g.proc.Executable, hint) {
				one = g
				many++
			}
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
	var newer *Node
	for g := newest; g != nil; newer, g = g, g.older {
		switch {
		case !s.may(g, newer, t):
		case s.contradicts(g, exe, start):
			if g.holds(t) {
				refuted = g
			}
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
		case agrees && g.is(flagExited) && t >= g.end && s.within(g, t) && !s.could(g, t):
			// Its own, stamped late, or of the same program started again under the same id.
			return nil, Ambiguous, nil
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
		return since(n.start, t) < int64(s.cfg.Slack)
	}
	return since(t, n.end) < int64(s.cfg.Slack)
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
		len(f.Path)+len(f.DevicePath)+len(f.Name) <= maxFile &&
		!strings.ContainsAny(f.Path, `<>|"*`) && !strings.ContainsAny(f.Name, `<>|"*`)
}
