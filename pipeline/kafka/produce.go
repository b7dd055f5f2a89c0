package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"golang.org/x/sync/errgroup"

	"spoor/pipeline"
	"spoor/pipeline/event"
)

// outTopic is what a publisher knows of a topic it publishes to. Constant.
type outTopic struct {
	name       string
	kind       string // of metrics: signal, shadow, reject or state
	partitions int    // when the generation began: a host's signals change partition at a rebalance, not in between
	maxBytes   int    // the longest batch that the topic takes
}

// publisher publishes what one input partition leads to, idempotently: it has a producer id of its own, so
// that sequences have one owner and trouble with them ends one partition's run. It is used by one goroutine
// at a time.
type publisher struct {
	client *client
	pool   *encoders
	log    *slog.Logger
	meters *pipeline.Metrics
	tp     pipeline.TopicPartition
	alive  func() error // the fence: an error means that nothing may be published any more
	txn    *transaction // what is published belongs to it; nil: to none

	pid   producerID
	known bool // pid was given to us
	lanes map[string]*lane
}

// lane is one output topic of a publisher.
type lane struct {
	outTopic
	seconds prometheus.Observer
	streams map[int32]*stream // by output partition
}

// stream is one output partition: how many records it got from us.
type stream struct {
	partition int32
	sequence  int32
	end       int64              // behind the last record acknowledged; -1 unknown
	records   []*pipeline.Output // of the current batch
}

// refusal is a record that a broker does not take for what it is.
type refusal struct {
	lane   *lane
	output *pipeline.Output
	err    error
}

// maxSends is how many produce requests of one publisher are under way at once.
const maxSends = 4

func newPublisher(c *client, pool *encoders, topics []outTopic, tp pipeline.TopicPartition, m *pipeline.Metrics, log *slog.Logger, alive func() error) *publisher {
	p := &publisher{
		client: c, pool: pool, meters: m, tp: tp, alive: alive, lanes: map[string]*lane{},
		log: log.With("topic", tp.Topic, "partition", tp.Partition),
	}
	for _, t := range topics {
		p.lanes[t.kind] = &lane{outTopic: t, seconds: m.ProduceSeconds.WithLabelValues(t.kind), streams: map[int32]*stream{}}
	}
	return p
}

// publish returns when every output is acknowledged by all in-sync replicas, or refused for what it is.
// Refused signals become rejects; rejects refused for their time get another; other refused rejects are logged. An error means that it is not known
// what was published.
func (p *publisher) publish(ctx context.Context, b *pipeline.Batch) error {
	live, shadow, reject := p.lanes["signal"], p.lanes["shadow"], p.lanes["reject"]
	var all []*lane
	add := func(l *lane, o *pipeline.Output) {
		s := p.streamOf(l, o)
		s.records = append(s.records, o)
	}
	for i := range b.Signals {
		add(live, &b.Signals[i])
	}
	all = append(all, live)
	if shadow != nil {
		for i := range b.Shadow {
			add(shadow, &b.Shadow[i])
		}
		all = append(all, shadow)
	}
	if reject != nil {
		for i := range b.Rejects {
			add(reject, &b.Rejects[i].Output)
		}
		all = append(all, reject)
	}
	refused, err := p.flush(ctx, all)
	if err != nil {
		return err
	}
	lost := func(r refusal) {
		p.log.Error("a broker refused a reject; it is lost", "to", r.lane.name, "offset", r.output.Offset, "bytes", len(r.output.Value), "err", r.err)
	}
	for _, r := range refused {
		p.meters.Rejects.WithLabelValues(string(event.ReasonRefused), string(pipeline.StageSink)).Inc()
		p.log.Warn("a broker refused a record", "to", r.lane.name, "offset", r.output.Offset, "bytes", len(r.output.Value), "err", r.err)
		switch {
		case reject == nil:
		case r.lane != reject:
			add(reject, p.rejectOf(r, reject.maxBytes))
		case isAny(r.err, kafka.InvalidTimestamp):
			o := *r.output
			o.Timestamp = time.Now().UnixMilli()
			add(reject, &o)
		default:
			lost(r)
		}
	}
	if refused, err = p.flush(ctx, all); err != nil {
		return err
	}
	for _, r := range refused {
		lost(r)
	}
	return nil
}

// streamOf is the output partition that an output goes to.
func (p *publisher) streamOf(l *lane, o *pipeline.Output) *stream {
	partition := p.tp.Partition % int32(l.partitions)
	if p.client.cfg.Partitioner == "murmur2" && o.Key != nil {
		partition = int32(murmur2(o.Key)&0x7fffffff) % int32(l.partitions)
	}
	s := l.streams[partition]
	if s == nil {
		s = &stream{partition: partition}
		l.streams[partition] = s
	}
	return s
}

