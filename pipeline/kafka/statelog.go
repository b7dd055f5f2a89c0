package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"spoor/pipeline"
	"spoor/pipeline/changelog"
)

// stateLog is one input partition's changelog.Log over Kafka, in one generation of the group. It is used by one
// goroutine at a time: the partition's, and that of its commit.
type stateLog struct {
	g   *generation
	tp  pipeline.TopicPartition // of the input
	txn *transaction

	inside  *publisher // what belongs to the transaction
	outside *publisher // what is acknowledged before it
	log     pipeline.TopicPartition
	ended   func() // when set: a transaction has committed
}

var _ changelog.Log = (*stateLog)(nil)

func newStateLog(g *generation, p int32) *stateLog {
	m := g.m
	tp := g.tp(p)
	s := &stateLog{g: g, tp: tp, log: pipeline.TopicPartition{Topic: m.cfg.changelogTopic(), Partition: p}}
	s.inside = newPublisher(m.client, m.encoders, g.topics, tp, m.meters, m.log, g.offsets.alive)
	s.outside = newPublisher(m.client, m.encoders, g.topics, tp, m.meters, m.log, g.offsets.alive)
	s.txn = &transaction{client: m.client, id: fmt.Sprintf("%s%d", m.cfg.transactionPrefix(), p), retry: s.inside.retry, alive: g.offsets.alive}
	s.inside.txn = s.txn
	return s
}

// within is ctx, cut off when the generation may not write any more.
func (s *stateLog) within(ctx context.Context) (context.Context, func()) {
	writing := s.g.offsets.ctx
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(writing, func() { cancel(context.Cause(writing)) })
	return ctx, func() { stop(); cancel(nil) }
}

// told ends the generation when an error says that it is over.
func (s *stateLog) told(err error) error {
	if err != nil && lostGeneration(err) {
		err = fmt.Errorf("%w: %w", errLost, err)
		s.g.offsets.fail(err)
	}
	return err
}

// Init implements changelog.Log.
func (s *stateLog) Init(ctx context.Context) (changelog.Producer, error) {
	ctx, done := s.within(ctx)
	defer done()
	if err := s.txn.init(ctx); err != nil {
		return changelog.Producer{}, s.told(err)
	}
	s.inside.restart(s.txn.pid)
	return changelog.Producer{ID: s.txn.pid.id, Epoch: s.txn.pid.epoch}, nil
}

