//go:build realkafka

package realkafka

import (
	"bytes"
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"spoor/bench"
)

// What goes in and what comes out.

// write publishes simulated traffic, in order; each is called before each record with how many there were.
func (b *broker) write(topic string, traffic bench.Config, each func(n int)) {
	b.t.Helper()
	cl := b.client(kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	defer cl.Close()
	n := 0
	err := bench.Generate(traffic, func(r bench.Record) error {
		each(n)
		n++
		cl.Produce(context.Background(), &kgo.Record{Topic: topic, Key: []byte(r.Key), Value: bytes.Clone(r.Value), Timestamp: r.Time}, nil)
		return nil
	})
	if err == nil {
		err = cl.Flush(context.Background())
	}
	if err != nil {
		b.t.Error(err)
	}
}

// publish writes the traffic that most tests start from.
func (b *broker) publish(topic string, events int) {
	b.t.Helper()
	b.write(topic, bench.Config{Seed: 7, Hosts: 40, Events: events, Attacks: bench.AttackNames()}, func(int) {})
}

// more writes further traffic.
func (b *broker) more(topic string, seed uint64, events int) {
	b.t.Helper()
	b.write(topic, bench.Config{Seed: seed, Hosts: 40, Events: events}, func(int) {})
}

// trickle writes traffic in parts: the next one whenever next is called. It returns a channel that is closed when
// everything is written.
func (b *broker) trickle(topic string, events, parts int) (next func(), done chan struct{}) {
	b.t.Helper()
	gate := make(chan struct{}, parts+1)
	done = make(chan struct{})
	go func() {
		defer close(done)
		b.write(topic, bench.Config{Seed: 9, Hosts: 80, Events: events, Attacks: bench.AttackNames()}, func(n int) {
			if n%(events/parts) == 0 {
				<-gate
			}
		})
	}()
	return func() {
		select {
		case gate <- struct{}{}:
		default:
		}
	}, done
}

// readCommitted returns what a consumer that reads committed sees of topic, partition after partition. A
// partition's log may end in the marker of a transaction, which is kept to know the end by.
func (b *broker) readCommitted(topic string) []*kgo.Record {
	b.t.Helper()
	partitions := b.partitionsOf(topic)
	left := map[int32]int64{}
	for p, end := range b.logEnds(topic, partitions) {
		if end > 0 {
			left[int32(p)] = end
		}
	}
	cl := b.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	defer cl.Close()
	byPartition := make([][]*kgo.Record, partitions)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for len(left) > 0 {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			b.t.Fatalf("reading %s: %v; not read to the end: %v", topic, err, left)
		}
		fs.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				byPartition[r.Partition] = append(byPartition[r.Partition], r)
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	var all []*kgo.Record
	for _, rs := range byPartition {
		all = append(all, rs...)
	}
	return all
}

// signal is a published record as another consumer sees it.
type signal struct {
	id, key, value string
	partition      int32
}

// signals are those of topic, partition after partition.
func (b *broker) signals(topic string) (out []signal) {
	b.t.Helper()
	for _, r := range b.readCommitted(topic) {
		id := header(r, "spoor-signal-id")
		if id == "" {
			b.t.Fatalf("a signal at %d/%d has no id", r.Partition, r.Offset)
		}
		out = append(out, signal{id: id, key: string(r.Key), value: string(r.Value), partition: r.Partition})
	}
	return out
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// compare holds what was published against the replay: nothing lost, nothing invented, and what was
// published twice is the same to the byte.
func compare(t *testing.T, published, replayed []signal) {
	t.Helper()
	want := map[string]signal{}
	for _, s := range replayed {
		want[s.id] = s
	}
	if len(want) == 0 || len(want) != len(replayed) {
		t.Fatalf("the replay gives %d signals with %d ids", len(replayed), len(want))
	}
	seen := map[string]int{}
	for _, s := range published {
		seen[s.id]++
		if w, ok := want[s.id]; !ok {
			t.Fatalf("%s was published but is not in the replay", s.id)
		} else if s != w {
			t.Fatalf("%s differs\npublished %+v\nreplayed  %+v", s.id, s, w)
		}
	}
	lost := 0
	for id := range want {
		if seen[id] == 0 {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d signals are lost", lost, len(want))
	}
	t.Logf("%d signals, %d published twice or more", len(want), len(published)-len(seen))
}

// once holds that each id is there once.
func once(t *testing.T, published []signal) {
	t.Helper()
	ids := map[string]int{}
	for _, s := range published {
		if ids[s.id]++; ids[s.id] == 2 {
			t.Errorf("%s is there twice", s.id)
		}
	}
}
