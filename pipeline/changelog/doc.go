// Package changelog is how the state of one partition survives: what one commit consists of, how a commit in
// doubt is decided, and where a partition starts and with what. It owns the protocol and nothing of its
// transport: Log is what it needs of a cluster, which pipeline/kafka gives it over Kafka and pipelinetest in
// memory. It imports pipeline and pipeline/state and nothing else of ours.
package changelog

import (
	"context"
	"errors"

	"spoor/pipeline"
)

// Log is one input partition's transactions and changelog, and the group's offset of it, as one member in one
// generation of the group sees them. Its methods retry what passes; an error is one that has to be decided. It
// is used by one goroutine at a time.
type Log interface {
	// Init makes the caller the only producer of the partition's transactional id: it ends whatever transaction
	// is open and fences whoever was before. It returns when that transaction is decided and can be read.
	Init(ctx context.Context) (Producer, error)
	// Owned asks the group whether this member still owns the partition. Init must not be called by one that
	// does not: it would fence the rightful owner.
	Owned(ctx context.Context) error
	// Bounds are the changelog's first offset and the end of what is committed.
	Bounds(ctx context.Context) (first, end int64, err error)
	// Read hands the committed records from position from on to fn, in order, and returns the position it reached:
	// to, unless there is an error. Whatever it handed over lies before that position. Key and value are valid
	// during the call; a nil value is a tombstone.
	Read(ctx context.Context, from, to int64, fn func(offset int64, key, value []byte) error) (position int64, err error)
	// Committed is the group's offset of the input partition with its metadata; -1 when there is none.
	Committed(ctx context.Context) (offset int64, metadata string, err error)

	// Publish publishes the outputs of b and returns when they are acknowledged; inside says whether as a part
	// of the transaction.
	Publish(ctx context.Context, b *pipeline.Batch, inside bool) error
	// Append appends records to the changelog, inside the transaction, and returns the position behind them.
	Append(ctx context.Context, records []Record) (position int64, err error)
	// SendOffset makes the group's offset a part of the transaction.
	SendOffset(ctx context.Context, next int64, metadata string) error
	// End commits the transaction.
	End(ctx context.Context) error
}

// Producer is who a transaction is from: an id and how often it was taken over.
type Producer struct {
	ID    int64
	Epoch int16
}

// Record is a key and value of a changelog; a nil value is a tombstone.
type Record struct{ Key, Value []byte }

// ErrForeign says that the changelog is not where this member left it, and not where its commit would have
// brought it: somebody else wrote to it. What this member remembers is of no use.
var ErrForeign = errors.New("the changelog holds another's commits")
