//go:build realkafka

package realkafka

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// proxy stands between every client and the broker, which advertises its address. It forwards requests, and for some
// it drops the answer and the connection: the broker did what was asked, and the client does not know.
type proxy struct {
	ln     net.Listener
	broker string
	drop   map[int16]int // by request: one in so many

	mu      sync.Mutex
	rand    *rand.Rand
	dropped map[int16]int
}

// The requests that are dropped, by their number in the protocol.
const (
	apiProduce         = 0
	apiInitProducerID  = 22
	apiAddPartitions   = 24
	apiAddOffsets      = 25
	apiEndTxn          = 26
	apiTxnOffsetCommit = 28
)

func startProxy(t *testing.T, broker string, seed uint64, drop map[int16]int) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, broker: broker, drop: drop, rand: rand.New(rand.NewPCG(seed, 2)), dropped: map[int16]int{}}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) port() string {
	_, port, _ := net.SplitHostPort(p.ln.Addr().String())
	return port
}

// unlucky says whether the answer to this request is dropped.
func (p *proxy) unlucky(api int16) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.drop[api]
	if n == 0 || p.rand.IntN(n) != 0 {
		return false
	}
	p.dropped[api]++
	return true
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	broker, err := net.Dial("tcp", p.broker)
	if err != nil {
		return
	}
	defer broker.Close()
	// One request after the other for the clients whose answers are dropped; others may have several under way.
	cut := make(chan bool, 64)
	go func() {
		defer client.Close()
		defer broker.Close()
		for {
			answer, err := frame(broker)
			if err != nil || <-cut {
				return
			}
			if _, err := client.Write(answer); err != nil {
				return
			}
		}
	}()
	for {
		request, err := frame(client)
		if err != nil || len(request) < 8 {
			return
		}
		select {
		case cut <- p.unlucky(int16(binary.BigEndian.Uint16(request[4:]))):
		default:
			return // nobody has that many under way
		}
		if _, err := broker.Write(request); err != nil {
			return
		}
	}
}

// frame reads one request or answer with its size.
func frame(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	b := make([]byte, 4+binary.BigEndian.Uint32(size[:]))
	copy(b, size[:])
	_, err := io.ReadFull(r, b[4:])
	return b, err
}

// Answers are lost: of EndTxn most of all, whose outcome nobody then knows but the changelog, and of everything else
// that a transaction is made of. Each id is there once, and the bytes are the replay's.
func TestAnswersLost(t *testing.T) {
	const events = 30_000
	seed := uint64(number(t, "REALKAFKA_SEED", 1))
	port := freePort(t)
	p := startProxy(t, "127.0.0.1:"+port, seed, map[int16]int{
		apiEndTxn: 4, apiProduce: 25, apiAddPartitions: 15, apiAddOffsets: 15, apiTxnOffsetCommit: 15, apiInitProducerID: 6,
	})
	b := &broker{t: t, dir: t.TempDir(), port: port, properties: []string{"advertised.listeners=PLAINTEXT://127.0.0.1:" + p.port()}}
	b.start()
	t.Cleanup(b.stop)
	b.createTopic("events", partitions)
	b.createTopic("signals", partitions)
	b.publish("events", events)
	e := newEngine(t, buildEngine(t), survivorConfig(b, "lost", "signals", "exactly_once")+"commit_interval: 50ms\ncommit_records: 200\n")
	m := e.run()
	await(t, "all events to be committed", func() bool {
		return b.committed("lost", "events", partitions) == b.ends("events", partitions)
	})
	m.drain(t)
	published := b.committedSignals("signals")
	compare(t, published, e.replayed())
	once(t, published)
	p.mu.Lock()
	defer p.mu.Unlock()
	t.Logf("answers dropped, by request: %v", p.dropped)
	for api := range p.drop {
		if p.dropped[api] == 0 && api != apiInitProducerID {
			t.Errorf("no answer of request %d was dropped", api)
		}
	}
}

// once holds that each id is there once.
func once(t *testing.T, published []signal) {
	t.Helper()
	ids := map[string]int{}
	for _, s := range published {
		if ids[s.id]++; ids[s.id] == 2 {
			t.Errorf("%s is there twice", s.id)
		}
	}
}
