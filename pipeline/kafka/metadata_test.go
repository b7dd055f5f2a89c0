package kafka

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"spoor/pipeline"
	"spoor/pipeline/embedded"
)

// A cluster that takes its time to say what it consists of is no reason not to start.
func TestSlowMetadata(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1, "out": 1, "rejects": 1}})
	var asked atomic.Int64
	b.Cluster().ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster().KeepControl()
		if asked.Add(1) == 1 {
			b.Cluster().SleepControl(func() { time.Sleep(1200 * time.Millisecond) })
		}
		return nil, nil, false
	})
	if err := Preflight(context.Background(), config(b), 100_000); err != nil {
		t.Error(err)
	}
}

// Leaders that moved are found though nobody asks for the metadata from time to time: by a request that went to the
// old one, whatever it asked for.
func TestLeadersMove(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := broker(t, embedded.Config{Brokers: 3, Topics: map[string]int32{"in": 1}})
	tp := pipeline.TopicPartition{Topic: "in"}
	records := []*pipeline.Output{{Value: []byte("v"), Timestamp: fillStart}}
	batch, err := appendBatch(nil, new([]byte), records, producerID{-1, -1}, -1, 0, &compressor{})
	if err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func(*client) error{
		"fetch": func(c *client) error {
			s := newSource(c, tp, 0, pipeline.NewMetrics(nil), quiet)
			defer s.close()
			drain(t, s, 1)
			return nil
		},
		"produce": func(c *client) error {
			res, err := c.client.RawProduce(ctx, &kafka.RawProduceRequest{Topic: "in", RequiredAcks: kafka.RequireAll, RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(batch)}})
			if err == nil {
				err = res.Error
			}
			return err
		},
		"list offsets": func(c *client) error {
			_, err := c.bounds(ctx, "in", []int32{0})
			return err
		},
	} {
		c, err := connect(config(b))
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		c.transport.MetadataTTL = time.Hour
		if _, err := c.partitions(ctx, "in"); err != nil {
			t.Fatal(err)
		}
		if err := b.Cluster().MoveTopicPartition("in", 0, (b.Cluster().LeaderFor("in", 0)+1)%3); err != nil {
			t.Fatal(err)
		}
		fill(t, franz(t, b, kgo.MetadataMinAge(10*time.Millisecond)), "in", 1, 0, 1)
		retries := 0
		eventually(t, func() string {
			if err := ask(c); err != nil {
				retries++
				return name + ": " + err.Error()
			}
			return ""
		})
		if retries == 0 && name != "fetch" { // which retries by itself
			t.Errorf("%s: nothing went to the old leader", name)
		}
	}
}

// A topic's new partitions are known when they are asked for.
func TestRefresh(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1}})
	c, err := connect(config(b))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.transport.MetadataTTL = time.Hour
	count := func() int {
		n, err := c.partitions(ctx, "in")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	req := kmsg.NewPtrCreatePartitionsRequest()
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = "in", 4
	req.Topics = append(req.Topics, topic)
	if res, err := req.RequestWith(ctx, franz(t, b)); err != nil || res.Topics[0].ErrorCode != 0 {
		t.Fatal(res, err)
	}
	stale := count()
	c.refresh(ctx)
	if now := count(); before != 1 || stale != 1 || now != 4 {
		t.Errorf("%d partitions, %d before they were asked for, %d then", before, stale, now)
	}
}
