package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"spoor/enrich"
	"spoor/pipeline/event"
	"spoor/pipeline/state"
	"spoor/rules"
)

// Stage is a step in the life of a record. It is a metric label and a header of rejects.
type Stage string

// The stages, in order.
const (
	StageSource   Stage = "source"
	StageDecode   Stage = "decode"
	StageEnrich   Stage = "enrich"
	StageEvaluate Stage = "evaluate"
	StageSink     Stage = "sink"
	StageCommit   Stage = "commit" // of a batch, not of a record
)

// Look is what Config.Probe sees after a stage, on the partition's goroutine. It is valid during the call
// only. Event is meaningful from decode on, Result after evaluate.
type Look struct {
	TopicPartition
	Stage  Stage // for StageCommit: before the batch is handed out
	Offset int64 // for StageCommit: the position it will store, minus one
	Event  *event.Event
	Set    *rules.Set
	Result *rules.Result
}

// Partition is one input partition: its state and its progress, kept while the partition stays assigned.
// It is owned by one goroutine at a time. It reads no clock but to know when a batch is due.
type Partition struct {
	engine  *Engine
	tp      TopicPartition
	cluster string
	// Texts that headers repeat; never written after construction.
	idPrefix, topic, number []byte

	dec     *event.Decoder
	ev      event.Event
	state   *state.State
	lost    state.Stats     // counts of states that were thrown away
	lineage *enrich.Lineage // nil when lineage is off
	res     rules.Result
	bound   *bound // the rule set of the current batch
	sink    sink
	hosts   map[string]string

	batch    *building
	spare    *building // empty; nil while its batch is in flight
	flight   *flight   // the commit under way; nil when there is none
	position int64     // after the last record taken in; -1 before the first
	next     int64     // after the last committed batch; -1 before the first
	saved    counts    // as of the last commit
	// lostOnce says that the next batch begins with the state thrown away, which it has to tell.
	lostOnce bool
	dead     bool
	live     bool // in Run: latency is measured
	ahead    bool // in Run: the next batch begins while the last one commits
	computes bool // has a turn, see turn
	restored bool // the state came from a changelog
	stage    Stage
	look     Look

	counts    counts
	meters    meters
	rejectLog throttle
	budgetLog throttle
	panicLog  throttle

	// lag and moved are read by Engine.Stuck from other goroutines.
	lag   atomic.Int64
	moved atomic.Int64 // when the loop last turned, in nanoseconds since 1970
}

// Dead says that the partition must not be run again, and is of no use but for its counters.
func (p *Partition) Dead() bool { return p.dead }

// Next is the input position after the last committed batch; -1 before the first.
func (p *Partition) Next() int64 { return p.next }

// Run processes what src yields until src ends (nil), ctx ends (it commits what it has processed, within
// the drain context's budget, and returns ctx's error) or a commit fails (its error; the partition must not
// be run again). It returns ctx's error itself, unwrapped, only when everything processed was committed: the
// partition may then be run again by a source that starts at Next.
//
// Commits run under a context that outlives ctx by Config.DrainTimeout. A Committer that must not publish
// any more, because it lost its generation, refuses by itself.
func (p *Partition) Run(ctx context.Context, src Source, out Committer) error {
	if p.dead {
		return ErrDead
	}
	drain, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(p.engine.cfg.DrainTimeout, cancel)
		context.AfterFunc(drain, func() { t.Stop() })
	})
	defer stop()
	p.live, p.ahead = true, true
	defer func() { p.ahead = false }()
	p.engine.enter(p)
	defer p.engine.leave(p)

	for {
		f, err := src.Next(ctx)
		if err == nil {
			err = p.turn(ctx, drain, f, out)
		}
		if err == nil {
			continue
		}
		if p.dead || errors.Is(err, ErrRewound) {
			return err
		}
		// The source ended, was told to end, or failed: what was processed is whole and can be committed.
		if flush := p.Flush(drain, out); flush != nil {
			return flush
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
		return fmt.Errorf("read %s/%d at offset %d: %w", p.tp.Topic, p.tp.Partition, p.position, err)
	}
}

// turn is a step in Run. No more partitions compute at once than there are processors, and a partition that waits for
// its commit does not count. Else, with many partitions behind, a commit's goroutines would stand in line behind all of
// them at each of its requests, some milliseconds each, and take seconds.
func (p *Partition) turn(ctx, commitCtx context.Context, f Fetch, out Committer) error {
	p.take()
	defer p.pass()
	return p.step(ctx, commitCtx, f, out)
}

func (p *Partition) take() {
	p.engine.turns <- struct{}{}
	p.computes = true
}

func (p *Partition) pass() {
	p.computes = false
	<-p.engine.turns
}

