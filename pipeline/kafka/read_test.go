package kafka

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"spoor/pipeline"
	"spoor/pipeline/embedded"
)

func TestRead(t *testing.T) {
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 3}})
	f := franz(t, b)
	fill(t, f, "in", 3, 0, 50)
	cfg := DefaultConfig()
	cfg.Brokers = b.Addrs()
	ctx := context.Background()

	// To the end as it was at the start, though more comes meanwhile.
	got := map[int32][]int64{}
	more := false
	err := Read(ctx, cfg, ReadOptions{Topic: "in"}, pipeline.NewMetrics(nil), quiet, func(tp pipeline.TopicPartition, rs []pipeline.Record) error {
		if !more {
			more = true
			fill(t, f, "in", 3, 50, 50)
		}
		got[tp.Partition] = append(got[tp.Partition], offsets(rs)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for p := range int32(3) {
		if len(got[p]) != 50 || got[p][0] != 0 || got[p][49] != 49 {
			t.Errorf("partition %d: %v", p, got[p])
		}
	}

	// From the end, following: only what comes, until fn has enough.
	enough := errors.New("enough")
	var followed []string
	go func() {
		time.Sleep(200 * time.Millisecond)
		fill(t, f, "in", 1, 100, 2)
	}()
	err = Read(ctx, cfg, ReadOptions{Topic: "in", Latest: true, Follow: true}, pipeline.NewMetrics(nil), quiet, func(_ pipeline.TopicPartition, rs []pipeline.Record) error {
		if followed = append(followed, values(rs)...); len(followed) == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || !reflect.DeepEqual(followed, []string{"0-100", "0-101"}) {
		t.Errorf("%v, %v", followed, err)
	}

	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if err := Read(ctx, cfg, ReadOptions{Topic: "in", Latest: true, Follow: true}, pipeline.NewMetrics(nil), quiet, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestReadErrors(t *testing.T) {
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1}})
	cfg := DefaultConfig()
	cfg.Brokers = b.Addrs()
	none := func(pipeline.TopicPartition, []pipeline.Record) error { return fmt.Errorf("unexpected") }
	if err := Read(context.Background(), cfg, ReadOptions{Topic: "nowhere"}, pipeline.NewMetrics(nil), quiet, none); err == nil || !strings.Contains(err.Error(), `topic "nowhere" does not exist: check its name`) {
		t.Error(err)
	}
	if err := Read(context.Background(), cfg, ReadOptions{Topic: "in"}, pipeline.NewMetrics(nil), quiet, none); err != nil {
		t.Error("an empty topic:", err)
	}
	bad := seal(0, 0, 0, 1, rec(0))
	bad[len(bad)-1] ^= 1
	fill(t, franz(t, b), "in", 1, 0, 1)
	(&script{batches: [][]byte{bad}, end: 1}).install(b.Cluster())
	if err := Read(context.Background(), cfg, ReadOptions{Topic: "in"}, pipeline.NewMetrics(nil), quiet, none); err == nil || !strings.Contains(err.Error(), "in/0: the batch at offset 0 is corrupt") {
		t.Error(err)
	}
}

// A leader that does not know yet that it is one is waited for, by who reads a topic without a group.
func TestReadOfNewLeaders(t *testing.T) {
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 2}})
	fill(t, franz(t, b), "in", 2, 0, 3)
	h := b.Cluster().Fault(
		kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Err: kerr.NotLeaderForPartition},
		kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Err: kerr.OffsetNotAvailable})
	if got := collect(t, b, "in"); len(got[0]) != 3 || len(got[1]) != 3 || h.Hits() != 2 {
		t.Errorf("%d and %d records, %d errors", len(got[0]), len(got[1]), h.Hits())
	}
}
