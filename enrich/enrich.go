// Package enrich gives an event what the partition's state knows about it: one file per enrichment, lineage
// first. It owns no state (that is pipeline/state) and no goroutine. It imports pipeline/event and
// pipeline/state and nothing else of ours.
package enrich

// Config bounds what an enrichment does.
type Config struct {
	// MaxAncestors is the longest chain attached to an event; longer ones are cut and say so. Default 64.
	MaxAncestors int
}
