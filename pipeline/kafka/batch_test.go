package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"spoor/pipeline"
)

// outputs are records of every shape: nil and empty keys and values, headers, large values, times that go back.
func outputs(n int) []*pipeline.Output {
	var out []*pipeline.Output
	for i := range n {
		o := &pipeline.Output{Timestamp: 1_700_000_000_000 + int64(i%7)*1000 - int64(i), Key: fmt.Appendf(nil, "host-%d", i%5), Value: bytes.Repeat([]byte{byte('a' + i%26)}, i*i%4000)}
		switch i % 5 {
		case 1:
			o.Key = nil
		case 2:
			o.Value = nil
		case 3:
			o.Key, o.Headers = []byte{}, []pipeline.Header{{Key: "a", Value: []byte("1")}, {Key: "", Value: nil}, {Key: "b", Value: []byte{}}}
		}
		out = append(out, o)
	}
	return out
}

func encodeBatch(t testing.TB, codec string, records []*pipeline.Output) []byte {
	t.Helper()
	var scratch []byte
	raw, err := appendBatch(nil, &scratch, records, producerID{7, 1}, 3, 0, &compressor{codec: codecs[codec]})
	if err != nil {
		t.Fatal(err)
	}
	return raw[4:]
}

// decodeAll decodes every batch of p from offset from on.
func decodeAll(p []byte, from int64) ([]pipeline.Record, error) {
	var d decoder
	for len(p) > 0 {
		b, err := splitBatch(p)
		if err != nil {
			return d.records, err
		}
		if !b.control() {
			if err := d.append(&b, from); err != nil {
				return d.records, err
			}
		}
		p = p[b.size:]
	}
	return d.records, nil
}

func TestEncodedBatchesDecodeTheSame(t *testing.T) {
	for codec := range codecs {
		want := outputs(300)
		got, err := decodeAll(encodeBatch(t, codec, want), 0)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%s: %d records, %v", codec, len(got), err)
		}
		for i, r := range got {
			w := want[i]
			if r.Offset != int64(i) || r.Timestamp != w.Timestamp || !equalBytes(r.Key, w.Key) || !equalBytes(r.Value, w.Value) || len(r.Headers) != len(w.Headers) {
				t.Fatalf("%s: record %d is %+v, was %+v", codec, i, r, w)
			}
			for j, h := range r.Headers {
				if h.Key != w.Headers[j].Key || !equalBytes(h.Value, w.Headers[j].Value) {
					t.Fatalf("%s: record %d header %d is %+v, was %+v", codec, i, j, h, w.Headers[j])
				}
			}
		}
	}
}

// equalBytes tells nil from empty: on the wire they differ.
func equalBytes(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

// What franz-go makes of our batches is what we put in.
func TestEncodedBatchesAgainstFranz(t *testing.T) {
	for codec := range codecs {
		want := outputs(100)
		raw := encodeBatch(t, codec, want)
		part := kmsg.NewFetchResponseTopicPartition()
		part.HighWatermark, part.LastStableOffset, part.RecordBatches = 100, 100, raw
		got, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Topic: "t"}, &part, kgo.DefaultDecompressor(), nil)
		if got.Err != nil || len(got.Records) != len(want) {
			t.Fatalf("%s: %d records, %v", codec, len(got.Records), got.Err)
		}
		for i, r := range got.Records {
			if !bytes.Equal(r.Key, want[i].Key) || !bytes.Equal(r.Value, want[i].Value) || r.Timestamp.UnixMilli() != want[i].Timestamp || len(r.Headers) != len(want[i].Headers) {
				t.Fatalf("%s: record %d is %+v, was %+v", codec, i, r, want[i])
			}
		}
	}
}

// seal makes a batch of a header and a body, with a right length and checksum.
func seal(base int64, attributes uint16, lastDelta, count int32, body []byte) []byte {
	h := make([]byte, batchHeaderSize, batchHeaderSize+len(body))
	be := binary.BigEndian
	be.PutUint64(h, uint64(base))
	h[batchMagicAt] = 2
	be.PutUint16(h[batchAttributesAt:], attributes)
	be.PutUint32(h[batchLastDeltaAt:], uint32(lastDelta))
	be.PutUint64(h[batchFirstTimeAt:], 1000)
	be.PutUint64(h[batchMaxTimeAt:], 2000)
	be.PutUint64(h[batchProducerIDAt:], 7)
	be.PutUint32(h[batchCountAt:], uint32(count))
	b := append(h, body...)
	be.PutUint32(b[batchLengthAt:], uint32(len(b)-batchLengthAt-4))
	be.PutUint32(b[batchCRCAt:], crc32.Checksum(b[batchAttributesAt:], castagnoli))
	return b
}

// rec encodes a record with the given offset delta, key k and value v.
func rec(delta int64) []byte {
	p := append([]byte{0}, binary.AppendVarint(binary.AppendVarint(nil, 5), delta)...)
	p = append(p, 2, 'k', 2, 'v', 0)
	return append(binary.AppendVarint(nil, int64(len(p))), p...)
}

