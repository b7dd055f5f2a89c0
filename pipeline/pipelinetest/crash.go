package pipelinetest

import (
	"context"
	"runtime"
	"sync"

	"spoor/pipeline"
)

// Point is a place between "record read" and "offset committed" where a process can die.
type Point string

// The points, in the order a record passes them.
const (
	Fetched    Point = "fetched"    // the record was read, nothing was done with it
	Decoded    Point = "decoded"    //
	Enriched   Point = "enriched"   // the state changed
	Evaluated  Point = "evaluated"  //
	Sunk       Point = "sunk"       // its signals are in the batch
	Committing Point = "committing" // the batch is about to be handed out
	Acking     Point = "acking"     // some outputs of the batch are acknowledged, others are not
	Acked      Point = "acked"      // all outputs are acknowledged, the position is not stored
	Stored     Point = "stored"     // the position is stored, the answer is lost
)

// Points lists every Point.
func Points() []Point {
	return []Point{Fetched, Decoded, Enriched, Evaluated, Sunk, Committing, Acking, Acked, Stored}
}

// pointOf says at which point a probe is called.
func pointOf(s pipeline.Stage) Point {
	switch s {
	case pipeline.StageSource:
		return Fetched
	case pipeline.StageDecode:
		return Decoded
	case pipeline.StageEnrich:
		return Enriched
	case pipeline.StageEvaluate:
		return Evaluated
	case pipeline.StageSink:
		return Sunk
	}
	return Committing
}

// Trouble strikes the Nth time (from 1) that Point is passed; 0 never. With an Err, which only the points
// inside a commit take, the commit fails with it; else the process dies.
type Trouble struct {
	Point Point
	Nth   int
	Err   error
}

// Pipeline is a process that runs one partition of a Broker.
type Pipeline struct {
	Broker *Broker
	Config pipeline.Config
	// Engine makes the process's engine. It is called at every start with Config and a Probe added.
	Engine func(pipeline.Config) *pipeline.Engine
	// Size says how many records each fetch has; nil: all at once.
	Size func() int
	// Partition is that of the last start, for its counters; a crash has abandoned it.
	Partition *pipeline.Partition
}

// Start runs a new process - a new engine, a new partition, nothing remembered - from the stored position to
// the end of the log, or until trouble strikes. It returns whether it died, or else the error of Run.
//
// A death is runtime.Goexit on the goroutine that it strikes, the partition's or that of its commit: no code of
// the pipeline runs on it any more but deferred functions, which see no panic, and everything the process had in
// memory is abandoned. When a commit dies the partition may still turn over what it has in memory; nothing of that
// gets out, because the commit under way never lands.
func (p *Pipeline) Start(t Trouble) (died bool, err error) {
	var mu sync.Mutex
	passed, dead := 0, false
	strike := func(at Point) error {
		mu.Lock()
		defer mu.Unlock()
		if dead {
			runtime.Goexit()
		}
		if at != t.Point {
			return nil
		}
		if passed++; passed != t.Nth {
			return nil
		}
		if t.Err == nil {
			dead = true
			runtime.Goexit()
		}
		return t.Err
	}
	cfg := p.Config
	cfg.Probe = func(l *pipeline.Look) {
		if p.Config.Probe != nil {
			p.Config.Probe(l)
		}
		// A record cannot fail, so an error here has nowhere to go: strike only dies.
		_ = strike(pointOf(l.Stage))
	}
	p.Partition = p.Engine(cfg).Partition(pipeline.TopicPartition{Topic: Topic, Partition: 0}, "")
	out := &mortal{Committer: Committer{Broker: p.Broker, At: strike}, mu: &mu, dead: &dead}
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = p.Partition.Run(context.Background(), p.Broker.Source(p.Size), out)
	}()
	<-done
	// A commit that is under way when the partition dies goes on to its next point.
	mu.Lock()
	died = dead
	dead = true
	mu.Unlock()
	out.wait.Wait()
	if died {
		return true, nil
	}
	return false, err
}

// mortal is the Committer of a process: it does nothing after its death, and can be waited for.
type mortal struct {
	Committer
	mu   *sync.Mutex
	dead *bool // guarded by mu
	wait sync.WaitGroup
}

func (c *mortal) Commit(ctx context.Context, b *pipeline.Batch) error {
	c.mu.Lock()
	if *c.dead {
		c.mu.Unlock()
		runtime.Goexit()
	}
	c.wait.Add(1)
	c.mu.Unlock()
	defer c.wait.Done()
	return c.Committer.Commit(ctx, b)
}

// Topic is the name of the input topic of every Pipeline.
const Topic = "events"
