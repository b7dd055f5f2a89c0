package pipeline

import (
	"context"
	"sync/atomic"
	"time"

	"spoor/enrich"
	"spoor/pipeline/state"
	"spoor/rules"
)

// Config is what every command that runs events shares: run, replay, test, explain, diff, bench. Defaults
// are in DefaultConfig, Validate returns every problem.
type Config struct {
	// MaxRecordBytes is the longest record that is decoded; longer ones are rejects. Default 1 MiB.
	MaxRecordBytes int
	// RejectUnknownFields turns JSON members that the schema lacks into rejects. Default: counted.
	RejectUnknownFields bool
	// PerRule publishes a signal for every matching rule. Default: one for every matched event.
	PerRule bool
	// MaxSignalBytes is the longest signal published. Default 900 KiB.
	MaxSignalBytes int
	// CommitInterval and CommitRecords say when a batch is committed: whichever comes first. Defaults 200 ms
	// and 10,000.
	CommitInterval time.Duration
	CommitRecords  int
	// HostHeader names the record header that holds the host; empty: the record key is the host.
	HostHeader string
	// Lineage switches process lineage on. Default on.
	Lineage bool
	Enrich  enrich.Config
	State   state.Config
	// EngineVersion goes into the header spoor-engine-version.
	EngineVersion string
}

// Engine is what the partitions share: the config and the current rule set. It is safe for concurrent use.
type Engine struct {
	cfg     Config // constant after New
	metrics *Metrics
	set     atomic.Pointer[rules.Set]
}

// New returns an engine with its first rule set.
func New(cfg Config, set *rules.Set, m *Metrics) *Engine {
	e := &Engine{cfg: cfg, metrics: m}
	e.set.Store(set)
	return e
}

// Swap makes set the current one. Each partition takes it at its next commit boundary.
func (e *Engine) Swap(set *rules.Set) { e.set.Store(set) }

// Set is the current rule set.
func (e *Engine) Set() *rules.Set { return e.set.Load() }

// Partition is one input partition: its state and its progress, kept while the partition stays assigned.
// It is owned by one goroutine at a time.
type Partition struct{}

// Partition returns a partition with empty state. Cluster is the cluster's id for the header spoor-source
// ("" for files).
func (e *Engine) Partition(tp TopicPartition, cluster string) *Partition { return &Partition{} }

// Next is the input position after the last committed batch; -1 before the first.
func (p *Partition) Next() int64 { return -1 }

// Run processes what src yields until src ends (nil), ctx ends (it commits what it has processed, within
// the drain context's budget, and returns ctx's error) or a commit fails (its error; the partition must not
// be run again).
func (p *Partition) Run(ctx context.Context, src Source, out Committer) error { return nil }
