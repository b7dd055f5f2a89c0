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

// input is one open file, decompressed. It is owned by its Reader.
type input struct {
	name   string // as given
	text   io.Reader
	closes []func() error
}

// openInput opens path. The name's ending says how it is compressed; without a known one its first bytes do.
// Bytes read, compressed as they are, are added to *read.
func openInput(path string, stdin io.Reader, read *int64) (*input, error) {
	in := &input{name: path}
	var raw io.Reader = stdin
	if path != Stdin {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		in.closes = append(in.closes, f.Close)
		raw = f
	}
	src := bufio.NewReaderSize(&counter{raw, read}, 64<<10)
	kind := strings.ToLower(filepath.Ext(path))
	if kind != ".gz" && kind != ".zst" {
		// Standard input is not asked for more than one read, which may be all that is there for now.
		if magic, _ := src.Peek(2); bytes.Equal(magic, gzipMagic) {
			kind = ".gz"
		} else if len(magic) == 2 && bytes.HasPrefix(zstdMagic, magic) {
			if magic, _ := src.Peek(4); bytes.Equal(magic, zstdMagic) {
				kind = ".zst"
			}
		}
	}
	switch kind {
	case ".gz":
		z, err := gzip.NewReader(src)
		if err != nil {
			in.text = failing{fmt.Errorf("not gzip: %w", err)}
			break
		}
		in.text = z
	case ".zst":
		z, err := zstd.NewReader(src, zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			in.close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		in.closes = append(in.closes, func() error { z.Close(); return nil })
		in.text = z
	default:
		in.text = src
	}
	return in, nil
}

func (in *input) close() {
	for i := len(in.closes) - 1; i >= 0; i-- {
		_ = in.closes[i]() // nothing was written
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

// topicOf is the topic of lines without a position: the file's base name without extensions.
func topicOf(path string) string {
	if path == Stdin {
		return "stdin"
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