// Owned implements changelog.Log. While the group rebalances a member is neither in nor out: what is in doubt is
// left to whoever gets the partition then.
func (s *stateLog) Owned(ctx context.Context) error {
	ctx, done := s.within(ctx)
	defer done()
	err := s.inside.retry(ctx, "heartbeat", lostOrFenced, func() error {
		if err := s.g.offsets.alive(); err != nil {
			return err
		}
		return s.g.m.client.heartbeat(ctx, s.g.gen.ID, s.g.gen.MemberID)
	})
	if isAny(err, kafka.RebalanceInProgress) {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return s.told(err)
}

// Bounds implements changelog.Log.
func (s *stateLog) Bounds(ctx context.Context) (first, end int64, err error) {
	ctx, done := s.within(ctx)
	defer done()
	err = s.inside.retry(ctx, "list_offsets", lostOrFenced, func() error {
		all, err := s.g.m.client.bounds(ctx, s.log.Topic, []int32{s.log.Partition})
		if err == nil {
			first, end = all[s.log.Partition].first, all[s.log.Partition].end
		}
		return err
	})
	return first, end, err
}

// progressEvery is how often a restore says how far it is.
const progressEvery = 5 * time.Second

// Read implements changelog.Log.
func (s *stateLog) Read(ctx context.Context, from, to int64, fn func(offset int64, key, value []byte) error) (int64, error) {
	ctx, done := s.within(ctx)
	defer done()
	m := s.g.m
	progress := m.restoring(s.tp)
	defer progress.done()
	return readLog(ctx, m.client, s.log, from, to, m.meters, m.log, fn, progress.at)
}

// readLog hands the committed records of a changelog partition from position from to position to to fn.
func readLog(ctx context.Context, c *client, tp pipeline.TopicPartition, from, to int64, meters *pipeline.Metrics, log *slog.Logger,
	fn func(offset int64, key, value []byte) error, at func(records int, position, end int64)) (int64, error) {
	if from >= to {
		return from, nil
	}
	// What cannot be read must not be stepped over: the state would be another one.
	strict := *c
	strict.cfg.OnCorrupt, strict.cfg.OutOfRange = "pause", "fail"
	src := newSource(&strict, tp, from, meters, log)
	defer src.close()
	position := from
	for position < to {
		f, err := src.Next(ctx)
		if err != nil {
			return position, err
		}
		if src.paused {
			return position, fmt.Errorf("the batch at offset %d of %s/%d is corrupt on its leader: if no other replica has a good copy, the topic has to be deleted, and the state in all of it is lost", src.next, tp.Topic, tp.Partition)
		}
		records := before(f.Records, to)
		for i := range records {
			if err := fn(records[i].Offset, records[i].Key, records[i].Value); err != nil {
				return position, err
			}
		}
		position = min(max(position, f.Next), to)
		at(len(records), position, to)
	}
	return position, nil
}

// Committed implements changelog.Log.
func (s *stateLog) Committed(ctx context.Context) (offset int64, metadata string, err error) {
	ctx, done := s.within(ctx)
	defer done()
	err = s.inside.retry(ctx, "offset_fetch", lostOrFenced, func() error {
		rows, err := s.g.m.client.committed(ctx, int(s.tp.Partition)+1)
		if err != nil {
			return err
		}
		offset, metadata = -1, ""
		if r, ok := rows[s.tp.Partition]; ok {
			offset, metadata = r.offset, r.metadata
		}
		return nil
	})
	return offset, metadata, err
}

// Publish implements changelog.Log.
func (s *stateLog) Publish(ctx context.Context, b *pipeline.Batch, inside bool) error {
	ctx, done := s.within(ctx)
	defer done()
	if inside {
		s.txn.needs(s.log.Topic, s.log.Partition) // so that the coordinator is told of everything at once
		return s.told(s.inside.publish(ctx, b))
	}
	return s.told(s.outside.publish(ctx, b))
}

// Append implements changelog.Log.
func (s *stateLog) Append(ctx context.Context, records []changelog.Record) (int64, error) {
	ctx, done := s.within(ctx)
	defer done()
	return s.inside.append(ctx, records)
}

// SendOffset implements changelog.Log.
func (s *stateLog) SendOffset(ctx context.Context, next int64, metadata string) error {
	ctx, done := s.within(ctx)
	defer done()
	g := s.g
	// What the group's beginning was like goes with every offset.
	metadata += strings.TrimPrefix(g.offsets.metadata, offsetMetadata)
	return s.told(s.txn.sendOffset(ctx, int(g.gen.ID), g.gen.MemberID, s.tp.Topic, s.tp.Partition, next, metadata))
}

// End implements changelog.Log.
func (s *stateLog) End(ctx context.Context) error {
	ctx, done := s.within(ctx)
	defer done()
	start := time.Now()
	err := s.txn.end(ctx)
	s.g.m.meters.TransactionSeconds.Observe(time.Since(start).Seconds())
	if err == nil && s.ended != nil {
		s.ended()
	}
	return s.told(err)
}

// restart begins anew with another producer id.
func (p *publisher) restart(pid producerID) {
	p.pid, p.known = pid, true
	for _, l := range p.lanes {
		clear(l.streams)
	}
}

// append publishes changelog records, in order, and returns the position behind them.
func (p *publisher) append(ctx context.Context, records []changelog.Record) (int64, error) {
	l := p.lanes["state"]
	s := l.streams[p.tp.Partition]
	if s == nil {
		s = &stream{partition: p.tp.Partition}
		l.streams[p.tp.Partition] = s
	}
	// The log's cleaner works by wall time, as the brokers do.
	now := time.Now().UnixMilli()
	outputs := make([]pipeline.Output, len(records))
	size := 0
	for i, r := range records {
		outputs[i] = pipeline.Output{Key: r.Key, Value: r.Value, Timestamp: now}
		s.records = append(s.records, &outputs[i])
		size += len(r.Key) + len(r.Value)
	}
	refused, err := p.flush(ctx, []*lane{l})
	if err == nil && len(refused) > 0 {
		err = fmt.Errorf("the brokers refuse a record of the changelog, raise max.message.bytes of topic %q: %w", l.name, refused[0].err)
	}
	if err != nil {
		return 0, err
	}
	p.meters.ChangelogRecords.Add(float64(len(records)))
	p.meters.ChangelogBytes.Add(float64(size))
	return s.end, nil
}

// abortCause is the label of an abort.
func abortCause(err error) string {
	var code kafka.Error
	switch {
	case errors.Is(err, errLost):
		return "generation_lost"
	case isAny(err, codeProducerFenced, kafka.InvalidProducerEpoch):
		return "fenced"
	case badSequence(err):
		return "producer_state"
	case errors.As(err, &code):
		return "broker_error"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "cut_off"
	}
	return "no_answer"
}
