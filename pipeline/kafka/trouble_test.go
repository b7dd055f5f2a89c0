package kafka

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"spoor/pipeline/embedded"
)

// Five minutes of failures are one line and a gauge, and a success takes the gauge back.
func TestStalled(t *testing.T) {
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1}})
	lines := &logged{}
	s, m := testSource(t, b, 0, lines.logger(), nil)
	gauge := m.PartitionStalled.WithLabelValues("in", "0")
	for range 3 {
		s.failed(errors.New("no route"))
	}
	if gaugeValue(gauge) != 0 || len(lines.all()) != 0 {
		t.Error("three failures are news:", lines.all())
	}
	s.failingSince = time.Now().Add(-stallAfter)
	for range 3 {
		s.failed(errors.New("no route"))
	}
	all := strings.Join(lines.all(), "")
	if gaugeValue(gauge) != 1 || strings.Count(all, "partition stalled") != 1 || strings.Count(all, "trying again") != 1 {
		t.Error(gaugeValue(gauge), all)
	}
	s.recovered()
	if gaugeValue(gauge) != 0 || s.failures != 0 || !s.failingSince.IsZero() {
		t.Error("still stalled")
	}
}

// A refusal for lack of rights is said at once: waiting does not help.
func TestDeniedIsSaidAtOnce(t *testing.T) {
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1}})
	lines := &logged{}
	s, _ := testSource(t, b, 0, lines.logger(), nil)
	s.failed(kafka.TopicAuthorizationFailed)
	s.failed(kafka.TopicAuthorizationFailed)
	if all := lines.all(); len(all) != 1 || !strings.Contains(all[0], "not authorized") {
		t.Error(all)
	}
}

// Another program in the group is said in one sentence, and the member joins when it is gone.
func TestForeignMemberInTheGroup(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1, "out": 1, "rejects": 1}})
	fill(t, franz(t, b), "in", 1, 0, 1)
	foreign, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs()...), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("in"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if foreign.PollFetches(ctx).NumRecords() != 1 {
		t.Fatal("the foreign member is not in the group")
	}
	lines := &logged{}
	m, _ := member(t, config(b), lines.logger(), nil)
	eventually(t, func() string {
		if all := strings.Join(lines.all(), ""); !strings.Contains(all, "another program's members are in this group") {
			return "no such sentence: " + all
		}
		return ""
	})
	foreign.Close()
	eventually(t, func() string { return assigned(map[*Member]int{m: 1}) })
}
