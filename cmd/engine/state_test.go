package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"spoor/pipeline"
	"spoor/pipeline/embedded"
	"spoor/pipeline/kafka"
)

// The state commands over what an engine left, on the embedded broker.
func TestState(t *testing.T) {
	ctx := context.Background()
	broker, err := embedded.Start(ctx, embedded.Config{Topics: map[string]int32{"events": 2, "signals": 2}})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	in(t, map[string]string{"engine.yaml": fmt.Sprintf(`
kafka: {brokers: [%q], heartbeat_interval: 500ms}
delivery: exactly_once
state: {changelog: on}
commit_interval: 20ms
log: {level: error}
`, broker.Addr())})
	f := func(wantCode int, want []string, args ...string) {
		t.Helper()
		code, out, errs := call(t, "", append([]string{"state"}, append(args, "--config", "engine.yaml")...)...)
		if code != wantCode {
			t.Errorf("state %v: exit code %d\n%s%s", args, code, out, errs)
		}
		for _, w := range want {
			if !strings.Contains(out+errs, w) {
				t.Errorf("state %v: no %q in\n%s%s", args, w, out, errs)
			}
		}
	}
	f(exitFailed, []string{"has kept state"}, "stats")
	if _, out, _ := call(t, "", "state", "ls", "--config", "engine.yaml"); out != "" {
		t.Errorf("a table of nothing:\n%s", out)
	}

	a := &app{}
	cfg, err := a.loadConfig("engine.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, err := a.mustLoadSet(nil)
	if err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	eng := pipeline.New(cfg.Pipeline(), set, nil)
	member := kafka.NewMember(cfg.Cluster(), eng, slog.New(slog.DiscardHandler))
	go func() { ended <- member.Run(run) }()
	var records []pipeline.Record
	for i := range 6 {
		at := time.Date(2026, 1, 1, 0, 0, i, 5e8, time.UTC)
		records = append(records, pipeline.Record{Timestamp: at.UnixMilli(), Key: []byte(fmt.Sprintf("pc%d", i%2)), Value: fmt.Appendf(nil,
			`{"evt":{"name":"exec"},"date":%q,"process":{"pid":%d,"ppid":%d,"executable":{"path":"C:\\a.exe"},"cmdline":"a %d"}}`, at.Format(time.RFC3339Nano), 10+i, 8+i, i)})
	}
	if err := broker.Publish(ctx, "events", records, func(int, pipeline.TopicPartition, int64) {}); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); eng.Counters().Events < 6; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > 20*time.Second {
			t.Fatal("the events are not processed")
		}
	}
	f(exitFailed, []string{"stop them first"}, "reset", "--partition", "0")
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}

	f(0, []string{"HOST", "pc0", "pc1", "2026-01-01T00:00:04Z"}, "ls")
	f(0, []string{"PARTITION", "POSITION"}, "stats")
	f(0, []string{`"pid":12`, `"parent":10`, `"cmdline":"a 2"`}, "get", "pc0", "12")
	f(exitFailed, []string{`nothing is remembered of "pc9": 'engine state ls' lists the hosts`}, "get", "pc9")
	f(exitFailed, []string{`nothing is remembered of process 77 of "pc0"`}, "get", "pc0", "77")
	f(exitUsage, []string{"there is no partition -7"}, "ls", "--partition", "-7")
	f(exitUsage, []string{"is not a process id"}, "get", "pc0", "x")
	f(exitUsage, []string{"--partition is needed"}, "reset")
	f(exitFailed, []string{"there is no 7"}, "reset", "--partition", "7")
	code, out, _ := call(t, "", "state", "get", "pc0", "--config", "engine.yaml")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); code != 0 || len(lines) != 3 || !json.Valid([]byte(lines[0])) {
		t.Errorf("%d\n%s", code, out)
	}
	f(0, []string{"partition 0:"}, "reset", "--partition", "0")
	f(0, []string{"partition 1:"}, "reset", "--partition", "1")
	f(exitFailed, []string{"nothing is remembered of"}, "get", "pc0")
}

// What /readyz says a member waits for.
func TestReadiness(t *testing.T) {
	for want, s := range map[string]kafka.Status{
		"":                                       {Joined: true, Ready: true, Restoring: 2},
		"not yet joined the consumer group":      {},
		"reading the state of 3 partitions":      {Joined: true, Assigned: 8, Restoring: 4, Paused: 1},
		"1 partitions wait for an operator: the": {Joined: true, Assigned: 8, Restoring: 1, Paused: 1},
	} {
		if err := readiness(s); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", s, err, want)
		}
	}
}
