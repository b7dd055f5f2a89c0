package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"spoor/pipeline"
)

// ReadOptions say what Read reads.
type ReadOptions struct {
	Topic string
	// Latest starts at the end of each partition instead of its beginning.
	Latest bool
	// Follow goes on after the end, until ctx ends. Without it Read ends where each partition ended when it
	// began. Partitions that appear later are not read.
	Follow bool
}

// Read reads every partition of a topic, without a consumer group, and hands what it reads to fn: one call at
// a time, a partition's records in order; the records are valid during the call. It reads as the engine does:
// what a transaction aborted is left out. Of cfg only the connection, FetchBytes, OutOfRange and OnCorrupt
// count. It returns nil at the end, ctx's error when that ends, and fn's error.
func Read(ctx context.Context, cfg Config, o ReadOptions, m *pipeline.Metrics, log *slog.Logger, fn func(pipeline.TopicPartition, []pipeline.Record) error) error {
	cfg.Group, cfg.Input, cfg.Output, cfg.Reject, cfg.Shadow = "", o.Topic, "", "", ""
	cfg.Changelog = false
	if errs := cfg.validateConnection(); len(errs) > 0 {
		return errors.Join(errs...)
	}
	c, err := connect(cfg)
	if err != nil {
		return err
	}
	defer c.close()
	meta, err := c.reach(ctx)
	if err != nil {
		return err
	}
	if len(c.missing(meta)) > 0 {
		return fmt.Errorf("topic %q does not exist: check its name", o.Topic) // who only reads makes none
	}
	if errs := c.checkTopics(meta); len(errs) > 0 {
		return errors.Join(errs...)
	}
	var partitions []int32
	for _, t := range meta.Topics {
		for _, p := range t.Partitions {
			partitions = append(partitions, int32(p.ID))
		}
	}
	all, err := c.settledBounds(ctx, o.Topic, partitions)
	if isAny(err, kafka.TopicAuthorizationFailed) {
		return fmt.Errorf("%s may not read topic %q: grant READ on it (%w)", c.who(), o.Topic, err)
	}
	if err != nil {
		return fmt.Errorf("list the offsets of topic %q: %w", o.Topic, err)
	}

	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range partitions {
		next, end := all[p].first, all[p].end
		if o.Latest {
			next = end
		}
		if !o.Follow && next >= end {
			continue
		}
		tp := pipeline.TopicPartition{Topic: o.Topic, Partition: p}
		group.Go(func() error {
			s := newSource(c, tp, next, m, log)
			defer s.close()
			for o.Follow || s.next < end {
				f, err := s.Next(ctx)
				if err != nil {
					return err
				}
				if s.paused && !o.Follow {
					return fmt.Errorf("%s/%d: the batch at offset %d is corrupt; on_corrupt: skip would step over it", tp.Topic, tp.Partition, s.next)
				}
				records := f.Records
				if !o.Follow {
					records = before(records, end)
				}
				if len(records) == 0 {
					continue
				}
				mu.Lock()
				err = fn(tp, records)
				mu.Unlock()
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// before cuts records at offset end.
func before(records []pipeline.Record, end int64) []pipeline.Record {
	n := len(records)
	for n > 0 && records[n-1].Offset >= end {
		n--
	}
	return records[:n]
}

// settledBounds are bounds for who does not go on trying: leaders that have just become ones are waited for.
func (c *client) settledBounds(ctx context.Context, topic string, partitions []int32) (all map[int32]bounds, err error) {
	err = settled(ctx, func() error {
		all, err = c.bounds(ctx, topic, partitions)
		return err
	})
	return all, err
}
