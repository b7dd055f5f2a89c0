package kafka

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"spoor/pipeline"
	"spoor/pipeline/changelog"
)

// generation is the time between two rebalances: one set of partitions, one goroutine each, one that stores
// their positions, one that watches the topic grow.
//
// How it ends: something ends it (revoked, lost, grown, ctx); the partitions stop reading, finish their batch
// and commit, for which they have the drain budget; then the committing is cut off; when the last partition
// has returned, run returns, and kafka-go joins the next generation.
type generation struct {
	m    *Member
	gen  *kafka.Generation
	stop context.CancelCauseFunc // ends the whole member
	done chan struct{}           // closed when run is over

	topics  []outTopic
	offsets *offsetWriter

	mu   sync.Mutex
	warm map[int32]runner          // guarded by mu: what may go on in the next generation
	kept map[int32]*changelog.Kept // guarded by mu: likewise, with a changelog

	logs   int // partitions of the changelog
	opened *openings
}

func newGeneration(m *Member, gen *kafka.Generation, stop context.CancelCauseFunc) *generation {
	return &generation{m: m, gen: gen, stop: stop, done: make(chan struct{}), warm: map[int32]runner{}, kept: map[int32]*changelog.Kept{}}
}

// run is the generation. It returns when everything in it has ended; kafka-go waits for that.
func (g *generation) run(ctx, revoked context.Context, group *kafka.ConsumerGroup) {
	defer close(g.done)
	m := g.m
	partitions := g.partitions()
	m.balancer.assigned(g.gen.ID, partitions)
	m.meters.Rebalances.Inc()
	m.meters.AssignedPartitions.Set(float64(len(partitions)))
	m.setStatus(func(s *Status) { s.Joined, s.Generation, s.Assigned = true, g.gen.ID, len(partitions) })

	// reading ends first, writing a budget later.
	reading, end := context.WithCancelCause(ctx)
	defer end(nil)
	stopRevoked := context.AfterFunc(revoked, func() { end(errors.New("the group rebalances")) })
	defer stopRevoked()
	writing, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	stopDrain := context.AfterFunc(reading, func() {
		t := time.AfterFunc(m.cfg.drainBudget(), func() { cut(errors.New("the time to finish the batch is over")) })
		context.AfterFunc(writing, func() { t.Stop() })
	})
	defer stopDrain()

	g.offsets = &offsetWriter{
		client: m.client, log: m.log, group: m.cfg.Group, generation: int(g.gen.ID), member: g.gen.MemberID, metadata: offsetMetadata,
		seconds: m.meters.OffsetCommitSeconds, retries: m.meters.Retries.WithLabelValues("offset_commit"),
		ctx: writing, fenced: m.cfg.SessionTimeout,
		// A lost generation has no budget: another member may own its partitions already.
		lose:     func(err error) { end(err); cut(err) },
		requests: make(chan offsetRequest),
	}

	starts, count, err := g.prepare(reading, partitions)
	if err == nil {
		go g.offsets.run()
		if !m.cfg.Changelog {
			err = g.settle(reading, starts)
		}
	}
	ready := func() {
		m.setStatus(func(s *Status) { s.Ready, s.Restoring = true, 0 })
		if !m.lostAt.IsZero() {
			m.meters.RebalanceGap.Observe(time.Since(m.lostAt).Seconds())
		}
	}
	if err == nil {
		if m.cfg.Changelog {
			g.opened = newOpenings(partitions, func(left int) { m.setStatus(func(s *Status) { s.Restoring = left }) }, ready)
		} else {
			ready()
		}
		m.log.Info("partitions assigned", "group", m.cfg.Group, "generation", g.gen.ID, "partitions", partitions)
		var running sync.WaitGroup
		running.Go(func() { g.watchGrowth(reading, count, end) })
		for _, p := range partitions {
			if m.cfg.Changelog {
				k := m.kept[p]
				delete(m.kept, p)
				if k == nil {
					k = new(changelog.Kept)
				}
				running.Go(func() { g.survivor(reading, p, k, starts[p]) })
				continue
			}
			r := m.warm[p]
			delete(m.warm, p)
			running.Go(func() { g.partition(reading, p, starts[p].next, r) })
		}
		g.discardWarm()
		running.Wait()
		m.warm, m.kept = g.warm, g.kept
		warmth := map[int32]int{}
		for p, k := range m.kept {
			if n, whole := k.Restored(); whole {
				warmth[p] = n + 1
			}
		}
		m.balancer.warm(warmth)
	}
	m.log.Info("generation over", "group", m.cfg.Group, "generation", g.gen.ID, "why", context.Cause(reading))

	if ctx.Err() != nil {
		// Leaving before the generation is seen to be over: else kafka-go might join the next one first.
		go group.Close()
		<-revoked.Done()
	}
}

// partitions are the partitions of the input topic assigned, sorted.
func (g *generation) partitions() []int32 {
	var out []int32
	for _, a := range g.gen.Assignments[g.m.cfg.Input] {
		out = append(out, int32(a.ID))
	}
	slices.Sort(out)
	return out
}

