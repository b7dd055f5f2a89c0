package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"spoor/pipeline"
	"spoor/pipeline/event"
)

// defaultMaxLine is the longest line read when Options does not say.
const defaultMaxLine = 16 << 20

// Options say how files are read. The zero value works.
type Options struct {
	// MaxLineBytes is the longest line read; a longer one is a fault and is stepped over. Default 16 MiB.
	MaxLineBytes int
	// Stdin is read for the path "-". Default os.Stdin.
	Stdin io.Reader
	// Fault, if set, is called for each line that could not be read, and for the end of a file that is
	// corrupt. The same comes as a Record with a Fault.
	Fault func(Fault)
	// Progress, if set, is called from time to time with how many bytes of the files, compressed as they
	// are, have been read, and how many there are in all (-1: standard input is among them).
	Progress func(read, total int64)
}

// Fault is a line that could not be read.
type Fault struct {
	File string // as given; "stdin" for standard input
	Line int    // 1-based
	Err  *event.Error
	// Rest says that nothing after Line could be read either: the file is cut off or damaged.
	Rest bool
}

func (f Fault) Error() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Err) }

// Line is one line of a file as a record of a partition.
type Line struct {
	pipeline.TopicPartition
	// Record is valid until the next call of Next. A line that could not be read has its Fault set.
	pipeline.Record
	File   string // as given; "stdin" for standard input
	Number int    // 1-based
}

// Reader reads the records of files, one file after the other, line by line. It is owned by one goroutine.
//
// A record that names no topic, partition and offset belongs to the file's own partition: topic = the file's
// base name without extensions ("stdin" for standard input), partition 0, offset = the 0-based number of the
// line. A file may be given several times: each further pass goes on where the offsets of the one before
// ended. Two different files of the same base name are an error.
//
// What cannot be read does not end the reading: a bad line comes as a record of its file's own partition with
// a Fault, and the next line follows; a corrupt end of a file likewise, and the next file follows. In a file
// whose records do name their partition the bad lines get a partition to themselves, whose topic is the whole
// name of the file and ":lines".
type Reader struct {
	opts  Options
	files []source
	total int64
	told  int64 // what Progress was last told

	in      input
	lines   *lineReader
	at      int    // index of the next file
	file    source // the open file
	number  int    // of the last line
	named   bool   // a record of this file named its partition
	ahead   ahead  // what a look ahead in this file found
	members []member
	line    Line

	next map[pipeline.TopicPartition]int64 // the lowest offset that may come
	base map[pipeline.TopicPartition]int64 // what is added to the offsets of this pass; nil in the first
}

// source is a file to be read.
type source struct {
	path  string
	topic string
	pass  int // how often the same file was given before
}

// shown is what people read for the path.
func (s source) shown() string {
	if s.path == Stdin {
		return stdinTopic
	}
	return s.path
}

// Open checks that every file can be read and that their names do not collide, and opens none of them yet.
func Open(paths []string, opts Options) (*Reader, error) {
	if len(paths) == 0 {
		return nil, errors.New("no files to read")
	}
	if opts.MaxLineBytes <= 0 {
		opts.MaxLineBytes = defaultMaxLine
	}
	if opts.Stdin == nil {
		opts.Stdin = os.Stdin
	}
	r := &Reader{opts: opts, in: input{stdin: opts.Stdin}, lines: newLineReader(opts.MaxLineBytes), next: map[pipeline.TopicPartition]int64{}}
	type given struct {
		path string
		info os.FileInfo // nil: standard input
		n    int
	}
	byTopic := map[string]*given{}
	for _, path := range paths {
		topic := topicOf(path)
		var info os.FileInfo
		if path == Stdin {
			r.total = -1
		} else {
			f, err := os.Open(path)
			if err != nil {
				return nil, err
			}
			info, err = f.Stat()
			f.Close()
			if err != nil {
				return nil, err
			}
			if info.IsDir() {
				return nil, fmt.Errorf("%s is a directory", path)
			}
			if r.total >= 0 {
				r.total += info.Size()
			}
		}
		g := byTopic[topic]
		switch {
		case g == nil:
			g = &given{path: path, info: info}
			byTopic[topic] = g
		case info == nil && g.info == nil:
			return nil, errors.New("standard input can be read once only")
		case info == nil || g.info == nil || !os.SameFile(info, g.info):
			return nil, fmt.Errorf("%s and %s have the same base name %s, which names their records: rename one, or replay them apart", g.path, path, topic)
		}
		r.files = append(r.files, source{path, topic, g.n})
		g.n++
	}
	return r, nil
}

