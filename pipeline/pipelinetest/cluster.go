package pipelinetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"spoor/pipeline"
	"spoor/pipeline/changelog"
)

// Cluster is a broker of transactions in memory: the input log of one partition, its changelog, what was
// published, the group's offset and generation, and the state of the one transactional id. It keeps what Kafka
// promises: a transaction is visible as a whole or not at all, one epoch may write, one generation may commit
// offsets, a position counts the ends of transactions too, and the log may be compacted. And what it does not: the answer
// to EndTxn comes before readers see what it committed. Safe for concurrent use.
type Cluster struct {
	mu     sync.Mutex
	broker *Broker // the input log only

	log        []entry // the changelog, offsets ascending; compaction leaves gaps
	end        int64
	outputs    []published
	epoch      int16
	open       *txn
	ending     *txn // committed, but its end has not reached the changelog: until somebody asks for the next
	generation int
	offset     int64 // the group's; -1: none
	metadata   string
	commits    int
}

type entry struct {
	offset  int64
	record  changelog.Record
	txn     *txn
	control bool
}

type published struct {
	kind   string // signal, shadow or reject
	output pipeline.Output
	reason string
	txn    *txn // nil: outside of any
}

type txn struct {
	state    string // open, committed, aborted
	first    int64  // of its changelog records; -1: none
	offset   int64  // -1: none
	metadata string
}

// NewCluster returns a cluster whose input log is records.
func NewCluster(records ...pipeline.Record) *Cluster {
	return &Cluster{broker: NewBroker(records...), offset: -1}
}

// What a broker answers to those it does not listen to.
var (
	errFenced     = errors.New("producer fenced")
	errGeneration = errors.New("illegal generation")
)

// Join begins a generation of the group, whose only member is the caller.
func (c *Cluster) Join() (generation int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	return c.generation
}

// SetOffset is an operator's.
func (c *Cluster) SetOffset(offset int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset, c.metadata = offset, ""
}

// Offset is the group's offset and its metadata.
func (c *Cluster) Offset() (int64, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset, c.metadata
}

// LoseChangelog is the changelog deleted and created again.
func (c *Cluster) LoseChangelog() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log, c.end, c.ending = nil, 0, nil
}

// Compact keeps of each key the last committed record, and tombstones only when tombstones is set. What belongs
// to an open transaction, or comes after its beginning, stays.
func (c *Cluster) Compact(tombstones bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stable := c.stable()
	last := make(map[string]int64)
	for _, e := range c.log {
		if e.offset < stable && !e.control && e.txn.state == "committed" {
			last[string(e.record.Key)] = e.offset
		}
	}
	c.log = slices.DeleteFunc(c.log, func(e entry) bool {
		switch {
		case e.offset >= stable:
			return false
		case e.control || e.txn.state != "committed":
			return true
		}
		return last[string(e.record.Key)] != e.offset || e.record.Value == nil && !tombstones
	})
}

// stable is where read_committed ends.
func (c *Cluster) stable() int64 {
	for _, t := range []*txn{c.ending, c.open} {
		if t != nil && t.first >= 0 {
			return t.first
		}
	}
	return c.end
}

// Signals, Shadow and Rejects are what a read_committed consumer sees, in order.
func (c *Cluster) Signals() []pipeline.Output { return c.visible("signal") }

// Shadow is like Signals.
func (c *Cluster) Shadow() []pipeline.Output { return c.visible("shadow") }

// Rejects is like Signals.
func (c *Cluster) Rejects() []pipeline.Output { return c.visible("reject") }

func (c *Cluster) visible(kind string) (out []pipeline.Output) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.outputs {
		if p.kind == kind && (p.txn == nil || p.txn.state == "committed") {
			out = append(out, p.output)
		}
	}
	return out
}

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
// not return.
type Conn struct {
	Cluster    *Cluster
	Generation int
	At         func(Op, When) error

	epoch int16
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
		c.epoch++
		n.epoch = c.epoch
		return nil
	})
	return changelog.Producer{ID: 1, Epoch: n.epoch}, err
}

// finish ends the open transaction.
func (c *Cluster) finish(state string) {
	t := c.open
	if t == nil {
		return
	}
	c.open = nil
	t.state = state
	if t.first >= 0 {
		c.log = append(c.log, entry{offset: c.end, txn: t, control: true})
		c.end++
	}
	if state == "committed" && t.offset >= 0 {
		c.offset, c.metadata = t.offset, t.metadata
		c.commits++
	}
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
func (n *Conn) Read(ctx context.Context, from, to int64, fn func(key, value []byte) error) (int64, error) {
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
				err := fn(key, value)
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
	if n.epoch != c.epoch {
		return nil, errFenced
	}
	if c.open == nil {
		c.ending = nil
		c.open = &txn{state: "open", first: -1, offset: -1}
	}
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
	part := func(some []published) func() error {
		return func() (err error) {
			var t *txn
			if inside {
				t, err = n.transaction()
			} else {
				err = n.owned() // the fence of a member that hears nothing from its coordinator
			}
			if err != nil {
				return err
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
			for _, r := range some {
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
	err := n.do(ctx, OpAppend, part(records[:len(records)/2]), part(records[len(records)/2:]))
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
		if n.epoch != c.epoch {
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

// TimeOut is the coordinator's: it aborts the open transaction and fences its producer.
func (c *Cluster) TimeOut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open != nil {
		c.finish("aborted")
		c.epoch++
	}
}
