package kafka

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/listoffsets"
	"github.com/segmentio/kafka-go/protocol/produce"
)

// metadataTTL is how often the transport asks for the cluster's metadata, at least, and how long the answer may take:
// kafka.Transport has one number for both. A cluster in trouble is slow to answer, and just then leaders move. Nothing
// waits for this time: what goes to the wrong broker, or to none, has the transport ask at once.
const metadataTTL = requestTimeout

// refreshPause is the least time between two refreshes that failed requests cause.
const refreshPause = 100 * time.Millisecond

// refresh is a request that says nothing to a broker. Its answer is what makes kafka.Transport ask for the metadata
// and wait for it: that of a request which created topics, here none.
type refresh struct{}

var _ protocol.RawExchanger = refresh{}

func (refresh) ApiKey() protocol.ApiKey                 { return protocol.CreateTopics }
func (refresh) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange answers without an exchange.
func (refresh) RawExchange(io.ReadWriter) (protocol.Message, error) {
	return &createtopics.Response{}, nil
}

// refresh makes what the transport knows of the cluster that of now. When no broker answers it stays what it was.
func (c *client) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	c.transport.RoundTrip(ctx, c.client.Addr, refresh{})
}

// refresh makes what the transport knows of the cluster that of now, soon, unless that is under way.
func (r *router) refresh(addr net.Addr) {
	if !r.refreshing.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer r.refreshing.Store(false)
		ctx, cancel := context.WithTimeout(r.ctx, requestTimeout)
		defer cancel()
		r.transport.RoundTrip(ctx, addr, refresh{})
		sleep(ctx, refreshPause)
	}()
}

// misrouted says whether a request failed in a way that another broker might not have.
func misrouted(res kafka.Response, err error) bool {
	if err != nil {
		return !errors.Is(err, context.Canceled)
	}
	switch r := res.(type) {
	case *fetchResponse:
		return moved(r.code)
	case *produce.Response:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				if moved(p.ErrorCode) {
					return true
				}
			}
		}
	case *listoffsets.Response:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				if moved(p.ErrorCode) {
					return true
				}
			}
		}
	}
	return false
}

// moved says whether a partition is not, or not in order, where the request went.
func moved(code int16) bool {
	return isAny(kafka.Error(code), kafka.UnknownTopicOrPartition, kafka.LeaderNotAvailable, kafka.NotLeaderForPartition, kafka.KafkaStorageError)
}
