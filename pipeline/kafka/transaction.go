package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"
)

// transaction is the one transaction at a time of one input partition's transactional id. It is used by one
// goroutine at a time, but for addPartitions' callers, which are those of its publisher.
//
// Requests that only add to it are sent again until they pass: they say the same every time. The one that ends it
// is not, unless the coordinator says that it did nothing: whether it committed is for the changelog to say.
type transaction struct {
	client *client
	id     string
	retry  func(ctx context.Context, request string, permanent func(error) bool, f func() error) error
	alive  func() error

	pid    producerID
	topics map[string]map[int32]bool // partitions in the transaction; false: not yet told to the coordinator
}

// inDoubt are the errors that sending the same again cannot cure: the producer or its transaction is not what we
// take it for, or the generation is over.
func inDoubt(err error) bool { return badSequence(err) || lostOrFenced(err) }

// unanswered are the errors of an EndTxn that leave open whether it was done.
func unanswered(err error) bool {
	return !isAny(err, kafka.GroupLoadInProgress, kafka.GroupCoordinatorNotAvailable, kafka.NotCoordinatorForGroup, kafka.ConcurrentTransactions)
}

// init takes the transactional id over. The coordinator answers ConcurrentTransactions until the transaction that
// was open has ended everywhere.
func (t *transaction) init(ctx context.Context) error {
	t.topics = map[string]map[int32]bool{}
	return t.do(ctx, "init_producer_id", lostOrFenced, func() error {
		res, err := t.client.client.InitProducerID(ctx, &kafka.InitProducerIDRequest{
			TransactionalID: t.id, TransactionTimeoutMs: int(t.client.cfg.transactionTimeout().Milliseconds()), ProducerID: -1, ProducerEpoch: -1,
		})
		if err != nil {
			return err
		}
		if errors.Is(res.Error, kafka.InvalidTransactionTimeout) {
			return stopf("transactions may take %s here, which is more than the brokers allow: lower session_timeout and rebalance_timeout, or raise transaction.max.timeout.ms (%w)",
				t.client.cfg.transactionTimeout(), res.Error)
		}
		if res.Error != nil {
			return res.Error
		}
		t.pid = producerID{int64(res.Producer.ProducerID), int16(res.Producer.ProducerEpoch)}
		return nil
	})
}

// needs says that a partition will be published to in this transaction.
func (t *transaction) needs(topic string, partition int32) {
	if t.topics[topic] == nil {
		t.topics[topic] = map[int32]bool{}
	}
	if !t.topics[topic][partition] {
		t.topics[topic][partition] = false
	}
}

// addPartitions tells the coordinator of the partitions that it does not know of yet.
func (t *transaction) addPartitions(ctx context.Context) error {
	req := &kafka.AddPartitionsToTxnRequest{TransactionalID: t.id, ProducerID: int(t.pid.id), ProducerEpoch: int(t.pid.epoch), Topics: map[string][]kafka.AddPartitionToTxn{}}
	for topic, partitions := range t.topics {
		for p, told := range partitions {
			if !told {
				req.Topics[topic] = append(req.Topics[topic], kafka.AddPartitionToTxn{Partition: int(p)})
			}
		}
	}
	if len(req.Topics) == 0 {
		return nil
	}
	return t.do(ctx, "add_partitions_to_txn", inDoubt, func() error {
		res, err := t.client.client.AddPartitionsToTxn(ctx, req)
		if err != nil {
			return err
		}
		// One partition at fault fails all of them; what the others say then says nothing.
		var first error
		answers := 0
		for _, partitions := range res.Topics {
			for _, p := range partitions {
				answers++
				if p.Error != nil && (first == nil || inDoubt(p.Error)) {
					first = p.Error
				}
			}
		}
		want := 0
		for _, partitions := range req.Topics {
			want += len(partitions)
		}
		if first == nil && answers < want {
			first = fmt.Errorf("the coordinator answers for %d of %d partitions", answers, want)
		}
		if first != nil {
			return first
		}
		for topic, partitions := range req.Topics {
			for _, p := range partitions {
				t.topics[topic][int32(p.Partition)] = true
			}
		}
		return nil
	})
}

// sendOffset makes the group's offset of a partition part of the transaction. The group's coordinator refuses it from
// a member that is not in the generation any more.
func (t *transaction) sendOffset(ctx context.Context, generation int, member, topic string, partition int32, next int64, metadata string) error {
	group := t.client.cfg.Group
	err := t.do(ctx, "add_offsets_to_txn", inDoubt, func() error {
		res, err := t.client.client.AddOffsetsToTxn(ctx, &kafka.AddOffsetsToTxnRequest{
			TransactionalID: t.id, ProducerID: int(t.pid.id), ProducerEpoch: int(t.pid.epoch), GroupID: group})
		if err != nil {
			return err
		}
		return res.Error
	})
	if err != nil {
		return err
	}
	return t.do(ctx, "txn_offset_commit", inDoubt, func() error {
		sent := sinceStart()
		res, err := t.client.client.TxnOffsetCommit(ctx, &kafka.TxnOffsetCommitRequest{
			TransactionalID: t.id, GroupID: group, ProducerID: int(t.pid.id), ProducerEpoch: int(t.pid.epoch), GenerationID: generation, MemberID: member,
			Topics: map[string][]kafka.TxnOffsetCommit{topic: {{Partition: int(partition), Offset: next, Metadata: metadata}}},
		})
		if err != nil {
			return err
		}
		for _, p := range res.Topics[topic] {
			if p.Partition == int(partition) {
				if p.Error == nil {
					t.client.heard.at(sent)
				}
				return p.Error
			}
		}
		return fmt.Errorf("the coordinator's answer lacks %s/%d", topic, partition)
	})
}

// end commits.
func (t *transaction) end(ctx context.Context) error {
	err := t.do(ctx, "end_txn", unanswered, func() error {
		res, err := t.client.client.EndTxn(ctx, &kafka.EndTxnRequest{
			TransactionalID: t.id, ProducerID: int(t.pid.id), ProducerEpoch: int(t.pid.epoch), Committed: true})
		if err != nil {
			return err
		}
		return res.Error
	})
	t.topics = map[string]map[int32]bool{}
	return err
}

// do sends a request until it passes, unless this member may not any more.
func (t *transaction) do(ctx context.Context, request string, permanent func(error) bool, f func() error) error {
	err := t.retry(ctx, request, func(err error) bool {
		var stop *stopError
		return errors.As(err, &stop) || permanent(err)
	}, func() error {
		if err := t.alive(); err != nil {
			return err
		}
		return f()
	})
	if err != nil {
		return fmt.Errorf("%s: %w", request, err)
	}
	return nil
}
