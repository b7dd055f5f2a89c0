package bench

import "time"

// script is something a person, a service or an attacker does on a host, step by step. It is written down at
// once and happens in simulated time: each step plans its action and moves the script's clock on a little.
type script struct {
	h  *host
	at time.Time
	// attack is the chain it belongs to, "" for everyday activity.
	attack string
}

func (h *host) script() *script {
	return &script{h: h, at: h.sim.now.Add(time.Millisecond), attack: h.sim.attack}
}

func (s *script) do(f func()) {
	s.h.sim.plan(s.at, s.h, s.attack, f)
	s.at = s.at.Add(s.h.rng.span(time.Millisecond, 9*time.Millisecond))
}

// wait lets time pass.
func (s *script) wait(lo, hi time.Duration) *script {
	s.at = s.at.Add(s.h.rng.span(lo, hi))
	return s
}

// on is a script on another host of the same chain, from the same time on.
func (s *script) on(h *host) *script { return &script{h: h, at: s.at, attack: s.attack} }

// running is the live process of that file name, looked up when the step happens.
func (h *host) running(name string) *proc { return h.byName[name] }

// exec starts a program below parent, which may be the name of a running one (string) or a process.
func (s *script) exec(parent any, path, cmdline string) *proc {
	return s.execAs(parent, "", path, cmdline)
}

// execAs starts a program as a user; "" is the parent's.
func (s *script) execAs(parent any, as, path, cmdline string) *proc {
	if cmdline == "" {
		cmdline = `"` + path + `"`
	}
	p := &proc{path: path, cmdline: cmdline, user: as, habit: habitOf(path)}
	s.do(func() {
		var up *proc
		switch v := parent.(type) {
		case *proc:
			up = v
		case string:
			up = s.h.running(v)
		}
		s.h.started(p, up, true)
	})
	return p
}

// exit ends processes, with status 0 unless one of them was told otherwise by exitWith.
func (s *script) exit(ps ...*proc) {
	for _, p := range ps {
		s.exitWith(p, 0)
	}
}

func (s *script) exitWith(p *proc, status int64) { s.do(func() { s.h.ended(p, status) }) }

// run starts a program, lets it work for a moment and ends it.
func (s *script) run(parent any, path, cmdline string) *proc {
	p := s.exec(parent, path, cmdline)
	s.wait(20*time.Millisecond, 900*time.Millisecond)
	s.exit(p)
	return p
}

func (s *script) file(name string, p *proc, path string) {
	s.do(func() { s.h.file(name, p, path, "") })
}

func (s *script) rename(p *proc, path, to string) {
	s.do(func() { s.h.file("rename", p, path, to) })
}

func (s *script) registry(name string, p *proc, key, value string) {
	s.do(func() { s.h.registry(name, p, key, value) })
}

// noise lets p do n things that programs of its kind do all the time.
func (s *script) noise(p *proc, n int) {
	for range n {
		s.do(func() {
			if p.live {
				s.h.habit(p)
			}
		})
	}
}
