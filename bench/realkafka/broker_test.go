//go:build realkafka

package realkafka

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// broker is one Apache Kafka node on loopback, started by start.sh, that keeps its data over restarts.
type broker struct {
	t    *testing.T
	dir  string
	port string
	cmd  *exec.Cmd

	properties []string

	admin *kgo.Client // of request
	nodes int         // of the cluster, when they are several: topics have so many replicas
}

func (b *broker) addr() string { return "127.0.0.1:" + b.port }

func startBroker(t *testing.T, properties ...string) *broker {
	t.Helper()
	b := &broker{t: t, dir: t.TempDir(), port: freePort(t), properties: properties}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *broker) start() {
	b.t.Helper()
	log, err := os.OpenFile(filepath.Join(b.dir, "broker.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	b.cmd = exec.Command("./start.sh", append([]string{filepath.Join(b.dir, "data"), b.port}, b.properties...)...)
	b.cmd.Stdout, b.cmd.Stderr = log, log
	if testing.Short() {
		// It lives for a minute: what the better compiler costs does not come back.
		b.cmd.Env = append(os.Environ(), "JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1")
	}
	// A broker that a crashed test leaves behind would hold the port for ever.
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	deadline := time.Now().Add(patience) // the first start fetches the artifacts
	for time.Now().Before(deadline) {
		if b.answers() {
			if b.admin == nil {
				b.admin = b.client()
				b.t.Cleanup(b.admin.Close)
			}
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	tail, _ := os.ReadFile(log.Name())
	b.t.Fatalf("the broker does not answer:\n%s", tail[max(0, len(tail)-4000):])
}

func (b *broker) answers() bool {
	cl := b.client()
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
	return err == nil && len(resp.Brokers) >= b.nodes && len(resp.Brokers) > 0
}

func (b *broker) stop() {
	if b.cmd == nil {
		return
	}
	b.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { b.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		b.cmd.Process.Kill()
		<-done
	}
	b.cmd = nil
}

// client is a franz-go client: another library than the engine's, so that both ends are not wrong alike.
func (b *broker) client(opts ...kgo.Opt) *kgo.Client {
	b.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(b.addr()), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil))}, opts...)...)
	if err != nil {
		b.t.Fatal(err)
	}
	return cl
}

// freePort is a port that is free together with the next one, which the broker's controller takes. It lies below
// the ports that the system gives to outgoing connections: one of those could take the second at any moment.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := 20_000 + rand.IntN(10_000)
		first, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		second, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		first.Close()
		if err == nil {
			second.Close()
			return fmt.Sprint(port)
		}
	}
	t.Fatal("no two free ports in a row")
	return ""
}