func TestDecode(t *testing.T) {
	three := append(append(rec(0), rec(1)...), rec(2)...)
	holes := append(rec(1), rec(4)...)
	v1 := seal(1, 0, 0, 1, rec(0))
	v1[batchMagicAt] = 1
	flipped := seal(10, 0, 2, 3, three)
	flipped[70] ^= 1
	for _, tt := range []struct {
		name    string
		batch   []byte
		from    int64
		offsets []int64
		err     string
	}{
		{name: "plain", batch: seal(10, 0, 2, 3, three), offsets: []int64{10, 11, 12}},
		{name: "the offset asked for is in the middle", batch: seal(10, 0, 2, 3, three), from: 12, offsets: []int64{12}},
		{name: "compacted", batch: seal(10, 0, 5, 2, holes), offsets: []int64{11, 14}},
		{name: "compacted to nothing", batch: seal(10, 0, 5, 0, nil)},
		{name: "control", batch: seal(10, attrControl|attrTransactional, 0, 1, []byte("whatever"))},
		{name: "cut off", batch: seal(10, 0, 2, 3, three)[:70], err: "cut off"},
		{name: "more records than offsets", batch: seal(10, 0, 1, 3, three), err: "3 records in 2 offsets"},
		{name: "more records than bytes", batch: seal(10, 0, 1<<20, 1<<20, three), err: "1048576 records in 27 bytes"},
		{name: "more records than are taken", batch: seal(10, 0, 1<<20, 1<<20+1, three), err: "1048577 records, at most"},
		{name: "more headers than are taken", batch: seal(10, codecGzip, 0, 1, gzipped(recWithHeaders(0, maxBatchRecords+1))), err: "more than 1048576 headers"},
		{name: "more headers than are taken, in all", batch: seal(10, codecGzip, 1, 2, gzipped(append(recWithHeaders(0, maxBatchRecords), recWithHeaders(1, 1)...))), err: "more than 1048576 headers"},
		{name: "fewer records than bytes", batch: seal(10, 0, 2, 2, three), err: "after the last record"},
		{name: "an offset twice", batch: seal(10, 0, 2, 2, append(rec(1), rec(1)...)), err: "delta 1 follows 1"},
		{name: "an offset beyond the batch", batch: seal(10, 0, 2, 1, rec(3)), err: "the batch's last is 2"},
		{name: "negative base", batch: seal(-1, 0, 0, 1, rec(0)), err: "base offset is -1"},
		{name: "negative last delta", batch: seal(1, 0, -1, 1, rec(0)), err: "last offset delta"},
		{name: "unknown codec", batch: seal(1, 5, 0, 1, rec(0)), err: "codec 5 is unknown"},
		{name: "snappy that expands beyond the bound", batch: seal(1, codecSnappy, 0, 1, binary.AppendUvarint(nil, maxBatchBytes+1)), err: "expands"},
		{name: "zstd that expands beyond the bound", batch: seal(1, codecZstd, 0, 1, zstdZeros(maxBatchBytes+1)), err: "expands"},
		{name: "gzip that is none", batch: seal(1, codecGzip, 0, 1, rec(0)), err: "decompress"},
		{name: "message set v1", batch: v1, err: "message format v1 is not read"},
		{name: "a flipped bit", batch: flipped, err: "checksum"},
	} {
		records, err := decodeAll(tt.batch, tt.from)
		var offsets []int64
		for _, r := range records {
			offsets = append(offsets, r.Offset)
		}
		if fmt.Sprint(err) != "<nil>" && (tt.err == "" || !strings.Contains(err.Error(), tt.err)) || err == nil && tt.err != "" || !reflect.DeepEqual(offsets, tt.offsets) {
			t.Errorf("%s: offsets %v, %v; want %v, %q", tt.name, offsets, err, tt.offsets, tt.err)
		}
	}
}

// recWithHeaders is a record with so many headers with empty keys and values.
func recWithHeaders(delta int64, n int) []byte {
	p := append(binary.AppendVarint([]byte{0, 0}, delta), 1, 1)
	p = binary.AppendVarint(p, int64(n))
	p = append(p, make([]byte, 2*n)...)
	return append(binary.AppendVarint(nil, int64(len(p))), p...)
}

func gzipped(p []byte) []byte {
	out, err := (&compressor{codec: codecGzip}).append(nil, p)
	if err != nil {
		panic(err)
	}
	return out
}

