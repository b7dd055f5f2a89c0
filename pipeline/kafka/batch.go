package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"spoor/pipeline"
)

// The layout of a record batch, format v2: offsets of its fixed fields. Everything up to crc, crc included,
// is outside the checksum.
const (
	batchLengthAt       = 8  // int32: bytes that follow it
	batchMagicAt        = 16 // int8
	batchCRCAt          = 17 // uint32, Castagnoli, over everything from attributes
	batchAttributesAt   = 21 // int16
	batchLastDeltaAt    = 23 // int32
	batchFirstTimeAt    = 27 // int64
	batchMaxTimeAt      = 35 // int64
	batchProducerIDAt   = 43 // int64
	batchProducerEpoch  = 51 // int16
	batchBaseSequenceAt = 53 // int32
	batchCountAt        = 57 // int32
	batchHeaderSize     = 61

	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
)

// maxBatchBytes bounds a batch, on the wire and after decompression: a batch of a few kilobytes may claim
// to expand to gigabytes.
const maxBatchBytes = 64 << 20

// maxBatchRecords bounds the records of a batch, and their headers: the smallest record takes 7 bytes of what a batch may
// expand to, and a hundred of memory. Batches of producers have thousands.
const maxBatchRecords = 1 << 20

// keptRecords is the longest slice of records or headers that is kept for the next fetch, some megabytes.
const keptRecords = 1 << 17

// minRecordBytes is the smallest record: length, attributes, two deltas, two absent fields, no headers.
const minRecordBytes = 7

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errPartialBatch = errors.New("the batch is cut off")

// batch is one record batch, split off a response and checked, its records still encoded.
type batch struct {
	base       int64
	lastDelta  int32
	attributes int16
	firstTime  int64
	maxTime    int64
	producerID int64
	count      int32
	body       []byte // aliases the response
	size       int    // of the whole batch on the wire
}

func (b *batch) next() int64         { return b.base + int64(b.lastDelta) + 1 }
func (b *batch) transactional() bool { return b.attributes&attrTransactional != 0 }
func (b *batch) control() bool       { return b.attributes&attrControl != 0 }

// splitBatch takes the first batch off p. errPartialBatch means that p ends before the batch does, which is
// how a broker ends a response that is full; any other error means that the batch is corrupt or of a format
// that is not read. The size of a corrupt batch is set when p says one that can be believed, else it is 0.
func splitBatch(p []byte) (batch, error) {
	if len(p) < batchMagicAt+1 {
		return batch{}, errPartialBatch
	}
	length := int64(int32(binary.BigEndian.Uint32(p[batchLengthAt:])))
	if magic := p[batchMagicAt]; magic < 2 {
		return batch{}, fmt.Errorf("message format v%d is not read: only v2 is, which every broker since 0.11 writes", magic)
	} else if magic > 2 {
		return batch{}, fmt.Errorf("message format %d is unknown", magic)
	}
	if length < batchHeaderSize-batchMagicAt+4 || length > maxBatchBytes {
		return batch{}, fmt.Errorf("the batch claims a length of %d bytes", length)
	}
	size := int(length) + batchLengthAt + 4
	if size > len(p) {
		return batch{}, errPartialBatch
	}
	p = p[:size:size]
	b := batch{
		base:       int64(binary.BigEndian.Uint64(p)),
		attributes: int16(binary.BigEndian.Uint16(p[batchAttributesAt:])),
		lastDelta:  int32(binary.BigEndian.Uint32(p[batchLastDeltaAt:])),
		firstTime:  int64(binary.BigEndian.Uint64(p[batchFirstTimeAt:])),
		maxTime:    int64(binary.BigEndian.Uint64(p[batchMaxTimeAt:])),
		producerID: int64(binary.BigEndian.Uint64(p[batchProducerIDAt:])),
		count:      int32(binary.BigEndian.Uint32(p[batchCountAt:])),
		body:       p[batchHeaderSize:],
		size:       size,
	}
	if got, want := crc32.Checksum(p[batchAttributesAt:], castagnoli), binary.BigEndian.Uint32(p[batchCRCAt:]); got != want {
		return b, fmt.Errorf("checksum is %08x, the batch says %08x", got, want)
	}
	switch {
	case b.base < 0 || b.base > math.MaxInt64-math.MaxInt32-1:
		return b, fmt.Errorf("base offset is %d", b.base)
	case b.lastDelta < 0:
		return b, fmt.Errorf("last offset delta is %d", b.lastDelta)
	case b.count < 0 || int64(b.count) > int64(b.lastDelta)+1:
		return b, fmt.Errorf("%d records in %d offsets", b.count, int64(b.lastDelta)+1)
	}
	return b, nil
}

// abortMarker says whether a control batch ends a transaction by aborting it.
func (b *batch) abortMarker() bool {
	p := b.body
	if _, ok := takeVarint(&p); !ok { // length
		return false
	}
	if len(p) < 1 {
		return false
	}
	p = p[1:]                // attributes
	_, ok1 := takeVarint(&p) // timestamp delta
	_, ok2 := takeVarint(&p) // offset delta
	n, ok3 := takeVarint(&p) // key length
	if !ok1 || !ok2 || !ok3 || n < 4 || n > int64(len(p)) {
		return false
	}
	// key: version int16, type int16; type 0 is abort, 1 commit, others are not about transactions
	return binary.BigEndian.Uint16(p[2:]) == 0
}

// decoder turns batches into records. It is owned by one source; what it returned is valid until reset.
type decoder struct {
	records []pipeline.Record
	headers []pipeline.Header
	keys    map[string]string // header keys seen, so that a known key costs no allocation
	codec   decompressor
	bytes   int // decoded since reset
}

