package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/segmentio/kafka-go"

	"spoor/pipeline/state"
)

// changelogSettings are those of the changelog's topic. With a broker's defaults (segments of 1 GiB or a week, only
// closed ones are cleaned, tombstones stay for a day) a restore would read tens of millions of tombstones.
var changelogSettings = []kafka.ConfigEntry{
	{ConfigName: "cleanup.policy", ConfigValue: "compact"},
	{ConfigName: "segment.bytes", ConfigValue: "67108864"},
	{ConfigName: "segment.ms", ConfigValue: "600000"},
	{ConfigName: "min.cleanable.dirty.ratio", ConfigValue: "0.2"},
	{ConfigName: "max.compaction.lag.ms", ConfigValue: "1800000"},
	{ConfigName: "delete.retention.ms", ConfigValue: "3600000"},
}

// changeBytes is what the longest change of the state needs in a batch of its own.
const changeBytes = state.MaxChangeBytes + 1<<10

// ensureChangelog creates the changelog's topic with as many partitions as the input has, or adds those it lacks. It
// returns how many it has; fewer than wanted with an error that says why.
func (c *client) ensureChangelog(ctx context.Context, partitions int) (int, error) {
	topic := c.cfg.changelogTopic()
	have, err := c.partitions(ctx, topic)
	switch {
	case isAny(err, kafka.UnknownTopicOrPartition):
		return c.createChangelog(ctx, topic, partitions)
	case err != nil:
		return 0, fmt.Errorf("topic %q: %w", topic, err)
	case have >= partitions:
		return have, nil
	}
	res, err := c.client.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: int32(partitions)}}})
	if err == nil {
		err = res.Errors[topic]
	}
	switch {
	case isAny(err, kafka.InvalidPartitionNumber): // another member was faster
	case denied(err):
		return have, fmt.Errorf("topic %q has %d partitions, the input %d, and %s may not add any: grant ALTER on it, or add them yourself (%w)", topic, have, partitions, c.who(), err)
	case err != nil:
		return have, fmt.Errorf("add partitions to topic %q: %w", topic, err)
	}
	return c.awaitPartitions(ctx, topic, partitions)
}

func (c *client) createChangelog(ctx context.Context, topic string, partitions int) (int, error) {
	res, err := c.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
		Topic: topic, NumPartitions: partitions, ReplicationFactor: c.cfg.CreateTopics.Replication, ConfigEntries: changelogSettings,
	}}})
	if err == nil {
		err = res.Errors[topic]
	}
	switch {
	case isAny(err, kafka.TopicAlreadyExists): // another member was faster
	case denied(err):
		return 0, fmt.Errorf("%s may not create the changelog's topic %q: grant CREATE on it, create it yourself with %d partitions and %s, or set state.changelog: off (%w)",
			c.who(), topic, partitions, settingsText(), err)
	case isAny(err, kafka.InvalidReplicationFactor):
		return 0, fmt.Errorf("topic %q cannot have %d replicas: set create_topics.replication to at most the number of brokers (%w)", topic, c.cfg.CreateTopics.Replication, err)
	case err != nil:
		return 0, fmt.Errorf("create topic %q: %w", topic, err)
	}
	return c.awaitPartitions(ctx, topic, partitions)
}

// awaitPartitions waits until the brokers know as many partitions.
func (c *client) awaitPartitions(ctx context.Context, topic string, partitions int) (have int, err error) {
	err = retry(ctx, never, func(error) {}, func() error {
		c.refresh(ctx)
		var err error
		if have, err = c.partitions(ctx, topic); err == nil && have < partitions {
			err = kafka.LeaderNotAvailable
		}
		return err
	})
	return have, err
}

func settingsText() string {
	var all []string
	for _, e := range changelogSettings {
		all = append(all, e.ConfigName+"="+e.ConfigValue)
	}
	return strings.Join(all, " ")
}

