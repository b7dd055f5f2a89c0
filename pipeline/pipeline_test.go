package pipeline_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"spoor/pipeline"
	"spoor/pipeline/event"
	"spoor/pipeline/pipelinetest"
	"spoor/rules"
	"spoor/rules/policy"
)

// testPolicy is the set that most tests here evaluate.
const testPolicy = `
name: test
version: 1.2.3
rules:
  - id: any_exec
    title: A process started
    expression: evt.name == "exec"
    severity: high
    tags: {tactic: TA0002}
    actions: [{kill: {signal: SIGKILL}}]
  - id: cmd
    version: "2.0"
    title: A shell started
    expression: evt.name == "exec" and process.executable.name == "cmd.exe"
    severity: critical
  - id: file_created
    title: A file was created
    expression: evt.name == "create"
  - id: child_of_word
    title: Word started something
    expression: evt.name == "exec" and process.parent.executable.name == "winword.exe"
  - id: shadow_exec
    title: On trial
    mode: shadow
    expression: evt.name == "exec"
`

func compile(tb testing.TB, text string) *rules.Set {
	tb.Helper()
	p, diags := policy.LoadFS(fstest.MapFS{"test.yaml": {Data: []byte(text)}})
	if p == nil {
		tb.Fatalf("policy: %v", diags)
	}
	set, diags := rules.Compile(p)
	if set == nil {
		tb.Fatalf("policy: %v", diags)
	}
	return set
}

// record is an input record of host pc1 at second t.
func record(t int, value string) pipeline.Record {
	return pipeline.Record{Timestamp: int64(1767225600+t) * 1000, Key: []byte("pc1"), Value: []byte(value)}
}

const (
	execCmd  = `{"agent":{"os":"windows","version":"7.1","rule_id":"upstream"},"evt":{"name":"exec","matched_rules":[{"id":"upstream"}]},"date":"2026-01-01T00:00:01Z","process":{"pid":10,"executable":{"path":"C:\\Windows\\System32\\cmd.exe"}}}`
	execCalc = `{"evt":{"name":"exec"},"date":"2026-01-01T00:00:02Z","process":{"pid":11,"executable":{"path":"C:\\calc.exe"}}}`
	create   = `{"evt":{"name":"create"},"date":"2026-01-01T00:00:03Z","file":{"path":"C:\\x.txt"}}`
	remove   = `{"evt":{"name":"delete"},"date":"2026-01-01T00:00:04Z","file":{"path":"C:\\x.txt"}}`
)

func testConfig() pipeline.Config {
	cfg := pipeline.DefaultConfig()
	cfg.EngineVersion = "v0"
	return cfg
}

// run feeds the records to one partition, to the end.
func run(tb testing.TB, cfg pipeline.Config, set *rules.Set, records ...pipeline.Record) *pipelinetest.Broker {
	tb.Helper()
	b := pipelinetest.NewBroker(records...)
	p := pipeline.New(cfg, set, nil).Partition(pipeline.TopicPartition{Topic: "events", Partition: 3}, "lab")
	if err := p.Run(context.Background(), b.Source(nil), &pipelinetest.Committer{Broker: b}); err != nil {
		tb.Fatal(err)
	}
	pipelinetest.ValidateSignals(tb, b.Signals)
	pipelinetest.ValidateSignals(tb, b.Shadow)
	if b.Next != b.End {
		tb.Fatalf("stored position %d, the log ends at %d", b.Next, b.End)
	}
	return b
}

func headers(o pipeline.Output) string {
	var s []string
	for _, h := range o.Headers {
		s = append(s, h.Key+"="+string(h.Value))
	}
	return strings.Join(s, " ")
}

func decodeSignal(tb testing.TB, o pipeline.Output) event.Event {
	tb.Helper()
	var e event.Event
	if err := json.Unmarshal(o.Value, &e); err != nil {
		tb.Fatal(err)
	}
	return e
}

func matchedIDs(e event.Event) (ids []string) {
	for _, m := range e.Evt.MatchedRules {
		ids = append(ids, m.ID)
	}
	return ids
}

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
			if got := p.Ancestors[0].Cmdline != ""; got != c.cmdlines {
				t.Errorf("command lines kept: %v", got)
			}
		})
	}
}

