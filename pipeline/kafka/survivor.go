package kafka

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"spoor/pipeline"
	"spoor/pipeline/changelog"
	"spoor/pipeline/state"
)

// survivor runs one partition whose state is in the changelog, until ctx ends. Whatever fails, it is opened again:
// the changelog says what is true. What it remembers is kept for the next generation.
func (g *generation) survivor(ctx context.Context, p int32, k *changelog.Kept, first start) {
	m := g.m
	tp := g.tp(p)
	log := m.log.With("topic", tp.Topic, "partition", p)
	if int(p) >= g.logs {
		log.Error("partition paused: the changelog's topic has no partition for it", "changelog", m.cfg.changelogTopic(), "has", g.logs)
		g.pause(ctx, p)
		return
	}
	options := changelog.Options{
		Inside:  m.cfg.Delivery == "exactly_once",
		Aborted: func(cause error) { m.meters.TransactionAborts.WithLabelValues(abortCause(cause)).Inc() },
		Fallback: func(ctx context.Context) (int64, error) {
			// Committed, so that a restart does not choose again.
			return first.next, g.offsets.commit(ctx, tp, first.next)
		},
	}
	stalled := func() prometheus.Gauge {
		return m.meters.PartitionStalled.WithLabelValues(tp.Topic, strconv.Itoa(int(p))) // a source that closes takes it back
	}
	var st stall
	for failures := 0; ; failures++ {
		var src *source
		before := time.Now()
		s := newStateLog(g, p)
		if st.told {
			s.ended = func() { stalled().Set(0) }
		}
		loosen := m.gc.tighten()
		err := k.Run(ctx, s, func() *pipeline.Partition { return m.engine.Partition(tp, m.cluster) },
			func(start changelog.Start) pipeline.Source {
				loosen()
				g.opened.opened(p)
				m.started(tp, start, time.Since(before))
				src = newSource(m.client, tp, start.Next, m.meters, m.log)
				if st.told {
					stalled().Set(1) // until a transaction ends
				}
				return src
			}, options)
		loosen()
		if src != nil {
			src.close()
		}
		var stop *stopError
		var newer *state.FormatError
		switch {
		case errors.As(err, &stop):
			log.Error("stopping", "err", err)
			k.Close()
			g.stop(stop)
			return
		case errors.As(err, &newer):
			log.Error("partition paused: its state was written by a later release; run that release here too", "format", newer.Format, "reads", newer.Reads, "err", err)
			k.Close()
			g.pause(ctx, p)
			return
		case ctx.Err() != nil || errors.Is(err, errLost):
			if err != ctx.Err() && src != nil {
				log.Warn("the batch in progress was not seen to commit; whoever gets the partition reads what became of it", "err", err)
			}
			g.mu.Lock()
			g.kept[p] = k
			g.mu.Unlock()
			return
		case errors.Is(err, pipeline.ErrRewound):
			log.Warn("a commit failed; the partition goes on from the last one", "err", err)
		default:
			log.Error("partition failed; it starts again from its changelog", "err", err)
		}
		next := int64(-1)
		if k.Partition() != nil {
			next = k.Partition().Next()
		}
		since, over := st.failed(next, time.Now())
		if since == 0 {
			failures = 0
		}
		if over {
			log.Error("partition stalled: it starts again and again and commits nothing", "position", next, "for", since.Round(time.Second), "err", err)
		}
		if st.told {
			stalled().Set(1)
		}
		if !sleep(ctx, backoff(failures)) {
			g.mu.Lock()
			g.kept[p] = k
			g.mu.Unlock()
			return
		}
	}
}

// stall knows since when a partition has been failing at one position.
type stall struct {
	next  int64
	began time.Time // zero: it has not failed yet
	told  bool
}

// failed says for how long it has, and, once, that this is too long.
func (s *stall) failed(next int64, now time.Time) (since time.Duration, over bool) {
	if s.began.IsZero() || next > s.next && next >= 0 {
		*s = stall{next: next, began: now}
	}
	since = now.Sub(s.began)
	over = since >= stallAfter && !s.told
	s.told = s.told || over
	return since, over
}

// pause holds a partition that cannot be worked on until the generation ends.
func (g *generation) pause(ctx context.Context, p int32) {
	gauge := newSourceMeters(g.m.meters, g.tp(p))
	gauge.paused.Set(1)
	g.m.setStatus(func(s *Status) { s.Paused++ })
	<-ctx.Done()
	g.m.setStatus(func(s *Status) { s.Paused-- })
	gauge.forget()
}

// started says where a partition starts and why.
func (m *Member) started(tp pipeline.TopicPartition, s changelog.Start, took time.Duration) {
	m.meters.Starts.WithLabelValues(string(s.Cause)).Inc()
	log := m.log.With("topic", tp.Topic, "partition", tp.Partition, "position", s.Next, "changes", s.Records, "warm", s.Warm, "took", took.Round(time.Millisecond))
	switch s.Cause {
	case changelog.MarkerLost:
		log.Warn("the changelog lost its marker: the state starts empty at the group's offset")
	case changelog.AtOffset:
		log.Warn("the changelog has no marker yet: the state starts empty at the group's offset")
	case changelog.Forwards:
		log.Warn("the group's offset was moved forwards by somebody else: the partition goes on there, with the state it had", "marker", s.Marker)
	case changelog.Backwards:
		log.Warn("the group's offset was moved backwards by somebody else: the partition goes on there, with empty state", "marker", s.Marker)
	case changelog.Disagrees:
		log.Warn("the group's offset is not that of the changelog's marker: the marker counts", "offset", s.Offset)
	default:
		log.Debug("partition starts", "cause", string(s.Cause))
	}
}
