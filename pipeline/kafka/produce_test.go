package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"spoor/pipeline"
	"spoor/pipeline/embedded"
	"spoor/pipeline/event"
)

// testPublisher publishes for partition 5 of topic in.
func testPublisher(t testing.TB, b *embedded.Broker, change func(*Config)) (*publisher, *pipeline.Metrics) {
	t.Helper()
	cfg := config(b)
	cfg.Shadow = "shadow"
	if change != nil {
		change(&cfg)
	}
	c, err := connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	topics, err := c.outTopics(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	m := pipeline.NewMetrics(nil)
	return newPublisher(c, newEncoders(cfg.Compression), topics, pipeline.TopicPartition{Topic: "in", Partition: 5}, m, quiet, func() error { return nil }), m
}

func signal(i, size int) pipeline.Output {
	return pipeline.Output{
		Key: fmt.Appendf(nil, "host%d", i), Value: append(fmt.Appendf(nil, "%d ", i), bytes.Repeat([]byte{'x'}, size)...), Timestamp: 1_700_000_000_000 + int64(i), Offset: int64(i),
		Headers: []pipeline.Header{{Key: "spoor-signal-id", Value: fmt.Append(nil, i)}},
	}
}

func batchOf(signals ...pipeline.Output) *pipeline.Batch {
	return &pipeline.Batch{TopicPartition: pipeline.TopicPartition{Topic: "in", Partition: 5}, Signals: signals, Next: 1}
}

func TestPublish(t *testing.T) {
	for codec := range codecs {
		b := broker(t, embedded.Config{Topics: map[string]int32{"in": 8, "out": 3, "rejects": 2, "shadow": 8}})
		p, _ := testPublisher(t, b, func(c *Config) { c.Compression = codec })
		for round := range 3 {
			var batch pipeline.Batch
			for i := range 100 {
				batch.Signals = append(batch.Signals, signal(round*100+i, 10))
			}
			batch.Shadow = []pipeline.Output{signal(round, 0)}
			batch.Rejects = []pipeline.Reject{{Output: signal(round, 5)}, {Output: pipeline.Output{Value: []byte("no key")}}}
			if err := p.publish(context.Background(), &batch); err != nil {
				t.Fatalf("%s: %v", codec, err)
			}
		}
		out := collect(t, b, "out")
		if len(out) != 1 || len(out[2]) != 300 { // 5 modulo 3
			t.Fatalf("%s: partitions %d, records %d", codec, len(out), len(out[2]))
		}
		for i, r := range out[2] {
			want := signal(i, 10)
			if r.Offset != int64(i) || !bytes.Equal(r.Key, want.Key) || !bytes.Equal(r.Value, want.Value) || r.Timestamp != want.Timestamp || !reflect.DeepEqual(r.Headers, want.Headers) {
				t.Fatalf("%s: record %d is %+v", codec, i, r)
			}
		}
		if got := collect(t, b, "shadow"); len(got[5]) != 3 {
			t.Errorf("%s: shadow %v", codec, got)
		}
		if got := collect(t, b, "rejects"); len(got[1]) != 6 {
			t.Errorf("%s: rejects %v", codec, got)
		}
	}
}

func TestPublishByKey(t *testing.T) {
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 8, "out": 16, "rejects": 1, "shadow": 1}})
	p, _ := testPublisher(t, b, func(c *Config) { c.Partitioner = "murmur2" })
	var batch pipeline.Batch
	for i := range 200 {
		batch.Signals = append(batch.Signals, signal(i%20, 0))
	}
	if err := p.publish(context.Background(), &batch); err != nil {
		t.Fatal(err)
	}
	n := 0
	java := kafka.Murmur2Balancer{}
	partitions := make([]int, 16)
	for i := range partitions {
		partitions[i] = i
	}
	for partition, records := range collect(t, b, "out") {
		for _, r := range records {
			n++
			if want := java.Balance(kafka.Message{Key: r.Key}, partitions...); int32(want) != partition {
				t.Errorf("key %s is on partition %d, Java puts it on %d", r.Key, partition, want)
			}
		}
	}
	if n != 200 {
		t.Errorf("%d records", n)
	}
}

// Batches are cut to what the topic takes, and everything arrives in order.
func TestPublishSplits(t *testing.T) {
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 8, "rejects": 1, "shadow": 1}})
	if err := b.CreateTopic("out", 1, map[string]string{"max.message.bytes": "10000"}); err != nil {
		t.Fatal(err)
	}
	p, _ := testPublisher(t, b, func(c *Config) { c.Compression = "none" })
	var batch pipeline.Batch
	for i := range 100 {
		batch.Signals = append(batch.Signals, signal(i, i*37%3000))
	}
	if err := p.publish(context.Background(), &batch); err != nil {
		t.Fatal(err)
	}
	got := collect(t, b, "out")[0]
	if len(got) != 100 {
		t.Fatalf("%d records", len(got))
	}
	for i, r := range got {
		if !bytes.Equal(r.Value, batch.Signals[i].Value) {
			t.Fatalf("record %d is another one", i)
		}
	}
}

// What a broker refuses for what it is becomes a reject; the records around it are published, once.
func TestRefusedRecords(t *testing.T) {
	t.Run("outside", func(t *testing.T) { refusedRecords(t, false) })
	t.Run("in a transaction", func(t *testing.T) { refusedRecords(t, true) })
}

