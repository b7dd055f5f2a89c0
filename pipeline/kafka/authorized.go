package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go/protocol"
)

// Operations on a topic, as bits of what a broker says we are authorized to.
const (
	mayRead  = 1 << 3
	mayWrite = 1 << 4
)

// authorizedRequest asks which operations on topics we are authorized to: Metadata version 8 with the flag
// that kafka-go does not send. It tells a missing ACL before anything is consumed or published.
type authorizedRequest struct {
	clientID string
	topics   []string
	version  int16
}

// authorizedResponse has the operations by topic; a topic is missing when the broker does not say.
type authorizedResponse struct{ operations map[string]int32 }

var _ protocol.RawExchanger = (*authorizedRequest)(nil)

func (*authorizedRequest) ApiKey() protocol.ApiKey  { return protocol.Metadata }
func (*authorizedResponse) ApiKey() protocol.ApiKey { return protocol.Metadata }

func (r *authorizedRequest) Required(versions map[protocol.ApiKey]int16) bool {
	r.version = versions[protocol.Metadata]
	return true
}

var errNotTold = errors.New("the broker does not tell authorized operations")

// RawExchange writes the request and reads the response.
func (r *authorizedRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if r.version < 8 {
		return nil, errNotTold
	}
	be := binary.BigEndian
	b := make([]byte, 4, 256)
	b = be.AppendUint16(b, uint16(protocol.Metadata))
	b = be.AppendUint16(b, 8)
	b = be.AppendUint32(b, correlation)
	b = appendString(b, r.clientID)
	b = be.AppendUint32(b, uint32(len(r.topics)))
	for _, t := range r.topics {
		b = appendString(b, t)
	}
	b = append(b, 0, 0, 1) // no topic creation, no operations on the cluster, those on topics
	be.PutUint32(b, uint32(len(b)-4))
	if _, err := rw.Write(b); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return nil, err
	}
	n := be.Uint32(size[:])
	if n > 16<<20 {
		return nil, fmt.Errorf("the broker announces a metadata response of %d bytes", n)
	}
	buf, err := readFull(rw, nil, int(n))
	if err != nil {
		return nil, err
	}
	return parseAuthorized(buf)
}

func parseAuthorized(buf []byte) (*authorizedResponse, error) {
	in := cursor{b: buf}
	text := func() string { return string(in.bytes(max(0, int64(int16(in.uint16()))))) }
	count := func() int32 {
		if n := int32(in.uint32()); int64(n) <= int64(len(in.b)) {
			return n
		}
		in.short = true
		return 0
	}
	in.uint32() // correlation
	in.uint32() // throttle time
	for n := count(); n > 0; n-- {
		in.uint32() // broker id
		text()      // host
		in.uint32() // port
		text()      // rack
	}
	text()      // cluster id
	in.uint32() // controller
	res := &authorizedResponse{operations: map[string]int32{}}
	for n := count(); n > 0 && !in.short; n-- {
		in.uint16() // error code
		name := text()
		in.bytes(1) // internal
		for p := count(); p > 0 && !in.short; p-- {
			in.uint16()   // error code
			in.bytes(12)  // index, leader, leader epoch
			for range 3 { // replicas, in sync, offline
				in.bytes(4 * max(0, int64(count())))
			}
		}
		if op := int32(in.uint32()); op != -1<<31 {
			res.operations[name] = op
		}
	}
	if in.short {
		return nil, errors.New("the metadata response ends in the middle")
	}
	return res, nil
}
