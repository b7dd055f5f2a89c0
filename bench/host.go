package bench

import (
	"fmt"
	"strings"
	"time"

	"spoor/pipeline/event"
)

// role is what a host is for.
type role int

const (
	office role = iota
	developer
	webServer
	controller
	sqlServer
)

// roles gives each host its role by its number, round.
var roles = []role{office, developer, webServer, controller, office, sqlServer, office, developer}

const system = `NT AUTHORITY\SYSTEM`

// user is an account.
type user struct{ name, login, sid string }

// proc is a process. Pid and start are set when it starts, which may be after a script refers to it.
type proc struct {
	pid, ppid int64
	path      string
	cmdline   string
	user      string
	start     event.Time
	live      bool
	parent    *proc
	service   string // what a service host hosts, "" for others
	// habit is what the process does in the background, by the table habits; "" nothing.
	habit string
}

// host is one machine. It is owned by its simulation.
type host struct {
	sim  *sim
	name string
	role role
	rng  *random
	user user // who works here
	// up: somebody is logged on, or the services of a server run.
	up    bool
	boots int // actions planned in an earlier boot are dropped

	// How its sensor reports. Constant after newHost.
	wholeSeconds bool // process events come from a log with second precision
	agentLate    bool // the sensor was started long after the host: its first processes were not seen to start
	noUsers      bool // registry and file events carry no account
	restarts     bool // it is restarted once, a few minutes after its first boot: pids begin anew

	table  map[int64]*proc  // live, by pid; never ranged over
	order  []*proc          // live with a habit, in order of start
	freed  []int64          // pids of processes that ended, the latest last
	byName map[string]*proc // live, by file name or service name: the first of several
}

var people = []string{"anna.weber", "joao.silva", "mei.chen", "oleg.petrov", "sara.haddad", "tom.baker", "ines.moreau",
	"kofi.mensah", "lena.fischer", "raj.patel", "yuki.tanaka", "emma.olsen", "diego.ruiz", "fatma.kaya", "noah.martin", "olivia.rossi"}

