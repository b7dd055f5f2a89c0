package kafka

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"spoor/pipeline"
	"spoor/pipeline/embedded"
)

// TestBroker is not a test: it is the broker of BenchmarkFetch, in a process of its own so that its CPU time
// is not counted.
func TestBroker(t *testing.T) {
	if os.Getenv("SPOOR_BROKER") == "" {
		t.Skip("only as a child process")
	}
	b := broker(t, embedded.Config{})
	fmt.Println("broker", b.Addr())
	io.Copy(io.Discard, os.Stdin) // until the parent ends
}

type remote string

func (r remote) Addrs() []string { return []string{string(r)} }

func brokerProcess(b *testing.B) remote {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestBroker$")
	cmd.Env = append(os.Environ(), "SPOOR_BROKER=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	in := bufio.NewScanner(stdout)
	for in.Scan() {
		if addr, ok := strings.CutPrefix(in.Text(), "broker "); ok {
			return remote(addr)
		}
	}
	b.Fatal("no broker")
	return ""
}

// cpu is the CPU time this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const benchRecords = 100_000

// benchTopic fills one partition with events of about 500 bytes, 200 to a batch.
func benchTopic(b *testing.B, at remote, topic string, codec kgo.CompressionCodec) {
	b.Helper()
	cfg := DefaultConfig()
	cfg.Brokers, cfg.Group, cfg.Input, cfg.Output = at.Addrs(), "g", topic, "out"
	cfg.CreateTopics.Partitions = 1
	if err := Preflight(context.Background(), cfg, 900<<10); err != nil {
		b.Fatal(err)
	}
	f := franz(b, at, kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(110_000), kgo.ProducerLinger(50*time.Millisecond), kgo.MaxBufferedRecords(benchRecords))
	for i := range benchRecords {
		f.Produce(context.Background(), &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "host-%04d", i%500), Value: fmt.Appendf(nil,
			`{"evt":{"name":"exec","category":"process"},"date":"2024-03-05T10:%02d:%02d.%06dZ","process":{"pid":%d,"ppid":%d,"executable":{"path":"C:\\Windows\\System32\\svchost.exe","device_path":"\\Device\\HarddiskVolume3\\Windows\\System32\\svchost.exe","name":"svchost.exe"},"cmdline":"C:\\Windows\\System32\\svchost.exe -k netsvcs -p -s Schedule%d","user":"NT AUTHORITY\\SYSTEM","exec_time":"2024-03-05T09:00:00Z"},"usr":{"name":"SYSTEM","sid":"S-1-5-18"},"agent":{"version":"7.51.0","os":"windows","arch":"x64"}}`,
			i/60%60, i%60, i, i%30000, i%700, i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := f.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFetch is the CPU time this process spends to have one record in its hands, beside kafka-go's
// reader on the same topic.
func BenchmarkFetch(b *testing.B) {
	at := brokerProcess(b)
	ctx := context.Background()
	for _, codec := range []string{"none", "lz4", "zstd"} {
		topic := "bench-" + codec
		benchTopic(b, at, topic, map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()}[codec])
		run := func(name string, read func(n int) int) {
			b.Run(name+"/"+codec, func(b *testing.B) {
				b.ReportAllocs()
				start, bytes := cpu(), 0
				for n := 0; n < b.N; n += benchRecords {
					bytes += read(min(benchRecords, b.N-n))
				}
				b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/record")
				b.SetBytes(int64(bytes / b.N))
			})
		}
		run("source", func(n int) (bytes int) {
			cfg := DefaultConfig()
			cfg.Brokers, cfg.Input = at.Addrs(), topic
			c, err := connect(cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer c.close()
			s := newSource(c, pipeline.TopicPartition{Topic: topic}, 0, pipeline.NewMetrics(nil), quiet)
			defer s.close()
			for n > 0 {
				f, err := s.Next(ctx)
				if err != nil {
					b.Fatal(err)
				}
				n -= len(f.Records)
				for i := range f.Records {
					bytes += len(f.Records[i].Value)
				}
			}
			return bytes
		})
		run("kafka.Reader", func(n int) (bytes int) {
			r := kafka.NewReader(kafka.ReaderConfig{Brokers: at.Addrs(), Topic: topic, MaxBytes: 1 << 20, MaxWait: 100 * time.Millisecond})
			defer r.Close()
			for range n {
				m, err := r.ReadMessage(ctx)
				if err != nil {
					b.Fatal(err)
				}
				bytes += len(m.Value)
			}
			return bytes
		})
	}
}

// BenchmarkEncode is the cost of turning outputs into a batch, by codec.
func BenchmarkEncode(b *testing.B) {
	var records []*pipeline.Output
	size := 0
	for i := range 200 {
		o := signal(i, 0)
		o.Value = fmt.Appendf(nil, `{"agent":{"rule_id":"r%d","version":"7.51.0"},"evt":{"name":"exec","category":"process"},"process":{"pid":%d,"cmdline":"C:\\Windows\\System32\\svchost.exe -k netsvcs -p -s Schedule%d","user":"NT AUTHORITY\\SYSTEM"}}`, i%7, i, i)
		size += len(o.Value)
		records = append(records, &o)
	}
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		b.Run(codec, func(b *testing.B) {
			e := newEncoders(codec).get()
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.encode(records, producerID{1, 0}, 0, 0); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/record")
		})
	}
}
