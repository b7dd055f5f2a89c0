package file

import (
	"context"
	"fmt"
	"io"
	"sync"

	"spoor/pipeline"
)

// SinkConfig says where a Sink writes; a nil Writer drops what would go there. The writers may be the same
// one.
type SinkConfig struct {
	Signals io.Writer
	Shadow  io.Writer // signals of shadow rules
	Rejects io.Writer // always written as records, at the input record's position: the headers say why, the value may be anything
	// Records writes signals as records, with time, key and headers. They have no position: they are of no
	// topic yet, and one event can lead to several. Whose signal each is stands in its headers. Otherwise a
	// line is the signal alone.
	Records bool
}

// Sink is the pipeline.Committer that writes NDJSON. It is safe for concurrent use.
type Sink struct {
	cfg SinkConfig

	mu  sync.Mutex
	buf []byte // guarded by mu
}

// NewSink returns a Sink. It does not buffer: when Commit returns, its Writers have the batch.
func NewSink(cfg SinkConfig) *Sink { return &Sink{cfg: cfg} }

// Commit writes the batch, one Write for each of the Writers it has something for.
func (s *Sink) Commit(_ context.Context, b *pipeline.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.write(s.cfg.Signals, nil, b.Signals, s.cfg.Records); err != nil {
		return fmt.Errorf("write signals: %w", err)
	}
	if err := s.write(s.cfg.Shadow, nil, b.Shadow, s.cfg.Records); err != nil {
		return fmt.Errorf("write shadow signals: %w", err)
	}
	if s.cfg.Rejects == nil || len(b.Rejects) == 0 {
		return nil
	}
	rejects := make([]pipeline.Output, len(b.Rejects))
	for i := range b.Rejects {
		rejects[i] = b.Rejects[i].Output
	}
	if err := s.write(s.cfg.Rejects, &b.TopicPartition, rejects, true); err != nil {
		return fmt.Errorf("write rejects: %w", err)
	}
	return nil
}

// write writes outputs as records, at their offsets of the partition at unless it is nil, or as values alone.
func (s *Sink) write(w io.Writer, at *pipeline.TopicPartition, outputs []pipeline.Output, records bool) error {
	if w == nil || len(outputs) == 0 {
		return nil
	}
	s.buf = s.buf[:0]
	for i := range outputs {
		o := &outputs[i]
		if records {
			s.buf = appendRecord(s.buf, at, &pipeline.Record{
				Offset: o.Offset, Timestamp: o.Timestamp, Key: o.Key, Value: o.Value, Headers: o.Headers})
			continue
		}
		s.buf = append(s.buf, o.Value...)
		s.buf = append(s.buf, '\n')
	}
	_, err := w.Write(s.buf)
	return err
}
