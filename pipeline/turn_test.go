package pipeline_test

import (
	"context"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"spoor/pipeline"
)

// No more partitions compute at once than there are processors, and one that waits for its commit does not count:
// with as many commits hanging as there are turns, the others go on.
func TestTurns(t *testing.T) {
	turns := runtime.GOMAXPROCS(0)
	var computing, most atomic.Int32
	cfg := testConfig()
	cfg.CommitRecords = 1
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage != pipeline.StageEvaluate {
			return
		}
		n := computing.Add(1)
		for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
		}
		time.Sleep(time.Millisecond)
		computing.Add(-1)
	}
	eng := pipeline.New(cfg, compile(t, testPolicy), nil)
	hang, free := make(chan struct{}), make(chan struct{})
	var hanging, others sync.WaitGroup
	run := func(wait *sync.WaitGroup, p int, commit committerFunc) {
		fetches := []pipeline.Fetch{{Records: []pipeline.Record{at(0), at(1), at(2)}, Next: 3}}
		wait.Go(func() {
			err := eng.Partition(pipeline.TopicPartition{Topic: "events", Partition: int32(p)}, "").
				Run(context.Background(), &script{fetches: fetches, end: io.EOF}, commit)
			if err != nil {
				t.Error(err)
			}
		})
	}
	for p := range turns {
		first := true
		run(&hanging, p, func(context.Context, *pipeline.Batch) error {
			if first {
				first = false
				hang <- struct{}{}
				<-free
			}
			return nil
		})
	}
	for range turns {
		<-hang
	}
	for p := range 4 * turns {
		run(&others, turns+p, func(context.Context, *pipeline.Batch) error { return nil })
	}
	others.Wait()
	close(free)
	hanging.Wait()
	if n := int(most.Load()); n > turns {
		t.Errorf("%d partitions computed at once, with %d processors", n, turns)
	}
}
