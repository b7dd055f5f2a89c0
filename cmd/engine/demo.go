package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"spoor/pipeline"
	"spoor/pipeline/embedded"
	"spoor/pipeline/event"
	"spoor/pipeline/file"
	"spoor/pipeline/kafka"
)

// demoTraffic is a day of simulated Windows hosts with attacks woven in; bench/ makes it.
//
//go:embed demo.ndjson.zst
var demoTraffic []byte

// demoPartitions is the number of partitions of the demo's topics.
const demoPartitions = 4

func (a *app) demoCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it work: embedded broker, bundled traffic, bundled policies",
		Long: `Start a Kafka broker inside the process, publish the bundled traffic to it, run the engine over it exactly as
'engine run' does, and print each signal as it is published. Nothing is installed and nothing stays behind.`,
		Example: "  engine demo\n  engine demo --keep",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.demo(cmd.Context(), keep)
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave broker, engine and metrics running until Ctrl-C")
	return cmd
}

func (a *app) demo(ctx context.Context, keep bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	set, err := a.mustLoadSet(nil)
	if err != nil {
		return err
	}
	records, err := demoRecords()
	if err != nil {
		return err
	}
	broker, err := embedded.Start(ctx, embedded.Config{Topics: map[string]int32{
		"events": demoPartitions, "signals": demoPartitions, "rejects": 1, "signals-shadow": 1,
	}})
	if err != nil {
		return fmt.Errorf("start the embedded broker: %w", err)
	}
	defer broker.Close()

	cfg := DefaultConfig()
	cfg.Kafka.Brokers = broker.Addrs()
	cfg.Kafka.Reject, cfg.Kafka.Shadow = "rejects", "signals-shadow"
	cfg.Kafka.HeartbeatInterval = 500 * time.Millisecond
	reg := prometheus.NewRegistry()
	log := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	pc := cfg.Pipeline()
	pc.Log = log
	eng := pipeline.New(pc, set, pipeline.NewMetrics(reg))
	member := kafka.NewMember(cfg.Cluster(), eng, log)

	hosts := map[string]bool{}
	d := &demo{app: a, total: int64(len(records)), published: make(map[string]time.Time, len(records))}
	for _, r := range records {
		hosts[string(r.Key)] = true
		d.hostWidth = max(d.hostWidth, len(r.Key))
	}
	fmt.Fprintf(a.stdout, "broker %s · %d rules · %d events of %d hosts\n\n", broker.Addr(), len(set.Rules()), len(records), len(hosts))

	var wg sync.WaitGroup
	failed := make(chan error, 2)
	background := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil && !errors.Is(err, context.Canceled) {
				failed <- err
			}
		})
	}
	defer wg.Wait()
	defer cancel()
	background(func() error { return member.Run(ctx) })
	background(func() error {
		return kafka.Read(ctx, cfg.Cluster(), kafka.ReadOptions{Topic: cfg.Kafka.Output, Follow: true},
			pipeline.NewMetrics(nil), log, d.show)
	})
	for !member.Status().Ready {
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	start := time.Now()
	if err := broker.Publish(ctx, cfg.Kafka.Input, records, d.acked); err != nil {
		return fmt.Errorf("publish the traffic: %w", err)
	}
	for !d.complete(eng.Counters()) {
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	d.summary(eng.Counters(), time.Since(start))
	if !keep {
		fmt.Fprint(a.stdout, demoNext)
		return nil
	}
	admin, err := startAdmin(AdminConfig{Listen: "127.0.0.1:0"}, reg, func() error { return nil }, func() error { return nil })
	if err != nil {
		return err
	}
	defer admin.Close()
	fmt.Fprintf(a.stdout, "\nStill running until Ctrl-C:\n  metrics  http://%s/metrics\n  broker   %s (topics events, signals, signals-shadow, rejects)\n", admin.Addr, broker.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

const demoNext = `
What next?
  engine demo --keep                     leave it running, with metrics, and publish events of your own
  engine check policies/                 find every fault of a policy; edit one of policies/ and try
  engine test policies/                  run the tests that policies carry
  engine replay traffic.ndjson           run policies over recorded traffic
  engine run --config engine.yaml        join a consumer group on your Kafka
`

// demoRecords reads the bundled traffic.
func demoRecords() ([]pipeline.Record, error) {
	r, err := file.Open([]string{file.Stdin}, file.Options{Stdin: bytes.NewReader(demoTraffic)})
	if err != nil {
		return nil, fmt.Errorf("read the bundled traffic: %w", err)
	}
	defer r.Close()
	var records []pipeline.Record
	for {
		line, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return records, nil
		case err != nil:
			return nil, fmt.Errorf("read the bundled traffic: %w", err)
		case line.Fault != nil:
			return nil, fmt.Errorf("read the bundled traffic: line %d: %w", line.Number, line.Fault)
		}
		rec := line.Record
		rec.Key, rec.Value = bytes.Clone(rec.Key), bytes.Clone(rec.Value)
		records = append(records, rec)
	}
}

// demo is what one demo has seen. Its methods are called from several goroutines.
type demo struct {
	app       *app
	total     int64 // events; constant
	hostWidth int   // constant

	mu        sync.Mutex
	published map[string]time.Time // guarded by mu: when an event was acknowledged, by signal id
	arrivals  []arrival            // guarded by mu: when its signal was read back
	signals   int64                // guarded by mu
}

type arrival struct {
	id string
	at time.Time
}

// acked notes when an event reached its topic: what latency is measured from.
func (d *demo) acked(_ int, tp pipeline.TopicPartition, offset int64) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.published[fmt.Sprintf("%s/%d/%d", tp.Topic, tp.Partition, offset)] = now
}

// show prints signals as they are published.
func (d *demo) show(_ pipeline.TopicPartition, records []pipeline.Record) error {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	dec := event.NewDecoder(event.DecoderConfig{MaxBytes: 1 << 20})
	var e event.Event
	for _, r := range records {
		if err := dec.Decode(r.Value, &e); err != nil {
			return fmt.Errorf("a signal cannot be read: %w", err)
		}
		fmt.Fprintln(d.app.stdout, signalLine(&e, string(r.Key), d.hostWidth))
		for _, h := range r.Headers {
			if h.Key == "spoor-signal-id" {
				d.arrivals = append(d.arrivals, arrival{string(h.Value), now})
			}
		}
		d.signals++
	}
	return nil
}

// complete says that every event was evaluated and every signal was read back.
func (d *demo) complete(c pipeline.Counters) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return c.Events == d.total && c.Signals == d.signals
}

