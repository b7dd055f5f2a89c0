package kafka

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/findcoordinator"
)

// coordinatorTTL is how long a coordinator is taken for the one it was. One that moved is found within this time; a
// request to the old one is answered with NOT_COORDINATOR, which is tried again.
const coordinatorTTL = time.Second

// router is a kafka.RoundTripper that remembers which broker coordinates a group or a transactional id, which
// kafka.Transport asks before every request: half of the requests of a transaction. And it has the metadata refreshed
// when a request went to the wrong broker (metadata.go). Safe for concurrent use.
type router struct {
	transport *kafka.Transport
	clientID  string
	ctx       context.Context // ends with the client

	refreshing atomic.Bool

	mu    sync.Mutex
	known map[coordinatedBy]coordinator // guarded by mu: one for each partition, and the group's
}

// coordinatedBy is what has a coordinator.
type coordinatedBy struct {
	kind kafka.CoordinatorKeyType
	key  string
}

type coordinator struct {
	broker int32
	until  time.Time
}

func newRouter(ctx context.Context, t *kafka.Transport) *router {
	return &router{transport: t, clientID: t.ClientID, ctx: ctx, known: map[coordinatedBy]coordinator{}}
}

// of says whose coordinator a request is for. Requests about several groups are the transport's: it splits them.
func (r *router) of(req kafka.Request) (coordinatedBy, bool) {
	if _, several := req.(protocol.Splitter); several {
		return coordinatedBy{}, false
	}
	switch m := req.(type) {
	case protocol.GroupMessage:
		return coordinatedBy{kafka.CoordinatorKeyTypeConsumer, m.Group()}, true
	case protocol.TransactionalMessage:
		return coordinatedBy{kafka.CoordinatorKeyTypeTransaction, m.Transaction()}, m.Transaction() != ""
	}
	return coordinatedBy{}, false
}

// RoundTrip implements kafka.RoundTripper.
func (r *router) RoundTrip(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	res, err := r.route(ctx, addr, req)
	if misrouted(res, err) {
		r.refresh(addr)
	}
	return res, err
}

func (r *router) route(ctx context.Context, addr net.Addr, req kafka.Request) (kafka.Response, error) {
	by, ok := r.of(req)
	if !ok {
		return r.transport.RoundTrip(ctx, addr, req)
	}
	broker, err := r.find(ctx, addr, by)
	if err != nil {
		return nil, err
	}
	res, err := r.transport.RoundTrip(ctx, addr, &directed{Message: req, broker: broker, clientID: r.clientID})
	if err != nil {
		r.mu.Lock()
		delete(r.known, by)
		r.mu.Unlock()
	}
	return res, err
}

// find is the coordinator, from memory or from the cluster.
func (r *router) find(ctx context.Context, addr net.Addr, by coordinatedBy) (broker int32, err error) {
	r.mu.Lock()
	known, ok := r.known[by]
	r.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.broker, nil
	}
	m, err := r.transport.RoundTrip(ctx, addr, &findcoordinator.Request{Key: by.key, KeyType: int8(by.kind)})
	if err != nil {
		return 0, err
	}
	res := m.(*findcoordinator.Response)
	if res.ErrorCode != 0 {
		return 0, fmt.Errorf("find the coordinator of %q: %w", by.key, kafka.Error(res.ErrorCode))
	}
	r.mu.Lock()
	r.known[by] = coordinator{res.NodeID, time.Now().Add(coordinatorTTL)}
	r.mu.Unlock()
	return res.NodeID, nil
}

// directed is a request with the broker it is for, which is all the transport wants to know.
type directed struct {
	protocol.Message
	broker   int32
	clientID string
	version  int16
}

var (
	_ protocol.BrokerMessage = (*directed)(nil)
	_ protocol.RawExchanger  = (*directed)(nil)
)

// Broker routes the request.
func (d *directed) Broker(c protocol.Cluster) (protocol.Broker, error) {
	b, ok := c.Brokers[d.broker]
	if !ok {
		return protocol.Broker{ID: -1}, kafka.BrokerNotAvailable
	}
	return b, nil
}

// Required notes the version negotiated for the connection.
func (d *directed) Required(versions map[protocol.ApiKey]int16) bool {
	d.version = versions[d.ApiKey()]
	if raw, ok := d.Message.(protocol.RawExchanger); ok {
		return raw.Required(versions)
	}
	return true
}

// RawExchange sends the request as it is.
func (d *directed) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if raw, ok := d.Message.(protocol.RawExchanger); ok {
		return raw.RawExchange(rw)
	}
	return protocol.RoundTrip(rw, d.version, correlation, d.clientID, d.Message)
}
