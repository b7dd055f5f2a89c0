//go:build realkafka

package realkafka

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// What operators do, and what happens to topics: offsets set by hand, a state from a later release, a changelog deleted,
// an input made anew.
func TestOperators(t *testing.T) {
	b := startBroker(t)
	b.createTopic("events", partitions)
	b.createTopic("signals", partitions)
	b.publish("events", 8_000)
	bin := buildEngine(t)
	e := newEngine(t, bin, survivorConfig(b, "ops", "signals", "exactly_once"))
	changelog := "ops.events.spoor-state"
	done := func() {
		t.Helper()
		await(t, "all events to be committed", func() bool {
			return b.committed("ops", "events", partitions) == b.ends("events", partitions)
		})
	}
	m := e.run()
	done()
	m.drain(t)
	first := b.signals("signals")
	once(t, first)
	compare(t, first, e.replayed())

	// Backwards: the state is of the future and is discarded; from the beginning that is what a replay does.
	b.setOffsets("ops", "events", make([]int64, partitions))
	m = e.run()
	await(t, "the word of the operator", func() bool { return m.says("moved backwards") })
	done()
	m.drain(t)
	again := b.signals("signals")
	if len(again) != 2*len(first) {
		t.Errorf("%d signals after the same events came again, want %d", len(again), 2*len(first))
	}
	compare(t, again, e.replayed())

	// A later release wrote one partition's marker: that partition waits, the others go on.
	cl := b.client(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err := cl.ProduceSync(context.Background(), &kgo.Record{Topic: changelog, Partition: 0, Key: []byte("\x00marker"), Value: []byte{9, 1}}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	cl.Close()
	m = e.run()
	before := b.committed("ops", "events", partitions)
	b.more("events", 11, 4_000)
	await(t, "the partition to pause", func() bool { return m.says("written by a later release") })
	await(t, "the other partitions", func() bool {
		return b.ends("events", partitions)-b.committed("ops", "events", partitions) <= b.logEnds("events", 1)[0] && b.committed("ops", "events", partitions) > before
	})
	m.drain(t)

	// The changelog is gone: the state starts empty at the group's offset, and says so.
	b.deleteTopic(changelog)
	await(t, "the changelog to go", func() bool { return b.partitionsOf(changelog) == 0 })
	m = e.run()
	await(t, "the loss to be told", func() bool { return m.says("changelog lost its marker") })
	done()
	m.drain(t)

	// The input is made anew and shorter: nothing is guessed.
	b.deleteTopic("events")
	await(t, "the input to go", func() bool { return b.partitionsOf("events") == 0 })
	b.createTopic("events", partitions)
	b.more("events", 12, 100)
	m = e.run()
	ended := make(chan error, 1)
	go func() { ended <- m.Wait() }()
	select {
	case err := <-ended:
		if err == nil || !m.says("recreated?") {
			t.Errorf("the engine ends with %v, and does not say that the topic was recreated", err)
		}
	case <-time.After(90 * time.Second):
		t.Error("the engine goes on with a topic that was made anew")
	}
}

// The input gets more partitions: the changelog gets them first, and what comes in them is processed from the beginning.
func TestInputGrows(t *testing.T) {
	b := startBroker(t)
	b.createTopic("events", 3)
	b.createTopic("signals", partitions)
	b.more("events", 21, 4_000)
	e := newEngine(t, buildEngine(t), survivorConfig(b, "grow", "signals", "exactly_once"))
	first, second := e.run(), e.run()
	await(t, "all events to be committed", func() bool { return b.committed("grow", "events", 3) == b.ends("events", 3) })
	b.grow("events", 7)
	await(t, "the new partitions to be known", func() bool { return b.partitionsOf("events") == 7 })
	b.more("events", 22, 6_000)
	await(t, "all events to be committed", func() bool { return b.committed("grow", "events", 7) == b.ends("events", 7) })
	if n := b.partitionsOf("grow.events.spoor-state"); n != 7 {
		t.Errorf("the changelog has %d partitions", n)
	}
	first.drain(t)
	second.drain(t)
	published := b.signals("signals")
	once(t, published)
	compare(t, published, e.replayed())
}
