package file

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// savedBytes is how much of a line that is too long is kept for its reject.
const savedBytes = 64 << 10

var errTooLong = errors.New("line too long")

// lineReader splits a text into lines. It is owned by its Reader.
type lineReader struct {
	r     *bufio.Reader
	long  []byte // a line longer than r's buffer is put together here
	max   int
	first bool
}

func newLineReader(max int) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(nil, 256<<10), max: max}
}

// reset goes on to another text.
func (l *lineReader) reset(r io.Reader) {
	l.r.Reset(r)
	l.first = true
}

// next returns the next line without its end, valid until the next call. At the end of the text it returns
// io.EOF and no line; errTooLong comes with the beginning of the line, any other error with what could be
// read of it.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		line, err = l.rest(line)
	}
	if err == io.EOF && len(line) > 0 {
		err = nil
	}
	if l.first {
		l.first = false
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	return bytes.TrimRight(line, "\r\n"), err
}

// rest reads the rest of a line that begins with head.
func (l *lineReader) rest(head []byte) ([]byte, error) {
	l.long = append(l.long[:0], head...)
	length := len(head)
	for {
		more, err := l.r.ReadSlice('\n')
		if length += len(more); length <= l.max {
			l.long = append(l.long, more...)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if length > l.max && (err == nil || err == io.EOF) {
			return l.long[:min(len(l.long), savedBytes)], errTooLong
		}
		return l.long, err
	}
}