func refusedRecords(t *testing.T, inside bool) {
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 8, "rejects": 1, "shadow": 1}})
	if err := b.CreateTopic("out", 1, map[string]string{"max.message.bytes": "10000"}); err != nil {
		t.Fatal(err)
	}
	p, m := testPublisher(t, b, func(c *Config) { c.Compression = "none" })
	p.lanes["signal"].maxBytes = 1 << 20 // the topic's setting was lowered since
	var batch pipeline.Batch
	for i := range 20 {
		size := 100
		if i == 7 || i == 13 {
			size = 20000
		}
		batch.Signals = append(batch.Signals, signal(i, size))
	}
	if inside {
		p.txn = &transaction{client: p.client, id: "g.in.5", retry: p.retry, alive: p.alive}
		if err := p.txn.init(context.Background()); err != nil {
			t.Fatal(err)
		}
		p.restart(p.txn.pid)
	}
	for range 2 { // the second round shows that the sequence is right after a refusal
		if err := p.publish(context.Background(), &batch); err != nil {
			t.Fatal(err)
		}
		if inside {
			if n := len(ids(t, b, "out")); n != 0 && n != 18 {
				t.Errorf("%d signals are seen before the transaction ends", n)
			}
			if err := p.txn.end(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got, want []string
	for _, r := range collect(t, b, "out")[0] {
		got = append(got, string(r.Headers[0].Value))
	}
	for range 2 {
		for i := range 20 {
			if i != 7 && i != 13 {
				want = append(want, fmt.Sprint(i))
			}
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("published %v", got)
	}
	rejects := collect(t, b, "rejects")[0]
	if len(rejects) != 4 {
		t.Fatalf("%d rejects", len(rejects))
	}
	headers := map[string]string{}
	for _, h := range rejects[0].Headers {
		headers[h.Key] = string(h.Value)
	}
	if headers["spoor-reason"] != string(event.ReasonRefused) || headers["spoor-offset"] != "7" || headers["spoor-partition"] != "5" || !strings.Contains(headers["spoor-detail"], "out") ||
		!bytes.Equal(rejects[0].Value, batch.Signals[7].Value) {
		t.Errorf("%v, %d bytes", headers, len(rejects[0].Value))
	}
	if n := counter(m.Rejects.WithLabelValues("refused", "sink")); n != 4 {
		t.Errorf("%v refusals counted", n)
	}
}

// Whatever becomes of an answer, a batch is in the log once.
func TestProduceRetries(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.RequestTimedOut, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.LeaderNotAvailable, kerr.CorruptMessage} {
		b := broker(t, embedded.Config{Topics: map[string]int32{"in": 8, "out": 1, "rejects": 1, "shadow": 1}})
		p, m := testPublisher(t, b, nil)
		b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: e, Count: 2})
		if err := p.publish(context.Background(), batchOf(signal(0, 0), signal(1, 0))); err != nil {
			t.Fatalf("%s: %v", e.Message, err)
		}
		if err := p.publish(context.Background(), batchOf(signal(2, 0))); err != nil {
			t.Fatalf("%s: %v", e.Message, err)
		}
		if got := collect(t, b, "out")[0]; len(got) != 3 {
			t.Errorf("%s: %d records", e.Message, len(got))
		}
		if n := counter(m.Retries.WithLabelValues("produce")); n != 2 {
			t.Errorf("%s: %v retries", e.Message, n)
		}
	}
}

// Trouble with sequences ends the run: the bytes at hand cannot be told from a duplicate.
func TestSequenceTrouble(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.OutOfOrderSequenceNumber, kerr.UnknownProducerID, kerr.InvalidProducerEpoch, kerr.ProducerFenced, kerr.InvalidProducerIDMapping} {
		b := broker(t, embedded.Config{Topics: map[string]int32{"in": 8, "out": 1, "rejects": 1, "shadow": 1}})
		p, _ := testPublisher(t, b, nil)
		b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: e})
		if err := p.publish(context.Background(), batchOf(signal(0, 0))); !badSequence(err) {
			t.Errorf("%s: %v", e.Message, err)
		}
	}
}

// A partition whose run fails starts again from the committed offset, and nothing is missing.
func TestPartitionStartsAgain(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1, "out": 1, "rejects": 1}})
	h := b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "out", Err: kerr.OutOfOrderSequenceNumber, Count: 2})
	fill(t, franz(t, b), "in", 1, 0, 10)
	member(t, config(b), quiet, nil)
	eventually(t, func() string { return missing(t, b, "in", "out", 1, 10) })
	if h.Hits() != 2 {
		t.Errorf("%d faults", h.Hits())
	}
}

// A fence that falls while a request is retried ends the retrying.
func TestFenceEndsRetries(t *testing.T) {
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 8, "out": 1, "rejects": 1, "shadow": 1}})
	p, _ := testPublisher(t, b, nil)
	h := b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: -1})
	p.alive = func() error {
		if h.Hits() >= 2 {
			return errLost
		}
		return nil
	}
	if err := p.publish(context.Background(), batchOf(signal(0, 0))); !errors.Is(err, errLost) || h.Hits() != 2 {
		t.Error(err, h.Hits())
	}
}
