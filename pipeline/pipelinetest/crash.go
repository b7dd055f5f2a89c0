package pipelinetest

import (
	"context"
	"runtime"

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
// A death is runtime.Goexit on the partition's goroutine: no code of the pipeline runs after it but deferred
// functions, which see no panic, and everything the process had in memory is abandoned.
func (p *Pipeline) Start(t Trouble) (died bool, err error) {
	passed := 0
	strike := func(at Point) error {
		if at != t.Point {
			return nil
		}
		if passed++; passed != t.Nth {
			return nil
		}
		if t.Err == nil {
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
	done := make(chan struct{})
	died = true
	go func() {
		defer close(done)
		err = p.Partition.Run(context.Background(), p.Broker.Source(p.Size), &Committer{Broker: p.Broker, At: strike})
		died = false
	}()
	<-done
	return died, err
}

// Topic is the name of the input topic of every Pipeline.
const Topic = "events"
