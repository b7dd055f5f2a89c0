package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"spoor/pipeline"
	"spoor/pipeline/changelog"
)

// growthPoll is how often a member looks whether the input topic has more partitions.
const growthPoll = 5 * time.Second

// joinBackoff is how long a failed join waits before the next.
const joinBackoff = time.Second

// runner is a partition at work: *pipeline.Partition, or a test's stand-in.
type runner interface {
	Run(ctx context.Context, src pipeline.Source, out pipeline.Committer) error
	Next() int64
	Close()
}

// Member is this process as a member of the consumer group. Status may be called from any goroutine.
type Member struct {
	cfg    Config
	engine *pipeline.Engine
	log    *slog.Logger
	meters *pipeline.Metrics

	// Constant; tests replace them.
	newRunner func(tp pipeline.TopicPartition, cluster string) runner
	growth    time.Duration

	client   *client
	encoders *encoders
	balancer *sticky
	cluster  string
	// warm are the partitions of the last generation that may go on in the next. It is owned by the goroutine
	// of Run, and by the generation's while one is under way.
	warm   map[int32]runner
	kept   map[int32]*changelog.Kept // likewise, with a changelog
	gc     collector
	lostAt time.Time // when the last generation ended; zero: there was none

	mu     sync.Mutex
	status Status // guarded by mu
}

// Status is what a member says of itself.
type Status struct {
	// Joined says that the member is in the group now; Generation is the group's, Assigned how many
	// partitions this member has in it.
	Joined     bool
	Generation int32
	Assigned   int
	// Ready is set once the first assignment's positions are known, and stays.
	Ready bool
	// Restoring is how many of the assigned partitions are not ready yet: their changelog is being read. Paused is how
	// many of them wait for an operator instead; the log says why.
	Restoring, Paused int
}

// NewMember returns a member that has not joined. The engine's partitions are what it runs.
func NewMember(cfg Config, engine *pipeline.Engine, log *slog.Logger) *Member {
	return &Member{
		cfg: cfg, engine: engine, log: log, meters: engine.Metrics(), growth: growthPoll, warm: map[int32]runner{}, kept: map[int32]*changelog.Kept{},
		gc:        collector{set: debug.SetGCPercent},
		newRunner: func(tp pipeline.TopicPartition, cluster string) runner { return engine.Partition(tp, cluster) },
	}
}

// Run joins the group and runs the partitions assigned to it until ctx ends, which is no error: it commits
// what was processed and leaves the group. See Member.Run.
func Run(ctx context.Context, cfg Config, engine *pipeline.Engine, log *slog.Logger) error {
	return NewMember(cfg, engine, log).Run(ctx)
}

// Status is the member's state now.
func (m *Member) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

func (m *Member) setStatus(f func(*Status)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.status)
}

// Run checks the cluster, joins the group and runs the partitions assigned to it, one goroutine each, until
// ctx ends; then it commits what was processed, leaves the group and returns nil. It returns an error when
// the config or the cluster is wrong at start, or when an operator has to decide how to go on.
func (m *Member) Run(ctx context.Context) error {
	if errs := m.cfg.Validate(); len(errs) > 0 {
		return errors.Join(errs...)
	}
	c, err := connect(m.cfg)
	if err != nil {
		return err
	}
	defer c.close()
	m.client = c
	// A batch is seen to be due when a fetch comes, so an empty one may not be long in coming.
	c.idle = min(idleWait, max(m.engine.Config().CommitInterval/8, 10*time.Millisecond))
	facts, err := c.preflight(ctx, m.engine.Config().MaxSignalBytes)
	switch {
	case ctx.Err() != nil: // told to stop while it looked: whatever it found, nothing is wrong
		return nil
	case err != nil:
		return err
	}
	m.cluster = facts.cluster
	for _, w := range facts.warnings {
		m.log.Warn(w)
	}
	m.encoders = newEncoders(m.cfg.Compression)
	m.balancer = newSticky(m.cfg.Input)

	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: m.cfg.Group, Brokers: m.cfg.Brokers, Dialer: c.dialer, Topics: []string{m.cfg.Input},
		GroupBalancers:    []kafka.GroupBalancer{m.balancer},
		HeartbeatInterval: m.cfg.HeartbeatInterval, SessionTimeout: m.cfg.SessionTimeout, RebalanceTimeout: m.cfg.RebalanceTimeout,
		JoinGroupBackoff: joinBackoff, Timeout: m.cfg.heartbeatTimeout(),
	})
	if err != nil {
		return fmt.Errorf("consumer group: %w", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	m.generations(ctx, stop, group)

	m.closeGroup(group)
	for p, r := range m.warm {
		r.Close()
		delete(m.warm, p)
	}
	for p, k := range m.kept {
		k.Close()
		delete(m.kept, p)
	}
	m.setStatus(func(s *Status) { s.Joined, s.Assigned = false, 0 })
	var end *stopError
	if errors.As(context.Cause(ctx), &end) {
		return end
	}
	return nil
}

// generations runs one generation after the other until ctx ends.
func (m *Member) generations(ctx context.Context, stop context.CancelCauseFunc, group *kafka.ConsumerGroup) {
	logged := ""
	for ctx.Err() == nil {
		next, err := group.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, kafka.RebalanceInProgress):
			m.log.Debug("the group is rebalancing", "err", err)
			continue
		case err != nil:
			if text := err.Error(); text != logged {
				logged = text
				m.log.Warn("cannot join the group, trying again", "group", m.cfg.Group, "err", joinHint(err))
			}
			continue
		}
		logged = ""
		g := newGeneration(m, next, stop)
		next.Start(func(revoked context.Context) { g.run(ctx, revoked, group) })
		<-g.done
		m.lostAt = time.Now()
		m.meters.AssignedPartitions.Set(0)
		m.setStatus(func(s *Status) { s.Joined, s.Assigned = false, 0 })
	}
}

// closeGroup leaves the group. kafka-go cannot be interrupted while it joins, so the wait is bounded: the
// coordinator then finds out by the session timeout.
func (m *Member) closeGroup(group *kafka.ConsumerGroup) {
	done := make(chan struct{})
	go func() {
		group.Close()
		close(done)
	}()
	t := time.NewTimer(m.cfg.drainBudget())
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		m.log.Warn("left the group without waiting for its coordinator", "group", m.cfg.Group)
	}
}

// joinHint says what to do about an error of a join, where the error does not.
func joinHint(err error) error {
	switch {
	case errors.Is(err, kafka.InconsistentGroupProtocol):
		return fmt.Errorf("another program's members are in this group; use a group of its own: %w", err)
	case errors.Is(err, kafka.InvalidSessionTimeout):
		return fmt.Errorf("the broker's group.min.session.timeout.ms and group.max.session.timeout.ms do not allow session_timeout: %w", err)
	case errors.Is(err, kafka.GroupAuthorizationFailed):
		return fmt.Errorf("the user needs READ on the group: %w", err)
	case strings.Contains(err.Error(), "unable to read metadata"):
		return fmt.Errorf("another program's members are in this group; use a group of its own: %w", err)
	}
	return err
}
