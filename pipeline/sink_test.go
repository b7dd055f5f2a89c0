package pipeline_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"spoor/pipeline"
	"spoor/pipeline/event"
	"spoor/pipeline/pipelinetest"
)

func TestSignal(t *testing.T) {
	set := compile(t, testPolicy)
	b := run(t, testConfig(), set, record(1, execCmd), record(2, execCalc), record(3, create), record(4, remove))
	if len(b.Signals) != 3 || len(b.Shadow) != 2 || len(b.Rejects) != 0 {
		t.Fatalf("%d signals, %d shadow signals, %d rejects", len(b.Signals), len(b.Shadow), len(b.Rejects))
	}
	first := b.Signals[0]
	if got, want := headers(first), "spoor-signal-id=events/3/0 spoor-source=lab/events/3/0 spoor-policy-set="+set.Hash()+" spoor-engine-version=v0"; got != want {
		t.Errorf("headers %s\nwant %s", got, want)
	}
	if string(first.Key) != "pc1" || first.Timestamp != 1767225601000 || first.Offset != 0 {
		t.Errorf("key %s, time %d, offset %d", first.Key, first.Timestamp, first.Offset)
	}
	e := decodeSignal(t, first)
	if got := matchedIDs(e); !reflect.DeepEqual(got, []string{"upstream", "cmd", "any_exec"}) {
		t.Errorf("matched rules %q: incoming ones first, then ours by severity", got)
	}
	want := event.Agent{RuleID: "cmd", RuleVersion: "2.0", PolicyName: "test", PolicyVersion: "1.2.3", OS: "windows", Version: "7.1"}
	if !reflect.DeepEqual(*e.Agent, want) || e.Title != "A shell started" {
		t.Errorf("agent %+v\nwant  %+v\ntitle %q", *e.Agent, want, e.Title)
	}
	second := decodeSignal(t, b.Signals[1])
	if a := second.Agent; a.RuleID != "any_exec" || len(a.RuleActions) != 1 || !strings.Contains(string(a.RuleActions[0]), "SIGKILL") {
		t.Errorf("agent of the second signal: %+v", a)
	}
	if second.Process.Executable.Name != "calc.exe" {
		t.Error("the basename that decode fills in is missing from the signal")
	}

	shadow := b.Shadow[0]
	if got := headers(shadow); got != headers(first)+" spoor-mode=shadow" {
		t.Errorf("shadow headers %s", got)
	}
	s := decodeSignal(t, shadow)
	if got := matchedIDs(s); !reflect.DeepEqual(got, []string{"upstream", "shadow_exec"}) || s.Agent.RuleID != "shadow_exec" || s.Title != "On trial" {
		t.Errorf("shadow signal lists %q, primary %s", got, s.Agent.RuleID)
	}
	if s.Agent.RuleVersion != "1.2.3" || s.Agent.RuleActions != nil {
		t.Errorf("the live signal leaked into the shadow one: %+v", s.Agent)
	}
}

