package kafka

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"

	"spoor/pipeline"
)

const (
	// fetchWait is how long the broker holds a fetch that finds nothing.
	fetchWait = 500 * time.Millisecond
	// fetchTimeout bounds a fetch beyond that.
	fetchTimeout = 15 * time.Second
	// idleWait is how long Next waits at most before it returns an empty Fetch. The request goes on meanwhile.
	idleWait = 100 * time.Millisecond
	// decodeBytes is how much Next decodes at least, if it is there: bounded work and memory between commits.
	decodeBytes = 4 << 20
	// corruptTries is how often a batch is fetched again before it is taken for corrupt for good.
	corruptTries = 3
	// pausedRetry is how often a paused partition looks at its batch again: a new leader may have a good copy.
	pausedRetry = 30 * time.Second
	// stallAfter is how long a partition retries before it is called stalled.
	stallAfter = 5 * time.Minute
)

// source is one partition as a pipeline.Source: read_committed, positions instead of "last record + 1". It is
// owned by the partition's goroutine. One request is in flight while the partition works on the last answer,
// so two response buffers exist.
type source struct {
	client *client
	log    *slog.Logger
	meters sourceMeters
	tp     pipeline.TopicPartition

	next int64 // position: everything below was returned or skipped
	end  int64 // last stable offset; -1 unknown

	decoder decoder
	// What is left of the current answer, and whose transactions in it are aborted.
	rest     []byte
	aborted  []abortedTxn
	aborting map[int64]bool
	current  []byte // buffer of the current answer; rest and returned records alias it
	spare    []byte // buffer for the next one
	asked    int64  // position that the current answer was asked for

	inflight chan fetched // nil: no request is in flight
	cancel   context.CancelFunc
	maxBytes int32

	failures     int       // fetches that failed in a row
	failingSince time.Time // zero: not failing
	stalled      bool
	notBefore    time.Time // no request before this time
	logged       string    // last error logged, so that it is logged once

	badAt    int64 // position at which a batch was corrupt; -1 none
	badTries int
	paused   bool
}

type fetched struct {
	res *fetchResponse
	err error
}

type sourceMeters struct {
	paused, stalled                  prometheus.Gauge
	records, bytes, corrupt, aborted prometheus.Counter
	retries                          prometheus.Counter
	seconds                          prometheus.Observer
	outOfRange                       func(policy string) prometheus.Counter
	forget                           func() // takes the gauges back: the partition may go to another member
}

func newSourceMeters(m *pipeline.Metrics, tp pipeline.TopicPartition) sourceMeters {
	p := strconv.Itoa(int(tp.Partition))
	return sourceMeters{
		paused:  m.PartitionPaused.WithLabelValues(tp.Topic, p),
		stalled: m.PartitionStalled.WithLabelValues(tp.Topic, p),
		records: m.FetchRecords.WithLabelValues(tp.Topic),
		bytes:   m.FetchBytes.WithLabelValues(tp.Topic),
		corrupt: m.CorruptBatches.WithLabelValues(tp.Topic, p),
		aborted: m.AbortedRecords.WithLabelValues(tp.Topic),
		retries: m.Retries.WithLabelValues("fetch"),
		seconds: m.FetchSeconds,
		forget: func() {
			m.PartitionPaused.DeleteLabelValues(tp.Topic, p)
			m.PartitionStalled.DeleteLabelValues(tp.Topic, p)
		},
		outOfRange: func(policy string) prometheus.Counter {
			return m.OutOfRange.WithLabelValues(tp.Topic, p, policy)
		},
	}
}

// newSource reads tp from position next on.
func newSource(c *client, tp pipeline.TopicPartition, next int64, m *pipeline.Metrics, log *slog.Logger) *source {
	s := &source{
		client:   c,
		log:      log.With("topic", tp.Topic, "partition", tp.Partition),
		meters:   newSourceMeters(m, tp),
		tp:       tp,
		next:     next,
		end:      -1,
		aborting: map[int64]bool{},
		maxBytes: int32(c.cfg.FetchBytes),
		badAt:    -1,
	}
	s.meters.paused.Set(0)
	s.meters.stalled.Set(0)
	return s
}

// close drops the request in flight. The buffers it may still write to are left to it.
func (s *source) close() {
	if s.cancel != nil {
		s.cancel()
	}
	s.decoder.codec.close()
	s.meters.forget()
}

// Next implements pipeline.Source.
func (s *source) Next(ctx context.Context) (pipeline.Fetch, error) {
	if err := ctx.Err(); err != nil {
		return pipeline.Fetch{}, err
	}
	s.decoder.reset()
	if len(s.rest) == 0 {
		if err := s.receive(ctx); err != nil {
			return pipeline.Fetch{}, err
		}
	}
	s.decode()
	if len(s.rest) == 0 {
		s.request()
	}
	return pipeline.Fetch{Records: s.decoder.records, Next: s.next, End: s.end}, nil
}

