package changelog

import (
	"fmt"
	"math"

	"spoor/pipeline/state"
)

// Image is what a changelog partition holds, for those who only look.
type Image struct {
	State   *state.State
	Marker  Marker
	Marked  bool  // there is a marker
	Records int64 // read, tombstones and what was overwritten included
	Bytes   int64 // of their keys and values
	Keys    int64 // with a value, the marker not counted
	live    map[string]struct{}
}

// NewImage is that of an empty changelog. Of cfg only what bounds nothing is taken over: a look evicts nobody.
func NewImage(cfg state.Config) *Image {
	cfg.MaxNodes, cfg.MaxBytes = 1<<30, math.MaxInt64
	return &Image{State: state.New(cfg), live: make(map[string]struct{})}
}

// Apply takes in one record; they come in order.
func (i *Image) Apply(_ int64, key, value []byte) (err error) {
	i.Records++
	i.Bytes += int64(len(key) + len(value))
	if isMarker(key) {
		i.Marker, i.Marked = Marker{}, value != nil
		if value != nil {
			i.Marker, err = decodeMarker(value)
		}
		return err
	}
	if value == nil {
		delete(i.live, string(key))
	} else {
		i.live[string(key)] = struct{}{}
	}
	return i.State.Restore(state.Change{Key: key, Value: value})
}

// Done ends the reading.
func (i *Image) Done() error {
	i.Keys = int64(len(i.live))
	i.State.SetClock(i.Marker.Clock)
	if err := i.State.RestoreDone(); err != nil {
		return fmt.Errorf("the changelog is not whole: %w", err)
	}
	return nil
}

// Reset makes the records that empty a changelog which holds what was applied: a tombstone for every key, the
// marker's last.
func (i *Image) Reset() []Record {
	return append(tombstonesOf(i.live), Record{Key: []byte(markerKey)})
}
