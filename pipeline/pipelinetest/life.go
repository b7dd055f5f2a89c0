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
	// error fails it there. It is called by the partition's goroutine or by that of its commit, one at a time.
	Fate func(Op, When) error
	// Opened is told of each start.
	Opened func(changelog.Start)
	// Rejoin says that it joins the group again when it has lost its generation, with what it remembers.
	Rejoin bool
	// Kept, when set, is filled with what the process remembers at its end.
	Kept *changelog.Kept
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
	var engine *pipeline.Engine
	reload := func(position int64) {
		if m.Reload != nil {
			m.Reload(engine, position)
		}
	}
	cfg := m.Config
	cfg.Probe = func(l *pipeline.Look) {
		if m.Config.Probe != nil {
			m.Config.Probe(l)
		}
		at := pointOf(l.Stage)
		_ = strike(func(s Strike) bool { return s.Op == "" && s.Point == at })
		if l.Stage == pipeline.StageCommit {
			reload(l.Offset + 1)
		}
	}
	engine = m.Engine(cfg)
	conn := &Conn{Cluster: m.Cluster, Generation: m.Cluster.Join(), At: func(op Op, w When) error {
		if m.Fate != nil {
			if err := m.Fate(op, w); err != nil {
				return err
			}
		}
		return strike(func(s Strike) bool { return s.Op == op && s.When == w })
	}}
	kept := m.Kept
	if kept == nil {
		kept = new(changelog.Kept)
	}
	var commits sync.WaitGroup
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 1000 {
			err = kept.Run(context.Background(), &waited{conn, &mu, &dead, &commits},
				func() *pipeline.Partition {
					return engine.Partition(pipeline.TopicPartition{Topic: Topic, Partition: 0}, "")
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
					return b.Source(m.Size)
				},
				changelog.Options{Inside: m.Inside, Fallback: func(context.Context) (int64, error) { return 0, nil }})
			switch {
			case err == nil:
				return
			case errors.Is(err, errGeneration) && m.Rejoin:
				conn.Generation = m.Cluster.Join()
			case errors.Is(err, errGeneration):
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
	commits.Wait()
	if died {
		return true, nil
	}
	return false, err
}

// Lost says whether Live ended because the group went on without the member.
func Lost(err error) bool { return errors.Is(err, errLost) }

// waited is a Conn whose commits can be waited for: one that is under way when its process dies goes on to its
// next request.
type waited struct {
	*Conn
	mu      *sync.Mutex
	dead    *bool // guarded by mu
	commits *sync.WaitGroup
}

func (w *waited) Publish(ctx context.Context, b *pipeline.Batch, inside bool) error {
	w.begin()
	defer w.commits.Done()
	return w.Conn.Publish(ctx, b, inside)
}

func (w *waited) Append(ctx context.Context, records []changelog.Record) (int64, error) {
	w.begin()
	defer w.commits.Done()
	return w.Conn.Append(ctx, records)
}

func (w *waited) SendOffset(ctx context.Context, next int64, metadata string) error {
	w.begin()
	defer w.commits.Done()
	return w.Conn.SendOffset(ctx, next, metadata)
}

func (w *waited) End(ctx context.Context) error {
	w.begin()
	defer w.commits.Done()
	return w.Conn.End(ctx)
}

// begin is a request of a commit, which a dead process does not make.
func (w *waited) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if *w.dead {
		runtime.Goexit()
	}
	w.commits.Add(1)
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
