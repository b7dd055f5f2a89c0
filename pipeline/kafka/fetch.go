package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/segmentio/kafka-go/protocol"
)

// The versions of Fetch that are spoken: the lowest that brokers of Kafka 4 still take, and the highest that
// kafka-go negotiates. From 12 on the encoding is another one.
const (
	minFetchVersion = 4
	maxFetchVersion = 11
)

// fetchRequest asks one partition's leader for records. It travels over kafka.Transport, which knows leaders,
// TLS and SASL, and speaks for itself on the wire (protocol.RawExchanger), so that records arrive in a
// buffer of ours and are not turned into objects.
type fetchRequest struct {
	topic     string
	partition int32
	offset    int64
	clientID  string
	maxWaitMs int32
	maxBytes  int32
	// buf is where the response goes if it fits. It belongs to the request until the response hands it back:
	// after an error the connection may still be writing to it, so it is lost.
	buf     []byte
	version int16
}

// fetchResponse is the answer for that partition. Records alias buf.
type fetchResponse struct {
	buf       []byte
	code      int16 // Kafka's error code for the partition or the whole request
	highWater int64
	stable    int64 // last stable offset: what read_committed may see
	logStart  int64 // -1 when the version does not say
	aborted   []abortedTxn
	records   []byte
}

// abortedTxn says that what producerID wrote from first on, up to its next abort marker, does not count.
type abortedTxn struct {
	producerID int64
	first      int64
}

var (
	_ protocol.BrokerMessage = (*fetchRequest)(nil)
	_ protocol.RawExchanger  = (*fetchRequest)(nil)
)

func (*fetchRequest) ApiKey() protocol.ApiKey  { return protocol.Fetch }
func (*fetchResponse) ApiKey() protocol.ApiKey { return protocol.Fetch }

// Broker routes the request to the partition's leader.
func (r *fetchRequest) Broker(c protocol.Cluster) (protocol.Broker, error) {
	t, ok := c.Topics[r.topic]
	if !ok {
		return protocol.Broker{ID: -1}, protocol.NewErrNoTopic(r.topic)
	}
	p, ok := t.Partitions[r.partition]
	if !ok {
		return protocol.Broker{ID: -1}, protocol.NewErrNoPartition(r.topic, r.partition)
	}
	b, ok := c.Brokers[p.Leader]
	if !ok {
		return protocol.Broker{ID: -1}, protocol.NewErrNoLeader(r.topic, r.partition)
	}
	return b, nil
}

// Required notes the version negotiated for the connection.
func (r *fetchRequest) Required(versions map[protocol.ApiKey]int16) bool {
	r.version = versions[protocol.Fetch]
	return true
}

// correlation is the id of every request: a connection carries one at a time.
const correlation = 0x53504f52

// RawExchange writes the request and reads the response.
func (r *fetchRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if r.version < minFetchVersion || r.version > maxFetchVersion {
		return nil, fmt.Errorf("the broker negotiated version %d of Fetch; versions %d to %d are spoken (Kafka 0.11 and later)", r.version, minFetchVersion, maxFetchVersion)
	}
	if _, err := rw.Write(r.encode()); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return nil, err
	}
	// A broker goes over maxBytes for one batch, so that a reader is never stuck before it.
	n := int64(int32(binary.BigEndian.Uint32(size[:])))
	if limit := int64(r.maxBytes) + maxBatchBytes + 1<<20; n < 0 || n > limit {
		return nil, fmt.Errorf("the broker announces a fetch response of %d bytes, at most %d are taken", n, limit)
	}
	buf, err := readFull(rw, r.buf[:0], int(n))
	if err != nil {
		return nil, err
	}
	return parseFetch(buf, r.version, r.topic, r.partition)
}

// readFull reads n bytes into buf, which grows with what has arrived rather than with what was announced.
func readFull(r io.Reader, buf []byte, n int) ([]byte, error) {
	for len(buf) < n {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(n, max(2*len(buf), 256<<10)))
			copy(grown, buf)
			buf = grown
		}
		end := min(n, cap(buf))
		k, err := io.ReadFull(r, buf[len(buf):end])
		buf = buf[:len(buf)+k]
		if err != nil {
			return nil, err
		}
	}
	return buf, nil
}