func TestReject(t *testing.T) {
	const most = 4096
	long := `{"evt":{"name":"exec"},` + strings.Repeat(" ", 6000) + `"date":3}`
	sum := sha256.Sum256([]byte(long))
	cases := []struct {
		name    string
		record  pipeline.Record
		reason  event.Reason
		stage   string
		value   string
		headers string // that must be among them
	}{
		{"broken", record(1, `{"evt":`), event.ReasonInvalidJSON, "decode", `{"evt":`, "spoor-topic=events spoor-partition=3 spoor-offset=0"},
		{"empty", record(1, ``), event.ReasonInvalidJSON, "decode", ``, ""},
		{"tombstone", pipeline.Record{Key: []byte("pc1")}, event.ReasonInvalidJSON, "decode", ``, ""},
		{"wrong type", record(1, `{"evt":7}`), event.ReasonWrongType, "decode", `{"evt":7}`, ""},
		{"bad date", record(1, `{"date":"yesterday"}`), event.ReasonBadDate, "decode", `{"date":"yesterday"}`, ""},
		{"cut", record(1, long), event.ReasonWrongType, "decode", long[:most-3], "spoor-original-length=6032 spoor-original-sha256=" + hex.EncodeToString(sum[:])},
		{"the source's fault", pipeline.Record{Value: []byte("?"), Fault: &event.Error{Reason: event.ReasonCorruptRecord, Detail: "bad crc"}}, event.ReasonCorruptRecord, "source", "?", "spoor-detail=bad crc"},
		{"huge key", pipeline.Record{Key: []byte(strings.Repeat("k", 9000)), Value: []byte(`[]`)}, event.ReasonInvalidJSON, "decode", `[]`, "spoor-original-key-length=9000"},
	}
	cfg := testConfig()
	cfg.MaxSignalBytes = most
	set := compile(t, testPolicy)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := run(t, cfg, set, c.record, record(2, execCalc))
			if len(b.Rejects) != 1 || len(b.Signals) != 1 {
				t.Fatalf("%d rejects, %d signals", len(b.Rejects), len(b.Signals))
			}
			r := b.Rejects[0]
			if len(long) != 6032 && c.name == "cut" {
				t.Fatalf("the case is wrong: %d", len(long))
			}
			if r.Reason != c.reason || string(r.Value) != c.value {
				t.Errorf("reason %s, value %q", r.Reason, r.Value)
			}
			got := headers(r.Output)
			if !strings.HasPrefix(got, "spoor-reason="+string(c.reason)+" spoor-stage="+c.stage+" ") || !strings.Contains(got, c.headers) {
				t.Errorf("headers %s", got)
			}
			if len(r.Key)+len(r.Value) > most {
				t.Errorf("key and value have %d bytes", len(r.Key)+len(r.Value))
			}
		})
	}
}