// flush sends what the streams hold and empties them.
func (p *publisher) flush(ctx context.Context, lanes []*lane) ([]refusal, error) {
	type work struct {
		lane   *lane
		stream *stream
	}
	var todo []work
	for _, l := range lanes {
		for _, s := range l.streams {
			if len(s.records) > 0 {
				todo = append(todo, work{l, s})
			}
		}
	}
	if len(todo) == 0 {
		return nil, nil
	}
	if err := p.identify(ctx); err != nil {
		return nil, err
	}
	if p.txn != nil {
		for _, w := range todo {
			p.txn.needs(w.lane.name, w.stream.partition)
		}
		if err := p.txn.addPartitions(ctx); err != nil {
			return nil, err
		}
	}
	var mu sync.Mutex
	var refused []refusal
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxSends)
	for _, w := range todo {
		group.Go(func() error {
			defer func() {
				clear(w.stream.records)
				w.stream.records = w.stream.records[:0]
			}()
			e := p.pool.get()
			defer p.pool.put(e)
			r, err := p.sendAll(ctx, w.lane, w.stream, e)
			mu.Lock()
			refused = append(refused, r...)
			mu.Unlock()
			return err
		})
	}
	err := group.Wait()
	return refused, err
}

// identify gets the producer id, once.
func (p *publisher) identify(ctx context.Context) error {
	if p.known {
		return nil
	}
	return p.retry(ctx, "init_producer_id", never, func() error {
		res, err := p.client.client.InitProducerID(ctx, &kafka.InitProducerIDRequest{ProducerID: -1, ProducerEpoch: -1})
		if err != nil {
			return err
		}
		if res.Error != nil {
			return res.Error
		}
		p.pid = producerID{int64(res.Producer.ProducerID), int16(res.Producer.ProducerEpoch)}
		p.known = true
		return nil
	})
}

// sendAll sends a stream's records in batches that the topic takes. Its limit is on the compressed batch; a
// batch within it before compression is within it after, but for the margin.
func (p *publisher) sendAll(ctx context.Context, l *lane, s *stream, e *encoder) (refused []refusal, err error) {
	limit := l.maxBytes - batchHeaderSize - l.maxBytes/256 - 128
	for rest := s.records; len(rest) > 0; {
		n, size := 0, 0
		for n < len(rest) {
			size += recordSize(rest[n], n, rest[n].Timestamp-rest[0].Timestamp)
			if size > limit && n > 0 {
				break
			}
			n++
		}
		r, err := p.send(ctx, l, s, rest[:n], e)
		refused = append(refused, r...)
		if err != nil {
			return refused, err
		}
		rest = rest[n:]
	}
	return refused, nil
}

// send publishes records as one batch. When a broker refuses the batch for what is in it, it is halved until
// the records at fault are alone.
func (p *publisher) send(ctx context.Context, l *lane, s *stream, records []*pipeline.Output, e *encoder) ([]refusal, error) {
	attributes := uint16(0)
	if p.txn != nil {
		attributes = attrTransactional
	}
	raw, err := e.encode(records, p.pid, s.sequence, attributes)
	if err != nil {
		return nil, err
	}
	base, err := p.produce(ctx, l, s.partition, raw, e)
	switch {
	case err == nil:
		// Sequences wrap at 2^31, as brokers count them.
		s.sequence = int32((int64(s.sequence) + int64(len(records))) & 0x7fffffff)
		s.end = base + int64(len(records))
		return nil, nil
	case !badRecord(err):
		return nil, err
	case len(records) == 1:
		return []refusal{{l, records[0], err}}, nil
	}
	half := len(records) / 2
	refused, err := p.send(ctx, l, s, records[:half], e)
	if err != nil {
		return refused, err
	}
	more, err := p.send(ctx, l, s, records[half:], e)
	return append(refused, more...), err
}

