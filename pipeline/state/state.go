// Package state is what one partition remembers: lineage today; variables, windows and limiters later, with
// one change log, one expiry and one journal for all of them. It is pure memory: no I/O, no clock, no
// goroutine. Everything in it is deterministic: the same calls give the same state and the same changes.
// It imports pipeline/event and nothing else of ours.
package state

// Change is one absolute value of the state: what Key holds now. A nil Value means that Key is gone. Keys
// and values are encoded with a version; they belong to the receiver.
type Change struct{ Key, Value []byte }

// Config bounds a partition's state.
type Config struct{}
