//go:build realkafka

package realkafka

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	// A broker that a crashed test leaves behind would hold the port for ever.
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	deadline := time.Now().Add(3 * time.Minute) // the first start fetches the artifacts
	for time.Now().Before(deadline) {
		if b.answers() {
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
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl)
	return err == nil && len(resp.Brokers) == 1
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
	case <-time.After(30 * time.Second):
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

func (b *broker) createTopic(name string, partitions int32) {
	b.t.Helper()
	cl := b.client()
	defer cl.Close()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, 1
	// Simulated records are older than the default retention.
	retention, forever := kmsg.NewCreateTopicsRequestTopicConfig(), "-1"
	retention.Name, retention.Value = "retention.ms", &forever
	topic.Configs = append(topic.Configs, retention)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(context.Background(), cl)
	if err != nil {
		b.t.Fatal(err)
	}
	if code := resp.Topics[0].ErrorCode; code != 0 {
		b.t.Fatalf("creating %s: error %d", name, code)
	}
}

// ends is the sum of the end offsets of topic.
func (b *broker) ends(topic string, partitions int32) (total int64) {
	b.t.Helper()
	cl := b.client()
	defer cl.Close()
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	for p := range partitions {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = p, -1
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(context.Background(), cl)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, tp := range resp.Topics[0].Partitions {
		total += tp.Offset
	}
	return total
}

// committed is the sum of the group's committed offsets of topic; -1 while there is none.
func (b *broker) committed(group, topic string, partitions int32) (total int64) {
	cl := b.client()
	defer cl.Close()
	req := kmsg.NewPtrOffsetFetchRequest()
	rg := kmsg.NewOffsetFetchRequestGroup()
	rg.Group = group
	gt := kmsg.NewOffsetFetchRequestGroupTopic()
	gt.Topic = topic
	rt := kmsg.NewOffsetFetchRequestTopic()
	rt.Topic = topic
	for p := range partitions {
		gt.Partitions, rt.Partitions = append(gt.Partitions, p), append(rt.Partitions, p)
	}
	rg.Topics = append(rg.Topics, gt)
	req.Group, req.Topics, req.Groups = group, append(req.Topics, rt), append(req.Groups, rg)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	resp, err := req.RequestWith(ctx, cl)
	if err != nil || len(resp.Groups) == 0 || len(resp.Groups[0].Topics) == 0 {
		return -1
	}
	for _, p := range resp.Groups[0].Topics[0].Partitions {
		if p.Offset > 0 {
			total += p.Offset
		}
	}
	return total
}

// read returns every record of topic, partition after partition, each in order.
func (b *broker) read(topic string, partitions int32) []*kgo.Record {
	b.t.Helper()
	want := b.ends(topic, partitions)
	cl := b.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer cl.Close()
	byPartition := make([][]*kgo.Record, partitions)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for n := int64(0); n < want; {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			b.t.Fatalf("reading %s: %d of %d: %v", topic, n, want, err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			n++
			byPartition[r.Partition] = append(byPartition[r.Partition], r)
		})
	}
	var all []*kgo.Record
	for _, rs := range byPartition {
		all = append(all, rs...)
	}
	return all
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

// engine is the built binary with a configuration.
type engine struct {
	t      *testing.T
	bin    string
	config string
}

func buildEngine(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "engine")
	cmd := exec.Command("go", "build", "-o", bin, "spoor/cmd/engine")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the engine: %v\n%s", err, out)
	}
	return bin
}

func newEngine(t *testing.T, bin, yaml string) *engine {
	t.Helper()
	config := filepath.Join(t.TempDir(), "engine.yaml")
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return &engine{t: t, bin: bin, config: config}
}

// member is one running engine.
type member struct {
	*exec.Cmd
	log string
}

// run starts a member of the group.
func (e *engine) run() *member {
	e.t.Helper()
	log, err := os.CreateTemp(e.t.TempDir(), "engine-*.log")
	if err != nil {
		e.t.Fatal(err)
	}
	defer log.Close()
	m := &member{Cmd: exec.Command(e.bin, "run", "--config", e.config), log: log.Name()}
	m.Stdout, m.Stderr = log, log
	m.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		m.Process.Kill()
		m.Wait()
		if e.t.Failed() {
			text, _ := os.ReadFile(m.log)
			e.t.Logf("engine %d:\n%s", m.Process.Pid, text[max(0, len(text)-3000):])
		}
	})
	return m
}

// kill is SIGKILL: no drain, no goodbye.
func (m *member) kill() {
	m.Process.Kill()
	m.Wait()
}

// drain is SIGTERM; the member must end by itself with exit code 0.
func (m *member) drain(t *testing.T) {
	t.Helper()
	m.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- m.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("an engine ends with %v after SIGTERM", err)
		}
	case <-time.After(time.Minute):
		t.Error("an engine does not end within a minute of SIGTERM")
	}
}

// call runs another command of the engine to its end.
func (e *engine) call(args ...string) {
	e.t.Helper()
	cmd := exec.Command(e.bin, args...)
	var b strings.Builder
	cmd.Stdout, cmd.Stderr = &b, io.MultiWriter(&b)
	if err := cmd.Run(); err != nil {
		e.t.Fatalf("engine %s: %v\n%s", strings.Join(args, " "), err, b.String())
	}
}
