package kafka

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"spoor/pipeline"
)

// The tests of this file run against a real cluster, whose address is in SPOOR_TEST_KAFKA (see
// bench/realkafka/start.sh). Each makes topics and a group of its own.
type realCluster struct {
	addr string
	cfg  Config
}

func (c *realCluster) Addrs() []string { return []string{c.addr} }

func real(t *testing.T, partitions int) *realCluster {
	t.Helper()
	addr := os.Getenv("SPOOR_TEST_KAFKA")
	if addr == "" {
		t.Skip("SPOOR_TEST_KAFKA names no broker")
	}
	c := &realCluster{addr: addr, cfg: DefaultConfig()}
	suffix := fmt.Sprintf("-%s-%d", t.Name(), time.Now().UnixNano())
	c.cfg.Brokers = []string{addr}
	c.cfg.Group, c.cfg.Input, c.cfg.Output, c.cfg.Reject = "g"+suffix, "in"+suffix, "out"+suffix, "rejects"+suffix
	c.cfg.HeartbeatInterval, c.cfg.SessionTimeout, c.cfg.RebalanceTimeout = 300*time.Millisecond, 6*time.Second, 6*time.Second
	c.cfg.CreateTopics = CreateTopics{Partitions: partitions, Replication: -1}
	if err := Preflight(context.Background(), c.cfg, 900<<10); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRealCodecs(t *testing.T) {
	for codec := range codecs {
		c := real(t, 2)
		c.cfg.Compression = codec
		fill(t, franz(t, c, kgo.ProducerBatchCompression(map[string]kgo.CompressionCodec{
			"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
		}[codec])), c.cfg.Input, 2, 0, 500)
		_, stop := member(t, c.cfg, quiet, nil)
		eventually(t, func() string { return missing(t, c, c.cfg.Input, c.cfg.Output, 2, 500) })
		stop()
	}
}

func TestRealGroup(t *testing.T) {
	c := real(t, 8)
	f := franz(t, c)
	fill(t, f, c.cfg.Input, 8, 0, 200)
	log := &logged{}
	a, stopA := member(t, c.cfg, log.logger(), nil)
	eventually(t, func() string { return assigned(map[*Member]int{a: 8}) })
	b, stopB := member(t, c.cfg, log.logger(), nil)
	fill(t, f, c.cfg.Input, 8, 200, 200)
	eventually(t, func() string { return assigned(map[*Member]int{a: 4, b: 4}) })
	fill(t, f, c.cfg.Input, 8, 400, 200)
	stopA()
	eventually(t, func() string { return assigned(map[*Member]int{b: 8}) })
	fill(t, f, c.cfg.Input, 8, 600, 200)

	// Growth is seen without anybody's help.
	cl := &kafka.Client{Addr: kafka.TCP(c.addr)}
	if _, err := cl.CreatePartitions(context.Background(), &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: c.cfg.Input, Count: 9}}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string { return assigned(map[*Member]int{b: 9}) })
	eventually(t, func() string { return missing(t, c, c.cfg.Input, c.cfg.Output, 8, 800) })
	stopB()
	duplicates := 0
	for _, n := range ids(t, c, c.cfg.Output) {
		duplicates += n - 1
	}
	if duplicates != 0 {
		t.Errorf("%d duplicates though everybody left in order", duplicates)
	}
	for _, l := range log.all() {
		t.Log(l)
	}
}

func TestRealTransactions(t *testing.T) {
	c := real(t, 1)
	want := transactions(t, c, c.cfg.Input)
	got := collect(t, c, c.cfg.Input)[0]
	if fmt.Sprint(values(got)) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", values(got), want)
	}
}

func TestRealOffsetOutOfRange(t *testing.T) {
	c := real(t, 1)
	fill(t, franz(t, c), c.cfg.Input, 1, 0, 10)
	cl, err := connect(c.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.close()
	s := newSource(cl, pipeline.TopicPartition{Topic: c.cfg.Input}, 1000, pipeline.NewMetrics(nil), quiet)
	defer s.close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		if _, err := s.Next(ctx); err != nil {
			t.Log(err)
			if ctx.Err() != nil {
				t.Fatal("a position beyond the end went unnoticed")
			}
			return
		}
	}
}

