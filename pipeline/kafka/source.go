package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"

	"spoor/pipeline"
	"spoor/pipeline/event"
)

const (
	// fetchWait is how long the broker holds a fetch that finds nothing.
	fetchWait = 500 * time.Millisecond
	// fetchTimeout bounds a fetch beyond that.
	fetchTimeout = 15 * time.Second
	// idleWait is how long Next waits before it returns an empty Fetch. The request goes on meanwhile.
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
		m, err := s.client.transport.RoundTrip(ctx, s.client.client.Addr, req)
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
	idle := time.NewTimer(idleWait)
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

// corrupt handles a batch at the position that cannot be read. b holds what could be believed of it.
func (s *source) corrupt(b *batch, err error) {
	s.meters.corrupt.Inc()
	if s.badAt != s.next {
		s.badAt, s.badTries = s.next, 0
	}
	s.badTries++
	rest := s.rest
	s.rest = nil
	if s.badTries <= corruptTries {
		s.notBefore = time.Now().Add(backoff(s.badTries - 1))
		return
	}
	if s.client.cfg.OnCorrupt == "skip" {
		to := s.skipTo(b, rest)
		s.log.Error("skipped a corrupt batch", "offset", s.next, "next", to, "err", err)
		s.decoder.records = append(s.decoder.records, pipeline.Record{
			Offset: s.next,
			Fault: &event.Error{Reason: event.ReasonCorruptRecord, Detail: fmt.Sprintf("the batch at offset %d was skipped up to offset %d, fetched %d times: %v",
				s.next, to, s.badTries, err)},
		})
		s.next = to
		s.good()
		return
	}
	if !s.paused {
		s.paused = true
		s.meters.paused.Set(1)
		s.log.Error("partition paused at a corrupt batch; it is looked at again every 30 s, on_corrupt: skip would step over it",
			"offset", s.next, "tries", s.badTries, "err", err)
	}
	s.notBefore = time.Now().Add(pausedRetry)
}

// skipTo is the position behind a corrupt batch: where the next good batch of the same answer starts, or
// where the batch itself says that it ends, or else just the next offset.
func (s *source) skipTo(b *batch, rest []byte) int64 {
	if b.size > 0 && b.size < len(rest) {
		if after, err := splitBatch(rest[b.size:]); err == nil && after.base > s.next {
			return after.base
		}
	}
	if b.size > 0 && b.base <= s.next && b.next() > s.next && b.next() <= s.end {
		return b.next()
	}
	return s.next + 1
}

// good ends the trouble with a corrupt batch.
func (s *source) good() {
	s.badAt, s.badTries = -1, 0
	if s.paused {
		s.paused = false
		s.meters.paused.Set(0)
		s.log.Info("partition goes on", "offset", s.next)
	}
}

// outOfRange moves the position as the policy says, because the log does not hold it. A stopError means that
// it is not to be moved.
func (s *source) outOfRange(ctx context.Context) error {
	all, err := s.client.bounds(ctx, s.tp.Topic, []int32{s.tp.Partition})
	if err != nil {
		return err
	}
	b := all[s.tp.Partition]
	switch {
	case s.next < b.first:
		policy := s.client.cfg.OutOfRange
		s.meters.outOfRange(policy).Inc()
		to := b.first
		switch policy {
		case "latest":
			to = b.end
		case "fail":
			return stopf("%s/%d: offset %d is no longer in the log, which starts at %d, and out_of_range is fail: "+
				"reset the group's offsets, or set out_of_range to earliest or latest", s.tp.Topic, s.tp.Partition, s.next, b.first)
		}
		s.log.Error("the log no longer holds the position: records were lost to retention", "offset", s.next, "log_start", b.first, "policy", policy, "next", to)
		s.next = to
		s.recovered()
		return nil
	case s.next > b.end && s.failures >= 3:
		s.meters.outOfRange("stop").Inc()
		return stopf("%s/%d: offset %d is beyond the log's end, which is %d: the topic was recreated? "+
			"Reset the group's offsets, or use another group", s.tp.Topic, s.tp.Partition, s.next, b.end)
	}
	// A broker that is behind for a moment says so too.
	return kafka.OffsetOutOfRange
}

// failed notes that a fetch failed and when to try again.
func (s *source) failed(err error) {
	now := time.Now()
	wait := backoff(s.failures)
	s.failures++
	s.meters.retries.Inc()
	if s.failingSince.IsZero() {
		s.failingSince = now
	}
	refused := denied(err)
	if refused {
		wait = backoff(100)
	}
	s.notBefore = now.Add(wait)
	// A leader that moves causes a failure or two; what lasts longer is worth a line, each kind once.
	if text := err.Error(); text != s.logged && (refused || s.failures >= 4) {
		s.logged = text
		s.log.Warn("fetch fails, trying again", "offset", s.next, "tries", s.failures, "err", err)
	}
	if since := now.Sub(s.failingSince); since >= stallAfter && !s.stalled {
		s.stalled = true
		s.meters.stalled.Set(1)
		s.log.Error("partition stalled: no fetch has succeeded", "offset", s.next, "for", since.Round(time.Second), "err", err)
	}
}

// recovered notes that a fetch succeeded.
func (s *source) recovered() {
	if s.logged != "" {
		s.log.Info("fetching again", "offset", s.next)
	}
	s.failures, s.failingSince, s.logged, s.notBefore = 0, time.Time{}, "", time.Time{}
	if s.stalled {
		s.stalled = false
		s.meters.stalled.Set(0)
	}
}
