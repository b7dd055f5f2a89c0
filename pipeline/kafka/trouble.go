package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"

	"spoor/pipeline"
	"spoor/pipeline/event"
)

// What a source does when something is wrong: a batch, the position, or the broker.

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
	s.maxBytes = int32(s.client.cfg.FetchBytes)
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
