package file

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"github.com/klauspost/compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"spoor/pipeline"
)

// CreateText makes or truncates the file at path, compressed as its ending says (.gz, .zst); "-" is standard
// output, plain, which Close leaves open. What is written is buffered until Close.
func CreateText(path string) (io.WriteCloser, error) { return create(path) }

// output is a buffered file, compressed or not. It is owned by one goroutine.
type output struct {
	*bufio.Writer
	closes []io.Closer // in this order
}

func create(path string) (*output, error) {
	if path == Stdin {
		return &output{Writer: bufio.NewWriterSize(os.Stdout, 256<<10)}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	o := &output{closes: []io.Closer{f}}
	var w io.Writer = f
	switch strings.ToLower(filepath.Ext(path)) {
	case ".gz":
		z := gzip.NewWriter(f)
		w, o.closes = z, []io.Closer{z, f}
	case ".zst":
		z, err := zstd.NewWriter(f)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		w, o.closes = z, []io.Closer{z, f}
	}
	o.Writer = bufio.NewWriterSize(w, 256<<10)
	return o, nil
}

// Close flushes and closes the file. Only the first call does.
func (o *output) Close() error {
	err := o.Flush()
	for _, c := range o.closes {
		err = errors.Join(err, c.Close())
	}
	o.closes = nil
	return err
}

// Writer writes recorded traffic: what it is given comes back from a Reader byte for byte, a nil key as a nil
// key and an empty one as an empty one. It is owned by one goroutine.
type Writer struct {
	w   *output
	buf []byte
}

// NewWriter writes plain lines to w. Flush or Close it; w stays open.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: &output{Writer: bufio.NewWriterSize(w, 256<<10)}}
}

// Create makes a Writer of the file that CreateText makes.
func Create(path string) (*Writer, error) {
	o, err := create(path)
	if err != nil {
		return nil, err
	}
	return &Writer{w: o}, nil
}

// Write writes r as the record at r.Offset of tp. It does not keep r.
func (w *Writer) Write(tp pipeline.TopicPartition, r *pipeline.Record) error {
	w.buf = appendRecord(w.buf[:0], &tp, r)
	_, err := w.w.Write(w.buf)
	return err
}

// Flush hands what was written so far on to the file; a compressor may still hold some of it.
func (w *Writer) Flush() error { return w.w.Flush() }

// Close flushes and closes the file.
func (w *Writer) Close() error { return w.w.Close() }

// appendRecord appends the line of r, with its end; at is the partition that r's offset is of, nil for a record
// without a position.
func appendRecord(b []byte, at *pipeline.TopicPartition, r *pipeline.Record) []byte {
	b = append(b, '{')
	if at != nil {
		b = append(b, `"topic":`...)
		b = appendText(b, at.Topic)
		b = append(b, `,"partition":`...)
		b = strconv.AppendInt(b, int64(at.Partition), 10)
		b = append(b, `,"offset":`...)
		b = strconv.AppendInt(b, r.Offset, 10)
		b = append(b, ',')
	}
	b = append(b, `"ts":`...)
	if ts := time.UnixMilli(r.Timestamp).UTC(); ts.Year() >= 0 && ts.Year() <= 9999 {
		b = append(b, '"')
		b = ts.AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
		b = append(b, '"')
	} else {
		b = strconv.AppendInt(b, r.Timestamp, 10)
	}
	switch {
	case r.Key == nil:
		b = append(b, `,"key":null`...)
	case utf8.Valid(r.Key):
		b = append(b, `,"key":`...)
		b = appendText(b, string(r.Key))
	default:
		b = append(b, `,"raw_key":"`...)
		b = base64.StdEncoding.AppendEncode(b, r.Key)
		b = append(b, '"')
	}
	b = append(b, `,"headers":`...)
	b = appendHeaders(b, r.Headers)
	switch {
	case r.Value == nil:
		b = append(b, `,"value":null`...)
	case embeddable(r.Value):
		b = append(b, `,"value":`...)
		b = append(b, r.Value...)
	default:
		b = append(b, `,"raw":"`...)
		b = base64.StdEncoding.AppendEncode(b, r.Value)
		b = append(b, '"')
	}
	return append(b, '}', '\n')
}

// embeddable reports whether v can stand in a line as it is and come back as it was.
func embeddable(v []byte) bool {
	if len(v) < 2 || v[0] != '{' || v[len(v)-1] != '}' {
		return false
	}
	for _, c := range v {
		if c == '\n' || c == '\r' {
			return false
		}
	}
	return utf8.Valid(v) && json.Valid(v)
}

func appendHeaders(b []byte, headers []pipeline.Header) []byte {
	plain := true
	for i, h := range headers {
		plain = plain && h.Value != nil && utf8.Valid(h.Value)
		for _, before := range headers[:i] {
			plain = plain && before.Key != h.Key
		}
	}
	open, closing := byte('['), byte(']')
	if plain {
		open, closing = '{', '}'
	}
	b = append(b, open)
	for i, h := range headers {
		if i > 0 {
			b = append(b, ',')
		}
		if plain {
			b = appendText(b, h.Key)
			b = append(b, ':')
			b = appendText(b, string(h.Value))
			continue
		}
		b = append(b, `{"key":`...)
		b = appendText(b, h.Key)
		switch {
		case h.Value == nil:
			b = append(b, `,"value":null`...)
		case utf8.Valid(h.Value):
			b = append(b, `,"value":`...)
			b = appendText(b, string(h.Value))
		default:
			b = append(b, `,"raw":"`...)
			b = base64.StdEncoding.AppendEncode(b, h.Value)
			b = append(b, '"')
		}
		b = append(b, '}')
	}
	return append(b, closing)
}

const hex = "0123456789abcdef"

// appendText appends s as a JSON string, nothing escaped that JSON does not ask for. Invalid UTF-8, which
// only a header's key can have here, becomes U+FFFD.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = utf8.AppendRune(b, c)
		}
	}
	return append(b, '"')
}