// No key and an empty key are different keys to Kafka, and so are no value and an empty one.
func TestNilIsNotEmpty(t *testing.T) {
	for _, b := range [][]byte{nil, {}} {
		// Not through the memory broker, which makes copies of its own.
		p := pipeline.New(testConfig(), compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
		out := committerFunc(func(_ context.Context, batch *pipeline.Batch) error {
			for _, got := range [][]byte{batch.Signals[0].Key, batch.Rejects[0].Key, batch.Rejects[0].Value} {
				if (got == nil) != (b == nil) || len(got) != 0 {
					t.Errorf("%#v became %#v", b, got)
				}
			}
			return nil
		})
		f := pipeline.Fetch{Records: []pipeline.Record{{Key: b, Value: []byte(create)}, {Offset: 1, Key: b, Value: b}}, Next: 2}
		if err := p.Step(context.Background(), f, out); err != nil {
			t.Fatal(err)
		}
		if err := p.Flush(context.Background(), out); err != nil {
			t.Fatal(err)
		}
	}
}

// A record that could not be read has no timestamp; its reject takes that of the record before, because a
// reject of 1970 would be past the retention of its topic at once.
func TestRejectTimestamp(t *testing.T) {
	corrupt := pipeline.Record{Fault: &event.Error{Reason: event.ReasonCorruptRecord}}
	b := run(t, testConfig(), compile(t, testPolicy), record(1, "?"), record(2, create), corrupt)
	if len(b.Rejects) != 2 || b.Rejects[0].Timestamp != b.Input[0].Timestamp || b.Rejects[1].Timestamp != b.Input[1].Timestamp {
		t.Errorf("rejects %+v", b.Rejects)
	}
}

func TestRejectTooLarge(t *testing.T) {
	cfg := testConfig()
	cfg.MaxRecordBytes = len(execCalc)
	b := run(t, cfg, compile(t, testPolicy), record(1, execCalc+" "), record(2, execCalc))
	if len(b.Rejects) != 1 || b.Rejects[0].Reason != event.ReasonTooLarge || len(b.Signals) != 1 {
		t.Errorf("rejects %v, %d signals", b.Rejects, len(b.Signals))
	}
}

func TestUnknownFields(t *testing.T) {
	value := `{"evt":{"name":"exec","colour":"red"},"process":{"pid":1}}`
	cfg := testConfig()
	if b := run(t, cfg, compile(t, testPolicy), record(1, value)); len(b.Signals) != 1 {
		t.Errorf("ignored by default: %d signals", len(b.Signals))
	}
	cfg.RejectUnknownFields = true
	if b := run(t, cfg, compile(t, testPolicy), record(1, value)); len(b.Rejects) != 1 || b.Rejects[0].Reason != event.ReasonUnknownField {
		t.Errorf("rejects %v", b.Rejects)
	}
}

// A panic in the processing of one record rejects that record and nothing else, whatever the stage.
func TestPanic(t *testing.T) {
	for _, stage := range []pipeline.Stage{pipeline.StageSource, pipeline.StageDecode, pipeline.StageEnrich, pipeline.StageEvaluate, pipeline.StageSink} {
		t.Run(string(stage), func(t *testing.T) {
			cfg := testConfig()
			cfg.Probe = func(l *pipeline.Look) {
				if l.Stage == stage && l.Offset == 1 {
					panic("index out of range")
				}
			}
			b := run(t, cfg, compile(t, testPolicy), record(1, execCmd), record(2, execCalc), record(3, create))
			if ids := pipelinetest.IDs(b.Signals); !reflect.DeepEqual(ids, []string{"events/3/0", "events/3/2"}) {
				t.Errorf("signals %q", ids)
			}
			if len(b.Shadow) != 1 {
				t.Errorf("%d shadow signals", len(b.Shadow))
			}
			if len(b.Rejects) != 1 || b.Rejects[0].Reason != pipeline.ReasonInternal || b.Rejects[0].Offset != 1 || string(b.Rejects[0].Value) != execCalc {
				t.Fatalf("rejects %v", b.Rejects)
			}
			if got := pipelinetest.HeaderOf(b.Rejects[0].Output, pipeline.HeaderStage); got != string(stage) {
				t.Errorf("stage %s", got)
			}
			touched := stage == pipeline.StageSource || stage == pipeline.StageEnrich
			if (b.Lost == 1) != touched {
				t.Errorf("state thrown away in %d batches", b.Lost)
			}
		})
	}
}

// Garbage of any kind is a signal or a reject, record for record, and never a fault of the engine.
func TestGarbage(t *testing.T) {
	set := compile(t, `
name: all
rules:
  - id: all
    expression: evt.name != "no such name" and (process.parent.known or not process.parent.known)
`)
	r := rand.New(rand.NewPCG(1, 1))
	seeds := []string{execCmd, execCalc, create, chain(4, 3), typical(1),
		`{"evt":{"name":"exec"},"process":{"pid":-1,"ppid":9223372036854775807,"exec_time":"0001-01-01T00:00:00Z","executable":{"path":"\\"}}}`,
		`{"evt":{"name":"exit"},"process":{"pid":10},"exit":{}}`,
		`{"process":{"parent":{"pid":3},"ancestors":[{},{"pid":3},{}]}}`,
		"", "null", "[]", "7", `"x"`, "{}", `{"process":null,"evt":null}`, strings.Repeat(`{"process":`, 100), strings.Repeat("[", 100_000), "\xff\xfe{}", "{}{}"}
	var rs []pipeline.Record
	for i := range 6000 {
		v := []byte(seeds[r.IntN(len(seeds))])
		for range r.IntN(4) {
			if len(v) == 0 {
				break
			}
			at := r.IntN(len(v))
			switch r.IntN(4) {
			case 0:
				v[at] = byte(r.IntN(256))
			case 1:
				v = v[:at]
			case 2:
				v = slices.Insert(v, at, []byte(seeds[r.IntN(6)])...)
			case 3:
				v = slices.Delete(v, at, min(len(v), at+r.IntN(9)))
			}
		}
		rec := record(i, string(v))
		rec.Timestamp = int64(r.Uint64() >> r.IntN(64))
		rec.Key = []byte(fmt.Sprint("pc", r.IntN(3)))[:r.IntN(4)]
		rs = append(rs, rec)
	}
	b := run(t, testConfig(), set, rs...)
	if len(b.Signals)+len(b.Rejects) != len(rs) || len(b.Signals) < 500 || len(b.Rejects) < 500 {
		t.Errorf("%d records, %d signals, %d rejects", len(rs), len(b.Signals), len(b.Rejects))
	}
	for _, x := range b.Rejects {
		if x.Reason == pipeline.ReasonInternal {
			t.Fatalf("the engine failed on %q: %s", x.Value, x.Detail)
		}
	}
}

func TestHost(t *testing.T) {
	cases := []struct {
		name   string
		header string
		record pipeline.Record
		host   string
		has    bool
	}{
		{"key", "", pipeline.Record{Key: []byte("PC1.Example")}, "PC1.Example", true},
		{"no key", "", pipeline.Record{}, "", false},
		{"empty key", "", pipeline.Record{Key: []byte{}}, "", false},
		{"header", "host", pipeline.Record{Key: []byte("pc1"), Headers: []pipeline.Header{{Key: "a"}, {Key: "host", Value: []byte("pc2")}}}, "pc2", true},
		{"no such header", "host", pipeline.Record{Key: []byte("pc1")}, "", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.HostHeader = c.header
			var seen event.Meta
			cfg.Probe = func(l *pipeline.Look) {
				if l.Stage == pipeline.StageDecode {
					seen = l.Event.Meta
				}
			}
			c.record.Value = []byte(execCalc)
			run(t, cfg, compile(t, testPolicy), c.record)
			if seen.Host != c.host || seen.HasHost != c.has {
				t.Errorf("host %q %v", seen.Host, seen.HasHost)
			}
		})
	}
}