func TestSignalPerRule(t *testing.T) {
	cfg := testConfig()
	cfg.PerRule = true
	b := run(t, cfg, compile(t, testPolicy), record(1, execCmd))
	var got []string
	for _, o := range append(b.Signals, b.Shadow...) {
		e := decodeSignal(t, o)
		got = append(got, pipelinetest.HeaderOf(o, pipeline.HeaderSignalID)+" "+e.Agent.RuleID+" "+strings.Join(matchedIDs(e), ","))
	}
	want := []string{
		"events/3/0/cmd cmd upstream,cmd",
		"events/3/0/any_exec any_exec upstream,any_exec",
		"events/3/0/shadow_exec shadow_exec upstream,shadow_exec",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// chain is an exec event that brings n ancestors, each with a command line of size bytes.
func chain(n, size int) string {
	var a []string
	for i := range n {
		a = append(a, fmt.Sprintf(`{"pid":%d,"executable":{"path":"C:\\a%d.exe"},"cmdline":"%s"}`, 100+i, i, strings.Repeat("x", size)))
	}
	parent := ""
	if n > 0 {
		parent = `"parent":` + a[0] + `,`
	}
	return `{"evt":{"name":"exec"},"process":{"pid":1,"executable":{"path":"C:\\calc.exe"},` + parent + `"ancestors":[` + strings.Join(a, ",") + `]}}`
}

func TestSignalSize(t *testing.T) {
	const most = 5000
	cases := []struct {
		name      string
		value     string
		ancestors int // -1: rejected
		truncated bool
		cmdlines  bool
	}{
		{"fits", chain(3, 10), 3, false, true},
		{"cut from the far end", chain(30, 400), -2, true, true},
		{"only the nearest, without command lines", chain(5, 4900), 1, true, false},
		{"one ancestor with a long command line", chain(1, 4900), 1, false, false},
		{"too large without lineage", `{"evt":{"name":"exec"},"process":{"pid":1,"cmdline":"` + strings.Repeat("x", most) + `"}}`, -1, false, false},
		{"no process at all", `{"evt":{"name":"create"},"file":{"path":"` + strings.Repeat("x", most) + `"}}`, -1, false, false},
	}
	cfg := testConfig()
	cfg.MaxSignalBytes = most
	cfg.Lineage = false
	set := compile(t, testPolicy)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := run(t, cfg, set, record(1, c.value), record(2, execCalc))
			if c.ancestors == -1 {
				if len(b.Signals) != 1 || len(b.Rejects) != 1 || b.Rejects[0].Reason != event.ReasonSignalTooLarge {
					t.Fatalf("%d signals, rejects %v", len(b.Signals), b.Rejects)
				}
				return
			}
			if len(b.Signals) != 2 || len(b.Rejects) != 0 {
				t.Fatalf("%d signals, %d rejects", len(b.Signals), len(b.Rejects))
			}
			o := b.Signals[0]
			if size := len(o.Key) + len(o.Value); size > most {
				t.Errorf("%d bytes", size)
			}
			p := decodeSignal(t, o).Process
			if c.ancestors == -2 {
				if n := len(p.Ancestors); n < 2 || n > 29 || *p.Ancestors[n-1].PID != int64(100+n-1) {
					t.Errorf("%d ancestors left, should be as many of the nearest as fit", n)
				}
				if room := most - len(o.Value); room > 500 {
					t.Errorf("%d bytes left: one more ancestor would have fitted", room)
				}
			} else if len(p.Ancestors) != c.ancestors {
				t.Errorf("%d ancestors, want %d", len(p.Ancestors), c.ancestors)
			}
			if p.TruncatedAncestors != c.truncated {
				t.Errorf("truncated_ancestors %v", p.TruncatedAncestors)
			}
			for _, a := range []*event.Process{p.Parent, p.Ancestors[0]} {
				if *a.PID != 100 || a.Executable.Path != `C:\a0.exe` || a.Cmdline != "" != c.cmdlines {
					t.Errorf("the nearest is %d %s %q", *a.PID, a.Executable.Path, a.Cmdline)
				}
			}
		})
	}
}

