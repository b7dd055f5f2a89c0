package pipeline

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"spoor/enrich"
	"spoor/pipeline/state"
)

// Config is what every command that runs events shares: run, replay, test, explain, diff, bench. Defaults
// are in DefaultConfig, Validate returns every problem. It is constant once an Engine has it.
type Config struct {
	// MaxRecordBytes is the longest record that is decoded; longer ones are rejects. Default 1 MiB.
	MaxRecordBytes int
	// RejectUnknownFields turns JSON members that the schema lacks into rejects. Default: counted.
	RejectUnknownFields bool
	// PerRule publishes a signal for every matching rule. Default: one for every matched event.
	PerRule bool
	// MaxSignalBytes is the longest key and value of a signal or a reject, together. Default 900 KiB, which
	// leaves room for headers below Kafka's default of 1 MiB.
	MaxSignalBytes int
	// CommitInterval and CommitRecords say when a batch is committed: whichever comes first. Defaults 200 ms
	// and 10,000.
	CommitInterval time.Duration
	CommitRecords  int
	// CommitBytes bounds the memory of a batch: it is committed once its outputs hold that many bytes. One
	// event may take it over the bound. Default 16 MiB.
	CommitBytes int
	// DrainTimeout is how long a commit may still take after the partition was told to stop. Default 10 s.
	DrainTimeout time.Duration
	// HostHeader names the record header that holds the host; empty: the record key is the host.
	HostHeader string
	// Lineage switches process lineage on. Default on.
	Lineage bool
	Enrich  enrich.Config
	State   state.Config
	// EngineVersion goes into the header spoor-engine-version.
	EngineVersion string

	// Clock says when a batch is due and how long things took, never what a result is. Nil: time.Now.
	Clock func() time.Time
	// Log takes what operators should read. Nil: nothing is logged.
	Log *slog.Logger
	// Probe, if set, is called after each stage of each record, on the partition's goroutine: by explain
	// and by the tests of policies to see the enriched event, by pipelinetest to crash there.
	Probe func(*Look)
}

// DefaultConfig is a Config that works.
func DefaultConfig() Config {
	return Config{
		MaxRecordBytes: 1 << 20,
		MaxSignalBytes: 900 << 10,
		CommitInterval: 200 * time.Millisecond,
		CommitRecords:  10_000,
		CommitBytes:    16 << 20,
		DrainTimeout:   10 * time.Second,
		Lineage:        true,
		Enrich:         enrich.DefaultConfig(),
		State:          state.DefaultConfig(),
		EngineVersion:  "dev",
	}
}

// minSignalBytes is what a reject's key, cut value and truncation headers need at the least.
const minSignalBytes = 4 << 10

// Validate returns every problem of c.
func (c Config) Validate() []error {
	var errs []error
	atLeast := func(name string, v, least int) {
		if v < least {
			errs = append(errs, fmt.Errorf("%s must be at least %d, not %d", name, least, v))
		}
	}
	positive := func(name string, d time.Duration) {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("%s must be more than 0, not %s", name, d))
		}
	}
	atLeast("max_record_size", c.MaxRecordBytes, 1)
	atLeast("max_signal_size", c.MaxSignalBytes, minSignalBytes)
	atLeast("commit_records", c.CommitRecords, 1)
	atLeast("commit bytes", c.CommitBytes, 1)
	positive("commit_interval", c.CommitInterval)
	positive("drain timeout", c.DrainTimeout)
	for _, err := range slices.Concat(c.Enrich.Validate(), c.State.Validate()) {
		errs = append(errs, fmt.Errorf("state.%w", err))
	}
	if c.Enrich.MaxAncestors != c.State.MaxAncestors {
		errs = append(errs, fmt.Errorf("enrich attaches %d ancestors and state keeps %d: must be the same",
			c.Enrich.MaxAncestors, c.State.MaxAncestors))
	}
	return errs
}
