package kafka

import (
	"strconv"
	"sync"
	"time"

	"spoor/pipeline"
)

// restore is one partition's changelog being read: what the log, the metrics and Status say of it. It is used by
// the partition's goroutine.
type restore struct {
	m      *Member
	tp     pipeline.TopicPartition
	start  time.Time
	logged time.Time
	count  int
}

func (m *Member) restoring(tp pipeline.TopicPartition) *restore {
	now := time.Now()
	return &restore{m: m, tp: tp, start: now, logged: now}
}

// at notes that so many more records were read, up to position.
func (r *restore) at(records int, position, end int64) {
	r.count += records
	r.m.meters.RestoreChanges.Add(float64(records))
	r.m.meters.RestoreLeft.WithLabelValues(r.tp.Topic, strconv.Itoa(int(r.tp.Partition))).Set(float64(end - position))
	if now := time.Now(); now.Sub(r.logged) >= progressEvery {
		r.logged = now
		r.m.log.Info("reading the changelog", "topic", r.tp.Topic, "partition", r.tp.Partition, "changes", r.count, "offsets_left", end-position,
			"for", now.Sub(r.start).Round(time.Second))
	}
}

func (r *restore) done() {
	r.m.meters.RestoreSeconds.Observe(time.Since(r.start).Seconds())
	r.m.meters.RestoreLeft.DeleteLabelValues(r.tp.Topic, strconv.Itoa(int(r.tp.Partition)))
}

// restoreGCPercent is how much garbage may lie around while state is read: what is overwritten and deleted is most of a
// changelog. With Go's 100 a restore takes 1.7 times the memory of the state, with this 1.2 times, for a third more CPU.
const restoreGCPercent = 25

// collector has garbage collected sooner while restores are under way. Safe for concurrent use.
type collector struct {
	set func(percent int) (before int) // constant: debug.SetGCPercent

	mu     sync.Mutex
	users  int // guarded by mu
	before int // guarded by mu: what it was before the first of them
}

// tighten begins a restore; the function returned ends it, at its first call.
func (c *collector) tighten() (loosen func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users++; c.users == 1 {
		if c.before = c.set(restoreGCPercent); c.before < restoreGCPercent {
			c.set(c.before) // GOGC asks for less, or off
		}
	}
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.users--; c.users == 0 && c.before > restoreGCPercent {
			c.set(c.before)
		}
	})
}

// openings counts the partitions of a generation that are not open yet, and says when all are. Safe for concurrent
// use.
type openings struct {
	mu   sync.Mutex
	left map[int32]bool
	all  func()
	set  func(left int)
}

func newOpenings(partitions []int32, set func(left int), all func()) *openings {
	o := &openings{left: map[int32]bool{}, all: all, set: set}
	for _, p := range partitions {
		o.left[p] = true
	}
	set(len(partitions))
	if len(partitions) == 0 {
		all()
	}
	return o
}

func (o *openings) opened(p int32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.left[p] {
		return
	}
	delete(o.left, p)
	o.set(len(o.left))
	if len(o.left) == 0 {
		o.all()
	}
}
