package state

import (
	"fmt"
	"time"
)

// Config bounds a partition's state. A zero field means its default.
type Config struct {
	// MaxNodes is how many processes are remembered with their fields. Default 250,000. A process that was
	// evicted while others still name it as their parent leaves a stub, which does not count here.
	MaxNodes int
	// MaxBytes is how much memory the processes may take, stubs included. Default 256 MiB.
	MaxBytes int64
	// MaxAncestors is the longest chain that is ever asked for: a process that has exited is kept for a live
	// descendant as long as that is no farther away. Default 64.
	MaxAncestors int
	// ExitedTTL is how long a process that has exited and has no live descendant is remembered after its
	// last change, in partition time. Default 10 minutes.
	ExitedTTL time.Duration
	// LiveTTL is how long a process is remembered of which neither exit nor use was seen. Default 30 days.
	LiveTTL time.Duration
	// TouchInterval is how often the use of a process is remembered. Default 10 minutes.
	TouchInterval time.Duration
	// MaxClockAhead is how far a host's clock may be ahead of partition time before it counts as wrong.
	// Default 10 minutes.
	MaxClockAhead time.Duration
	// Slack is how much a time of whole seconds may be off. Default 1 second.
	Slack time.Duration
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		MaxNodes:      250_000,
		MaxBytes:      256 << 20,
		MaxAncestors:  64,
		ExitedTTL:     10 * time.Minute,
		LiveTTL:       30 * 24 * time.Hour,
		TouchInterval: 10 * time.Minute,
		MaxClockAhead: 10 * time.Minute,
		Slack:         time.Second,
	}
}

// The smallest and largest bounds that make sense.
const (
	minBytes         = 64 << 10 // a node with the longest command line fits several times
	maxAncestors     = 1024     // every exec and exit walks so far up
	maxNodesPossible = 1 << 30
)

// Validate returns every problem of c. Zero fields are none.
func (c Config) Validate() []error {
	var errs []error
	c = c.withDefaults()
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.MaxNodes >= 1 && c.MaxNodes <= maxNodesPossible, "max_nodes is %d: must be 1 to %d", c.MaxNodes, maxNodesPossible)
	bad(c.MaxBytes >= minBytes, "max_size is %d: must be at least %d", c.MaxBytes, minBytes)
	bad(c.MaxAncestors >= 1 && c.MaxAncestors <= maxAncestors, "max_ancestors is %d: must be 1 to %d", c.MaxAncestors, maxAncestors)
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"exited_ttl", c.ExitedTTL}, {"live_ttl", c.LiveTTL}, {"touch_interval", c.TouchInterval},
		{"max_clock_ahead", c.MaxClockAhead}, {"slack", c.Slack},
	} {
		bad(d.value >= time.Millisecond, "%s is %s: must be at least 1ms", d.name, d.value)
	}
	bad(c.Slack <= time.Minute, "slack is %s: must be at most 1m", c.Slack)
	return errs
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	setDefault(&c.MaxNodes, d.MaxNodes)
	setDefault(&c.MaxBytes, d.MaxBytes)
	setDefault(&c.MaxAncestors, d.MaxAncestors)
	setDefault(&c.ExitedTTL, d.ExitedTTL)
	setDefault(&c.LiveTTL, d.LiveTTL)
	setDefault(&c.TouchInterval, d.TouchInterval)
	setDefault(&c.MaxClockAhead, d.MaxClockAhead)
	setDefault(&c.Slack, d.Slack)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