// The hosts that state keeps must not be bytes of the record: the source overwrites those.
func TestHostOutlivesRecord(t *testing.T) {
	cfg := testConfig()
	var hosts []string
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageDecode {
			hosts = append(hosts, l.Event.Meta.Host)
		}
	}
	b := pipelinetest.NewBroker(record(1, create), record(2, create), record(3, create))
	b.Input[2].Key = []byte(strings.Repeat("h", 1000))
	p := pipeline.New(cfg, compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
	if err := p.Run(context.Background(), b.Source(func() int { return 1 }), &pipelinetest.Committer{Broker: b}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"pc1", "pc1", strings.Repeat("h", 1000)}; !reflect.DeepEqual(hosts, want) {
		t.Errorf("hosts %q", hosts)
	}
}

// script is a Source that yields what it is told.
type script struct {
	fetches []pipeline.Fetch
	wait    func()
	end     error
}

func (s *script) Next(ctx context.Context) (pipeline.Fetch, error) {
	if s.wait != nil {
		s.wait()
	}
	if err := ctx.Err(); err != nil {
		return pipeline.Fetch{}, err
	}
	if len(s.fetches) == 0 {
		return pipeline.Fetch{}, s.end
	}
	f := s.fetches[0]
	s.fetches = s.fetches[1:]
	return f, nil
}

// nexts is a Committer that notes positions.
type nexts struct {
	got []int64
	err error
	ctx []error
}