func newHost(s *sim, i int, rng *random) *host {
	h := &host{sim: s, role: roles[i%len(roles)], rng: rng}
	prefix := map[role]string{office: "WS", developer: "DEV", webServer: "WEB", controller: "DC", sqlServer: "SQL"}[h.role]
	h.name = fmt.Sprintf("%s%03d.corp.example", prefix, i+1)
	login := people[i%len(people)]
	if h.role == webServer || h.role == controller || h.role == sqlServer {
		login = "adm-" + login
	}
	h.user = user{name: `CORP\` + login, login: login, sid: fmt.Sprintf("S-1-5-21-3623811015-3361044348-30300820-%d", 1104+i)}
	h.wholeSeconds = i%8 == 4
	h.agentLate = i%8 == 7
	h.noUsers = i%8 == 2
	h.restarts = i%8 == 6
	return h
}

// newPid is a multiple of four that is free, as Windows gives them: often one that was freed a while ago.
func (h *host) newPid() int64 {
	if len(h.freed) > 8 && h.rng.chance(350) {
		i := h.rng.intn(len(h.freed) / 2)
		pid := h.freed[i]
		h.freed = append(h.freed[:i], h.freed[i+1:]...)
		if h.table[pid] == nil {
			return pid
		}
	}
	for {
		if pid := int64(500+h.rng.intn(3500)) * 4; h.table[pid] == nil {
			return pid
		}
	}
}

// at is the time that the sensor gives a process event.
func (h *host) at() event.Time {
	if h.wholeSeconds {
		return event.At(h.sim.now.Truncate(time.Second))
	}
	return event.At(h.sim.now)
}

func file(path string) *event.File { return &event.File{Path: path, Name: event.Basename(path)} }

// started makes p live. Seen says whether the sensor saw it.
func (h *host) started(p *proc, parent *proc, seen bool) {
	if p.pid == 0 {
		p.pid = h.newPid()
	}
	if parent != nil {
		p.ppid, p.parent = parent.pid, parent
		if p.user == "" {
			p.user = parent.user
		}
	}
	p.start, p.live = h.at(), true
	h.table[p.pid] = p
	for _, name := range []string{strings.ToLower(event.Basename(p.path)), p.service} {
		if name != "" && h.byName[name] == nil {
			h.byName[name] = p
		}
	}
	if p.habit != "" {
		h.order = append(h.order, p)
	}
	if !seen {
		return
	}
	var ancestors []Ancestor
	for a := p.parent; a != nil; a = a.parent {
		ancestors = append(ancestors, Ancestor{a.pid, a.path})
	}
	pid, ppid := p.pid, p.ppid
	h.sendWith(ancestors, &event.Event{
		Evt:  &event.Evt{Name: "exec", Category: "Process Activity"},
		Date: h.at(),
		Process: &event.ProcessContext{Process: event.Process{PID: &pid, PPID: &ppid, ExecTime: p.start,
			Executable: file(p.path), Cmdline: p.cmdline, User: p.user}},
		Usr: h.usr(p),
	})
}

// ended takes p out of the table. A status below zero leaves the exit without its details.
func (h *host) ended(p *proc, status int64) {
	if !p.live {
		return
	}
	p.live = false
	delete(h.table, p.pid)
	if name := strings.ToLower(event.Basename(p.path)); h.byName[name] == p {
		delete(h.byName, name)
	}
	if h.byName[p.service] == p {
		delete(h.byName, p.service)
	}
	h.freed = append(h.freed, p.pid)
	if len(h.freed) > 64 {
		h.freed = h.freed[1:]
	}
	for i, o := range h.order {
		if o == p {
			h.order = append(h.order[:i], h.order[i+1:]...)
			break
		}
	}
	pid := p.pid
	e := &event.Event{
		Evt:  &event.Evt{Name: "exit", Category: "Process Activity"},
		Date: h.at(),
		Process: &event.ProcessContext{Process: event.Process{PID: &pid, ExitTime: h.at(), Executable: file(p.path),
			User: p.user}},
		Usr: h.usr(p),
	}
	if status >= 0 && !h.rng.chance(100) {
		e.Exit = &event.Exit{Cause: "EXITED", Code: status}
	}
	h.send(e)
}

func (h *host) usr(p *proc) *event.User {
	if p.user == "" {
		return nil
	}
	u := &event.User{Name: p.user}
	switch p.user {
	case h.user.name:
		u.SID = h.user.sid
	case system:
		u.SID = "S-1-5-18"
	}
	return u
}

// subject is what a file or registry event says of its process: little, as sensors do.
func (h *host) subject(p *proc) *event.ProcessContext {
	pid := p.pid
	c := &event.ProcessContext{Process: event.Process{PID: &pid, Executable: file(p.path)}}
	if !h.noUsers {
		c.User = p.user
	}
	return c
}

func (h *host) other(name string, p *proc) *event.Event {
	e := &event.Event{Evt: &event.Evt{Name: name, Category: "File Activity"}, Date: event.At(h.sim.now), Process: h.subject(p)}
	if !h.noUsers {
		e.Usr = h.usr(p)
	}
	return e
}

// file sends an event about a file; to is the new path of a rename, else "".
func (h *host) file(name string, p *proc, path, to string) {
	e := h.other(name, p)
	e.File = &event.FileEvent{Path: path, Name: event.Basename(path)}
	if to != "" {
		e.File.Destination = file(to)
	}
	h.send(e)
}

// registry sends an event about a key, or about a value of it.
func (h *host) registry(name string, p *proc, key, value string) {
	e := h.other(name, p)
	e.Registry = &event.Registry{KeyPath: key, KeyName: event.Basename(key), ValueName: value}
	h.send(e)
	if h.rng.chance(120) {
		h.send(e) // many sensors report one access twice, byte for byte
	}
}

// permission sends a change of a security descriptor.
func (h *host) permission(p *proc, kind, path, before, after string) {
	e := h.other("change_permission", p)
	e.PermissionChange = &event.PermissionChange{Username: h.user.login, UserDomain: "CORP", Path: path, Type: kind,
		OldSD: before, NewSD: after}
	if p.user == system {
		e.PermissionChange.Username, e.PermissionChange.UserDomain = hostname(h.name)+"$", "CORP"
	}
	h.send(e)
}

func hostname(fqdn string) string {
	for i := range fqdn {
		if fqdn[i] == '.' {
			return fqdn[:i]
		}
	}
	return fqdn
}

func (h *host) send(e *event.Event) { h.sendWith(nil, e) }

// sendWith writes e out. Now and then the sensor loses an event, but none of an attack: a chain must stay whole to
// be something to hold detections against.
func (h *host) sendWith(ancestors []Ancestor, e *event.Event) {
	if h.sim.attack == "" && h.rng.chance(4) {
		return
	}
	e.Agent = &event.Agent{OS: "windows", Arch: "amd64", Version: "7.61.0"}
	value, err := event.AppendEvent(nil, e)
	if err != nil {
		h.sim.err = fmt.Errorf("write an event: %w", err)
		return
	}
	h.sim.publish(Record{Key: h.name, Time: h.sim.now, Value: value, Attack: h.sim.attack, Ancestors: ancestors})
}