// What a fetch held is let go of with it, whatever comes after: its records point into its buffers.
func TestDecoderLetsGo(t *testing.T) {
	var d decoder
	whole := func(n int) *batch {
		var body []byte
		for i := range n {
			body = append(body, rec(int64(i))...)
		}
		b, err := splitBatch(seal(0, 0, int32(n-1), int32(n), body))
		if err != nil {
			t.Fatal(err)
		}
		return &b
	}
	broken := whole(20)
	broken.count--
	if err := d.append(whole(10), 0); err != nil || len(d.records) != 10 {
		t.Fatal(len(d.records), err)
	}
	if err := d.append(broken, 0); err == nil {
		t.Fatal("a broken batch is taken")
	}
	d.reset()
	for i, r := range d.records[:cap(d.records)] {
		if r.Key != nil || r.Value != nil || r.Headers != nil {
			t.Fatalf("the decoder still holds record %d", i)
		}
	}
	kept := cap(d.records)
	if d.reset(); kept == 0 || cap(d.records) != kept {
		t.Errorf("room for %d records, it was %d", cap(d.records), kept)
	}
	if err := d.append(whole(keptRecords+1), 0); err != nil {
		t.Fatal(err)
	}
	if d.reset(); d.records != nil {
		t.Errorf("room for %d records is kept", cap(d.records))
	}
}

func zstdZeros(n int) []byte {
	w, _ := zstd.NewWriter(nil)
	defer w.Close()
	return w.EncodeAll(make([]byte, n), nil)
}

func TestTimestamps(t *testing.T) {
	for attributes, want := range map[uint16]int64{0: 1005, attrLogAppendTime: 2000} {
		records, err := decodeAll(seal(0, attributes, 0, 1, rec(0)), 0)
		if err != nil || records[0].Timestamp != want {
			t.Errorf("attributes %d: %v, %v, want timestamp %d", attributes, records, err, want)
		}
	}
}

func TestSnappyBareBlock(t *testing.T) {
	got, err := decodeAll(seal(0, codecSnappy, 0, 1, s2.EncodeSnappy(nil, rec(0))), 0)
	if err != nil || len(got) != 1 || string(got[0].Value) != "v" {
		t.Fatal(got, err)
	}
}

// Several batches of one fetch share the decompressor's buffer: what the first yielded stays as it was.
func TestBatchesDoNotOverwriteEachOther(t *testing.T) {
	for codec := range codecs {
		var p []byte
		for i := range 40 {
			o := &pipeline.Output{Value: bytes.Repeat([]byte{byte(i)}, 5000*(i%3+1))}
			p = append(p, encodeBatch(t, codec, []*pipeline.Output{o})...)
		}
		records, err := decodeAll(p, 0)
		if err != nil || len(records) != 40 {
			t.Fatalf("%s: %d, %v", codec, len(records), err)
		}
		for i, r := range records {
			if !bytes.Equal(r.Value, bytes.Repeat([]byte{byte(i)}, 5000*(i%3+1))) {
				t.Fatalf("%s: batch %d was overwritten", codec, i)
			}
		}
	}
}

// Whatever bytes change, decoding ends without a panic; with the checksum made right again, so that what is
// behind it is reached too.
func TestMutatedBatches(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for codec := range codecs {
		good := encodeBatch(t, codec, outputs(20))
		for range 1000 {
			p := bytes.Clone(good)
			for range 1 + r.IntN(4) {
				p[batchAttributesAt+r.IntN(len(p)-batchAttributesAt)] = byte(r.Uint32())
			}
			binary.BigEndian.PutUint32(p[batchCRCAt:], crc32.Checksum(p[batchAttributesAt:], castagnoli))
			checkDecode(t, p)
		}
	}
}

// checkDecode decodes p and holds what comes out against what always holds.
func checkDecode(t testing.TB, p []byte) {
	b, err := splitBatch(p)
	if err != nil {
		return
	}
	b.abortMarker()
	var d decoder
	if err := d.append(&b, 0); err != nil {
		if len(d.records) != 0 {
			t.Fatal("records were kept of a batch that failed")
		}
		return
	}
	last := b.base - 1
	for _, r := range d.records {
		if r.Offset <= last || r.Offset >= b.next() {
			t.Fatalf("offset %d after %d in a batch of [%d, %d)", r.Offset, last, b.base, b.next())
		}
		last = r.Offset
	}
	d.codec.close()
}

func FuzzBatch(f *testing.F) {
	for codec := range codecs {
		f.Add(encodeBatch(f, codec, outputs(4)))
	}
	f.Add(seal(10, 0, 5, 2, append(rec(1), rec(4)...)))
	f.Add(seal(10, attrControl|attrTransactional, 0, 1, rec(0)))
	f.Fuzz(func(t *testing.T, p []byte) {
		checkDecode(t, p)
		if len(p) > batchHeaderSize {
			// A fuzzer does not find checksums.
			p = bytes.Clone(p)
			binary.BigEndian.PutUint32(p[batchLengthAt:], uint32(len(p)-batchLengthAt-4))
			binary.BigEndian.PutUint32(p[batchCRCAt:], crc32.Checksum(p[batchAttributesAt:], castagnoli))
			checkDecode(t, p)
		}
	})
}