// Next returns the next record, valid until the next call, and io.EOF after the last. Offsets that do not
// ascend are an error, which ends the reading.
func (r *Reader) Next() (*Line, error) {
	for {
		if r.in.text == nil {
			if r.at == len(r.files) {
				r.progress(true)
				return nil, io.EOF
			}
			if err := r.open(); err != nil {
				return nil, err
			}
		}
		text, err := r.lines.next()
		r.progress(false)
		if err == io.EOF {
			r.in.close()
			continue
		}
		r.number++
		if err == nil && len(text) == 0 {
			continue
		}
		if err != nil && err != errTooLong {
			r.fault(text, fmt.Errorf("the rest of the file cannot be read: %w", err), true)
			r.in.close()
			return &r.line, nil
		}
		l, err := r.parse(text, err)
		if err != nil {
			r.fault(text, err, false)
			return &r.line, nil
		}
		tp, offset := r.own(), int64(r.number-1)
		if l.positioned {
			tp, offset = pipeline.TopicPartition{Topic: l.topic, Partition: l.partition}, l.rec.Offset
			r.named = true
		}
		l.rec.Offset = offset
		if err := r.place(tp, l.rec); err != nil {
			return nil, err
		}
		return &r.line, nil
	}
}

// idle reports whether the next line may have to be waited for.
func (r *Reader) idle() bool {
	return r.in.text != nil && r.file.path == Stdin && r.lines.r.Buffered() == 0
}

// Close closes the file that is open and ends the reading.
func (r *Reader) Close() error {
	r.in.release()
	r.at = len(r.files)
	return nil
}

func (r *Reader) parse(text []byte, err error) (line, error) {
	if err != nil {
		return line{}, fmt.Errorf("longer than %d bytes", r.opts.MaxLineBytes)
	}
	return parseLine(text, &r.members)
}

// fault makes r.line a record that says why the line could not be read.
func (r *Reader) fault(text []byte, err error, rest bool) {
	f := Fault{File: r.file.shown(), Line: r.number, Err: &event.Error{
		Reason: event.ReasonCorruptRecord, Detail: fmt.Sprintf("%s:%d: %s", r.file.shown(), r.number, err)}}
	if r.opts.Fault != nil {
		r.opts.Fault(Fault{f.File, f.Line, &event.Error{Reason: f.Err.Reason, Detail: err.Error()}, rest})
	}
	rec := pipeline.Record{Offset: int64(r.number - 1), Value: text, Fault: f.Err}
	if !r.named && !r.willName() && r.place(r.own(), rec) == nil {
		return
	}
	// Each line of a file has a number of its own, so this one ascends, pass after pass.
	_ = r.place(pipeline.TopicPartition{Topic: filepath.Base(r.file.path) + badLines}, rec)
}

// badLines ends the topic of the bad lines of a file whose other records name their partition: no topic of
// Kafka holds a colon, so it is nobody else's.
const badLines = ":lines"

// willName reports whether the first of the lines that are already in memory that can be read names its
// partition: asked when a file begins with bad lines. What it finds holds for all of them up to that line, so each
// line is looked at once, however many are bad.
func (r *Reader) willName() bool {
	if r.number < r.ahead.until {
		return r.ahead.named
	}
	r.ahead = ahead{until: r.number + 1}
	text, _ := r.lines.r.Peek(r.lines.r.Buffered())
	for len(text) > 0 {
		line, rest, whole := bytes.Cut(text, []byte{'\n'})
		if l, err := parseLine(bytes.TrimRight(line, "\r"), &r.members); err == nil {
			r.ahead.named = l.positioned
			break
		}
		if whole {
			r.ahead.until++
		}
		text = rest
	}
	return r.ahead.named
}

// ahead is what willName found: whether the lines before until are followed by one that names its partition.
type ahead struct {
	until int
	named bool
}

// own is the partition of lines that name none.
func (r *Reader) own() pipeline.TopicPartition { return pipeline.TopicPartition{Topic: r.file.topic} }

// place makes rec, whose offset is the line's, the record r.line of tp.
func (r *Reader) place(tp pipeline.TopicPartition, rec pipeline.Record) error {
	if rec.Offset > math.MaxInt64-1-r.base[tp] {
		return fmt.Errorf("%s:%d: the offset is too large", r.file.shown(), r.number)
	}
	rec.Offset += r.base[tp]
	if least := r.next[tp]; rec.Offset < least {
		return fmt.Errorf("%s:%d: offset %d of %s/%d comes after offset %d: the offsets of a partition have to ascend over all files",
			r.file.shown(), r.number, rec.Offset, tp.Topic, tp.Partition, least-1)
	}
	r.next[tp] = rec.Offset + 1
	r.line = Line{TopicPartition: tp, Record: rec, File: r.file.shown(), Number: r.number}
	return nil
}

func (r *Reader) open() error {
	r.file = r.files[r.at]
	if err := r.in.open(r.file.path); err != nil {
		return err
	}
	r.lines.reset(r.in.text)
	r.at++
	r.number, r.named, r.ahead = 0, false, ahead{}
	// A further pass over a file starts where its partitions are now.
	r.base = nil
	if r.file.pass > 0 {
		r.base = make(map[pipeline.TopicPartition]int64, len(r.next))
		for tp, next := range r.next {
			r.base[tp] = next
		}
	}
	return nil
}

// progressEvery is how many bytes are read between two calls of Progress.
const progressEvery = 256 << 10

func (r *Reader) progress(end bool) {
	if r.opts.Progress != nil && (end || r.in.read-r.told >= progressEvery) {
		r.told = r.in.read
		r.opts.Progress(r.in.read, r.total)
	}
}
