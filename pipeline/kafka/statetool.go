package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/segmentio/kafka-go"

	"spoor/pipeline"
	"spoor/pipeline/changelog"
	"spoor/pipeline/state"
)

// ReadState reads the changelog of a partition, or of all of them when partition is -1, and hands each one's image to
// fn, in order of partitions. It disturbs nobody.
func ReadState(ctx context.Context, cfg Config, bounds state.Config, partition int, log *slog.Logger, fn func(partition int32, i *changelog.Image) error) error {
	c, count, err := connectChangelog(ctx, cfg)
	if err != nil {
		return err
	}
	defer c.close()
	from, to := 0, count
	if partition >= 0 {
		from, to = partition, partition+1
	}
	if to > count {
		return fmt.Errorf("topic %q has %d partitions, there is no %d", cfg.changelogTopic(), count, partition)
	}
	for p := from; p < to; p++ {
		i, err := c.image(ctx, bounds, int32(p), log)
		if err != nil {
			return fmt.Errorf("partition %d of topic %q: %w", p, cfg.changelogTopic(), err)
		}
		if err := fn(int32(p), i); err != nil {
			return err
		}
	}
	return nil
}

func connectChangelog(ctx context.Context, cfg Config) (*client, int, error) {
	if !cfg.Changelog {
		return nil, 0, fmt.Errorf("state.changelog is off: there is no state to look at")
	}
	c, err := connect(cfg)
	if err != nil {
		return nil, 0, err
	}
	if _, err := c.reach(ctx); err != nil {
		c.close()
		return nil, 0, err
	}
	count, err := c.partitions(ctx, cfg.changelogTopic())
	if isAny(err, kafka.UnknownTopicOrPartition) {
		err = fmt.Errorf("topic %q does not exist: no engine of group %q has kept state", cfg.changelogTopic(), cfg.Group)
	}
	if err != nil {
		c.close()
		return nil, 0, err
	}
	return c, count, nil
}

func (c *client) image(ctx context.Context, bounds state.Config, p int32, log *slog.Logger) (*changelog.Image, error) {
	tp := pipeline.TopicPartition{Topic: c.cfg.changelogTopic(), Partition: p}
	all, err := c.settledBounds(ctx, tp.Topic, []int32{p})
	if err != nil {
		return nil, err
	}
	i := changelog.NewImage(bounds)
	if _, err := readLog(ctx, c, tp, all[p].first, all[p].end, pipeline.NewMetrics(nil), log, i.Apply, func(int, int64, int64) {}); err != nil {
		return nil, err
	}
	return i, i.Done()
}

// ResetState empties a partition's changelog, as one transaction: the partition then starts with empty state at the
// group's offset. It is refused while the group has members, which would be working with what is thrown away. It returns
// how many processes were forgotten.
func ResetState(ctx context.Context, cfg Config, bounds state.Config, partition int, log *slog.Logger) (forgotten int64, err error) {
	c, count, err := connectChangelog(ctx, cfg)
	if err != nil {
		return 0, err
	}
	defer c.close()
	if partition < 0 || partition >= count {
		return 0, fmt.Errorf("topic %q has %d partitions, there is no %d", cfg.changelogTopic(), count, partition)
	}
	if err := c.nobodyHome(ctx); err != nil {
		return 0, err
	}
	topics, err := c.outTopics(ctx)
	if err != nil {
		return 0, err
	}
	tp := pipeline.TopicPartition{Topic: cfg.Input, Partition: int32(partition)}
	alive := func() error { return nil }
	p := newPublisher(c, newEncoders(cfg.Compression), topics, tp, pipeline.NewMetrics(nil), log, alive)
	p.txn = &transaction{client: c, id: fmt.Sprintf("%s%d", cfg.transactionPrefix(), partition), retry: p.retry, alive: alive}
	if err := p.txn.init(ctx); err != nil {
		return 0, err
	}
	p.restart(p.txn.pid)
	i, err := c.image(ctx, bounds, int32(partition), log)
	if err != nil && i == nil {
		return 0, err
	}
	if _, err := p.append(ctx, i.Reset()); err != nil {
		return 0, err
	}
	return i.Keys, p.txn.end(ctx)
}

// nobodyHome fails when the group has members.
func (c *client) nobodyHome(ctx context.Context) error {
	res, err := c.client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{c.cfg.Group}})
	if err != nil {
		return fmt.Errorf("describe the consumer group %q: %w", c.cfg.Group, err)
	}
	for _, g := range res.Groups {
		if g.Error != nil {
			return fmt.Errorf("describe the consumer group %q: %w", c.cfg.Group, g.Error)
		}
		if len(g.Members) > 0 {
			var hosts []string
			for _, m := range g.Members {
				hosts = append(hosts, m.ClientHost)
			}
			return fmt.Errorf("the group %q has %d members (%s): stop them first", c.cfg.Group, len(g.Members), strings.Join(hosts, ", "))
		}
	}
	return nil
}
