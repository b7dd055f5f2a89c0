//go:build realkafka

package realkafka

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"spoor/bench"
)

// What a changelog and exactly_once cost: the time that one engine takes for a topic full of events, by delivery and
// number of partitions. REALKAFKA_COST=events runs it; the rounds are interleaved, and the best of three counts, as the
// broker shares the machine.
func TestCost(t *testing.T) {
	events := number(t, "REALKAFKA_COST", 0)
	if events == 0 {
		t.Skip("REALKAFKA_COST is not set")
	}
	bin := buildEngine(t)
	b := startBroker(t)
	for _, n := range []int32{1, 8, 64} {
		topic := fmt.Sprintf("events%d", n)
		b.createTopic(topic, n)
		b.fill(topic, events)
		best := map[string]time.Duration{}
		modes := []string{"off", "at_least_once", "exactly_once"}
		for round := range 3 {
			for _, mode := range modes {
				group := fmt.Sprintf("%s-%d-%d", strings.ReplaceAll(mode, "_", ""), n, round)
				b.createTopic(group+".out", n)
				yaml := strings.ReplaceAll(config(b, group, group+".out", true), "input: events", "input: "+topic)
				if mode != "off" {
					yaml += fmt.Sprintf("delivery: %s\nstate: {changelog: on}\n", mode)
				} else {
					yaml += "state: {changelog: off}\n"
				}
				e := newEngine(t, bin, yaml)
				m := e.run()
				await(t, "the first commit", func() bool { return b.committed(group, topic, n) > 0 })
				start, had := time.Now(), b.committed(group, topic, n)
				await(t, "the last", func() bool { return b.committed(group, topic, n) >= int64(events) })
				took := time.Duration(float64(time.Since(start)) * float64(events) / float64(int64(events)-had))
				m.drain(t)
				if best[mode] == 0 || took < best[mode] {
					best[mode] = took
				}
			}
		}
		for _, mode := range modes {
			t.Logf("%2d partitions, %-13s %8.0f events/s", n, mode, float64(events)/best[mode].Seconds())
		}
	}
}

// fill is publish for any topic, without the simulator's attacks.
func (b *broker) fill(topic string, events int) {
	b.t.Helper()
	cl := b.client(kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	defer cl.Close()
	err := bench.Generate(bench.Config{Seed: 5, Hosts: 200, Events: events}, func(r bench.Record) error {
		cl.Produce(context.Background(), &kgo.Record{Topic: topic, Key: []byte(r.Key), Value: bytes.Clone(r.Value), Timestamp: r.Time}, nil)
		return nil
	})
	if err == nil {
		err = cl.Flush(context.Background())
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
