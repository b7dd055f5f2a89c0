package pipeline

import (
	"context"

	"spoor/pipeline/event"
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
	// Records have ascending offsets, all of them at or after the position that the fetch started at.
	Records []Record
	// Next is the position after this fetch: the offset the next fetch starts at. It may be beyond the last
	// record's offset plus one (control batches, compaction), and move without any record. A value before
	// the current position says nothing and is ignored.
	Next int64
	// End is the end of what a reader may see now (Kafka: high water mark or last stable offset); -1 unknown.
	// End - Next is the lag.
	End int64
}

// Source yields the records of one partition in the order of their offsets. It is used by the partition's
// goroutine only.
type Source interface {
	// Next waits for records. It returns io.EOF at the end of a bounded source, ctx's error when that ends,
	// and an empty Fetch when nothing came for a while: a batch that is due is committed when Next returns,
	// so a source that waits longer than Config.CommitInterval delays it. A call invalidates what the last
	// one returned.
	Next(ctx context.Context) (Fetch, error)
}

// TopicPartition names an input partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}
