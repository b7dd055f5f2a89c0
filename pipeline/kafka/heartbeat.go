package kafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// heartbeatRequest asks the group's coordinator whether a member is in a generation. It speaks for itself on the
// wire: kafka-go's takes the error for the throttle time, so that it hears a yes in every answer.
type heartbeatRequest struct {
	group, member string
	generation    int32
	clientID      string
	version       int16
}

type heartbeatResponse struct{ code int16 }

// maxHeartbeatVersion is the last that is not encoded in another way.
const maxHeartbeatVersion = 3

var (
	_ protocol.GroupMessage = (*heartbeatRequest)(nil)
	_ protocol.RawExchanger = (*heartbeatRequest)(nil)
)

func (*heartbeatRequest) ApiKey() protocol.ApiKey  { return protocol.Heartbeat }
func (*heartbeatResponse) ApiKey() protocol.ApiKey { return protocol.Heartbeat }

// Group routes the request to the group's coordinator.
func (r *heartbeatRequest) Group() string { return r.group }

// Required notes the version negotiated for the connection.
func (r *heartbeatRequest) Required(versions map[protocol.ApiKey]int16) bool {
	r.version = min(versions[protocol.Heartbeat], maxHeartbeatVersion)
	return true
}

// RawExchange writes the request and reads the response.
func (r *heartbeatRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	be := binary.BigEndian
	b := make([]byte, 4, 128)
	b = be.AppendUint16(b, uint16(protocol.Heartbeat))
	b = be.AppendUint16(b, uint16(r.version))
	b = be.AppendUint32(b, correlation)
	b = appendString(b, r.clientID)
	b = appendString(b, r.group)
	b = be.AppendUint32(b, uint32(r.generation))
	b = appendString(b, r.member)
	if r.version >= 3 {
		b = be.AppendUint16(b, 0xffff) // no static membership
	}
	be.PutUint32(b, uint32(len(b)-4))
	if _, err := rw.Write(b); err != nil {
		return nil, err
	}
	var head [4]byte
	if _, err := io.ReadFull(rw, head[:]); err != nil {
		return nil, err
	}
	want := uint32(4 + 2) // correlation, error
	if r.version >= 1 {
		want += 4 // throttle time
	}
	if n := be.Uint32(head[:]); n != want {
		return nil, fmt.Errorf("the heartbeat response has %d bytes, not %d", n, want)
	}
	body := make([]byte, want)
	if _, err := io.ReadFull(rw, body); err != nil {
		return nil, err
	}
	if id := be.Uint32(body); id != correlation {
		return nil, fmt.Errorf("the heartbeat response is for request %#x, not %#x", id, uint32(correlation))
	}
	return &heartbeatResponse{int16(be.Uint16(body[want-2:]))}, nil
}

// heartbeat says nil when the member is in the group's generation, and in no rebalance.
func (c *client) heartbeat(ctx context.Context, generation int32, member string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	sent := sinceStart()
	m, err := c.client.Transport.RoundTrip(ctx, c.client.Addr, &heartbeatRequest{
		group: c.cfg.Group, member: member, generation: generation, clientID: c.cfg.ClientID})
	if err != nil {
		return err
	}
	if code := m.(*heartbeatResponse).code; code != 0 {
		return kafka.Error(code)
	}
	c.heard.at(sent)
	return nil
}