func (d *decoder) reset() {
	d.records = emptied(d.records)
	d.headers = emptied(d.headers)
	d.codec.reset()
	d.bytes = 0
}

// emptied is s without its elements, which would hold on to the buffers they point into: after a fetch with many records,
// one with few would leave most of them.
func emptied[E any](s []E) []E {
	clear(s)
	if cap(s) > keptRecords {
		return nil
	}
	return s[:0]
}

// cut drops what was decoded of a batch that turned out to be corrupt.
func (d *decoder) cut(records, headers int) {
	clear(d.records[records:])
	clear(d.headers[headers:])
	d.records, d.headers = d.records[:records], d.headers[:headers]
}

// append decodes b's records from offset from on. When it fails nothing of b is kept.
func (d *decoder) append(b *batch, from int64) error {
	if b.count == 0 {
		return nil
	}
	if b.count > maxBatchRecords {
		return fmt.Errorf("the batch has %d records, at most %d are taken", b.count, maxBatchRecords)
	}
	body, err := d.codec.decompress(int(b.attributes&attrCodec), b.body)
	if err != nil {
		return err
	}
	if int64(b.count)*minRecordBytes > int64(len(body)) {
		return fmt.Errorf("%d records in %d bytes", b.count, len(body))
	}
	records, headers := len(d.records), len(d.headers)
	d.bytes += len(body)
	last := int64(-1)
	for i := range b.count {
		rec, delta, err := d.record(b, &body)
		if err == nil && delta <= last {
			err = fmt.Errorf("offset delta %d follows %d", delta, last)
		}
		if err == nil && len(d.headers)-headers > maxBatchRecords {
			err = errHeaders
		}
		if err != nil {
			d.cut(records, headers)
			return fmt.Errorf("record %d of %d: %w", i+1, b.count, err)
		}
		last = delta
		if rec.Offset >= from {
			d.records = append(d.records, rec)
		}
	}
	if len(body) != 0 {
		d.cut(records, headers)
		return fmt.Errorf("%d bytes after the last record", len(body))
	}
	return nil
}

var (
	errRecord  = errors.New("a length points outside of the record")
	errHeaders = fmt.Errorf("the batch has more than %d headers", maxBatchRecords)
)

// record takes one record off body.
func (d *decoder) record(b *batch, body *[]byte) (rec pipeline.Record, delta int64, err error) {
	n, ok := takeVarint(body)
	if !ok || n < 0 || n > int64(len(*body)) {
		return rec, 0, errRecord
	}
	p := (*body)[:n:n]
	*body = (*body)[n:]
	if len(p) < 1 {
		return rec, 0, errRecord
	}
	p = p[1:] // attributes: none is defined
	timeDelta, ok1 := takeVarint(&p)
	delta, ok2 := takeVarint(&p)
	if !ok1 || !ok2 {
		return rec, 0, errRecord
	}
	if delta < 0 || delta > int64(b.lastDelta) {
		return rec, 0, fmt.Errorf("offset delta is %d, the batch's last is %d", delta, b.lastDelta)
	}
	rec.Offset = b.base + delta
	rec.Timestamp = b.firstTime + timeDelta
	if b.attributes&attrLogAppendTime != 0 {
		rec.Timestamp = b.maxTime
	}
	var ok3, ok4 bool
	rec.Key, ok3 = takeBytes(&p)
	rec.Value, ok4 = takeBytes(&p)
	count, ok5 := takeVarint(&p)
	if !ok3 || !ok4 || !ok5 || count < 0 || count > int64(len(p)/2) { // a header has at least two bytes
		return rec, 0, errRecord
	}
	if count > maxBatchRecords {
		return rec, 0, errHeaders
	}
	if count > 0 {
		start := len(d.headers)
		for range count {
			key, ok := takeBytes(&p)
			if !ok || key == nil {
				return rec, 0, errRecord
			}
			value, ok := takeBytes(&p)
			if !ok {
				return rec, 0, errRecord
			}
			d.headers = append(d.headers, pipeline.Header{Key: d.headerKey(key), Value: value})
		}
		rec.Headers = d.headers[start:len(d.headers):len(d.headers)]
	}
	if len(p) != 0 {
		return rec, 0, fmt.Errorf("%d bytes after the record's headers", len(p))
	}
	return rec, delta, nil
}

// headerKey is key as a string. The keys of a topic are few; those of a hostile one are not, hence the bound.
func (d *decoder) headerKey(key []byte) string {
	if s, ok := d.keys[string(key)]; ok {
		return s
	}
	s := string(key)
	if d.keys == nil {
		d.keys = map[string]string{}
	}
	if len(d.keys) < 256 && len(s) <= 256 {
		d.keys[s] = s
	}
	return s
}

// takeVarint takes a zigzag varint off p.
func takeVarint(p *[]byte) (int64, bool) {
	// One byte is the common case: lengths and deltas below 64.
	if len(*p) > 0 && (*p)[0] < 0x80 {
		u := (*p)[0]
		*p = (*p)[1:]
		return int64(u>>1) ^ -int64(u&1), true
	}
	v, n := binary.Varint(*p)
	if n <= 0 {
		return 0, false
	}
	*p = (*p)[n:]
	return v, true
}

// takeBytes takes a length and that many bytes off p; length -1 is nil.
func takeBytes(p *[]byte) ([]byte, bool) {
	n, ok := takeVarint(p)
	if !ok || n < -1 || n > int64(len(*p)) {
		return nil, false
	}
	if n == -1 {
		return nil, true
	}
	v := (*p)[:n:n]
	*p = (*p)[n:]
	return v, true
}
