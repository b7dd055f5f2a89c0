//go:build realkafka

package realkafka

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What operators do, and what happens to topics: offsets set by hand, a state from a later release, a changelog deleted,
// an input made anew.
func TestOperators(t *testing.T) {
	whole(t)
	// Brokers forget producers that wrote nothing for a day; here after a second.
	b := startBroker(t, "producer.id.expiration.ms=1000", "producer.id.expiration.check.interval.ms=200")
	b.createTopic("events", partitions)
	b.createTopic("signals", partitions)
	b.publish("events", 4_000)
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
	await(t, "the brokers to forget the producer", func() bool { return b.producers(changelog) == 0 })
	b.more("events", 10, 4_000)
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
	case <-time.After(patience):
		t.Error("the engine goes on with a topic that was made anew")
	}
}

// The input gets more partitions: the changelog gets them first, and what comes in them is processed from the beginning.
func TestInputGrows(t *testing.T) {
	whole(t)
	b := startBroker(t, "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer", "allow.everyone.if.no.acl.found=true")
	b.createTopic("events", 3)
	b.createTopic("signals", partitions)
	b.more("events", 21, 3_000)
	e := newEngine(t, buildEngine(t), survivorConfig(b, "grow", "signals", "exactly_once"))
	changelog := "grow.events.spoor-state"
	members := []*member{e.run(), e.run()}
	drain := func() {
		t.Helper()
		for _, m := range members {
			m.drain(t)
		}
	}
	grown := func(n int32) {
		t.Helper()
		b.grow("events", n)
		await(t, "the new partitions to be known", func() bool { return b.partitionsOf("events") == n })
		b.more("events", 21+uint64(n), 3_000)
	}
	done := func(n int32) {
		t.Helper()
		await(t, "all events to be committed", func() bool { return b.committed("grow", "events", n) == b.ends("events", n) })
	}
	done(3)
	grown(7)
	done(7)
	if n := b.partitionsOf(changelog); n != 7 {
		t.Errorf("the changelog has %d partitions", n)
	}

	// Nobody may grow the changelog: the new partitions wait, the others go on. Until somebody may.
	b.acl(changelog, kmsg.ACLOperationAll, kmsg.ACLPermissionTypeAllow)
	b.acl(changelog, kmsg.ACLOperationAlter, kmsg.ACLPermissionTypeDeny)
	grown(8)
	done(7)
	await(t, "the sentence", func() bool {
		return members[0].says("the changelog's topic has no partition for it") || members[1].says("the changelog's topic has no partition for it")
	})
	if at := b.offsets("grow", "events", 8); at == nil || at[7] > 0 {
		t.Errorf("the offsets are %d", at)
	}
	drain()
	b.deleteACLs(changelog)
	members = []*member{e.run(), e.run()}
	done(8)
	drain()
	published := b.signals("signals")
	once(t, published)
	compare(t, published, e.replayed())
}
