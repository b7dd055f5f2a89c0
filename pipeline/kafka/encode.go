package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"

	"spoor/pipeline"
)

// producerID is who the broker takes a batch to be from: the basis of its check for duplicates and gaps.
type producerID struct {
	id    int64
	epoch int16
}

// recordSize is how many bytes a record takes in a batch, uncompressed, when it is record number i of it and
// its time differs from the first record's by timeDelta.
func recordSize(o *pipeline.Output, i int, timeDelta int64) int {
	n := recordBody(o, i, timeDelta)
	return varintLen(int64(n)) + n
}

func recordBody(o *pipeline.Output, i int, timeDelta int64) int {
	n := 1 + varintLen(timeDelta) + varintLen(int64(i)) + bytesLen(o.Key) + bytesLen(o.Value) + varintLen(int64(len(o.Headers)))
	for _, h := range o.Headers {
		n += varintLen(int64(len(h.Key))) + len(h.Key) + bytesLen(h.Value)
	}
	return n
}

// appendBatch appends a record batch of format v2 to dst, preceded by its size as a produce request wants
// it. Scratch holds the uncompressed records between calls. The same arguments give the same bytes.
func appendBatch(dst []byte, scratch *[]byte, records []*pipeline.Output, pid producerID, sequence int32, attributes uint16, c *compressor) ([]byte, error) {
	first := records[0].Timestamp
	last := first
	body := (*scratch)[:0]
	for i, o := range records {
		last = max(last, o.Timestamp)
		delta := o.Timestamp - first
		body = binary.AppendVarint(body, int64(recordBody(o, i, delta)))
		body = append(body, 0) // attributes
		body = binary.AppendVarint(body, delta)
		body = binary.AppendVarint(body, int64(i))
		body = appendVarBytes(body, o.Key)
		body = appendVarBytes(body, o.Value)
		body = binary.AppendVarint(body, int64(len(o.Headers)))
		for _, h := range o.Headers {
			body = binary.AppendVarint(body, int64(len(h.Key)))
			body = append(body, h.Key...)
			body = appendVarBytes(body, h.Value)
		}
	}
	*scratch = body

	be := binary.BigEndian
	size := len(dst)
	start := size + 4
	dst = append(dst, make([]byte, 4+batchHeaderSize)...)
	h := dst[start:]
	be.PutUint32(h[12:], 0xffffffff) // leader epoch: unknown to producers
	h[batchMagicAt] = 2
	be.PutUint16(h[batchAttributesAt:], uint16(c.codec)|attributes)
	be.PutUint32(h[batchLastDeltaAt:], uint32(len(records)-1))
	be.PutUint64(h[batchFirstTimeAt:], uint64(first))
	be.PutUint64(h[batchMaxTimeAt:], uint64(last))
	be.PutUint64(h[batchProducerIDAt:], uint64(pid.id))
	be.PutUint16(h[batchProducerEpoch:], uint16(pid.epoch))
	be.PutUint32(h[batchBaseSequenceAt:], uint32(sequence))
	be.PutUint32(h[batchCountAt:], uint32(len(records)))

	dst, err := c.append(dst, body)
	if err != nil {
		return nil, err
	}
	h = dst[start:]
	be.PutUint32(h[batchLengthAt:], uint32(len(h)-batchLengthAt-4))
	be.PutUint32(h[batchCRCAt:], crc32.Checksum(h[batchAttributesAt:], castagnoli))
	be.PutUint32(dst[size:], uint32(len(h)))
	return dst, nil
}

func appendVarBytes(dst, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(dst, -1)
	}
	dst = binary.AppendVarint(dst, int64(len(b)))
	return append(dst, b...)
}

func bytesLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

func varintLen(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	return (bits.Len64(u|1) + 6) / 7
}