// One of two members is killed, the broker is restarted (by the command in SPOOR_TEST_KAFKA_RESTART, if there
// is one), and nothing is lost.
func TestRealKillAndRestart(t *testing.T) {
	c := real(t, 4)
	const each = 4000
	f := franz(t, c)
	for i := 0; i < each/2; i += 20 {
		fill(t, f, c.cfg.Input, 4, i, 20)
	}
	log := &logged{}
	child := exec.Command(os.Args[0], "-test.run", "^TestChild$")
	child.Env = append(os.Environ(), "SPOOR_CHILD_OF="+c.addr, "SPOOR_CHILD_INPUT="+c.cfg.Input, "SPOOR_CHILD_OUTPUT="+c.cfg.Output, "SPOOR_CHILD_GROUP="+c.cfg.Group)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Process.Kill()
	eventually(t, func() string {
		if len(ids(t, c, c.cfg.Output)) < 200 {
			return "the child does not publish"
		}
		return ""
	})
	m, stop := member(t, c.cfg, log.logger(), nil)
	eventually(t, func() string { return assigned(map[*Member]int{m: 2}) })
	child.Process.Kill()
	child.Wait()
	if restart := os.Getenv("SPOOR_TEST_KAFKA_RESTART"); restart != "" {
		if out, err := exec.Command("bash", "-c", restart).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	fill(t, f, c.cfg.Input, 4, each/2, each/2)
	eventually(t, func() string { return missing(t, c, c.cfg.Input, c.cfg.Output, 4, each) })
	stop()
	for _, l := range log.all() {
		t.Log(l)
	}
}

// A compacted input topic: gaps and batches without records, and the position still gets to the end.
func TestRealCompaction(t *testing.T) {
	addr := os.Getenv("SPOOR_TEST_KAFKA")
	if addr == "" {
		t.Skip("SPOOR_TEST_KAFKA names no broker")
	}
	topic := fmt.Sprintf("compacted-%d", time.Now().UnixNano())
	cl := &kafka.Client{Addr: kafka.TCP(addr)}
	res, err := cl.CreateTopics(context.Background(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: []kafka.ConfigEntry{
		{ConfigName: "cleanup.policy", ConfigValue: "compact"}, {ConfigName: "segment.ms", ConfigValue: "1000"},
		{ConfigName: "min.cleanable.dirty.ratio", ConfigValue: "0.01"}, {ConfigName: "delete.retention.ms", ConfigValue: "100"},
	}}}})
	if err != nil || res.Errors[topic] != nil {
		t.Fatal(err, res)
	}
	c := &realCluster{addr: addr}
	f := franz(t, c)
	n := 0
	write := func(key string, value []byte) {
		if err := f.ProduceSync(context.Background(), &kgo.Record{Topic: topic, Key: []byte(key), Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		n++
	}
	for i := range 50 {
		write(fmt.Sprint("k", i%5), fmt.Append(nil, i))
	}
	write("k0", nil)
	time.Sleep(1200 * time.Millisecond)
	write("roll", []byte("x")) // a new segment: what came before may be compacted
	time.Sleep(1200 * time.Millisecond)
	write("roll", []byte("y"))
	var got []pipeline.Record
	eventually(t, func() string {
		got = collect(t, c, topic)[0]
		if len(got) >= n {
			return fmt.Sprintf("%d records, nothing was compacted", len(got))
		}
		return ""
	})
	t.Log(n, "records were written, left are", offsets(got))
	if last := got[len(got)-1]; string(last.Value) != "y" {
		t.Errorf("the last is %s", last.Value)
	}
}

// A member that is stopped for longer than its session and goes on later publishes nothing of what it had in
// its hands for long: its partitions are another's by then.
func TestRealFrozenMember(t *testing.T) {
	c := real(t, 4)
	f := franz(t, c)
	const each = 4000
	for i := 0; i < each; i += 20 { // small batches: small steps
		fill(t, f, c.cfg.Input, 4, i, 20)
	}
	child := exec.Command(os.Args[0], "-test.run", "^TestChild$")
	child.Env = append(os.Environ(), "SPOOR_CHILD_OF="+c.addr, "SPOOR_CHILD_INPUT="+c.cfg.Input, "SPOOR_CHILD_OUTPUT="+c.cfg.Output, "SPOOR_CHILD_GROUP="+c.cfg.Group)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Process.Kill()
	eventually(t, func() string {
		if len(ids(t, c, c.cfg.Output)) < 200 {
			return "the child does not publish"
		}
		return ""
	})
	child.Process.Signal(syscall.SIGSTOP)
	m, stop := member(t, c.cfg, quiet, nil)
	eventually(t, func() string { return assigned(map[*Member]int{m: 4}) })
	eventually(t, func() string { return missing(t, c, c.cfg.Input, c.cfg.Output, 4, each) })
	child.Process.Signal(syscall.SIGCONT)
	eventually(t, func() string { return assigned(map[*Member]int{m: 2}) }) // it is back in the group
	fill(t, f, c.cfg.Input, 4, each, 100)
	eventually(t, func() string { return missing(t, c, c.cfg.Input, c.cfg.Output, 4, each+100) })
	stop()
	duplicates := 0
	for _, n := range ids(t, c, c.cfg.Output) {
		duplicates += n - 1
	}
	t.Log(duplicates, "duplicates")
	if duplicates > 4*200 { // what the child had published and not committed, a fetch of each partition at most
		t.Errorf("%d duplicates", duplicates)
	}
}

func TestRealHeartbeat(t *testing.T) {
	c := real(t, 1)
	cl, err := connect(c.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.close()
	// A new cluster makes the topic of its groups first.
	err = retry(t.Context(), lostOrFenced, func(error) {}, func() error { return cl.heartbeat(t.Context(), 1, "nobody") })
	if !isAny(err, kafka.UnknownMemberId) {
		t.Errorf("a heartbeat of a stranger: %v", err)
	}
}
