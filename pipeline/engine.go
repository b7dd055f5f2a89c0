// Package pipeline is the life of one event, one file per step: source, decode, enrich, evaluate, sink, and
// what a step ends in: partition, batch, commit, reject. One goroutine owns a partition: its order, its
// state, its progress. What partitions share (the rule set) is immutable and swapped by one atomic pointer.
// There is no Kafka here: the ends are Source and Committer. It imports pipeline/event, pipeline/state,
// enrich and rules and nothing else of ours.
package pipeline

import (
	"fmt"
	"log/slog"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"spoor/pipeline/event"
	"spoor/rules"
)

// Engine is what the partitions share: the config and the current rule set. It is safe for concurrent use.
type Engine struct {
	cfg     Config // constant after New
	metrics *Metrics
	log     *slog.Logger
	now     func() time.Time
	set     atomic.Pointer[rules.Set]
	// Values of headers, shared by all outputs and never written.
	version, shadow []byte
	// turns has room for as many partitions as may compute at once, see Partition.turn.
	turns chan struct{}

	mu      sync.Mutex
	totals  Counters                // guarded by mu
	running map[*Partition]struct{} // guarded by mu: those in Run
}

// New returns an engine with its first rule set. A nil m is metrics that nobody reads.
func New(cfg Config, set *rules.Set, m *Metrics) *Engine {
	if m == nil {
		m = NewMetrics(nil)
	}
	e := &Engine{
		cfg: cfg, metrics: m, log: cfg.Log, now: cfg.Clock,
		version: []byte(cfg.EngineVersion), shadow: []byte("shadow"),
		running: make(map[*Partition]struct{}),
		turns:   make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.now == nil {
		e.now = time.Now
	}
	e.Swap(set)
	return e
}

// Swap makes set the current one. Each partition takes it at its next commit boundary.
func (e *Engine) Swap(set *rules.Set) {
	e.set.Store(set)
	m := e.metrics
	var live, shadow float64
	for _, r := range set.Rules() {
		if r.Shadow {
			shadow++
		} else {
			live++
		}
	}
	m.PolicySet.Reset()
	m.PolicySet.WithLabelValues(set.Hash()).Set(1)
	m.PolicyRules.WithLabelValues("live").Set(live)
	m.PolicyRules.WithLabelValues("shadow").Set(shadow)
	stats := set.Stats()
	m.PolicyUnindexed.Set(float64(stats.Unindexed))
	m.PolicyIndex.Set(float64(stats.IndexBytes))
	m.PolicySetLoaded.Set(float64(e.now().UnixMilli()) / 1000)
}

// Set is the current rule set.
func (e *Engine) Set() *rules.Set { return e.set.Load() }

// Metrics are the engine's collectors.
func (e *Engine) Metrics() *Metrics { return e.metrics }

// Config is the engine's config.
func (e *Engine) Config() Config { return e.cfg }

// Partition returns a partition with empty state. Cluster is the cluster's id for the header spoor-source
// ("" for files).
func (e *Engine) Partition(tp TopicPartition, cluster string) *Partition {
	number := strconv.Itoa(int(tp.Partition))
	p := &Partition{
		engine: e, tp: tp, cluster: cluster,
		idPrefix: []byte(fmt.Sprintf("%s/%s/", tp.Topic, number)),
		topic:    []byte(tp.Topic),
		number:   []byte(number),
		dec:      e.decoder(),
		hosts:    make(map[string]string),
		position: -1,
		next:     -1,
		batch:    new(building),
		spare:    new(building),
		meters:   e.metrics.forPartition(tp),
	}
	p.counts.matches = make(map[string]int64)
	p.saved = p.counts
	p.forget()
	return p
}

func (e *Engine) decoder() *event.Decoder {
	return event.NewDecoder(event.DecoderConfig{MaxBytes: e.cfg.MaxRecordBytes, RejectUnknown: e.cfg.RejectUnknownFields})
}

// enter and leave keep the list of partitions in Run.
func (e *Engine) enter(p *Partition) {
	p.moved.Store(e.now().UnixNano())
	e.mu.Lock()
	e.running[p] = struct{}{}
	e.mu.Unlock()
}

func (e *Engine) leave(p *Partition) {
	e.mu.Lock()
	delete(e.running, p)
	e.mu.Unlock()
}

// Stuck lists the running partitions that have records to read and whose loop has not turned for at least
// limit, sorted; running is how many run at all. The loop turns with every fetch, empty ones too.
func (e *Engine) Stuck(limit time.Duration) (stuck []TopicPartition, running int) {
	before := e.now().Add(-limit).UnixNano()
	e.mu.Lock()
	defer e.mu.Unlock()
	for p := range e.running {
		if p.lag.Load() > 0 && p.moved.Load() <= before {
			stuck = append(stuck, p.tp)
		}
	}
	sort.Slice(stuck, func(i, j int) bool {
		a, b := stuck[i], stuck[j]
		return a.Topic < b.Topic || a.Topic == b.Topic && a.Partition < b.Partition
	})
	return stuck, len(e.running)
}
