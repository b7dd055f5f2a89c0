// Package enrich gives an event what the partition's state knows about it: one file per enrichment, lineage
// first. It owns no state (that is pipeline/state) and no goroutine. It imports pipeline/event and
// pipeline/state and nothing else of ours.
package enrich

import (
	"fmt"

	"spoor/pipeline/state"
)

// Config bounds what an enrichment does.
type Config struct {
	// MaxAncestors is the longest chain attached to an event; longer ones are cut and say so. It should be
	// state.Config's. Default 64.
	MaxAncestors int
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{MaxAncestors: state.DefaultConfig().MaxAncestors}
}

// Validate returns every problem of c. Zero means the default.
func (c Config) Validate() []error {
	if c.MaxAncestors < 0 {
		return []error{fmt.Errorf("max_ancestors is %d: must be positive", c.MaxAncestors)}
	}
	return nil
}