func (d *demo) summary(c pipeline.Counters, elapsed time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var latencies []time.Duration
	for _, a := range d.arrivals {
		if at, ok := d.published[a.id]; ok {
			latencies = append(latencies, max(a.at.Sub(at), 0)) // a signal may be faster than the acknowledgement
		}
	}
	slices.Sort(latencies)
	w := d.app.stdout
	fmt.Fprintf(w, "\n%d events in %.1f s (%.0f events/s), %d signals, %d rejects\n",
		c.Events, elapsed.Seconds(), float64(c.Events)/elapsed.Seconds(), c.Signals, c.Rejected)
	if n := len(latencies); n > 0 {
		fmt.Fprintf(w, "publish to signal, all events at once: p50 %s, p99 %s\n",
			latencies[n/2].Round(time.Millisecond), latencies[n*99/100].Round(time.Millisecond))
	}
	l := c.Lineage
	fmt.Fprintf(w, "lineage: %d hit, %d unknown, %d reused, %d ambiguous\n", l.Hit, l.Unknown, l.Reused, l.Ambiguous)
	type count struct {
		rule string
		n    int64
	}
	var counts []count
	width := 0
	for rule, n := range c.RuleMatches {
		counts = append(counts, count{rule, n})
		width = max(width, len(rule))
	}
	slices.SortFunc(counts, func(a, b count) int {
		if a.n != b.n {
			return int(b.n - a.n)
		}
		return strings.Compare(a.rule, b.rule)
	})
	fmt.Fprintln(w, "matches by rule:")
	for _, c := range counts {
		fmt.Fprintf(w, "  %-*s  %d\n", width, c.rule, c.n)
	}
}
