package pipeline_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"spoor/pipeline"
	"spoor/rules"
	"spoor/rules/policy"
)

// One record through the whole pipeline: policies to a set, the set into an engine, a partition of it, and a
// Committer that takes what comes out.
func Example() {
	policies, faults := policy.LoadFS(fstest.MapFS{"shells.yaml": {Data: []byte(`
name: shells
rules:
  - id: shell
    title: A shell started
    expression: evt.name == "exec" and process.executable.name == "cmd.exe"
`)}})
	if policies == nil {
		fmt.Println(faults)
		return
	}
	set, faults := rules.Compile(policies)
	if set == nil {
		fmt.Println(faults)
		return
	}

	engine := pipeline.New(pipeline.DefaultConfig(), set, nil)
	partition := engine.Partition(pipeline.TopicPartition{Topic: "events", Partition: 0}, "")
	out := committerFunc(func(_ context.Context, b *pipeline.Batch) error {
		for _, s := range b.Signals {
			fmt.Printf("%s %s\n%s\n", s.Headers[0].Key, s.Headers[0].Value, s.Value)
		}
		return nil
	})
	ctx := context.Background()
	fetch := pipeline.Fetch{Next: 1, End: 1, Records: []pipeline.Record{{
		Key:   []byte("pc1"),
		Value: []byte(`{"evt":{"name":"exec"},"date":"2026-01-01T00:00:00Z","process":{"pid":7,"executable":{"path":"C:\\Windows\\System32\\CMD.EXE"}}}`),
	}}}
	if err := partition.Step(ctx, fetch, out); err != nil {
		fmt.Println(err)
	}
	if err := partition.Flush(ctx, out); err != nil {
		fmt.Println(err)
	}
	// Output:
	// spoor-signal-id events/0/0
	// {"agent":{"rule_id":"shell","policy_name":"shells"},"title":"A shell started","evt":{"name":"exec","matched_rules":[{"id":"shell","tags":["severity:medium"],"policy_name":"shells"}]},"date":"2026-01-01T00:00:00Z","process":{"pid":7,"exec_time":"2026-01-01T00:00:00Z","executable":{"path":"C:\\Windows\\System32\\CMD.EXE","name":"CMD.EXE"}}}
}
