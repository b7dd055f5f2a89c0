// Package pipeline is the life of one event, one file per step: source, decode, enrich, evaluate, sink, and
// what a step ends in: partition, batch, commit, reject. One goroutine owns a partition: its order, its
// state, its progress. What partitions share (the rule set) is immutable and swapped by one atomic pointer.
// There is no Kafka here: the ends are Source and Committer. It imports pipeline/event, pipeline/state,
// enrich and rules and nothing else of ours.
package pipeline

import (
	"context"

	"spoor/pipeline/event"
	"spoor/pipeline/state"
)

// Record is one record of an input partition. What it points to belongs to the Source and is valid until
// the next call of Next.
type Record struct {
	Offset    int64
	Timestamp int64  // milliseconds since 1970-01-01 UTC, as the log says
	Key       []byte // nil: no key, hence no host
	Value     []byte
	Headers   []Header
	// Fault is set when the source could not read the record: it becomes a reject of the given reason,
	// with whatever Value could be saved.
	Fault *event.Error
}

// Header is a record header.
type Header struct {
	Key   string
	Value []byte
}

// Fetch is what a Source had ready.
type Fetch struct {
	Records []Record
	// Next is the position after this fetch: the offset the next fetch starts at. It may be beyond the last
	// record's offset plus one (control batches, compaction), and move without any record.
	Next int64
	// End is the end of what a reader may see now (Kafka: high water mark or last stable offset); -1 unknown.
	// End - Next is the lag.
	End int64
}

// Source yields the records of one partition in the order of their offsets. It is used by the partition's
// goroutine only.
type Source interface {
	// Next waits for records. It returns io.EOF at the end of a bounded source, ctx's error when that ends,
	// and an empty Fetch when nothing came for a while. A call invalidates what the last one returned.
	Next(ctx context.Context) (Fetch, error)
}

// Output is one record to publish. It owns its bytes.
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

// TopicPartition names an input partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Batch is the one value that a step of a partition ends in, and Committer.Commit the only way out.
type Batch struct {
	TopicPartition
	Signals []Output
	Shadow  []Output
	Rejects []Reject
	Changes []state.Change
	Next    int64  // the input position after everything in the batch
	Set     string // hash of the rule set that the batch was evaluated with
}

// Committer makes batches durable. Kafka, files and memory implement it.
type Committer interface {
	// Commit returns nil once every output is acknowledged and the input position is stored, in that order.
	// After an error nothing may be assumed of the batch, and the partition stops. The batch belongs to the
	// caller again when Commit returns. Calls of different partitions may run at once; those of one
	// partition never do.
	Commit(ctx context.Context, b *Batch) error
}
