package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestBench(t *testing.T) {
	in(t, map[string]string{"p.yaml": officePolicy + `  - name: nothing
    events: [{evt.name: exit}]
    expect: {}
`, "odd.yaml": `rules:
  - {id: odd, expression: 'evt.name == "exec" and process.pid % 2 == 0'}
`, "day.ndjson": officeTraffic})
	code, out, errs := call(t, "", "bench", "-p", "p.yaml", "-p", "odd.yaml", "--time", "1ms", "day.ndjson")
	for _, want := range []string{"3 events, 1 of them rejected, 2 signals; 2 rules, 1 of them not indexed", "events/s on one core", "decode", "p99.9", "odd (not indexed: "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q", want)
		}
	}
	if code != 0 || t.Failed() {
		t.Fatalf("%d\n%s%s", code, out, errs)
	}
	code, out, errs = call(t, officeTraffic, "bench", "-p", "p.yaml", "-p", "odd.yaml", "--time", "1ms", "--limit", "2", "--json", "-")
	var r BenchReport
	if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil {
		t.Fatalf("%d %v\n%s%s", code, err, out, errs)
	}
	if r.Events != 2 || !r.More || r.Signals != 2 || r.Rules != 2 || r.Unindexed != 1 || r.EventsPerSecond <= 0 || r.Stages.Decode <= 0 || r.Latency.P50 <= 0 || r.Latency.Max < r.Latency.P50 {
		t.Errorf("%+v", r)
	}
	// Word is no candidate for the first, cmd for both; the second is one for each exec.
	for _, c := range r.CostByRule {
		switch {
		case c.ID == "office_spawns_shell" && (c.Candidate != .5 || c.Match != .5 || c.Unindexed != ""):
			t.Errorf("%+v", c)
		case c.ID == "odd" && (c.Candidate != 1 || c.Match != .5 || c.Unindexed == ""):
			t.Errorf("%+v", c)
		}
	}
	if code, _, errs := call(t, "", "bench", "-"); code != exitFailed || !strings.Contains(errs, "no records") {
		t.Errorf("%d %s", code, errs)
	}
	if code, _, _ := call(t, "", "bench", "--time", "0s", "-"); code != exitUsage {
		t.Errorf("%d", code)
	}
}
