// Package file is the ends of the pipeline over NDJSON files, plain, .gz or .zst: Reader reads recorded
// traffic, Replay drives one pipeline for each partition in it, Writer writes recorded traffic, and Sink is
// the Committer that writes signals and rejects. It owns the format of a line. It imports pipeline and
// pipeline/event, and nothing else of ours.
package file

import (
	"bufio"
	"bytes"
	"fmt"
	"github.com/klauspost/compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Stdin is the path that stands for standard input, and for standard output where something is written.
const Stdin = "-"

// maxWindow bounds what a .zst file can make the reader allocate; zstd --long=27 still fits.
const maxWindow = 128 << 20

var (
	gzipMagic = []byte{0x1f, 0x8b}
	zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}
)

// input opens one file after the other and decompresses it; its buffers and the decompressor serve all of
// them. It is owned by its Reader.
type input struct {
	stdin io.Reader
	read  int64     // bytes read, compressed as they are
	text  io.Reader // of the open file; nil: none is open
	file  *os.File  // nil: standard input
	src   *bufio.Reader
	zstd  *zstd.Decoder // nil until a file needs it
}

// open opens path, after the last one was closed. The name's ending says how it is compressed; without a known
// one its first bytes do.
func (in *input) open(path string) error {
	raw := in.stdin
	if path != Stdin {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		in.file, raw = f, f
	}
	if in.src == nil {
		in.src = bufio.NewReaderSize(nil, 64<<10)
	}
	in.src.Reset(&counter{raw, &in.read})
	kind := strings.ToLower(filepath.Ext(path))
	if kind != ".gz" && kind != ".zst" {
		if magic, _ := in.src.Peek(2); bytes.Equal(magic, gzipMagic) {
			kind = ".gz"
		} else if len(magic) == 2 && bytes.HasPrefix(zstdMagic, magic) {
			if magic, _ := in.src.Peek(4); bytes.Equal(magic, zstdMagic) {
				kind = ".zst"
			}
		}
	}
	switch kind {
	case ".gz":
		z, err := gzip.NewReader(in.src)
		if err != nil {
			in.text = failing{fmt.Errorf("not gzip: %w", err)}
			return nil
		}
		in.text = z
	case ".zst":
		var err error
		if in.zstd == nil {
			// Decompressing on the reader's own goroutine costs less than handing blocks over.
			in.zstd, err = zstd.NewReader(in.src, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
		} else {
			err = in.zstd.Reset(in.src)
		}
		if err != nil {
			in.close()
			return fmt.Errorf("%s: %w", path, err)
		}
		in.text = in.zstd
	default:
		in.text = in.src
	}
	return nil
}

// close closes the open file, if there is one.
func (in *input) close() {
	if in.file != nil {
		_ = in.file.Close() // nothing was written
	}
	in.file, in.text = nil, nil
}

// release gives back what serves all files.
func (in *input) release() {
	in.close()
	if in.zstd != nil {
		in.zstd.Close()
		in.zstd = nil
	}
}

// failing is a reader that has only an error: a file that is no good from its first byte on is reported as
// any other corrupt file.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// counter adds what is read to *n.
type counter struct {
	r io.Reader
	n *int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	*c.n += int64(n)
	return n, err
}

// stdinTopic is the topic of what standard input holds.
const stdinTopic = "stdin"

// topicOf is the topic of lines without a position: the file's base name without extensions.
func topicOf(path string) string {
	if path == Stdin {
		return stdinTopic
	}
	name := filepath.Base(path)
	if ext := strings.ToLower(filepath.Ext(name)); ext == ".gz" || ext == ".zst" {
		name = name[:len(name)-len(ext)]
	}
	if ext := filepath.Ext(name); ext != "" && ext != name {
		name = name[:len(name)-len(ext)]
	}
	return name
}