// Step processes one fetch into the current batch, and commits the batch when it is due: by records, by
// bytes, or by the time since it began. When ctx ends it stops between two records and returns ctx's error;
// what it took in by then is in the batch, and Flush commits it.
func (p *Partition) Step(ctx context.Context, f Fetch, out Committer) error {
	return p.step(ctx, ctx, f, out)
}

// Flush commits the batch if there is anything in it, and returns when nothing is under way any more.
func (p *Partition) Flush(ctx context.Context, out Committer) error {
	if p.dead {
		return ErrDead
	}
	if err := p.commit(ctx, out); err != nil {
		return err
	}
	return p.land(true)
}

// ctxEvery is how many records may be processed after the context ended.
const ctxEvery = 64

func (p *Partition) step(ctx, commitCtx context.Context, f Fetch, out Committer) error {
	if p.dead {
		return ErrDead
	}
	cfg := &p.engine.cfg
	if err := p.land(false); err != nil {
		return err
	}
	for i := range f.Records {
		if i%ctxEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		r := &f.Records[i]
		if r.Offset < p.position {
			return fmt.Errorf("%s/%d: the source yields offset %d again, the position is %d",
				p.tp.Topic, p.tp.Partition, r.Offset, p.position)
		}
		p.begin()
		p.process(r)
		p.position = r.Offset + 1
		p.batch.Next = p.position
		p.batch.Records++
		if p.batch.Records >= cfg.CommitRecords || p.batch.bytes.size >= cfg.CommitBytes {
			if err := p.commit(commitCtx, out); err != nil {
				return err
			}
		}
	}
	if f.Next > max(p.position, 0) {
		p.begin()
		p.position = f.Next
		p.batch.Next = f.Next
		p.batch.moved = true
	}
	now := p.engine.now()
	p.turned(&f, now)
	if !p.batch.empty() && now.Sub(p.batch.began) >= cfg.CommitInterval {
		return p.commit(commitCtx, out)
	}
	return nil
}

// begin starts a batch when there is none: the moment to take a new rule set.
func (p *Partition) begin() {
	if p.batch.empty() {
		p.batch.began = p.engine.now()
		p.batch.TopicPartition = p.tp
		p.batch.StateLost, p.lostOnce = p.lostOnce, false
		p.pin()
	}
}

// turned notes that the loop took in a fetch.
func (p *Partition) turned(f *Fetch, now time.Time) {
	lag := int64(0)
	if f.End > p.position {
		lag = f.End - p.position
	}
	p.lag.Store(lag)
	p.moved.Store(now.UnixNano())
	if f.End >= 0 {
		p.meters.lag.Set(float64(lag))
	}
}

// process takes one record from its bytes to what it leads to in the batch. It never fails: what cannot be
// processed becomes a reject.
func (p *Partition) process(r *Record) {
	defer p.survive(r, len(p.batch.Signals), len(p.batch.Shadow))
	if p.counts.Events == 0 {
		p.coldStart(r)
	}
	p.counts.Events++
	p.counts.Bytes += int64(len(r.Value))
	t := p.meters.timer(p.engine, p.counts.Events)
	p.stage = StageSource
	if r.Fault == nil {
		p.state.Advance(r.Timestamp) // by rejects, too: partition time is that of records
	}
	p.at(StageSource, r.Offset)

	p.stage = StageDecode
	fault := p.decode(r)
	t.done(StageDecode)
	if fault != nil {
		stage := StageDecode
		if r.Fault != nil {
			stage = StageSource
		}
		p.reject(r, stage, fault)
		p.at(StageDecode, r.Offset)
		return
	}
	p.at(StageDecode, r.Offset)
	t.skew(&p.ev, r)

	p.stage = StageEnrich
	p.enrich()
	t.done(StageEnrich)
	p.at(StageEnrich, r.Offset)

	p.stage = StageEvaluate
	p.evaluate(r.Offset)
	t.done(StageEvaluate)
	p.at(StageEvaluate, r.Offset)

	p.stage = StageSink
	if fault := p.emit(r); fault != nil {
		p.reject(r, StageSink, fault)
	}
	t.done(StageSink)
	p.at(StageSink, r.Offset)
}

// at shows the record to the probe, if there is one.
func (p *Partition) at(stage Stage, offset int64) {
	if p.engine.cfg.Probe == nil {
		return
	}
	p.look = Look{TopicPartition: p.tp, Stage: stage, Offset: offset, Event: &p.ev, Result: &p.res}
	if p.bound != nil {
		p.look.Set = p.bound.set
	}
	p.engine.cfg.Probe(&p.look)
}

// coldStart says that the partition begins in the middle of its log and remembers nothing of what was before.
func (p *Partition) coldStart(r *Record) {
	if p.lineage == nil || r.Offset == 0 || p.restored {
		return
	}
	p.engine.metrics.ColdStarts.Inc()
	p.engine.log.Info("lineage starts unknown: ancestors of processes started before are not known",
		"topic", p.tp.Topic, "partition", p.tp.Partition, "offset", r.Offset)
}
