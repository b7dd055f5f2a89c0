package kafka

import (
	"context"
	"testing"
	"time"

	"spoor/pipeline/embedded"
	"spoor/rules"
)

func testSet() *rules.Set { return &rules.Set{} }

func TestOneMember(t *testing.T) {
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 4, "out": 4, "rejects": 1}})
	fill(t, franz(t, b), "in", 4, 0, 100)
	start := time.Now()
	m, stop := member(t, config(b), quiet, nil)
	eventually(t, 5*time.Second, func() string {
		if n := len(ids(t, b)); n < 400 {
			return "signals missing"
		}
		return ""
	})
	t.Log(time.Since(start), m.Status())
	stop()
	t.Log(time.Since(start))
	if n := ids(t, b); len(n) != 400 {
		t.Fatal(len(n))
	}
	_ = context.Background
}