// prepare learns where the partitions start, how many partitions the input topic has, and what there is to
// know of the topics published to. It fails only with ctx.
func (g *generation) prepare(ctx context.Context, partitions []int32) (starts map[int32]start, count int, err error) {
	m := g.m
	warned := false
	err = retry(ctx, never, func(err error) {
		m.meters.Retries.WithLabelValues("prepare").Inc()
		if !warned {
			warned = true
			m.log.Warn("cannot prepare the partitions assigned, trying again", "err", err)
		}
	}, func() error {
		m.client.refresh(ctx)
		if count, err = m.client.partitions(ctx, m.cfg.Input); err != nil {
			return err
		}
		if len(partitions) > 0 {
			count = max(count, int(partitions[len(partitions)-1])+1) // the leader may know more than our metadata
		}
		if m.cfg.Changelog {
			// Before anything of new partitions is committed, there is where to.
			g.logs, err = m.client.ensureChangelog(ctx, count)
			if err != nil && (g.logs == 0 || !denied(err)) {
				return err
			}
			if err != nil {
				m.log.Error("new partitions of the input wait", "err", err)
			}
		}
		if starts, g.offsets.metadata, err = m.client.starts(ctx, partitions, count); err != nil {
			return err
		}
		g.topics, err = m.client.outTopics(ctx)
		return err
	})
	return starts, count, err
}

// settle commits the positions that the group does not have, so that a restart does not choose again.
func (g *generation) settle(ctx context.Context, starts map[int32]start) error {
	var wait sync.WaitGroup
	var mu sync.Mutex
	var first error
	for p, s := range starts {
		if s.committed {
			continue
		}
		wait.Go(func() {
			if err := g.offsets.commit(ctx, g.tp(p), s.next); err != nil {
				mu.Lock()
				first = err
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	return first
}

func (g *generation) tp(p int32) pipeline.TopicPartition {
	return pipeline.TopicPartition{Topic: g.m.cfg.Input, Partition: p}
}

// discardWarm closes the partitions that are no longer ours.
func (g *generation) discardWarm() {
	for p, r := range g.m.warm {
		r.Close()
		delete(g.m.warm, p)
	}
	for p, k := range g.m.kept {
		k.Close()
		delete(g.m.kept, p)
	}
}

// partition runs one partition until ctx ends. When its run fails, the partition and what it knew is thrown
// away and it starts again from the committed offset.
func (g *generation) partition(ctx context.Context, p int32, next int64, r runner) {
	m := g.m
	log := m.log.With("topic", m.cfg.Input, "partition", p)
	for failures := 0; ; failures++ {
		if r != nil && r.Next() != next {
			log.Info("the group's position is not where this member left it: state is discarded", "left", r.Next(), "position", next)
			r.Close()
			r = nil
		}
		if r == nil {
			r = m.newRunner(g.tp(p), m.cluster)
		}
		src := newSource(m.client, g.tp(p), next, m.meters, m.log)
		out := &committer{
			publisher: newPublisher(m.client, m.encoders, g.topics, g.tp(p), m.meters, m.log, g.offsets.alive),
			offsets:   g.offsets,
		}
		before := time.Now()
		err := r.Run(ctx, src, out)
		src.close()

		// Exactly ctx's error: everything processed was committed. Whatever else wraps it may be a failed commit.
		if err != nil && err == ctx.Err() {
			g.mu.Lock()
			g.warm[p] = r
			g.mu.Unlock()
			return
		}
		r.Close()
		r = nil
		var stop *stopError
		switch {
		case errors.As(err, &stop):
			log.Error("stopping", "err", err)
			g.stop(stop)
			return
		case ctx.Err() != nil || errors.Is(err, errLost):
			log.Warn("the batch in progress was not committed; it is done again by whoever gets the partition", "err", err)
			return
		}
		log.Error("partition failed; it starts again from the committed offset", "err", err)
		if time.Since(before) > stallAfter {
			failures = 0
		}
		if !sleep(ctx, backoff(failures)) {
			return
		}
		starts, _, err := g.prepareOne(ctx, p)
		if err != nil {
			return
		}
		next = starts[p].next
	}
}

// prepareOne learns again where one partition starts. It leaves the generation's fields alone, which other
// partitions read.
func (g *generation) prepareOne(ctx context.Context, p int32) (starts map[int32]start, metadata string, err error) {
	m := g.m
	err = retry(ctx, never, func(error) { m.meters.Retries.WithLabelValues("prepare").Inc() }, func() error {
		starts, metadata, err = m.client.starts(ctx, []int32{p}, int(p)+1)
		return err
	})
	return starts, metadata, err
}

// watchGrowth ends the generation when the input topic has more partitions than it knows of, so that the next
// one shares them out. The leader compares with what it shared out, a follower with what it saw at the start:
// growth in between would escape a follower, but not the leader.
func (g *generation) watchGrowth(ctx context.Context, count int, end context.CancelCauseFunc) {
	if shared := g.m.balancer.takeShared(); shared >= 0 {
		count = shared
	}
	for sleep(ctx, g.m.growth) {
		g.m.client.refresh(ctx)
		now, err := g.m.client.partitions(ctx, g.m.cfg.Input)
		if err == nil && now > count {
			g.m.log.Info("the input topic has more partitions", "topic", g.m.cfg.Input, "had", count, "has", now)
			end(errors.New("the input topic grew"))
			return
		}
	}
}