// checkChangelog compares the settings of the changelog's topic with those it should have.
func (c *client) checkChangelog(ctx context.Context) (warnings []string, err error) {
	topic := c.cfg.changelogTopic()
	var names []string
	for _, e := range changelogSettings {
		names = append(names, e.ConfigName)
	}
	res, err := c.describe(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: append(names, "max.message.bytes"),
	}}})
	if err != nil {
		return nil, fmt.Errorf("read the settings of topic %q: %w", topic, err)
	}
	have := map[string]string{}
	for _, r := range res.Resources {
		if isAny(r.Error, kafka.TopicAuthorizationFailed) {
			return []string{fmt.Sprintf("%s may not see the settings of topic %q: grant DESCRIBE_CONFIGS on it to have them checked", c.who(), topic)}, nil
		}
		if r.Error != nil {
			return nil, fmt.Errorf("read the settings of topic %q: %w", topic, r.Error)
		}
		for _, e := range r.ConfigEntries {
			have[e.ConfigName] = e.ConfigValue
		}
	}
	return judgeChangelog(topic, have)
}

// judgeChangelog says what is wrong with the settings of a changelog's topic. What would lose state or stop a partition is
// an error, what makes restores slow a warning.
func judgeChangelog(topic string, have map[string]string) (warnings []string, err error) {
	var errs []error
	for _, want := range changelogSettings {
		got, told := have[want.ConfigName]
		switch {
		case !told || got == want.ConfigValue:
		case want.ConfigName == "cleanup.policy":
			if policies := strings.Split(got, ","); slices.Contains(policies, "delete") || !slices.Contains(policies, "compact") {
				errs = append(errs, fmt.Errorf("topic %q has cleanup.policy %s, which forgets state by age: set it to compact", topic, got))
			}
		case want.ConfigName == "delete.retention.ms" && larger(want.ConfigValue, got):
			errs = append(errs, fmt.Errorf("topic %q has delete.retention.ms=%s, after which what was forgotten comes back to a member that was away: set it to %s",
				topic, got, want.ConfigValue))
		case larger(got, want.ConfigValue):
			warnings = append(warnings, fmt.Sprintf("topic %q has %s=%s; %s is recommended, or restores may read much that is over", topic, want.ConfigName, got, want.ConfigValue))
		}
	}
	if n, err := strconv.Atoi(have["max.message.bytes"]); err == nil && n < changeBytes {
		errs = append(errs, fmt.Errorf("topic %q takes messages of at most %d bytes, a change of the state has up to %d: raise its max.message.bytes", topic, n, changeBytes))
	}
	return warnings, errors.Join(errs...)
}

// larger compares settings that are numbers.
func larger(a, b string) bool {
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && x > y
}

// checkTransactions asks for a transactional id under our prefix, as partitions will.
func (c *client) checkTransactions(ctx context.Context) error {
	err := retry(ctx, func(err error) bool { return denied(err) || isAny(err, kafka.InvalidTransactionTimeout) }, func(error) {}, func() error {
		res, err := c.client.InitProducerID(ctx, &kafka.InitProducerIDRequest{
			TransactionalID: c.cfg.transactionPrefix() + "preflight", TransactionTimeoutMs: int(c.cfg.transactionTimeout().Milliseconds()), ProducerID: -1, ProducerEpoch: -1,
		})
		if err != nil {
			return err
		}
		return res.Error
	})
	switch {
	case isAny(err, kafka.InvalidTransactionTimeout):
		return fmt.Errorf("transactions may take %s here, which is more than the brokers allow: lower session_timeout and rebalance_timeout, or raise transaction.max.timeout.ms (%w)",
			c.cfg.transactionTimeout(), err)
	case denied(err):
		return fmt.Errorf("%s may not use transactional ids that begin with %q: grant WRITE and DESCRIBE on that prefix, or set state.changelog: off (%w)", c.who(), c.cfg.transactionPrefix(), err)
	}
	return err
}
