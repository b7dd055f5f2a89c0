package pipelinetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"spoor/pipeline"
	"spoor/pipeline/changelog"
)

// Member is a process that runs the partition of a Cluster, its state in the changelog.
type Member struct {
	Cluster *Cluster
	Config  pipeline.Config
	// Inside says that outputs are part of the transaction: exactly_once.
	Inside bool
	// Engine makes the process's engine, with Config and a Probe added.
	Engine func(pipeline.Config) *pipeline.Engine
	// Reload is told the position at which each batch begins, before it does.
	Reload func(e *pipeline.Engine, position int64)
	// Size says how many records each fetch has; nil: all at once.
	Size func() int
	// Fate, when set, is asked at each moment of each request what becomes of it, before the strikes of a life are: an
	// error fails the request there, ErrDie kills the process, and revoke ends the generation as a rebalance does: the
	// partition stops reading and commits what it has. It may do to the Cluster what it likes. It is called by the
	// partition's goroutine and by that of its commit.
	Fate func(op Op, w When, revoke func()) error
	// Until, unless it is 0, is where the log ends.
	Until int64
	// Opened is told of each start.
	Opened func(changelog.Start)
	// Rejoin says that it joins the group again when it has lost its generation or that was ended, with what it remembers.
	Rejoin bool
	// Process, when set, is what the member remembers from an earlier life, and is left what it remembers of this one. A
	// life that ended in death leaves nothing that may be used again.
	Process *Process
}

// Process is an engine and its partition. The zero value has not begun.
type Process struct {
	changelog.Kept
	engine *pipeline.Engine
	probe  func(*pipeline.Look) // of the life that runs
}

// Strike is trouble: the Nth time (from 1) that Point, or Op at When, is passed. With an Err a request fails with
// it; with a Hold the process stands still there until Hold is closed, and closes Held first; else it dies.
type Strike struct {
	Point Point
	Op    Op
	When  When
	Nth   int
	Err   error
	Held  chan struct{}
	Hold  chan struct{}
}

// ErrDie is a Fate's, at which the process dies.
var ErrDie = errors.New("the process dies")

// errLost is the end of a member's generation.
var errLost = errors.New("the member lost its generation")

// Live joins the group and runs the partition to the end of the log, or until a strike kills it: died. It starts
// again, as a member of Kafka does, after everything but the loss of its generation.
func (m *Member) Live(strikes ...Strike) (died bool, err error) {
	var mu sync.Mutex
	dead := false
	passed := make([]int, len(strikes))
	strike := func(match func(Strike) bool) error {
		mu.Lock()
		defer mu.Unlock()
		if dead {
			runtime.Goexit()
		}
		for i, s := range strikes {
			if !match(s) {
				continue
			}
			if passed[i]++; passed[i] != s.Nth {
				continue
			}
			switch {
			case s.Err != nil:
				return s.Err
			case s.Hold != nil:
				mu.Unlock()
				close(s.Held)
				<-s.Hold
				mu.Lock()
			default:
				dead = true
				runtime.Goexit()
			}
		}
		return nil
	}
	process := m.Process
	if process == nil {
		process = new(Process)
	}
	reload := func(position int64) {
		if m.Reload != nil {
			m.Reload(process.engine, position)
		}
	}
	process.probe = func(l *pipeline.Look) {
		if m.Config.Probe != nil {
			m.Config.Probe(l)
		}
		at := pointOf(l.Stage)
		_ = strike(func(s Strike) bool { return s.Op == "" && s.Point == at })
		if l.Stage == pipeline.StageCommit {
			reload(l.Offset + 1)
		}
	}
	if process.engine == nil {
		cfg := m.Config
		cfg.Probe = func(l *pipeline.Look) { process.probe(l) }
		process.engine = m.Engine(cfg)
	}
	var revoke context.CancelFunc // guarded by mu
	assigned := func() (ctx context.Context) {
		mu.Lock()
		defer mu.Unlock()
		ctx, revoke = context.WithCancel(context.Background())
		return ctx
	}
	fate := func(op Op, w When) error {
		if m.Fate == nil {
			return nil
		}
		mu.Lock()
		end, over := revoke, dead
		mu.Unlock()
		if over {
			runtime.Goexit()
		}
		err := m.Fate(op, w, end)
		if errors.Is(err, ErrDie) {
			mu.Lock()
			dead = true
			mu.Unlock()
			runtime.Goexit()
		}
		return err
	}
	conn := &Conn{Cluster: m.Cluster, Generation: m.Cluster.Join(), At: func(op Op, w When) error {
		if err := fate(op, w); err != nil {
			return err
		}
		return strike(func(s Strike) bool { return s.Op == op && s.When == w })
	}}
	var requests sync.WaitGroup
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctx := assigned()
		for range 1000 {
			err = process.Run(ctx, &waited{conn, &mu, &dead, &requests},
				func() *pipeline.Partition {
					return process.engine.Partition(pipeline.TopicPartition{Topic: Topic, Partition: 0}, "")
				},
				func(s changelog.Start) pipeline.Source {
					reload(s.Next)
					if m.Opened != nil {
						m.Opened(s)
					}
					m.Cluster.mu.Lock()
					defer m.Cluster.mu.Unlock()
					b := *m.Cluster.broker
					b.Next = s.Next
					if m.Until != 0 {
						b.cut(m.Until)
					}
					return b.Source(m.Size)
				},
				changelog.Options{Inside: m.Inside, Fallback: func(context.Context) (int64, error) { return 0, nil }})
			switch {
			case err == nil:
				return
			case (errors.Is(err, errGeneration) || ctx.Err() != nil) && m.Rejoin:
				conn.Generation = m.Cluster.Join()
				ctx = assigned()
			case errors.Is(err, errGeneration) || ctx.Err() != nil:
				err = fmt.Errorf("%w: %w", errLost, err)
				return
			}
		}
		err = fmt.Errorf("it starts again for ever: %w", err)
	}()
	<-done
	mu.Lock()
	died = dead
	dead = true
	mu.Unlock()
	requests.Wait()
	if died {
		return true, nil
	}
	return false, err
}

