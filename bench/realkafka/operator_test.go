//go:build realkafka

package realkafka

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"spoor/bench"
)

// request sends one request with another library than the engine's and fails the test when it does not pass.
func request[T any](b *broker, req interface {
	kmsg.Request
	RequestWith(context.Context, kmsg.Requestor) (T, error)
}) T {
	b.t.Helper()
	cl := b.client()
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	res, err := req.RequestWith(ctx, cl)
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

func (b *broker) deleteTopic(name string) {
	b.t.Helper()
	req := kmsg.NewPtrDeleteTopicsRequest()
	topic := kmsg.NewDeleteTopicsRequestTopic()
	topic.Topic = &name
	req.Topics, req.TopicNames = append(req.Topics, topic), append(req.TopicNames, name)
	if code := request(b, req).Topics[0].ErrorCode; code != 0 {
		b.t.Fatalf("deleting %s: error %d", name, code)
	}
}

// grow gives a topic more partitions.
func (b *broker) grow(name string, partitions int32) {
	b.t.Helper()
	req := kmsg.NewPtrCreatePartitionsRequest()
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = name, partitions
	req.Topics = append(req.Topics, topic)
	if code := request(b, req).Topics[0].ErrorCode; code != 0 {
		b.t.Fatalf("growing %s: error %d", name, code)
	}
}

// setOffsets does what an operator does with kafka-consumer-groups.
func (b *broker) setOffsets(group, topic string, partitions int32, offset int64) {
	b.t.Helper()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = group, -1
	rt := kmsg.NewOffsetCommitRequestTopic()
	rt.Topic = topic
	for p := range partitions {
		rp := kmsg.NewOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset = p, offset
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	for _, p := range request(b, req).Topics[0].Partitions {
		if p.ErrorCode != 0 {
			b.t.Fatalf("setting the offset: error %d", p.ErrorCode)
		}
	}
}

func (b *broker) partitionsOf(topic string) int {
	b.t.Helper()
	req := kmsg.NewPtrMetadataRequest()
	rt := kmsg.NewMetadataRequestTopic()
	rt.Topic = &topic
	req.Topics = append(req.Topics, rt)
	return len(request(b, req).Topics[0].Partitions)
}

// more publishes further traffic.
func (b *broker) more(topic string, seed uint64, events int) {
	b.t.Helper()
	cl := b.client()
	defer cl.Close()
	err := bench.Generate(bench.Config{Seed: seed, Hosts: 40, Events: events}, func(r bench.Record) error {
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

func (m *member) says(text string) bool {
	log, _ := os.ReadFile(m.log)
	return strings.Contains(string(log), text)
}

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
	first := b.committedSignals("signals")
	once(t, first)
	compare(t, first, e.replayed())

	// Backwards: the state is of the future and is discarded; from the beginning that is what a replay does.
	b.setOffsets("ops", "events", partitions, 0)
	m = e.run()
	await(t, "the word of the operator", func() bool { return m.says("moved backwards") })
	done()
	m.drain(t)
	again := b.committedSignals("signals")
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
		return b.ends("events", partitions)-b.committed("ops", "events", partitions) <= b.end("events", 0) && b.committed("ops", "events", partitions) > before
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
	published := b.committedSignals("signals")
	once(t, published)
	compare(t, published, e.replayed())
}
