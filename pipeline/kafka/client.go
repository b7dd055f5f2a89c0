package kafka

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
)

// requestTimeout bounds every request but fetches and joins.
const requestTimeout = 15 * time.Second

// client is one cluster: kafka-go's connections and what they were configured with. It is constant after
// connect and safe for concurrent use, as the Transport in it is.
type client struct {
	cfg       Config
	transport *kafka.Transport
	client    *kafka.Client
	dialer    *kafka.Dialer // for the consumer group, which has connections of its own
	heard     *lastHeard
	end       context.CancelFunc // of what goes on by itself
	// idle is how long a source waits before it returns an empty Fetch. Constant once there are sources.
	idle time.Duration
}

// connect prepares connections; it opens none.
func connect(cfg Config) (*client, error) {
	tlsConfig, err := cfg.TLS.load()
	if err != nil {
		return nil, err
	}
	mechanism, err := cfg.SASL.load()
	if err != nil {
		return nil, err
	}
	heard := &lastHeard{}
	c := &client{
		cfg:   cfg,
		heard: heard,
		idle:  idleWait,
		transport: &kafka.Transport{
			ClientID:       cfg.ClientID,
			DialTimeout:    10 * time.Second,
			MetadataTTL:    metadataTTL,
			MetadataTopics: cfg.topics(),
			TLS:            tlsConfig,
			SASL:           mechanism,
		},
		dialer: &kafka.Dialer{
			ClientID:      cfg.ClientID,
			Timeout:       10 * time.Second,
			DialFunc:      heard.dial,
			TLS:           tlsConfig,
			SASLMechanism: mechanism,
		},
	}
	ctx, end := context.WithCancel(context.Background())
	c.end = end
	c.client = &kafka.Client{Addr: kafka.TCP(cfg.Brokers...), Timeout: requestTimeout, Transport: newRouter(ctx, c.transport)}
	return c, nil
}

func (c *client) close() {
	c.end()
	c.transport.CloseIdleConnections()
}

// lastHeard knows until when the group's coordinator had us for alive. kafka-go keeps its heartbeats to
// itself, so this watches the connections they travel on. What counts is when the request was sent that an
// answer is to: a process that was stopped may find an old answer when it goes on. Safe for concurrent use.
type lastHeard struct{ nanos atomic.Int64 }

// clockStart is what lastHeard counts from, so that it uses the monotonic clock.
var clockStart = time.Now()

// at notes that a request sent at t was answered.
func (l *lastHeard) at(t time.Duration) {
	for old := l.nanos.Load(); int64(t) > old && !l.nanos.CompareAndSwap(old, int64(t)); old = l.nanos.Load() {
	}
}

func (l *lastHeard) since() time.Duration { return sinceStart() - time.Duration(l.nanos.Load()) }

func sinceStart() time.Duration { return time.Since(clockStart) }

func (l *lastHeard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &heardConn{Conn: conn, heard: l}, nil
}

type heardConn struct {
	net.Conn
	heard *lastHeard
	sent  atomic.Int64 // when the last request was, by sinceStart
}

func (c *heardConn) Write(p []byte) (int, error) {
	c.sent.Store(int64(sinceStart()))
	return c.Conn.Write(p)
}

func (c *heardConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.at(time.Duration(c.sent.Load()))
	}
	return n, err
}

// partitions is the number of partitions of a topic, as of the last metadata.
func (c *client) partitions(ctx context.Context, topic string) (int, error) {
	m, err := c.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return 0, err
	}
	for _, t := range m.Topics {
		if t.Name == topic {
			if t.Error != nil {
				return 0, t.Error
			}
			return len(t.Partitions), nil
		}
	}
	return 0, kafka.UnknownTopicOrPartition
}

// bounds are where a partition's log starts and where what read_committed may see ends.
type bounds struct{ first, end int64 }

// bounds asks for the bounds of partitions of a topic. It fails if it does not learn all of them.
func (c *client) bounds(ctx context.Context, topic string, partitions []int32) (map[int32]bounds, error) {
	out := make(map[int32]bounds, len(partitions))
	if len(partitions) == 0 {
		return out, nil
	}
	req := &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{}, IsolationLevel: kafka.ReadCommitted}
	for _, p := range partitions {
		req.Topics[topic] = append(req.Topics[topic], kafka.FirstOffsetOf(int(p)), kafka.LastOffsetOf(int(p)))
	}
	res, err := c.client.ListOffsets(ctx, req)
	if err != nil {
		return nil, err
	}
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("partition %d: %w", p.Partition, p.Error)
		}
		if p.FirstOffset < 0 || p.LastOffset < 0 {
			return nil, fmt.Errorf("partition %d: %w", p.Partition, kafka.OffsetNotAvailable)
		}
		out[int32(p.Partition)] = bounds{p.FirstOffset, p.LastOffset}
	}
	for _, p := range partitions {
		if _, ok := out[p]; !ok {
			return nil, fmt.Errorf("partition %d: %w", p, kafka.LeaderNotAvailable)
		}
	}
	return out, nil
}

// retry calls f until it succeeds, ctx ends, or its error is permanent. It waits between calls, and tells
// onError each error that it retries.
func retry(ctx context.Context, permanent func(error) bool, onError func(error), f func() error) error {
	for try := 0; ; try++ {
		err := f()
		if err == nil || permanent(err) {
			return err
		}
		if ctx.Err() == nil {
			onError(err)
		}
		if ctx.Err() != nil || !sleep(ctx, backoff(try)) {
			return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		}
	}
}

// backoff is how long to wait after the given number of earlier failures: 50 ms doubling to 5 s, of which a
// random half, so that members do not come back all at once.
func backoff(failures int) time.Duration {
	d := 5 * time.Second
	if failures < 7 {
		d = 50 * time.Millisecond << failures
	}
	return d/2 + rand.N(d/2)
}

// sleep waits for d and says whether it did: false means that ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
