package pipeline

import (
	"time"

	"spoor/pipeline/event"
	"spoor/pipeline/state"
)

// Output is one record to publish. Its bytes belong to its batch.
type Output struct {
	Key     []byte
	Value   []byte
	Headers []Header
	// Timestamp is the input record's, so that a replay gives the same bytes.
	Timestamp int64
	Offset    int64 // of the input record it came from
}

// Reject is a record that could not be evaluated, or a signal that could not be published.
type Reject struct {
	Output // original bytes, cut to fit; headers say topic, partition, offset, reason, stage
	Reason event.Reason
	Detail string
}

// Batch is the one value that a step of a partition ends in, and Committer.Commit the only way out.
type Batch struct {
	TopicPartition
	Signals []Output
	Shadow  []Output
	Rejects []Reject
	// Changes are what the batch did to the state, as absolute values.
	Changes []state.Change
	// StateLost says that the state was thrown away in this batch: Changes are relative to an empty state.
	StateLost bool
	Records   int         // input records in the batch, rejects included
	Next      int64       // the input position after everything in the batch
	Set       string      // hash of the rule set that the batch was evaluated with
	Clock     state.Clock // of the state after the batch, which Changes do not carry
}

// building is the batch in the making and the memory of its outputs. It is owned by the partition's
// goroutine, by Commit while that is under way, and reused: everything a Batch points to is overwritten after its
// commit.
type building struct {
	Batch
	moved   bool      // the position moved, by records or without
	began   time.Time // when the first of either came
	bytes   arena
	headers []Header
}

func (b *building) empty() bool { return b.Records == 0 && !b.moved }

// reset empties the batch for the next one. What it pointed to is let go: the slices stay as long as the largest
// batch, and its bytes would live on in their tails.
func (b *building) reset() {
	clear(b.Signals)
	clear(b.Shadow)
	clear(b.Rejects)
	clear(b.Changes)
	clear(b.headers)
	b.Signals, b.Shadow, b.Rejects = b.Signals[:0], b.Shadow[:0], b.Rejects[:0]
	b.Changes = b.Changes[:0]
	b.StateLost = false
	b.Records, b.moved = 0, false
	b.headers = b.headers[:0]
	b.bytes.reset()
}

// arena hands out bytes that live until reset. Chunks are never grown, so what was handed out stays where it
// is; the first chunk is kept over resets, so that a steady partition allocates nothing.
type arena struct {
	chunk []byte
	size  int // bytes handed out since reset
}

const arenaChunk = 256 << 10

// copy returns a copy of b that nothing else writes to; nil stays nil and empty stays empty.
func (a *arena) copy(b []byte) []byte {
	if b == nil {
		return nil
	}
	if a.chunk == nil || cap(a.chunk)-len(a.chunk) < len(b) {
		a.chunk = make([]byte, 0, max(arenaChunk, len(b)))
	}
	n := len(a.chunk)
	a.chunk = append(a.chunk, b...)
	a.size += len(b)
	return a.chunk[n:len(a.chunk):len(a.chunk)]
}

// reset makes the last chunk free for reuse; one that held a single huge output is let go.
func (a *arena) reset() {
	a.size = 0
	if cap(a.chunk) > arenaChunk {
		a.chunk = nil
	}
	a.chunk = a.chunk[:0]
}

// header appends h to the slab that the headers of all outputs of the batch lie in.
func (b *building) header(key string, value []byte) {
	b.headers = append(b.headers, Header{Key: key, Value: value})
}

// headersFrom returns the headers added since the slab had length n.
func (b *building) headersFrom(n int) []Header { return b.headers[n:len(b.headers):len(b.headers)] }
