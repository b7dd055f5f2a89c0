//go:build realkafka

package realkafka

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"spoor/bench"
)

// The changelog's cleaner runs all the time: the topic's segments are a second long and the broker looks twice a
// second.
var eagerCleaner = []string{"log.cleaner.backoff.ms=500", "log.segment.delete.delay.ms=1000", "transaction.state.log.segment.bytes=1048576"}

// changelogTopic creates a group's changelog as the engine would, but for segments of a second.
func (b *broker) changelogTopic(group string) {
	b.t.Helper()
	b.createTopicWith(group+".events.spoor-state", partitions, map[string]string{
		"cleanup.policy": "compact", "segment.ms": "1000", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.01",
		"max.compaction.lag.ms": "1000", "delete.retention.ms": "3600000",
	})
}

func (b *broker) createTopicWith(name string, partitions int32, settings map[string]string) {
	b.t.Helper()
	cl := b.client()
	defer cl.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, 1
	for k, v := range settings {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = k, &v
		topic.Configs = append(topic.Configs, c)
	}
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(context.Background(), cl)
	if err != nil {
		b.t.Fatal(err)
	}
	if code := resp.Topics[0].ErrorCode; code != 0 {
		b.t.Fatalf("creating %s: error %d", name, code)
	}
}

// count is how many records a reader finds: what compaction left.
func (b *broker) count(topic string, partitions int32) (records int64) {
	b.t.Helper()
	for range b.readCommitted(topic, partitions) {
		records++
	}
	return records
}

// readCommitted returns what a consumer that reads committed sees of topic, partition after partition. Every
// partition's log ends in the marker of a transaction, which is kept to know the end by.
func (b *broker) readCommitted(topic string, partitions int32) []*kgo.Record {
	b.t.Helper()
	ends := map[int32]int64{}
	for p := range partitions {
		ends[p] = b.end(topic, p)
	}
	cl := b.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	defer cl.Close()
	byPartition := make([][]*kgo.Record, partitions)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for p, end := range ends {
		if end == 0 {
			delete(ends, p)
		}
	}
	for len(ends) > 0 {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			b.t.Fatalf("reading %s: %v; not read to the end: %v", topic, err, ends)
		}
		fs.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				byPartition[r.Partition] = append(byPartition[r.Partition], r)
			}
			if r.Offset+1 >= ends[r.Partition] {
				delete(ends, r.Partition)
			}
		})
	}
	var all []*kgo.Record
	for _, rs := range byPartition {
		all = append(all, rs...)
	}
	return all
}

func (b *broker) end(topic string, p int32) int64 {
	b.t.Helper()
	cl := b.client()
	defer cl.Close()
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Partition, rp.Timestamp = p, -1
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(context.Background(), cl)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.Topics[0].Partitions[0].Offset
}

// trickle writes the simulator's traffic in steps: the next part whenever next is called. It returns a channel that is
// closed when everything is written.
func (b *broker) trickle(topic string, events, parts int) (next func(), done chan struct{}) {
	b.t.Helper()
	gate := make(chan struct{}, parts+1)
	done = make(chan struct{})
	go func() {
		defer close(done)
		cl := b.client(kgo.ProducerBatchCompression(kgo.Lz4Compression()))
		defer cl.Close()
		n := 0
		<-gate
		err := bench.Generate(bench.Config{Seed: 9, Hosts: 80, Events: events, Attacks: bench.AttackNames()}, func(r bench.Record) error {
			if n++; n%(events/parts) == 0 {
				<-gate
			}
			cl.Produce(context.Background(), &kgo.Record{Topic: topic, Key: []byte(r.Key), Value: bytes.Clone(r.Value), Timestamp: r.Time}, nil)
			return nil
		})
		if err == nil {
			err = cl.Flush(context.Background())
		}
		if err != nil {
			b.t.Error(err)
		}
	}()
	return func() {
		select {
		case gate <- struct{}{}:
		default:
		}
	}, done
}