// Lost says whether Live ended because the group went on without the member.
func Lost(err error) bool { return errors.Is(err, errLost) }

// waited is a Conn whose requests can be waited for: one that a commit makes while its process dies is still done.
type waited struct {
	*Conn
	mu       *sync.Mutex
	dead     *bool // guarded by mu
	requests *sync.WaitGroup
}

func (w *waited) Init(ctx context.Context) (changelog.Producer, error) {
	w.begin()
	defer w.requests.Done()
	return w.Conn.Init(ctx)
}

func (w *waited) Owned(ctx context.Context) error {
	w.begin()
	defer w.requests.Done()
	return w.Conn.Owned(ctx)
}

func (w *waited) Bounds(ctx context.Context) (first, end int64, err error) {
	w.begin()
	defer w.requests.Done()
	return w.Conn.Bounds(ctx)
}

func (w *waited) Read(ctx context.Context, from, to int64, fn func(offset int64, key, value []byte) error) (int64, error) {
	w.begin()
	defer w.requests.Done()
	return w.Conn.Read(ctx, from, to, fn)
}

func (w *waited) Publish(ctx context.Context, b *pipeline.Batch, inside bool) error {
	w.begin()
	defer w.requests.Done()
	return w.Conn.Publish(ctx, b, inside)
}

func (w *waited) Append(ctx context.Context, records []changelog.Record) (int64, error) {
	w.begin()
	defer w.requests.Done()
	return w.Conn.Append(ctx, records)
}

func (w *waited) SendOffset(ctx context.Context, next int64, metadata string) error {
	w.begin()
	defer w.requests.Done()
	return w.Conn.SendOffset(ctx, next, metadata)
}

func (w *waited) End(ctx context.Context) error {
	w.begin()
	defer w.requests.Done()
	return w.Conn.End(ctx)
}

// begin is a request, which a dead process does not make.
func (w *waited) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if *w.dead {
		runtime.Goexit()
	}
	w.requests.Add(1)
}

// State restores what the changelog holds with a new process, and returns it as a text to compare.
func (m *Member) State() (string, error) {
	p := m.Engine(m.Config).Partition(pipeline.TopicPartition{Topic: Topic, Partition: 0}, "")
	_, start, err := changelog.Open(context.Background(), &Conn{Cluster: m.Cluster, Generation: m.Cluster.Join()}, p, changelog.NewReplica(),
		changelog.Options{Fallback: func(context.Context) (int64, error) { return 0, nil }})
	if err != nil {
		return "", err
	}
	return Describe(p, start.Next), nil
}

// Describe is everything a partition remembers, in the order that evictions follow.
func Describe(p *pipeline.Partition, next int64) string {
	changes, clock := p.Snapshot()
	text := fmt.Sprintf("position %d, clock %+v\n", next, clock)
	for _, c := range changes {
		text += fmt.Sprintf("%q %q\n", c.Key, c.Value)
	}
	return text
}
