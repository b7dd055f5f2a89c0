package pipelinetest

import (
	"fmt"
	"slices"
	"sync"

	"spoor/pipeline"
	"spoor/pipeline/changelog"
)

// Cluster is a broker of transactions in memory: the input log of one partition, its changelog, what was
// published, the group's offset and generation, and the state of the one transactional id. It keeps what Kafka
// promises and no more: a transaction is visible as a whole or not at all, one epoch of one producer id may write to
// one, anybody may publish outside of them, one generation may commit offsets, a position counts the ends of
// transactions too, the log may be compacted, and a message has a longest size. And the answer to EndTxn comes before
// readers see what it committed. Safe for concurrent use.
type Cluster struct {
	mu     sync.Mutex
	broker *Broker // the input log only

	log        []entry // the changelog, offsets ascending; compaction leaves gaps
	end        int64
	outputs    []published
	producer   changelog.Producer // the last that the transactional id was given to
	open       *txn
	ending     *txn // committed, but its end has not reached the changelog: until somebody asks for the next
	generation int
	offset     int64 // the group's; -1: none
	metadata   string
	history    []Happening
}

// Happening is what made a lasting difference to a Cluster: a commit, or what an operator did.
type Happening struct {
	Next  int64  // of a commit, the input position; of an operator, the offset he set
	Set   string // of a commit, the hash of the rule set
	Moved bool   // an operator set the offset
	Lost  bool   // the changelog was deleted and made anew
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
	added    bool   // the changelog's partition: the transaction's end is written there, records or not
	first    int64  // of its changelog records; -1: none
	offset   int64  // -1: none
	metadata string
	set      string // the rule set of the batch
	lost     bool   // the changelog, after its records were there
}

// NewCluster returns a cluster whose input log is records.
func NewCluster(records ...pipeline.Record) *Cluster {
	return &Cluster{broker: NewBroker(records...), offset: -1, producer: changelog.Producer{ID: 1, Epoch: -1}}
}

// Skip is n control records at the end of the input log: they take offsets, and nobody reads them.
func (c *Cluster) Skip(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broker.End += n
}

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
	c.history = append(c.history, Happening{Next: offset, Moved: true})
}

// History is what happened, in order.
func (c *Cluster) History() []Happening {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.history)
}

// LateOffset is a request of an earlier transaction that arrives in the next one of the same producer: the group's
// offset, and the marker it names, are older than what was committed.
func (c *Cluster) LateOffset(offset int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset, c.metadata = offset, fmt.Sprintf("%s marker=1@%d", changelog.MetadataPrefix, offset)
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
	if t := c.open; t != nil && t.first >= 0 {
		t.lost, t.first = true, -1 // should it commit, that commit's changes are gone too
		return
	}
	c.history = append(c.history, Happening{Lost: true})
}

// ExpireProducer is the coordinator's, when a transactional id was not used for long: it forgets it, and the next
// owner gets another producer id.
func (c *Cluster) ExpireProducer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.producer = changelog.Producer{ID: c.producer.ID + 1, Epoch: -1}
	}
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

// finish ends the open transaction.
func (c *Cluster) finish(outcome string) {
	t := c.open
	if t == nil {
		return
	}
	c.open = nil
	t.state = outcome
	if t.added {
		c.log = append(c.log, entry{offset: c.end, txn: t, control: true})
		c.end++
	}
	if outcome == "committed" && t.offset >= 0 {
		c.offset, c.metadata = t.offset, t.metadata
		c.history = append(c.history, Happening{Next: t.offset, Set: t.set})
	}
	if t.lost {
		c.history = append(c.history, Happening{Lost: true})
	}
}

// TimeOut is the coordinator's: it aborts the open transaction and fences its producer.
func (c *Cluster) TimeOut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open != nil {
		c.finish("aborted")
		c.producer.Epoch++
	}
}
