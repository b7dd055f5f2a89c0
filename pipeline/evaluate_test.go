package pipeline_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"spoor/pipeline"
	"spoor/pipeline/pipelinetest"
)

// TestRuleSeconds holds that sampled events say what the rules evaluated for them took, and only those rules.
func TestRuleSeconds(t *testing.T) {
	cfg := testConfig()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	looks := 0
	cfg.Clock = func() time.Time { // the more it is looked at the faster it goes, so that laps take longer than a look
		looks++
		now = now.Add(time.Duration(looks) * time.Nanosecond)
		return now
	}
	e := pipeline.New(cfg, compile(t, testPolicy), pipeline.NewMetrics(prometheus.NewRegistry()))
	p := e.Partition(pipeline.TopicPartition{Topic: "events"}, "")
	var records []pipeline.Record
	for i := range 64 {
		records = append(records, record(i, execCmd))
	}
	b := pipelinetest.NewBroker(records...)
	if err := p.Run(context.Background(), b.Source(nil), &pipelinetest.Committer{Broker: b}); err != nil {
		t.Fatal(err)
	}
	seconds := e.Metrics().RuleSeconds
	if n := testutil.CollectAndCount(seconds); n != 3 {
		t.Errorf("%d rules took time, want those that were evaluated, any_exec, cmd and shadow_exec", n)
	}
	for _, rule := range []string{"any_exec", "cmd", "shadow_exec"} {
		if got := testutil.ToFloat64(seconds.WithLabelValues(rule)); got <= 0 || got > 1 {
			t.Errorf("%s took %v s", rule, got)
		}
	}
}