func survivorConfig(b *broker, group, output, delivery string) string {
	return config(b, group, output, true) + fmt.Sprintf("delivery: %s\nstate: {changelog: on}\n", delivery)
}

func number(t *testing.T, name string, otherwise int) int {
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// committedSignals is signals for a consumer that reads committed.
func (b *broker) committedSignals(topic string) []signal {
	b.t.Helper()
	var out []signal
	for _, r := range b.readCommitted(topic, partitions) {
		s := signal{key: string(r.Key), value: string(r.Value), partition: r.Partition}
		for _, h := range r.Headers {
			if h.Key == "spoor-signal-id" {
				s.id = string(h.Value)
			}
		}
		out = append(out, s)
	}
	return out
}

// Three members share the topic and its state. At random moments one is killed, one is frozen for longer than its session
// and thawed, the broker is restarted, all members are replaced in order. What a read_committed consumer of another
// library sees is the replay, byte for byte, each id once. REALKAFKA_EVENTS and REALKAFKA_STEPS make it longer, -short is
// a selection for every change,
// REALKAFKA_SEED repeats one.
func TestExactlyOnce(t *testing.T) { once(t, disturbed(t, "exactly_once", 100_000, 8)) }

// The same, but for ids that may come twice, with equal bytes: the state survives all of it.
func TestAtLeastOnceKeepsState(t *testing.T) { disturbed(t, "at_least_once", 40_000, 4) }

func disturbed(t *testing.T, delivery string, events, steps int) (published []signal) {
	if testing.Short() {
		events, steps = min(events, 40_000), 4
	}
	events, steps = number(t, "REALKAFKA_EVENTS", events), number(t, "REALKAFKA_STEPS", steps)
	seed := uint64(number(t, "REALKAFKA_SEED", int(time.Now().UnixNano()%1_000_000)))
	t.Logf("seed %d, %d events, %d steps", seed, events, steps)
	r := rand.New(rand.NewPCG(seed, 1))
	b := startBroker(t, eagerCleaner...)
	b.createTopic("events", partitions)
	b.createTopic("signals", partitions)
	b.changelogTopic("once")
	e := newEngine(t, buildEngine(t), survivorConfig(b, "once", "signals", delivery))
	next, written := b.trickle("events", events, steps+1)
	members := []*member{e.run(), e.run(), e.run()}
	next()
	await(t, "the first commits", func() bool { return b.committed("once", "events", partitions) > 0 })
	actions := []string{"kill", "freeze", "broker", "roll"}
	for i := range steps {
		next()
		time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
		victim := r.IntN(len(members))
		action := actions[r.IntN(len(actions))]
		if i < len(actions) {
			action = actions[i] // each at least once
		}
		t.Logf("step %d: %s %d at %d of %d", i, action, victim, b.committed("once", "events", partitions), events)
		switch action {
		case "kill":
			members[victim].kill()
			members[victim] = e.run()
		case "freeze":
			members[victim].Process.Signal(syscall.SIGSTOP)
			time.Sleep(8 * time.Second) // the session is 6 s: the others take over
			next()
			time.Sleep(time.Second)
			members[victim].Process.Signal(syscall.SIGCONT)
		case "broker":
			b.stop()
			time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
			b.start()
		case "roll":
			for j := range members {
				members[j].drain(t)
				members[j] = e.run()
			}
		}
	}
	for range steps {
		next()
	}
	<-written
	await(t, "all events to be committed", func() bool {
		return b.committed("once", "events", partitions) == b.ends("events", partitions)
	})
	for _, m := range members {
		m.drain(t)
	}
	published = b.committedSignals("signals")
	compare(t, published, e.replayed())
	t.Logf("the changelog was %d offsets long, %d records are left", b.ends("once.events.spoor-state", partitions), b.count("once.events.spoor-state", partitions))
	return published
}