// produce sends one batch until it is acknowledged. A retry sends the same bytes, so that the broker knows
// it for the same batch, whatever became of the answer to the first.
//
// After a failed try the connection may still be reading raw, which is e's buffer: e gets another one.
func (p *publisher) produce(ctx context.Context, l *lane, partition int32, raw []byte, e *encoder) (base int64, err error) {
	permanent := func(err error) bool { return badSequence(err) || badRecord(err) || errors.Is(err, errLost) }
	start := time.Now()
	txnID := ""
	if p.txn != nil {
		txnID = p.txn.id
	}
	err = p.retry(ctx, "produce", permanent, func() error {
		if err := p.alive(); err != nil {
			return err
		}
		res, err := p.client.client.RawProduce(ctx, &kafka.RawProduceRequest{
			Topic: l.name, Partition: int(partition), RequiredAcks: kafka.RequireAll, TransactionalID: txnID,
			RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(raw)},
		})
		if err == nil {
			err = res.Error
		}
		if errors.Is(err, kafka.DuplicateSequenceNumber) && p.txn == nil {
			return nil // it was there already, and older than the last five: an acknowledgement all the same
		}
		if err != nil {
			e.out = nil
			return err
		}
		base = res.BaseOffset
		return nil
	})
	l.seconds.Observe(time.Since(start).Seconds())
	if err != nil && !badRecord(err) {
		return 0, fmt.Errorf("publish to %s/%d: %w", l.name, partition, err)
	}
	return base, err
}

// retry is retry with this publisher's metrics and log: a line when it does not pass at once, one when it
// lasts.
func (p *publisher) retry(ctx context.Context, request string, permanent func(error) bool, f func() error) error {
	start := time.Now()
	tries, stalled, refused := 0, false, false
	gauge := func() prometheus.Gauge {
		return p.meters.PartitionStalled.WithLabelValues(p.tp.Topic, strconv.Itoa(int(p.tp.Partition)))
	}
	err := retry(ctx, permanent, func(err error) {
		p.meters.Retries.WithLabelValues(request).Inc()
		tries++
		if isAny(err, kafka.ConcurrentTransactions) {
			tries = min(tries, 3) // the last transaction is being ended: that takes a moment
		}
		if tries == 4 || (denied(err) && !refused) {
			refused = denied(err)
			p.log.Warn("request fails, trying again", "request", request, "tries", tries, "err", err)
		}
		if since := time.Since(start); since >= stallAfter && !stalled {
			stalled = true
			gauge().Set(1)
			p.log.Error("partition stalled: nothing can be published", "request", request, "for", since.Round(time.Second), "err", err)
		}
	}, f)
	if stalled {
		gauge().Set(0)
	}
	return err
}

// rejectOf is a refused signal as a reject: its bytes, cut to fit, and what is known of it.
func (p *publisher) rejectOf(r refusal, maxBytes int) *pipeline.Output {
	o := &pipeline.Output{Key: r.output.Key, Value: r.output.Value, Timestamp: r.output.Timestamp, Offset: r.output.Offset}
	add := func(key, value string) {
		o.Headers = append(o.Headers, pipeline.Header{Key: key, Value: []byte(value)})
	}
	add(pipeline.HeaderReason, string(event.ReasonRefused))
	add(pipeline.HeaderStage, string(pipeline.StageSink))
	add(pipeline.HeaderTopic, p.tp.Topic)
	add(pipeline.HeaderPartition, strconv.Itoa(int(p.tp.Partition)))
	add(pipeline.HeaderOffset, strconv.FormatInt(r.output.Offset, 10))
	add(pipeline.HeaderDetail, fmt.Sprintf("%s: %v", r.lane.name, r.err))
	most := maxBytes/2 - 1024
	if len(o.Key) > most/2 {
		o.Key = o.Key[:most/2]
	}
	if room := most - len(o.Key); len(o.Value) > room {
		add(pipeline.HeaderOriginalLength, strconv.Itoa(len(o.Value)))
		add(pipeline.HeaderOriginalSHA256, sha256Hex(o.Value))
		o.Value = o.Value[:room]
	}
	return o
}

// encoder encodes batches; it is used by one goroutine at a time.
type encoder struct {
	compressor   compressor
	scratch, out []byte
}

func (e *encoder) encode(records []*pipeline.Output, pid producerID, sequence int32, attributes uint16) ([]byte, error) {
	out, err := appendBatch(e.out[:0], &e.scratch, records, pid, sequence, attributes, &e.compressor)
	if err != nil {
		return nil, fmt.Errorf("encode a batch: %w", err)
	}
	e.out = out
	return out, nil
}

// encoders lends encoders, so that as many exist as are used at once, not one for each partition: those of
// zstd take a megabyte. Safe for concurrent use.
type encoders struct {
	codec int
	free  chan *encoder
}

func newEncoders(codec string) *encoders {
	return &encoders{codec: codecs[codec], free: make(chan *encoder, 8)}
}

func (p *encoders) get() *encoder {
	select {
	case e := <-p.free:
		return e
	default:
		return &encoder{compressor: compressor{codec: p.codec}}
	}
}

func (p *encoders) put(e *encoder) {
	select {
	case p.free <- e:
	default:
		e.compressor.close()
	}
}
