package pipeline_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

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