// request sends the next fetch, unless one is in flight or it is too early.
func (s *source) request() {
	if s.inflight != nil || time.Now().Before(s.notBefore) {
		return
	}
	req := &fetchRequest{
		topic: s.tp.Topic, partition: s.tp.Partition, offset: s.next, clientID: s.client.cfg.ClientID,
		maxWaitMs: int32(fetchWait / time.Millisecond), maxBytes: s.maxBytes, buf: s.spare,
	}
	s.spare = nil
	ctx, cancel := context.WithTimeout(context.Background(), fetchWait+fetchTimeout)
	ch := make(chan fetched, 1)
	s.inflight, s.cancel = ch, cancel
	go func() {
		start := time.Now()
		m, err := s.client.client.Transport.RoundTrip(ctx, s.client.client.Addr, req)
		cancel()
		s.meters.seconds.Observe(time.Since(start).Seconds())
		if err != nil {
			ch <- fetched{err: err}
			return
		}
		ch <- fetched{res: m.(*fetchResponse)}
	}()
}

// receive waits for an answer for a while and makes it the current one. No answer is no error.
func (s *source) receive(ctx context.Context) error {
	s.request()
	idle := time.NewTimer(s.client.idle)
	defer idle.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-idle.C:
		return nil
	case f := <-s.inflight: // nil when it is too early for a request: then idle ends the wait
		s.inflight, s.cancel = nil, nil
		if f.err != nil {
			s.failed(f.err)
			return nil
		}
		return s.take(ctx, f.res)
	}
}

// take makes res the current answer.
func (s *source) take(ctx context.Context, res *fetchResponse) error {
	switch {
	case res.code == codeOffsetOutOfRange:
		s.spare = res.buf
		err := s.outOfRange(ctx)
		var stop *stopError
		if errors.As(err, &stop) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			s.failed(err)
		}
		return nil
	case res.code != 0:
		s.spare = res.buf
		s.failed(kafka.Error(res.code))
		return nil
	}
	s.recovered()
	// A buffer that one huge batch made huge is not kept for ever.
	if s.spare == nil && cap(s.current) <= 4*s.client.cfg.FetchBytes {
		s.spare = s.current
	}
	s.current = res.buf
	s.rest, s.aborted, s.asked = res.records, res.aborted, s.next
	clear(s.aborting)
	s.end = res.stable
	if s.end < 0 {
		s.end = res.highWater
	}
	s.meters.bytes.Add(float64(len(res.records)))
	return nil
}

// decode turns batches of the current answer into records until there are enough of them.
func (s *source) decode() {
	if len(s.rest) == 0 {
		return
	}
	for len(s.rest) > 0 && s.decoder.bytes < decodeBytes {
		b, err := splitBatch(s.rest)
		if errors.Is(err, errPartialBatch) {
			s.rest = nil
			if s.next == s.asked {
				s.grow(err)
			}
			return
		}
		if err == nil && b.next() <= s.next {
			s.rest = s.rest[b.size:] // all of it was returned before
			continue
		}
		if err == nil {
			err = s.filter(&b)
		}
		if err != nil {
			s.corrupt(&b, err)
			return
		}
		if s.badAt >= 0 {
			s.good()
		}
		s.rest = s.rest[b.size:]
		s.next = b.next()
	}
	if len(s.rest) == 0 && s.next == s.asked {
		// Asking again at once would be a busy loop.
		s.failed(errors.New("the broker answered with nothing but batches before the position asked for"))
	}
}

// grow asks for more after an answer that holds not even one whole batch: a batch larger than what is asked
// for comes whole from every broker since 0.10.1, so more likely its length is corrupt.
func (s *source) grow(err error) {
	if s.maxBytes < maxBatchBytes {
		s.maxBytes = min(2*s.maxBytes, maxBatchBytes)
		return
	}
	s.corrupt(&batch{base: s.next}, err)
}

// filter decodes b unless its records are not for consumers: control batches and aborted transactions.
func (s *source) filter(b *batch) error {
	for len(s.aborted) > 0 && s.aborted[0].first < b.next() {
		s.aborting[s.aborted[0].producerID] = true
		s.aborted = s.aborted[1:]
	}
	switch {
	case b.control():
		if b.abortMarker() {
			delete(s.aborting, b.producerID)
		}
		return nil
	case b.transactional() && s.aborting[b.producerID]:
		s.meters.aborted.Add(float64(b.count))
		return nil
	}
	n := len(s.decoder.records)
	if err := s.decoder.append(b, s.next); err != nil {
		return err
	}
	s.meters.records.Add(float64(len(s.decoder.records) - n))
	return nil
}