// What is cut is no more than has to be, byte by byte of the maximum, and the key counts.
func TestSignalIsCutToFit(t *testing.T) {
	set := compile(t, testPolicy)
	cfg := testConfig()
	cfg.Lineage = false
	sign := func(most int, value string) *event.ProcessContext {
		t.Helper()
		cfg.MaxSignalBytes = most
		b := run(t, cfg, set, record(1, value))
		if len(b.Signals) != 1 {
			if len(b.Signals) != 0 || len(b.Rejects) != 1 || b.Rejects[0].Reason != event.ReasonSignalTooLarge {
				t.Fatalf("%d signals, rejects %v", len(b.Signals), b.Rejects)
			}
			return nil
		}
		size := len(b.Signals[0].Key) + len(b.Signals[0].Value)
		if size > most {
			t.Fatalf("%d bytes, at most %d", size, most)
		}
		cfg.MaxSignalBytes = size // for the next
		return decodeSignal(t, b.Signals[0]).Process
	}
	ancestor := func(path, cmdline int) string {
		return fmt.Sprintf(`{"pid":100,"executable":{"path":"%s"},"cmdline":"%s"}`, strings.Repeat("p", path), strings.Repeat("x", cmdline))
	}
	with := func(ancestors ...string) string {
		return `{"evt":{"name":"exec"},"process":{"pid":1,"executable":{"path":"C:\\calc.exe"},"ancestors":[` + strings.Join(ancestors, ",") + `]}}`
	}
	value := chain(12, 40)
	for most, n := 1<<20, 12; n > 0; n-- {
		p := sign(most, value)
		if p == nil || len(p.Ancestors) != n || p.TruncatedAncestors != (n < 12) {
			t.Fatalf("at most %d bytes: %d ancestors, want %d", most, len(p.Ancestors), n)
		}
		most = cfg.MaxSignalBytes - 1
	}
	if p := sign(5000, with(ancestor(10, 4900), ancestor(10, 10))); p == nil || len(p.Ancestors) != 1 || p.Ancestors[0].Cmdline != "" || !p.TruncatedAncestors {
		t.Errorf("the nearest stays without its command line: %+v", p)
	}
	if p := sign(5000, with(ancestor(4900, 10))); p == nil || len(p.Ancestors) != 0 || !p.TruncatedAncestors {
		t.Errorf("an ancestor that is too large by itself goes: %+v", p)
	}
	if p := sign(1<<20, execCalc); p == nil {
		t.Error("no signal")
	} else if most := cfg.MaxSignalBytes; sign(most, execCalc) == nil || sign(most-1, execCalc) != nil {
		t.Error("a signal that just fits is one, and one byte less is too few")
	}
}

// In per-rule mode, and of shadow rules alone, what is too large is a reject as well: one for the record.
func TestSomeSignalsTooLarge(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, c := range []struct {
		name            string
		perRule         bool
		modes           [3]string
		long            int // which rule has a long title
		signals, shadow int
	}{
		{"the first of three", true, [3]string{"live", "live", "live"}, 0, 2, 0},
		{"the last of three", true, [3]string{"live", "live", "live"}, 2, 2, 0},
		{"a shadow rule's", false, [3]string{"live", "live", "shadow"}, 2, 1, 0},
		{"the live ones'", false, [3]string{"live", "live", "shadow"}, 0, 0, 1},
	} {
		text := "name: test\nrules:\n"
		for i, mode := range c.modes {
			title := "short"
			if i == c.long {
				title = long
			}
			text += fmt.Sprintf("  - id: r%d\n    title: %s\n    mode: %s\n    expression: evt.name == \"exec\"\n", i, title, mode)
		}
		cfg := testConfig()
		cfg.MaxSignalBytes, cfg.PerRule = 5000, c.perRule
		b := run(t, cfg, compile(t, text), record(1, execCalc))
		if len(b.Signals) != c.signals || len(b.Shadow) != c.shadow || len(b.Rejects) != 1 || b.Rejects[0].Reason != event.ReasonSignalTooLarge {
			t.Errorf("%s: %d signals, %d shadow signals, rejects %v", c.name, len(b.Signals), len(b.Shadow), b.Rejects)
		}
	}
}

// A signal has nothing of the event before it.
func TestSignalsShareNothing(t *testing.T) {
	b := run(t, testConfig(), compile(t, `
name: test
rules:
  - id: any
    expression: file.path != "" or process.pid != 0
`), record(1, execCmd), record(2, `{"file":{"path":"C:\\x.txt"}}`))
	if len(b.Signals) != 2 {
		t.Fatalf("%d signals", len(b.Signals))
	}
	if e := decodeSignal(t, b.Signals[1]); e.Evt.Name != "" || e.Agent.OS != "" || !reflect.DeepEqual(matchedIDs(e), []string{"any"}) || e.Process != nil {
		t.Errorf("the second signal: %s", b.Signals[1].Value)
	}
}