func (r *fetchRequest) encode() []byte {
	be := binary.BigEndian
	b := make([]byte, 4, 128+len(r.topic)+len(r.clientID))
	b = be.AppendUint16(b, uint16(protocol.Fetch))
	b = be.AppendUint16(b, uint16(r.version))
	b = be.AppendUint32(b, correlation)
	b = appendString(b, r.clientID)
	b = be.AppendUint32(b, 0xffffffff) // replica id: a consumer
	b = be.AppendUint32(b, uint32(r.maxWaitMs))
	b = be.AppendUint32(b, 1) // min bytes
	b = be.AppendUint32(b, uint32(r.maxBytes))
	b = append(b, 1) // isolation: read_committed
	if r.version >= 7 {
		b = be.AppendUint32(b, 0)          // session id
		b = be.AppendUint32(b, 0xffffffff) // session epoch: no session
	}
	b = be.AppendUint32(b, 1) // topics
	b = appendString(b, r.topic)
	b = be.AppendUint32(b, 1) // partitions
	b = be.AppendUint32(b, uint32(r.partition))
	if r.version >= 9 {
		b = be.AppendUint32(b, 0xffffffff) // leader epoch: unknown
	}
	b = be.AppendUint64(b, uint64(r.offset))
	if r.version >= 5 {
		b = be.AppendUint64(b, ^uint64(0)) // log start offset: followers only
	}
	b = be.AppendUint32(b, uint32(r.maxBytes))
	if r.version >= 7 {
		b = be.AppendUint32(b, 0) // forgotten topics
	}
	if r.version >= 11 {
		b = be.AppendUint16(b, 0) // rack
	}
	be.PutUint32(b, uint32(len(b)-4))
	return b
}

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

var errFetchShort = errors.New("the fetch response ends in the middle")

// parseFetch reads the response to a request for one partition. It trusts nothing: every length is checked
// against what is there, and the topic and partition against what was asked for.
func parseFetch(buf []byte, version int16, topic string, partition int32) (*fetchResponse, error) {
	in := cursor{b: buf}
	res := &fetchResponse{buf: buf, logStart: -1}
	if id := in.uint32(); !in.short && id != correlation {
		return nil, fmt.Errorf("the fetch response is for request %#x, not %#x", id, uint32(correlation))
	}
	in.uint32() // throttle time
	if version >= 7 {
		res.code = int16(in.uint16())
		in.uint32() // session id
	}
	topics := int32(in.uint32())
	if in.short {
		return nil, errFetchShort
	}
	if res.code != 0 && topics <= 0 {
		return res, nil
	}
	if topics != 1 {
		return nil, fmt.Errorf("the fetch response holds %d topics, one was asked for", topics)
	}
	name := in.bytes(int64(int16(in.uint16())))
	partitions := int32(in.uint32())
	if in.short {
		return nil, errFetchShort
	}
	if string(name) != topic || partitions != 1 {
		return nil, fmt.Errorf("the fetch response holds %d partitions of %q, one of %q was asked for", partitions, name, topic)
	}
	if p := int32(in.uint32()); !in.short && p != partition {
		return nil, fmt.Errorf("the fetch response is for partition %d, not %d", p, partition)
	}
	if code := int16(in.uint16()); code != 0 {
		res.code = code
	}
	res.highWater = int64(in.uint64())
	res.stable = int64(in.uint64())
	if version >= 5 {
		res.logStart = int64(in.uint64())
	}
	if n := int32(in.uint32()); n > 0 {
		if int64(n)*16 > int64(len(in.b)) {
			return nil, errFetchShort
		}
		res.aborted = make([]abortedTxn, n)
		for i := range res.aborted {
			res.aborted[i] = abortedTxn{int64(in.uint64()), int64(in.uint64())}
		}
		slices.SortFunc(res.aborted, func(a, b abortedTxn) int {
			switch {
			case a.first < b.first:
				return -1
			case a.first > b.first:
				return 1
			}
			return 0
		})
	}
	if version >= 11 {
		in.uint32() // preferred read replica: no rack was named, so there is none
	}
	if n := int32(in.uint32()); n > 0 {
		res.records = in.bytes(int64(n))
	}
	if in.short {
		return nil, errFetchShort
	}
	return res, nil
}

// cursor reads big-endian numbers; past the end it sets short and yields zeros.
type cursor struct {
	b     []byte
	short bool
}

func (c *cursor) bytes(n int64) []byte {
	if n < 0 || n > int64(len(c.b)) {
		c.short, c.b = true, nil
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) uint16() uint16 {
	if v := c.bytes(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if v := c.bytes(4); v != nil {
		return binary.BigEndian.Uint32(v)
	}
	return 0
}

func (c *cursor) uint64() uint64 {
	if v := c.bytes(8); v != nil {
		return binary.BigEndian.Uint64(v)
	}
	return 0
}