func (n *nexts) Commit(ctx context.Context, b *pipeline.Batch) error {
	n.got = append(n.got, b.Next)
	n.ctx = append(n.ctx, ctx.Err())
	return n.err
}

func at(offset int64) pipeline.Record {
	r := record(int(offset), remove)
	r.Offset = offset
	return r
}

func TestCommitWhen(t *testing.T) {
	records := func(from, to int64) (rs []pipeline.Record) {
		for o := from; o < to; o++ {
			rs = append(rs, at(o))
		}
		return rs
	}
	cases := []struct {
		name    string
		fetches []pipeline.Fetch
		records int           // CommitRecords
		tick    time.Duration // the clock moves before each fetch
		want    []int64
	}{
		{"by records, in mid-fetch", []pipeline.Fetch{{Records: records(0, 5), Next: 5}}, 2, 0, []int64{2, 4, 5}},
		{"by time", []pipeline.Fetch{{Records: records(0, 1), Next: 1}, {Records: records(1, 2), Next: 2}, {}, {}}, 100, 150 * time.Millisecond, []int64{2}},
		{"position over a gap", []pipeline.Fetch{{Records: records(0, 1), Next: 7}}, 100, 0, []int64{7}},
		{"position without records, not more often than the interval", []pipeline.Fetch{{Next: 1}, {Next: 2}, {Next: 3}, {Next: 4}, {Next: 5}}, 100, 100 * time.Millisecond, []int64{3, 5}},
		{"nothing at all", []pipeline.Fetch{{}, {Next: -1}, {}}, 100, time.Hour, nil},
		{"an idle fetch does not move back", []pipeline.Fetch{{Records: records(5, 6), Next: 6}, {Next: 0}}, 100, 0, []int64{6}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			now := time.Unix(1e9, 0)
			cfg := testConfig()
			cfg.CommitRecords = c.records
			cfg.Clock = func() time.Time { return now }
			p := pipeline.New(cfg, compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
			out := &nexts{}
			src := &script{fetches: c.fetches, end: io.EOF, wait: func() { now = now.Add(c.tick) }}
			if err := p.Run(context.Background(), src, out); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(out.got, c.want) {
				t.Errorf("committed %d, want %d", out.got, c.want)
			}
			if n := len(c.want); n > 0 && p.Next() != c.want[n-1] {
				t.Errorf("Next %d", p.Next())
			}
		})
	}
}

func TestCommitByBytes(t *testing.T) {
	cfg := testConfig()
	cfg.CommitBytes = 2000
	var rs []pipeline.Record
	for i := range 100 {
		rs = append(rs, record(i, execCmd))
	}
	b := run(t, cfg, compile(t, testPolicy), rs...)
	if b.Commits < 20 {
		t.Errorf("%d commits: batches are not bounded in bytes", b.Commits)
	}
}

func TestCommitFails(t *testing.T) {
	boom := errors.New("broker gone")
	p := pipeline.New(testConfig(), compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events", Partition: 3}, "")
	out := &nexts{err: boom}
	err := p.Run(context.Background(), &script{fetches: []pipeline.Fetch{{Records: []pipeline.Record{at(0)}, Next: 1}}, end: io.EOF}, out)
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), "events/3") {
		t.Errorf("error %v", err)
	}
	if len(out.got) != 1 || p.Next() != -1 {
		t.Errorf("commits %d, Next %d: a failed batch is not committed again", out.got, p.Next())
	}
	ctx := context.Background()
	for name, err := range map[string]error{
		"Step":  p.Step(ctx, pipeline.Fetch{}, out),
		"Flush": p.Flush(ctx, out),
		"Run":   p.Run(ctx, &script{end: io.EOF}, out),
	} {
		if !errors.Is(err, pipeline.ErrDead) {
			t.Errorf("%s on a dead partition: %v", name, err)
		}
	}
}

