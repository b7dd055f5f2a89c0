package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"

	"spoor/pipeline"
	"spoor/pipeline/changelog"
)

// offsetMetadata goes with every committed offset: it says that the engine committed it, not an operator.
const offsetMetadata = changelog.MetadataPrefix

// committer is one partition's pipeline.Committer in one generation: everything published first, then the
// position. It is used by the partition's goroutine.
type committer struct {
	publisher *publisher
	offsets   *offsetWriter
}

// Commit implements pipeline.Committer.
func (c *committer) Commit(ctx context.Context, b *pipeline.Batch) error {
	// The generation's end cuts a commit off, however long the caller would wait.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(c.offsets.ctx, func() { cancel(context.Cause(c.offsets.ctx)) })
	defer stop()

	if err := c.offsets.alive(); err != nil {
		return err
	}
	if err := c.publisher.publish(ctx, b); err != nil {
		return err
	}
	return c.offsets.commit(ctx, b.TopicPartition, b.Next)
}

// offsetWriter stores positions for all partitions of one generation: one goroutine, one request at a time,
// with whatever positions have come in since the last. The requests name the generation, so that the
// coordinator refuses them when it is over.
type offsetWriter struct {
	client     *client
	log        *slog.Logger
	group      string
	generation int
	member     string
	metadata   string // of every offset; set before run
	seconds    prometheus.Observer
	retries    prometheus.Counter

	ctx    context.Context // ends when nothing may be committed any more
	lose   func(error)     // tells the generation that it is lost
	fenced time.Duration   // how long the coordinator may be silent

	requests chan offsetRequest
	mu       sync.Mutex
	lost     error // guarded by mu
}

type offsetRequest struct {
	tp   pipeline.TopicPartition
	next int64
	done chan error // buffered
}

// commit stores one position and returns when the coordinator has it.
func (w *offsetWriter) commit(ctx context.Context, tp pipeline.TopicPartition, next int64) error {
	r := offsetRequest{tp, next, make(chan error, 1)}
	select {
	case w.requests <- r:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// alive is the fence. A member that has not heard from the coordinator for a session is out of the group, as
// far as the group is concerned, and another may be publishing already.
func (w *offsetWriter) alive() error {
	w.mu.Lock()
	err := w.lost
	w.mu.Unlock()
	if err != nil {
		return err
	}
	if silent := w.client.heard.since(); silent > w.fenced {
		err := fmt.Errorf("%w: the coordinator has been silent for %s", errLost, silent.Round(time.Millisecond))
		w.fail(err)
		return err
	}
	return nil
}

func (w *offsetWriter) fail(err error) {
	w.mu.Lock()
	if w.lost == nil {
		w.lost = err
	}
	w.mu.Unlock()
	w.lose(err)
}

// run serves requests until ctx ends.
func (w *offsetWriter) run() {
	var batch []offsetRequest
	for {
		batch = batch[:0]
		select {
		case <-w.ctx.Done():
			return
		case r := <-w.requests:
			batch = append(batch, r)
		}
		for more := true; more; {
			select {
			case r := <-w.requests:
				batch = append(batch, r)
			default:
				more = false
			}
		}
		w.write(batch)
	}
}

// write commits a batch of positions and answers each request.
func (w *offsetWriter) write(batch []offsetRequest) {
	pending := batch
	warned := false
	err := retry(w.ctx, lostOrFenced, func(err error) {
		w.retries.Inc()
		if !warned {
			warned = true
			w.log.Warn("offset commit fails, trying again", "err", err)
		}
	}, func() error {
		if err := w.alive(); err != nil {
			return err
		}
		var err error
		pending, err = w.try(pending)
		return err
	})
	if lostGeneration(err) {
		err = fmt.Errorf("%w: %w", errLost, err)
		w.fail(err)
	}
	for _, r := range pending {
		r.done <- err
	}
}

func lostOrFenced(err error) bool { return lostGeneration(err) || errors.Is(err, errLost) }

// try sends one request, answers those that succeed and returns the others.
func (w *offsetWriter) try(batch []offsetRequest) ([]offsetRequest, error) {
	req := &kafka.OffsetCommitRequest{GroupID: w.group, GenerationID: w.generation, MemberID: w.member, Topics: map[string][]kafka.OffsetCommit{}}
	for _, r := range batch {
		req.Topics[r.tp.Topic] = append(req.Topics[r.tp.Topic], kafka.OffsetCommit{Partition: int(r.tp.Partition), Offset: r.next, Metadata: w.metadata})
	}
	start, sent := time.Now(), sinceStart()
	res, err := w.client.client.OffsetCommit(w.ctx, req)
	w.seconds.Observe(time.Since(start).Seconds())
	if err != nil {
		return batch, err
	}
	answers := map[pipeline.TopicPartition]error{}
	for topic, partitions := range res.Topics {
		for _, p := range partitions {
			answers[pipeline.TopicPartition{Topic: topic, Partition: int32(p.Partition)}] = p.Error
		}
	}
	var failed []offsetRequest
	var first error
	for _, r := range batch {
		err, ok := answers[r.tp]
		if !ok {
			err = fmt.Errorf("the coordinator's answer lacks %s/%d", r.tp.Topic, r.tp.Partition)
		}
		if err == nil {
			w.client.heard.at(sent)
			r.done <- nil
			continue
		}
		failed = append(failed, r)
		if first == nil || lostGeneration(err) {
			first = err
		}
	}
	return failed, first
}
