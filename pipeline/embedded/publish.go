package embedded

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"spoor/pipeline"
)

// Publish writes records to topic as any producer would: their key decides the partition, records without one
// go round. It returns when all are acknowledged. Acked, if set, is called for each record with its index and
// the place it got; calls come one at a time.
func (b *Broker) Publish(ctx context.Context, topic string, records []pipeline.Record, acked func(i int, tp pipeline.TopicPartition, offset int64)) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs()...), kgo.MaxBufferedRecords(len(records)+1))
	if err != nil {
		return err
	}
	defer cl.Close()
	var mu sync.Mutex
	var failed error // guarded by mu
	for i, r := range records {
		out := &kgo.Record{Topic: topic, Key: r.Key, Value: r.Value, Timestamp: time.UnixMilli(r.Timestamp)}
		for _, h := range r.Headers {
			out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		cl.Produce(ctx, out, func(r *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = err
			} else if acked != nil {
				acked(i, pipeline.TopicPartition{Topic: r.Topic, Partition: r.Partition}, r.Offset)
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	return failed
}
