//go:build realkafka

package realkafka

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// Requests by their number in the protocol.
const (
	apiProduce         = 0
	apiFetch           = 1
	apiJoinGroup       = 11
	apiInitProducerID  = 22
	apiAddPartitions   = 24
	apiAddOffsets      = 25
	apiEndTxn          = 26
	apiTxnOffsetCommit = 28
)

// exchange is one request and its answer.
type exchange struct {
	api     int16
	client  string // the client's id
	request []byte // with its size
	answer  []byte // nil until the broker has answered
	watch   watcher
}

// watcher sees every exchange of a client twice: when the request is there, which it may change, and when its answer is. The
// connection waits for it. False cuts the connection instead of passing that on.
type watcher func(*exchange) bool

// proxy stands between every client and the broker, which advertises its address.
type proxy struct {
	ln     net.Listener
	broker string

	mu       sync.Mutex
	watchers map[string]watcher // guarded by mu: by client id
}

// startBehindProxy starts a broker that no client reaches but through a proxy.
func startBehindProxy(t *testing.T, properties ...string) (*broker, *proxy) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	b := &broker{t: t, dir: t.TempDir(), port: freePort(t), properties: append(properties, "advertised.listeners=PLAINTEXT://"+ln.Addr().String())}
	p := &proxy{ln: ln, broker: b.addr(), watchers: map[string]watcher{}}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	b.start()
	t.Cleanup(b.stop)
	return b, p
}

func (p *proxy) watch(client string, w watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers[client] = w
}

// exchange reads the head of a request; false when there is none.
func (p *proxy) exchange(request []byte) (*exchange, bool) {
	if len(request) < 14 {
		return nil, false
	}
	x := &exchange{api: int16(binary.BigEndian.Uint16(request[4:])), request: request, watch: func(*exchange) bool { return true }}
	if n := int(int16(binary.BigEndian.Uint16(request[12:]))); n > 0 && 14+n <= len(request) {
		x.client = string(request[14 : 14+n])
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.watchers[x.client]; w != nil {
		x.watch = w
	}
	return x, true
}

func (p *proxy) serve(client net.Conn) {
	broker, err := net.Dial("tcp", p.broker)
	if err != nil {
		client.Close()
		return
	}
	// What a client asked for is done and answered, though it may be gone: only then the connection ends.
	underway := make(chan *exchange, 64)
	go func() {
		defer client.Close()
		defer broker.Close()
		for x := range underway {
			answer, err := frame(broker)
			if x.answer = answer; err != nil || !x.watch(x) {
				return
			}
			client.Write(x.answer)
		}
	}()
	defer close(underway)
	for {
		request, err := frame(client)
		if err != nil {
			return
		}
		x, ok := p.exchange(request)
		if !ok || !x.watch(x) {
			return
		}
		if _, err := broker.Write(x.request); err != nil {
			return
		}
		select {
		case underway <- x:
		default:
			return // nobody has that many under way
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
