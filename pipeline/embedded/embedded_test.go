package embedded

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestBroker(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b, err := Start(ctx, Config{Brokers: 2, Topics: map[string]int32{"a": 1, "b": 3}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if len(b.Addrs()) != 2 || b.Addrs()[0] != b.Addr() {
		t.Error(b.Addrs())
	}
	for _, a := range b.Addrs() {
		if !strings.HasPrefix(a, "127.0.0.1:") {
			t.Error("not on loopback:", a)
		}
	}
	c, err := kgo.NewClient(kgo.SeedBrokers(b.Addrs()...), kgo.ConsumeTopics("b"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.ProduceSync(ctx, &kgo.Record{Topic: "b", Partition: 2, Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := c.PollFetches(ctx).Records(); len(got) != 1 || string(got[0].Value) != "v" || got[0].Partition != 2 {
		t.Error(got)
	}
	if err := b.CreateTopic("c", 1, nil); err != nil {
		t.Error(err)
	}
}

// The broker ends with its context, and Close may be called all the same, twice too.
func TestBrokerEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	b, err := Start(ctx, Config{})
	if err != nil {
		t.Fatal(err)
	}
	addr := b.Addr()
	cancel()
	deadline := time.Now().Add(5 * time.Second)
	for {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			break
		}
		conn.Close()
		if time.Now().After(deadline) {
			t.Fatal("still listening")
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Close()
	b.Close()
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, err := Start(context.Background(), Config{Port: l.Addr().(*net.TCPAddr).Port})
	if err == nil {
		b.Close()
		t.Error("two listeners on one port")
	}
}