// When its context ends, a partition commits what it has and returns the context's error; the commit itself
// runs under a context that is still alive.
func TestDrain(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var rs []pipeline.Record
	for o := range int64(1000) {
		rs = append(rs, at(o))
	}
	cfg := testConfig()
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageDecode && l.Offset == 100 {
			cancel()
		}
	}
	p := pipeline.New(cfg, compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
	out := &nexts{}
	err := p.Run(ctx, &script{fetches: []pipeline.Fetch{{Records: rs, Next: 1000}}, end: io.EOF}, out)
	if err != context.Canceled { // itself: the partition is whole
		t.Errorf("error %v", err)
	}
	if len(out.got) != 1 || out.got[0] != p.Next() || out.got[0] <= 100 || out.got[0] > 200 || out.ctx[0] != nil {
		t.Errorf("commits %d, their contexts %v: want one, soon after offset 100", out.got, out.ctx)
	}
}

// A drain has an end: a commit that hangs is given up.
func TestDrainTimeout(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cfg := testConfig()
	cfg.DrainTimeout = 10 * time.Millisecond
	p := pipeline.New(cfg, compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
	src := &script{fetches: []pipeline.Fetch{{Records: []pipeline.Record{at(0)}, Next: 1}}, end: io.EOF}
	err := p.Run(ctx, src, committerFunc(func(ctx context.Context, b *pipeline.Batch) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}))
	if err == context.Canceled || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "commit events/0") {
		t.Errorf("error %v", err)
	}
}

type committerFunc func(context.Context, *pipeline.Batch) error

func (f committerFunc) Commit(ctx context.Context, b *pipeline.Batch) error { return f(ctx, b) }

func TestSourceFails(t *testing.T) {
	boom := errors.New("disk gone")
	p := pipeline.New(testConfig(), compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
	out := &nexts{}
	err := p.Run(context.Background(), &script{fetches: []pipeline.Fetch{{Records: []pipeline.Record{at(0)}, Next: 1}}, end: boom}, out)
	if !errors.Is(err, boom) || len(out.got) != 1 {
		t.Errorf("error %v, commits %d: what was read before is committed", err, out.got)
	}
	err = p.Step(context.Background(), pipeline.Fetch{Records: []pipeline.Record{at(0)}}, out)
	if err == nil || !strings.Contains(err.Error(), "offset 0 again") {
		t.Errorf("a source that goes back: %v", err)
	}
}

// A batch is evaluated with one set; a new one comes in with the next batch.
func TestSwapAtCommit(t *testing.T) {
	old, next := compile(t, testPolicy), compile(t, strings.Replace(testPolicy, "id: any_exec", "id: renamed", 1))
	if old.Hash() == next.Hash() {
		t.Fatal("the sets have one hash")
	}
	cfg := testConfig()
	cfg.CommitRecords = 4
	var e *pipeline.Engine
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageSink && l.Offset == 1 {
			e.Swap(next)
		}
	}
	e = pipeline.New(cfg, old, nil)
	var rs []pipeline.Record
	for i := range 8 {
		rs = append(rs, record(i, execCalc))
	}
	b := pipelinetest.NewBroker(rs...)
	if err := e.Partition(pipeline.TopicPartition{Topic: "events"}, "").Run(context.Background(), b.Source(nil), &pipelinetest.Committer{Broker: b}); err != nil {
		t.Fatal(err)
	}
	for i, o := range b.Signals {
		set, rule := old, "any_exec"
		if i >= 4 {
			set, rule = next, "renamed"
		}
		if got := pipelinetest.HeaderOf(o, pipeline.HeaderPolicySet); got != set.Hash() || decodeSignal(t, o).Agent.RuleID != rule {
			t.Errorf("signal %d: set %s, rule %s", i, got, decodeSignal(t, o).Agent.RuleID)
		}
	}
	if want := []string{old.Hash(), next.Hash()}; !reflect.DeepEqual(b.Sets, want) || len(b.Signals) != 8 {
		t.Errorf("batches %q, %d signals", b.Sets, len(b.Signals))
	}
	if n := e.Counters().RuleMatches; n["any_exec"] != 4 || n["renamed"] != 4 || n["shadow_exec"] != 8 {
		t.Errorf("matches %v", n)
	}
}

