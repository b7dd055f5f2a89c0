package bench

import (
	"container/heap"
	"errors"
	"time"
)

// sim runs all hosts in one line of time. It is owned by the goroutine that called Generate.
type sim struct {
	cfg   Config
	emit  func(Record) error
	now   time.Time // of the action that runs
	end   time.Time // zero: no end
	queue queue
	seq   int
	hosts []*host
	count int // records emitted
	// attack is the chain whose action runs.
	attack  string
	started int // attacks begun
	err     error
}

// errDone ends a run that has emitted enough.
var errDone = errors.New("done")

// action is something that happens at a time. Actions of a host die with the boot they were planned in.
type action struct {
	at     time.Time
	seq    int // order of planning: breaks ties
	host   *host
	boot   int
	attack string
	do     func()
}

type queue []*action

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if !q[i].at.Equal(q[j].at) {
		return q[i].at.Before(q[j].at)
	}
	return q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*action)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}

func newSim(cfg Config, emit func(Record) error) *sim {
	s := &sim{cfg: cfg, emit: emit, now: cfg.Start}
	if cfg.Duration > 0 {
		s.end = cfg.Start.Add(cfg.Duration)
	}
	seeds := &random{cfg.Seed}
	for i := range cfg.Hosts {
		h := newHost(s, i, &random{seeds.next()})
		s.hosts = append(s.hosts, h)
		s.plan(cfg.Start.Add(h.rng.span(0, 5*time.Second)), h, "", h.begin)
	}
	return s
}

// plan puts an action of h into the line of time. Attack names the chain it belongs to.
func (s *sim) plan(at time.Time, h *host, attack string, do func()) {
	s.seq++
	heap.Push(&s.queue, &action{at: at, seq: s.seq, host: h, boot: h.boots, attack: attack, do: do})
}

// run lets everything happen. The hosts never rest, so the queue is empty only if no action plans another.
func (s *sim) run() error {
	for s.err == nil && len(s.queue) > 0 {
		a := heap.Pop(&s.queue).(*action)
		if !s.end.IsZero() && a.at.After(s.end) {
			break
		}
		s.now = a.at
		if a.boot == a.host.boots {
			s.attack = a.attack
			a.do()
			s.attack = ""
		}
		s.startAttacks()
	}
	if errors.Is(s.err, errDone) {
		return nil
	}
	return s.err
}

// startAttacks begins the next chain when its share of the traffic has passed.
func (s *sim) startAttacks() {
	if s.started == len(s.cfg.Attacks) {
		return
	}
	// In thousandths of the traffic: the first at 40, the last before 800.
	passed := 0
	if s.cfg.Events > 0 {
		passed = s.count * 1000 / s.cfg.Events
	}
	if !s.end.IsZero() {
		passed = max(passed, int(s.now.Sub(s.cfg.Start)*1000/s.cfg.Duration))
	}
	if passed < 40+760*s.started/len(s.cfg.Attacks) {
		return
	}
	for _, c := range chains {
		if c.name != s.cfg.Attacks[s.started] {
			continue
		}
		target := s.host(c.role, s.started)
		if target == nil {
			return // nobody has logged on yet
		}
		s.started++
		s.attack = c.name
		c.run(target.script())
		s.attack = ""
		return
	}
}

// host is the nth host of a role, counted round, or else of any role, among those that are logged on, have been
// seen since they booted and will not be restarted; nil when there is none.
func (s *sim) host(r role, n int) *host {
	var of, any []*host
	for _, h := range s.hosts {
		if !h.up || h.agentLate || h.restarts {
			continue
		}
		any = append(any, h)
		if h.role == r {
			of = append(of, h)
		}
	}
	if len(of) == 0 {
		of = any
	}
	if len(of) == 0 {
		return nil
	}
	return of[n%len(of)]
}

// publish hands one record out.
func (s *sim) publish(r Record) {
	if s.err != nil {
		return
	}
	if s.err = s.emit(r); s.err != nil {
		return
	}
	if s.count++; s.count == s.cfg.Events {
		s.err = errDone
	}
}
