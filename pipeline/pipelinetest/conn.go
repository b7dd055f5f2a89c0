package pipelinetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"spoor/pipeline"
	"spoor/pipeline/changelog"
	"spoor/pipeline/state"
)

// What a broker answers to those it does not listen to.
var (
	errFenced     = errors.New("producer fenced")
	errGeneration = errors.New("illegal generation")
	errTooLarge   = errors.New("message too large")
)

// Op is one request to a Cluster.
type Op string

// The requests, in the order in which a partition makes them.
const (
	OpInit       Op = "init"
	OpBounds     Op = "bounds"
	OpRead       Op = "read"
	OpCommitted  Op = "committed"
	OpPublish    Op = "publish"
	OpAppend     Op = "append"
	OpSendOffset Op = "send_offset"
	OpEnd        Op = "end"
	OpOwned      Op = "owned"
)

// When is the moment of a request.
type When string

// The moments: before the broker has done anything, when it has done half, and when it has done all and the answer
// is lost.
const (
	Before When = "before"
	Middle When = "middle"
	After  When = "after"
)

// Conn is a Cluster as one member in one generation sees it; it implements changelog.Log. At each moment of each
// request it asks At, when set: an error fails the request there, with what was done so far done; a crash does
// not return. Append has two middles: its partition is in the transaction, and so are half of its records.
type Conn struct {
	Cluster    *Cluster
	Generation int
	At         func(Op, When) error

	producer changelog.Producer
	set      string // of the last batch published
}

var _ changelog.Log = (*Conn)(nil)

func (n *Conn) at(ctx context.Context, op Op, w When) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if n.At == nil {
		return nil
	}
	return n.At(op, w)
}

// do runs a request of one or two halves.
func (n *Conn) do(ctx context.Context, op Op, halves ...func() error) error {
	w := Before
	for _, half := range halves {
		if err := n.at(ctx, op, w); err != nil {
			return err
		}
		n.Cluster.mu.Lock()
		err := half()
		n.Cluster.mu.Unlock()
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		w = Middle
	}
	return n.at(ctx, op, After)
}

// Init implements changelog.Log.
func (n *Conn) Init(ctx context.Context) (changelog.Producer, error) {
	c := n.Cluster
	err := n.do(ctx, OpInit, func() error {
		c.finish("aborted")
		c.ending = nil
		c.producer.Epoch++
		n.producer = c.producer
		return nil
	})
	return n.producer, err
}

// Owned implements changelog.Log.
func (n *Conn) Owned(ctx context.Context) error {
	return n.do(ctx, OpOwned, n.owned)
}

func (n *Conn) owned() error {
	if n.Generation != n.Cluster.generation {
		return errGeneration
	}
	return nil
}

// Bounds implements changelog.Log.
func (n *Conn) Bounds(ctx context.Context) (first, end int64, err error) {
	err = n.do(ctx, OpBounds, func() error {
		end = n.Cluster.stable()
		return nil
	})
	return 0, end, err
}

// Read implements changelog.Log.
func (n *Conn) Read(ctx context.Context, from, to int64, fn func(offset int64, key, value []byte) error) (int64, error) {
	c := n.Cluster
	position := from
	part := func(until int64) func() error {
		return func() error {
			for _, e := range c.log {
				if e.offset < position || e.offset >= until || e.control || e.txn.state != "committed" {
					continue
				}
				// Not the log's own bytes: who keeps them reads garbage.
				key, value := bytes.Clone(e.record.Key), bytes.Clone(e.record.Value)
				err := fn(e.offset, key, value)
				for _, b := range [][]byte{key, value} {
					for i := range b {
						b[i] = '#'
					}
				}
				if err != nil {
					return err
				}
				position = e.offset + 1
			}
			position = max(position, until)
			return nil
		}
	}
	err := n.do(ctx, OpRead, part(from+(to-from)/2), part(to))
	return position, err
}

// Committed implements changelog.Log.
func (n *Conn) Committed(ctx context.Context) (offset int64, metadata string, err error) {
	err = n.do(ctx, OpCommitted, func() error {
		offset, metadata = n.Cluster.offset, n.Cluster.metadata
		return nil
	})
	return offset, metadata, err
}

// transaction is the open one, begun if there is none.
func (n *Conn) transaction() (*txn, error) {
	c := n.Cluster
	if n.producer != c.producer {
		return nil, errFenced
	}
	if c.open == nil {
		c.ending = nil
		c.open = &txn{state: "open", first: -1, offset: -1}
	}
	c.open.set = n.set
	return c.open, nil
}

// Publish implements changelog.Log.
func (n *Conn) Publish(ctx context.Context, b *pipeline.Batch, inside bool) error {
	var all []published
	for _, o := range b.Signals {
		all = append(all, published{kind: "signal", output: Clone(o)})
	}
	for _, o := range b.Shadow {
		all = append(all, published{kind: "shadow", output: Clone(o)})
	}
	for _, r := range b.Rejects {
		all = append(all, published{kind: "reject", output: Clone(r.Output), reason: string(r.Reason)})
	}
	n.set = b.Set
	part := func(some []published) func() error {
		return func() (err error) {
			var t *txn
			if inside {
				if t, err = n.transaction(); err != nil {
					return err
				}
				t.added = true // the coordinator is told of everything at once
			}
			for _, p := range some {
				p.txn = t
				n.Cluster.outputs = append(n.Cluster.outputs, p)
			}
			return nil
		}
	}
	return n.do(ctx, OpPublish, part(all[:len(all)/2]), part(all[len(all)/2:]))
}

// Append implements changelog.Log.
func (n *Conn) Append(ctx context.Context, records []changelog.Record) (int64, error) {
	c := n.Cluster
	part := func(some []changelog.Record) func() error {
		return func() error {
			t, err := n.transaction()
			if err != nil {
				return err
			}
			t.added = true
			for _, r := range some {
				if len(r.Key)+len(r.Value) > state.MaxChangeBytes {
					return errTooLarge
				}
				if t.first < 0 {
					t.first = c.end
				}
				r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
				c.log = append(c.log, entry{offset: c.end, record: r, txn: t})
				c.end++
			}
			return nil
		}
	}
	half := len(records) / 2
	err := n.do(ctx, OpAppend, part(nil), part(records[:half]), part(records[half:]))
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end, err
}

// SendOffset implements changelog.Log.
func (n *Conn) SendOffset(ctx context.Context, next int64, metadata string) error {
	return n.do(ctx, OpSendOffset, func() error {
		t, err := n.transaction()
		if err == nil {
			err = n.owned()
		}
		if err != nil {
			return err
		}
		t.offset, t.metadata = next, metadata
		return nil
	})
}

// End implements changelog.Log.
func (n *Conn) End(ctx context.Context) error {
	c := n.Cluster
	return n.do(ctx, OpEnd, func() error {
		if n.producer != c.producer {
			return errFenced
		}
		if c.open == nil {
			return errors.New("there is no transaction")
		}
		c.ending = c.open
		c.finish("committed")
		return nil
	})
}