func TestCounters(t *testing.T) {
	cfg := testConfig()
	e := pipeline.New(cfg, compile(t, testPolicy), nil)
	p := e.Partition(pipeline.TopicPartition{Topic: "events"}, "")
	b := pipelinetest.NewBroker(record(1, execCmd), record(2, "?"), record(3, create), record(4, remove))
	b.Input[2].Key = nil
	f, err := b.Source(nil).Next(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	out := &pipelinetest.Committer{Broker: b}
	if err := p.Step(context.Background(), f, out); err != nil {
		t.Fatal(err)
	}
	if n := e.Counters().Events; n != 0 {
		t.Errorf("%d events counted before the commit", n)
	}
	before := p.Counters()
	if err := p.Flush(context.Background(), out); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]pipeline.Counters{"partition before": before, "partition after": p.Counters(), "engine": e.Counters()} {
		want := map[string]int64{"cmd": 1, "any_exec": 1, "shadow_exec": 1, "file_created": 1}
		if c.Events != 4 || c.Rejected != 1 || c.Signals != 2 || c.ShadowSignals != 1 || !reflect.DeepEqual(c.RuleMatches, want) {
			t.Errorf("%s: %+v", name, c)
		}
		if c.Lineage.NoHost != 1 {
			t.Errorf("%s: lineage %+v", name, c.Lineage)
		}
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	e := pipeline.New(testConfig(), compile(t, testPolicy), pipeline.NewMetrics(reg))
	m := e.Metrics()
	p := e.Partition(pipeline.TopicPartition{Topic: "events", Partition: 3}, "")
	b := pipelinetest.NewBroker(record(1, execCmd), record(2, "?"), record(3, `{"evt":{"name":"delete"},"a":1,"b":2}`))
	if err := p.Run(context.Background(), b.Source(nil), &pipelinetest.Committer{Broker: b}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		collector prometheus.Collector
		want      float64
	}{
		"records":         {m.Records.WithLabelValues("events", "3"), 3},
		"bytes":           {m.RecordBytes.WithLabelValues("events", "3"), float64(len(execCmd) + 1 + 37)},
		"rejects":         {m.Rejects.WithLabelValues("invalid_json", "decode"), 1},
		"unknown fields":  {m.UnknownFields, 2},
		"signals":         {m.Signals.WithLabelValues("cmd", "live"), 1},
		"not the primary": {m.Signals.WithLabelValues("any_exec", "live"), 0},
		"shadow signals":  {m.Signals.WithLabelValues("shadow_exec", "shadow"), 1},
		"matches":         {m.Matches.WithLabelValues("any_exec", "live"), 1},
		"lag":             {m.Lag.WithLabelValues("events", "3"), 0},
		"live rules":      {m.PolicyRules.WithLabelValues("live"), 4},
		"policy set":      {m.PolicySet.WithLabelValues(e.Set().Hash()), 1},
	} {
		if got := testutil.ToFloat64(c.collector); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	series := func() int {
		n, err := testutil.GatherAndCount(reg, "spoor_lag_records", "spoor_last_commit_timestamp_seconds", "spoor_state_entries", "spoor_state_bytes", "spoor_lineage_suspect_hosts")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if series() == 0 {
		t.Error("the partition has no gauges")
	}
	p.Close()
	if n := series(); n != 0 {
		t.Errorf("%d gauges after Close", n)
	}
}

// The same records give the same bytes, however they are cut into fetches and batches.
func TestSameBytes(t *testing.T) {
	var rs []pipeline.Record
	for i := range 200 {
		rs = append(rs, record(i, []string{execCmd, execCalc, create, remove, "?", chain(3, 5)}[i%6]))
	}
	set := compile(t, testPolicy)
	want := run(t, testConfig(), set, rs...)
	for _, n := range []int{1, 3, 50} {
		cfg := testConfig()
		cfg.CommitRecords = 7 * n
		b := pipelinetest.NewBroker(rs...)
		p := pipeline.New(cfg, set, nil).Partition(pipeline.TopicPartition{Topic: "events", Partition: 3}, "lab")
		if err := p.Run(context.Background(), b.Source(func() int { return n }), &pipelinetest.Committer{Broker: b}); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(b.Signals, want.Signals) || !reflect.DeepEqual(b.Shadow, want.Shadow) || !reflect.DeepEqual(b.Rejects, want.Rejects) {
			t.Errorf("fetches of %d records give other outputs", n)
		}
	}
}

func TestValidate(t *testing.T) {
	if errs := pipeline.DefaultConfig().Validate(); len(errs) != 0 {
		t.Errorf("the default config: %v", errs)
	}
	cfg := pipeline.DefaultConfig()
	cfg.MaxRecordBytes, cfg.MaxSignalBytes, cfg.CommitRecords, cfg.CommitBytes, cfg.CommitInterval, cfg.DrainTimeout = 0, 0, 0, 0, 0, 0
	cfg.Enrich.MaxAncestors = 3
	if errs := cfg.Validate(); len(errs) != 7 {
		t.Errorf("%d problems: %v", len(errs), errs)
	}
}

// Partitions share an engine whose set is swapped while they run: each signal is whole, of one set. Run it
// with -race.
func TestPartitionsShareAnEngine(t *testing.T) {
	sets := []*rules.Set{compile(t, testPolicy), compile(t, strings.Replace(testPolicy, "id: any_exec", "id: renamed", 1))}
	names := map[string]string{sets[0].Hash(): "any_exec", sets[1].Hash(): "renamed"}
	cfg := testConfig()
	cfg.CommitRecords = 10
	e := pipeline.New(cfg, sets[0], nil)
	var running sync.WaitGroup
	var done atomic.Bool
	running.Go(func() {
		for i := 0; !done.Load(); i++ {
			e.Swap(sets[i%2])
			e.Stuck(time.Minute)
			e.Counters()
			time.Sleep(50 * time.Microsecond)
		}
	})
	const partitions, records = 4, 500
	brokers := make([]*pipelinetest.Broker, partitions)
	var parts sync.WaitGroup
	for i := range brokers {
		b := pipelinetest.NewBroker(repeat(execCalc, records)...)
		brokers[i] = b
		p := e.Partition(pipeline.TopicPartition{Topic: "events", Partition: int32(i)}, "")
		parts.Go(func() {
			if err := p.Run(context.Background(), b.Source(func() int { return 7 }), &pipelinetest.Committer{Broker: b}); err != nil {
				t.Error(err)
			}
		})
	}
	parts.Wait()
	done.Store(true)
	running.Wait()
	for _, b := range brokers {
		if len(b.Signals) != records {
			t.Fatalf("%d signals", len(b.Signals))
		}
		for _, o := range b.Signals {
			want := names[pipelinetest.HeaderOf(o, pipeline.HeaderPolicySet)]
			if got := decodeSignal(t, o).Agent.RuleID; got != want {
				t.Fatalf("a signal of rule %s in a set that has %s", got, want)
			}
		}
	}
	c := e.Counters()
	if c.Events != partitions*records || c.RuleMatches["any_exec"]+c.RuleMatches["renamed"] != partitions*records {
		t.Errorf("counters %+v", c)
	}
}

func TestStuck(t *testing.T) {
	now := time.Unix(1e9, 0)
	cfg := testConfig()
	cfg.Clock = func() time.Time { return now }
	e := pipeline.New(cfg, compile(t, testPolicy), nil)
	p := e.Partition(pipeline.TopicPartition{Topic: "events", Partition: 2}, "")
	src := &script{fetches: []pipeline.Fetch{{Records: []pipeline.Record{at(0)}, Next: 1, End: 5}}, end: io.EOF}
	var during []pipeline.TopicPartition
	src.wait = func() {
		now = now.Add(5 * time.Minute)
		during, _ = e.Stuck(5 * time.Minute)
	}
	if err := p.Run(context.Background(), src, &nexts{}); err != nil {
		t.Fatal(err)
	}
	if len(during) != 1 || during[0].Partition != 2 {
		t.Errorf("stuck %v: the loop waited for 5 minutes with a lag", during)
	}
	if stuck, running := e.Stuck(0); len(stuck) != 0 || running != 0 {
		t.Errorf("after Run: %v, %d running", stuck, running)
	}
}
