package enrich

import (
	"strings"

	"spoor/pipeline/event"
	"spoor/pipeline/state"
)

// Lineage tells an event which process it comes from, and which processes that one descends from. It is owned by
// the goroutine that owns the partition.
type Lineage struct {
	cfg   Config // constant after NewLineage
	state *state.State
	// chain is the list of ancestors that the last event got. It is used again for the next one.
	chain    []*event.Process
	sighting state.Sighting
}

// NewLineage returns the enrichment of the partition that s is the state of.
func NewLineage(cfg Config, s *state.State) *Lineage {
	if cfg.MaxAncestors <= 0 {
		cfg.MaxAncestors = DefaultConfig().MaxAncestors
	}
	return &Lineage{cfg: cfg, state: s, chain: make([]*event.Process, 0, cfg.MaxAncestors)}
}

// Enrich learns what e, which is decoded and knows its host, says of processes, and gives it what it lacks: of its
// process the executable, command line, user, exec time, parent's id and container; process.parent and
// process.ancestors; Meta.ParentKnown and Meta.AncestorsComplete. What e carries itself stays as it is. An
// event without a host gets nothing and is counted.
//
// What e is given belongs to the state: it is read only, and valid until the next event is enriched or the state
// is advanced.
func (l *Lineage) Enrich(e *event.Event) {
	p := e.Process
	if p == nil || !e.Meta.HasHost {
		if !e.Meta.HasHost {
			l.state.NoHost()
		} else {
			l.state.NoProcess()
		}
		if p != nil {
			own(e)
		}
		return
	}
	g := &l.sighting
	g.Host, g.Date, g.Process = e.Meta.Host, e.Date, p
	var a state.Answer
	switch e.Meta.Name {
	case "exec":
		a = l.state.Exec(g)
	case "exit":
		a = l.state.Exit(g)
	default:
		a = l.state.Seen(g)
	}
	g.Host, g.Process = "", nil
	if a.Self != nil {
		fill(&p.Process, a.Self.Process())
	}
	l.descend(e, &a)
}

// descend attaches parent and ancestors.
func (l *Lineage) descend(e *event.Event, a *state.Answer) {
	p := e.Process
	if len(p.Ancestors) > 0 {
		if p.Parent == nil {
			p.Parent = p.Ancestors[0]
		}
		own(e)
		return
	}
	parent := a.Parent
	chain := l.chain[:0]
	limit := l.cfg.MaxAncestors
	if p.Parent != nil {
		// The event's own word for its parent; the table goes on from there only when it means the same process.
		chain = append(chain, p.Parent)
		p.Ancestors = chain
		own(e)
		if parent == nil || !same(p.Parent, parent.Process()) {
			return
		}
		if up := parent.Parent(); up != nil {
			chain, p.TruncatedAncestors, e.Meta.AncestorsComplete = l.state.Chain(up, limit-1, chain)
		} else {
			e.Meta.AncestorsComplete = parent.Ends()
		}
		l.chain = chain
		p.Ancestors = chain
		return
	}
	if parent == nil {
		e.Meta.ParentKnown = false
		if a.Self != nil {
			e.Meta.AncestorsComplete = a.Self.Ends()
		} else {
			e.Meta.AncestorsComplete = a.NoParent || p.PPID != nil && *p.PPID == 0 || state.Root(&p.Process)
		}
		return
	}
	p.Parent = parent.Process()
	e.Meta.ParentKnown = p.Parent.Executable != nil
	chain, p.TruncatedAncestors, e.Meta.AncestorsComplete = l.state.Chain(parent, limit, chain)
	l.chain = chain
	p.Ancestors = chain
}

// own sets what is known of a lineage that the event carries itself.
func own(e *event.Event) {
	p := e.Process
	e.Meta.ParentKnown = p.Parent != nil && p.Parent.Executable != nil
	if n := len(p.Ancestors); n > 0 && !p.TruncatedAncestors {
		last := p.Ancestors[n-1]
		e.Meta.AncestorsComplete = last.PPID != nil && *last.PPID == 0 || state.Root(last)
	}
}

// same reports whether the parent that an event carries is the one that the table has.
func same(a, b *event.Process) bool {
	if a.PID == nil || b.PID == nil || *a.PID != *b.PID || a.Executable == nil || b.Executable == nil {
		return false
	}
	if a.Executable.Path == b.Executable.Path && a.Executable.Path != "" {
		return true
	}
	return strings.EqualFold(a.Executable.Name, b.Executable.Name)
}

// fill gives p what it lacks of n.
func fill(p, n *event.Process) {
	if p.Executable == nil {
		p.Executable = n.Executable
	} else if n.Executable != nil {
		fillFile(p.Executable, n.Executable)
	}
	if p.Cmdline == "" {
		p.Cmdline = n.Cmdline
	}
	if p.User == "" {
		p.User = n.User
	}
	if p.ExecTime == 0 {
		p.ExecTime = n.ExecTime
	}
	if p.PPID == nil {
		p.PPID = n.PPID
	}
	if p.Container == nil {
		p.Container = n.Container
	}
}

// fillFile gives f, which is the event's own, what it lacks of n.
func fillFile(f, n *event.File) {
	if f.Path == "" {
		f.Path = n.Path
	}
	if f.DevicePath == "" {
		f.DevicePath = n.DevicePath
	}
	if f.Name == "" {
		f.Name = n.Name
	}
}
