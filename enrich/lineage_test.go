package enrich

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"spoor/pipeline/event"
	"spoor/pipeline/state"
)

// The scripts in testdata are lineage's cases. A script is lines
//
//	SECONDS NAME FIELD=VALUE ... [=> ANSWER]
//
// each an event: seconds after the script's beginning (`-` for none), the event's name, and of its process pid,
// ppid, exe (a path, or :NAME), start, exit, cmd, user, container, parent=PID:EXE@START and ancestors=PID:EXE,PID:EXE; host=NAME when it is not "h", host= for
// none; at=SECONDS is the record's timestamp, which otherwise is the date. The answer is what the table
// said, then the chain from the parent on, then `known` and `complete` when the parent and the whole chain
// are; an event's own field that lineage filled in is shown as field=value. `# text` is a comment,
// `config max_nodes=N max_bytes=N max_ancestors=N live_ttl=SECONDS` begins anew under these bounds, `stats NAME=N ...` checks
// counts.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, string(text)) })
	}
}

func runScript(t *testing.T, text string) {
	cfg := state.DefaultConfig()
	var s *state.State
	var l *Lineage
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		head, want, check := strings.Cut(line, "=>")
		words := strings.Fields(head)
		if len(words) == 0 {
			continue
		}
		fail := func(format string, args ...any) {
			t.Errorf("line %d: %s\n  %s", i+1, strings.TrimSpace(line), fmt.Sprintf(format, args...))
		}
		switch words[0] {
		case "config":
			cfg, s = state.DefaultConfig(), nil
			for _, w := range words[1:] {
				name, value, _ := strings.Cut(w, "=")
				n, err := strconv.Atoi(value)
				switch {
				case name == "max_nodes" && err == nil:
					cfg.MaxNodes = n
				case name == "max_bytes" && err == nil:
					cfg.MaxBytes = int64(n)
				case name == "max_ancestors" && err == nil:
					cfg.MaxAncestors = n
				case name == "live_ttl" && err == nil:
					cfg.LiveTTL = time.Duration(n) * time.Second
				default:
					t.Fatalf("line %d: %s", i+1, w)
				}
			}
			continue
		case "stats":
			if got := counts(s.Stats(), words[1:]); got != strings.Join(words[1:], " ") {
				fail("got %s", got)
			}
			continue
		}
		if s == nil {
			s = state.New(cfg)
			l = NewLineage(Config{MaxAncestors: cfg.MaxAncestors}, s)
		}
		e, at := parseEvent(t, words)
		before := *e
		if e.Process != nil {
			p := *e.Process
			if p.Executable != nil {
				f := *p.Executable
				p.Executable = &f
			}
			before.Process = &p
		}
		s.Advance(at)
		was := s.Stats().Lookups
		l.Enrich(e)
		if !check {
			continue
		}
		result := ""
		for r, n := range s.Stats().Lookups {
			if n != was[r] {
				result += state.Result(r).String() // exactly one
			}
		}
		if got := strings.TrimSpace(result + show(e, &before)); got != strings.TrimSpace(want) {
			fail("got %s", got)
		}
	}
}

// counts writes the named counts of st as `stats` wants them.
func counts(st state.Stats, want []string) string {
	all := map[string]int{"nodes": st.Nodes, "stubs": st.Stubs, "hosts": st.Hosts, "suspect": st.SuspectHosts,
		"disagreements": int(st.Disagreements), "ahead": int(st.ClocksAhead)}
	for _, k := range state.Kinds() {
		all[k.String()] = int(st.Evictions[k])
	}
	for _, r := range state.Results() {
		all[r.String()] = int(st.Lookups[r])
	}
	var out []string
	for _, w := range want {
		name, _, _ := strings.Cut(w, "=")
		n, ok := all[name]
		if !ok {
			return "no count " + name
		}
		out = append(out, fmt.Sprintf("%s=%d", name, n))
	}
	return strings.Join(out, " ")
}

