//go:build realkafka

package realkafka

import (
	"testing"
)

const partitions = 8

// Two members share the topic; one is killed half way, a third joins, all are stopped. Then the same with a
// restart of the broker in the middle.
func TestKilledMembersLoseNothing(t *testing.T) {
	whole(t)
	const events = 200_000
	bin := buildEngine(t)
	f := func(name string, disturb func(b *broker)) {
		t.Run(name, func(t *testing.T) {
			b := startBroker(t)
			b.createTopic("events", partitions)
			b.createTopic("signals", partitions)
			b.publish("events", events)
			e := newEngine(t, bin, config(b, "kill", "signals", false))
			first, second := e.run(), e.run()
			await(t, "half of the events", func() bool { return b.committed("kill", "events", partitions) > events/2 })
			first.kill()
			disturb(b)
			third := e.run()
			await(t, "all events to be committed", func() bool {
				return b.committed("kill", "events", partitions) == b.ends("events", partitions)
			})
			second.drain(t)
			third.drain(t)
			compare(t, b.signals("signals"), e.replayed())
		})
	}
	f("kill", func(*broker) {})
	f("kill and broker restart", func(b *broker) {
		b.stop()
		b.start()
	})
}

// One undisturbed engine with lineage publishes, byte for byte and in order, what its replay gives.
func TestUndisturbedEqualsReplay(t *testing.T) {
	whole(t)
	b := startBroker(t)
	b.createTopic("events", partitions)
	b.createTopic("signals", partitions)
	b.publish("events", 100_000)
	e := newEngine(t, buildEngine(t), config(b, "calm", "signals", true))
	m := e.run()
	await(t, "all events to be committed", func() bool {
		return b.committed("calm", "events", partitions) == b.ends("events", partitions)
	})
	m.drain(t)
	published, replayed := b.signals("signals"), e.replayed()
	if len(published) != len(replayed) {
		t.Fatalf("%d signals published, %d in the replay", len(published), len(replayed))
	}
	for i := range published {
		if published[i] != replayed[i] {
			t.Fatalf("signal %d differs\npublished %+v\nreplayed  %+v", i, published[i], replayed[i])
		}
	}
	t.Logf("%d signals equal", len(published))
}
