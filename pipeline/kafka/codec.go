package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// The codecs, as a batch's attributes number them.
const (
	codecNone = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

var codecs = map[string]int{"none": codecNone, "gzip": codecGzip, "snappy": codecSnappy, "lz4": codecLZ4, "zstd": codecZstd}

// xerialMagic starts the framing that Java's snappy library puts around blocks; others send one bare block.
var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const (
	xerialHeader = 16 // magic, version int32, compatible version int32
	xerialBlock  = 32 << 10
)

var errExpands = fmt.Errorf("the batch expands to more than %d MiB", maxBatchBytes>>20)

// decompressor undoes a batch's compression, bounded by maxBatchBytes. It is owned by one decoder. What it
// returned stays valid until reset: the batches of one fetch share a buffer that only grows at its end.
type decompressor struct {
	buf  []byte
	used int // bytes handed out since reset, in whatever array
	// lately is the most that was handed out between two resets, less an eighth for each since.
	lately int
	gzip   *gzip.Reader
	lz4    *lz4.Reader
	zstd   *zstd.Decoder
	in     bytes.Reader
}

// keptBytes is the largest buffer that is kept: one that a huge batch made huge is not.
const keptBytes = 16 << 20

// reset invalidates what was returned. The buffer is as large as what was needed lately between two resets, so that a
// steady stream allocates nothing, and one that calms down soon holds next to nothing.
func (d *decompressor) reset() {
	d.lately = max(d.used, d.lately-d.lately/8)
	if cap(d.buf) < d.used || cap(d.buf) > 4*d.lately+64<<10 {
		d.buf = nil
		if d.lately <= keptBytes {
			d.buf = make([]byte, 0, d.lately+d.lately/8)
		}
	}
	d.buf, d.used = d.buf[:0], 0
}

func (d *decompressor) close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}

func (d *decompressor) decompress(codec int, src []byte) ([]byte, error) {
	if codec == codecNone {
		return src, nil
	}
	used := len(d.buf)
	dst := d.buf[used:used]
	out, err := d.append(dst, codec, src)
	if err == nil && len(out) > maxBatchBytes {
		err = errExpands
	}
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	d.used += len(out)
	if len(out) == 0 || (cap(dst) > 0 && &out[0] == &dst[:1][0]) {
		d.buf = d.buf[:used+len(out)]
	} else {
		d.buf = out // a larger array; the records of earlier batches keep the old one alive
	}
	return out[:len(out):len(out)], nil
}

// append decompresses src behind dst, which is empty but may have room.
func (d *decompressor) append(dst []byte, codec int, src []byte) (out []byte, err error) {
	d.in.Reset(src)
	switch codec {
	case codecGzip:
		if d.gzip == nil {
			d.gzip, err = gzip.NewReader(&d.in)
		} else {
			err = d.gzip.Reset(&d.in)
		}
		if err != nil {
			d.gzip = nil
			return nil, err
		}
		return appendAll(dst, d.gzip)
	case codecSnappy:
		return appendSnappy(dst, src)
	case codecLZ4:
		if d.lz4 == nil {
			d.lz4 = lz4.NewReader(&d.in)
		} else {
			d.lz4.Reset(&d.in)
		}
		return appendAll(dst, d.lz4)
	case codecZstd:
		if d.zstd == nil {
			// The limit is checked before anything is allocated for a frame.
			d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(maxBatchBytes))
			if err != nil {
				return nil, err
			}
		}
		out, err = d.zstd.DecodeAll(src, dst)
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
			err = errExpands
		}
		return out, err
	}
	return nil, fmt.Errorf("codec %d is unknown", codec)
}

// appendAll appends what r yields, up to the bound.
func appendAll(dst []byte, r io.Reader) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			grown := make([]byte, len(dst), max(2*len(dst), 64<<10))
			copy(grown, dst)
			dst = grown
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > maxBatchBytes:
			return nil, errExpands
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return nil, err
		}
	}
}

// appendSnappy appends one bare block, or the blocks of Java's framing.
func appendSnappy(dst, src []byte) ([]byte, error) {
	if !bytes.HasPrefix(src, xerialMagic) {
		return appendSnappyBlock(dst, src)
	}
	if len(src) < xerialHeader {
		return nil, io.ErrUnexpectedEOF
	}
	var err error
	for src = src[xerialHeader:]; len(src) > 0; {
		if len(src) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		n := int64(binary.BigEndian.Uint32(src))
		if n > int64(len(src)-4) {
			return nil, io.ErrUnexpectedEOF
		}
		if dst, err = appendSnappyBlock(dst, src[4:4+n]); err != nil {
			return nil, err
		}
		src = src[4+n:]
	}
	return dst, nil
}

func appendSnappyBlock(dst, block []byte) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return nil, err
	}
	if n > maxBatchBytes-len(dst) {
		return nil, errExpands
	}
	if cap(dst)-len(dst) < n {
		grown := make([]byte, len(dst), max(2*cap(dst), len(dst)+n))
		copy(grown, dst)
		dst = grown
	}
	out, err := s2.Decode(dst[len(dst):len(dst)+n], block)
	if err != nil {
		return nil, err
	}
	return dst[:len(dst)+len(out)], nil
}

// compressor compresses batches with one codec. It is owned by one publisher.
type compressor struct {
	codec int
	gzip  *gzip.Writer
	lz4   *lz4.Writer
	zstd  *zstd.Encoder
	block []byte
}

func (c *compressor) close() {
	if c.zstd != nil {
		c.zstd.Close()
	}
}

// append appends src to dst, compressed.
func (c *compressor) append(dst, src []byte) ([]byte, error) {
	switch c.codec {
	case codecNone:
		return append(dst, src...), nil
	case codecGzip:
		w := appender{dst}
		if c.gzip == nil {
			c.gzip = gzip.NewWriter(&w)
		} else {
			c.gzip.Reset(&w)
		}
		if _, err := c.gzip.Write(src); err != nil {
			return nil, err
		}
		err := c.gzip.Close()
		return w.b, err
	case codecSnappy:
		dst = append(dst, xerialMagic...)
		dst = append(dst, 0, 0, 0, 1, 0, 0, 0, 1)
		for len(src) > 0 {
			n := min(len(src), xerialBlock)
			c.block = s2.EncodeSnappy(c.block[:cap(c.block)], src[:n])
			dst = binary.BigEndian.AppendUint32(dst, uint32(len(c.block)))
			dst = append(dst, c.block...)
			src = src[n:]
		}
		return dst, nil
	case codecLZ4:
		w := appender{dst}
		if c.lz4 == nil {
			c.lz4 = lz4.NewWriter(&w)
			// What Java's reader of this format can read: independent small blocks, no content checksum.
			if err := c.lz4.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false)); err != nil {
				return nil, err
			}
		} else {
			c.lz4.Reset(&w)
		}
		if _, err := c.lz4.Write(src); err != nil {
			return nil, err
		}
		err := c.lz4.Close()
		return w.b, err
	case codecZstd:
		if c.zstd == nil {
			var err error
			if c.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true)); err != nil {
				return nil, err
			}
		}
		return c.zstd.EncodeAll(src, dst), nil
	}
	return nil, fmt.Errorf("codec %d is unknown", c.codec)
}

type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}
