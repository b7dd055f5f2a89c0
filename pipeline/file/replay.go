package file

import (
	"context"
	"io"

	"spoor/pipeline"
)

// Totals are what a replay read. What the pipeline made of it is in Engine.Counters.
type Totals struct {
	Records    int64 // faults included
	Faults     int64 // lines that could not be read, and the ends of damaged files; they are among the rejects
	Bytes      int64 // of the files, compressed as they are
	Partitions int
}

// An epoch is a run of lines after which every partition commits, so that what the lines led to can be put
// in order. It ends after epochLines lines or with epochBytes of outputs, whichever comes first, and before
// standard input is waited for. Where epochs end shows nowhere in the output.
const (
	epochLines = 4096
	epochBytes = 16 << 20
)

// Replay runs the records of the files through engine's pipeline, one Partition for each topic and partition
// in them, all on the caller's goroutine. Out gets what they lead to in the order of the input lines, whatever
// the partitions' commits: the same files, set and config give the same calls, but for where a call ends.
// A batch that out gets is a run of outputs of one partition; it holds no state changes, and lines that led to
// nothing are in none.
//
// A line that cannot be read is a reject. Replay returns an error for offsets that do not ascend, for one of
// out, and ctx's when that ends; what was processed until then is committed before, unless out failed.
func Replay(ctx context.Context, engine *pipeline.Engine, paths []string, opts Options, out pipeline.Committer) (Totals, error) {
	r, err := Open(paths, opts)
	if err != nil {
		return Totals{}, err
	}
	defer r.Close()
	s := &sequencer{out: out, lanes: map[pipeline.TopicPartition]*lane{}}
	var totals Totals
	err = replay(ctx, engine, r, s, &totals)
	if s.failed == nil {
		// The lines processed are whole: what they led to goes out even when the context ended.
		if flush := s.flush(context.WithoutCancel(ctx)); err == nil {
			err = flush
		}
	}
	totals.Bytes, totals.Partitions = r.in.read, len(s.order)
	return totals, err
}

func replay(ctx context.Context, engine *pipeline.Engine, r *Reader, s *sequencer, totals *Totals) error {
	for n := 0; ; n++ {
		if n == epochLines || s.bytes >= epochBytes || n > 0 && r.idle() {
			if err := s.flush(ctx); err != nil {
				return err
			}
			n = 0
		}
		if n%64 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		line, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		totals.Records++
		if line.Fault != nil {
			totals.Faults++
		}
		l := s.lane(engine, line.TopicPartition)
		l.lines = append(l.lines, mark{line.Offset, s.seq})
		s.seq++
		l.fetch[0] = line.Record
		f := pipeline.Fetch{Records: l.fetch[:], Next: line.Offset + 1, End: -1}
		if err := l.partition.Step(ctx, f, s); err != nil {
			return err
		}
	}
}