var epoch = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func parseTime(t *testing.T, text string) event.Time {
	if text == "-" {
		return 0
	}
	d, err := time.ParseDuration(text + "s")
	if err != nil {
		t.Fatal(err)
	}
	return event.At(epoch.Add(d))
}

func parseProcess(t *testing.T, text string) *event.Process {
	id, exe, _ := strings.Cut(text, ":")
	exe, start, known := strings.Cut(exe, "@")
	p := new(event.Process)
	if known {
		p.ExecTime = parseTime(t, start)
	}
	if id != "" {
		p.PID = parseID(t, id)
	}
	p.Executable = parseFile(exe)
	return p
}

func parseID(t *testing.T, text string) *int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return &n
}

func parseFile(exe string) *event.File {
	if exe == "" {
		return nil
	}
	if name, only := strings.CutPrefix(exe, ":"); only {
		return &event.File{Name: name}
	}
	return &event.File{Path: exe, Name: event.Basename(exe)}
}

func parseEvent(t *testing.T, words []string) (*event.Event, int64) {
	e := &event.Event{Date: parseTime(t, words[0]), Evt: &event.Evt{Name: words[1]}}
	e.Meta = event.Meta{Host: "h", HasHost: true, Name: event.Canonical(words[1])}
	at := e.Date
	p := new(event.ProcessContext)
	for _, w := range words[2:] {
		name, value, _ := strings.Cut(w, "=")
		switch name {
		case "pid":
			p.PID = parseID(t, value)
		case "ppid":
			p.PPID = parseID(t, value)
		case "exe":
			p.Executable = parseFile(value)
		case "start":
			p.ExecTime = parseTime(t, value)
		case "exit":
			p.ExitTime = parseTime(t, value)
		case "cmd":
			p.Cmdline = value
		case "user":
			p.User = value
		case "container":
			p.Container = &event.Container{ID: value}
		case "parent":
			p.Parent = parseProcess(t, value)
		case "ancestors":
			for _, a := range strings.Split(value, ",") {
				p.Ancestors = append(p.Ancestors, parseProcess(t, a))
			}
		case "host":
			e.Meta.Host, e.Meta.HasHost = value, value != ""
		case "at":
			at = parseTime(t, value)
		default:
			t.Fatalf("no field %s", name)
		}
	}
	if len(words) > 2 {
		e.Process = p
	}
	return e, int64(at) / int64(time.Millisecond)
}

// show writes what lineage gave to an event.
func show(e, before *event.Event) string {
	var b strings.Builder
	p := e.Process
	if p == nil {
		return ""
	}
	for i, a := range p.Ancestors {
		if i > 0 {
			b.WriteString(" <")
		}
		b.WriteString(" ")
		if a.PID != nil {
			fmt.Fprintf(&b, "%d", *a.PID)
		}
		if a.Executable != nil {
			fmt.Fprintf(&b, ":%s", a.Executable.Path)
		}
	}
	if len(p.Ancestors) > 0 && p.Ancestors[0] != p.Parent {
		b.WriteString(" PARENT DIFFERS")
	}
	for _, f := range []struct {
		name string
		set  bool
	}{{"known", e.Meta.ParentKnown}, {"complete", e.Meta.AncestorsComplete}, {"truncated", p.TruncatedAncestors}} {
		if f.set {
			b.WriteString(" " + f.name)
		}
	}
	o := before.Process
	if p.Executable != nil && (o.Executable == nil || *o.Executable != *p.Executable) {
		b.WriteString(" exe=" + p.Executable.Path)
	}
	if o.Cmdline != p.Cmdline {
		b.WriteString(" cmd=" + p.Cmdline)
	}
	if o.User != p.User {
		b.WriteString(" user=" + p.User)
	}
	if o.Container != p.Container {
		b.WriteString(" container=" + p.Container.ID)
	}
	if o.PPID != p.PPID {
		fmt.Fprintf(&b, " ppid=%d", *p.PPID)
	}
	if o.ExecTime != p.ExecTime && e.Meta.Name != "exec" {
		fmt.Fprintf(&b, " start=%g", p.ExecTime.Time().Sub(epoch).Seconds())
	}
	return b.String()
}
