package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"spoor/pipeline"
	"spoor/pipeline/file"
	"spoor/rules"
)

func (a *app) benchCommand() *cobra.Command {
	var flags replayFlags
	var asJSON bool
	var limit, top int
	var atLeast time.Duration
	cmd := &cobra.Command{
		Use:   "bench FILE...",
		Short: "Measure policies on recorded traffic",
		Long: `Run recorded traffic through the engine in memory, on one core, and print how fast that is: events a second,
the time of each stage, how long single events take, allocations, and what each rule costs. The traffic is read
first, up to --limit records, and then processed again and again for --time.

A rule is a candidate for an event when the texts that it demands are in it; only candidates are evaluated. A rule
that demands nothing that can be looked up is a candidate for every event of its names, and the table says why.`,
		Example: "  engine bench traffic.ndjson.zst\n  engine bench --policies policies/ --json traffic.ndjson.zst",
		Args:    someArgs("FILE"),
		RunE: func(cmd *cobra.Command, files []string) error {
			if limit < 1 || atLeast <= 0 {
				return &usageError{errors.New("--limit and --time are more than 0"), cmd.CommandPath()}
			}
			cfg, set, err := flags.load(a)
			if err != nil {
				return err
			}
			b := &bencher{cfg: cfg.Pipeline(), set: set}
			told := faults{w: a.stderr}
			if err := b.read(cmd.Context(), a, files, limit, &told); err != nil {
				return err
			}
			report, err := b.run(cmd.Context(), atLeast)
			if err != nil {
				return err
			}
			if asJSON {
				err = a.writeJSON(file.Stdin, report)
			} else {
				err = report.write(a.stdout, top)
			}
			return firstError(err, told.end())
		},
	}
	flags.register(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with every rule")
	cmd.Flags().IntVar(&limit, "limit", 200_000, "records to read at most; they are kept in memory")
	cmd.Flags().IntVar(&top, "rules", 20, "how many of the rules to print")
	cmd.Flags().DurationVar(&atLeast, "time", 3*time.Second, "how long to measure the speed, at least one pass")
	return cmd
}

// BenchReport is what bench found, as --json writes it. Times are in nanoseconds, and for one event.
type BenchReport struct {
	Events          int64        `json:"events"` // of one pass
	Rejected        int64        `json:"rejected"`
	Signals         int64        `json:"signals"`
	More            bool         `json:"more,omitempty"` // the files hold more than was read
	Rules           int          `json:"rules"`
	Unindexed       int          `json:"unindexed"`
	IndexBytes      int64        `json:"index_bytes"`
	Passes          int          `json:"passes"`
	EventsPerSecond float64      `json:"events_per_second"` // of the median pass
	Best            float64      `json:"events_per_second_best"`
	Allocations     float64      `json:"allocations"` // of one event
	AllocatedBytes  float64      `json:"allocated_bytes"`
	Stages          BenchStages  `json:"stages"`
	Latency         BenchLatency `json:"latency"`
	Candidates      float64      `json:"candidates"`
	CostByRule      []BenchRule  `json:"cost_by_rule"` // the dearest first
}

// BenchStages are the mean times of the stages. Search is the part of Match that finds the candidates.
type BenchStages struct {
	Decode float64 `json:"decode"`
	Enrich float64 `json:"enrich"`
	Match  float64 `json:"match"`
	Encode float64 `json:"encode"`
	Search float64 `json:"search"`
}

// BenchLatency says how long single events take from their bytes to their verdict and signal.
type BenchLatency struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// BenchRule is what one rule costs. Candidate and Match are shares of all events.
type BenchRule struct {
	ID        string  `json:"id"`
	Share     float64 `json:"share"` // of the time of all rules
	Time      float64 `json:"time"`
	Candidate float64 `json:"candidate"`
	Match     float64 `json:"match"`
	Unindexed string  `json:"unindexed,omitempty"` // why it is a candidate for every event of its names
}

// bencher measures one set on records in memory.
type bencher struct {
	cfg  pipeline.Config
	set  *rules.Set
	runs []benchRun
	n    int
	more bool
}

// benchRun is a run of records of one partition.
type benchRun struct {
	pipeline.TopicPartition
	records []pipeline.Record
}

// benchFetch is how many records are processed at once, as of a fetch from Kafka.
const benchFetch = 500

// read keeps the records of the files in memory, but for those that cannot be read: Kafka has none.
func (b *bencher) read(ctx context.Context, a *app, files []string, limit int, told *faults) error {
	told.bar = newProgress(a.stderr)
	defer told.bar.done()
	r, err := file.Open(files, file.Options{Stdin: a.stdin, Progress: told.bar.set, Fault: told.add})
	if err != nil {
		return err
	}
	defer r.Close()
	for ctx.Err() == nil {
		line, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if line.Fault != nil {
			continue
		}
		if b.n == limit {
			b.more = true
			break
		}
		b.n++
		last := len(b.runs) - 1
		if last < 0 || b.runs[last].TopicPartition != line.TopicPartition || len(b.runs[last].records) == benchFetch {
			b.runs = append(b.runs, benchRun{TopicPartition: line.TopicPartition})
			last++
		}
		b.runs[last].records = append(b.runs[last].records, cloneRecord(line.Record))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if b.n == 0 {
		return errors.New("there is nothing to measure: the files hold no records")
	}
	return nil
}

// cloneRecord is a copy of r that outlives its source's next record.
func cloneRecord(r pipeline.Record) pipeline.Record {
	r.Key, r.Value = slices.Clone(r.Key), slices.Clone(r.Value)
	r.Headers = slices.Clone(r.Headers)
	for i := range r.Headers {
		r.Headers[i].Value = slices.Clone(r.Headers[i].Value)
	}
	return r
}

// pass processes all records once, with partitions that remember nothing.
func (b *bencher) pass(ctx context.Context, probe func(*pipeline.Look)) (pipeline.Counters, error) {
	cfg := b.cfg
	cfg.Probe = probe
	eng := pipeline.New(cfg, b.set, nil)
	partitions := map[pipeline.TopicPartition]*pipeline.Partition{}
	var out nowhere
	for _, run := range b.runs {
		p := partitions[run.TopicPartition]
		if p == nil {
			p = eng.Partition(run.TopicPartition, "")
			partitions[run.TopicPartition] = p
		}
		next := run.records[len(run.records)-1].Offset + 1
		if err := p.Step(ctx, pipeline.Fetch{Records: run.records, Next: next, End: next}, out); err != nil {
			return pipeline.Counters{}, err
		}
	}
	for _, p := range partitions {
		if err := p.Flush(ctx, out); err != nil {
			return pipeline.Counters{}, err
		}
	}
	return eng.Counters(), nil
}

// nowhere takes every batch.
type nowhere struct{}

func (nowhere) Commit(context.Context, *pipeline.Batch) error { return nil }

// run measures. Each figure is of passes of its own, so that none pays for the taking of another.
func (b *bencher) run(ctx context.Context, atLeast time.Duration) (*BenchReport, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // collecting garbage is part of the price
	stats := b.set.Stats()
	report := &BenchReport{More: b.more, Rules: stats.Rules, Unindexed: stats.Unindexed, IndexBytes: stats.IndexBytes}
	if err := b.speed(ctx, atLeast, report); err != nil {
		return nil, err
	}
	if err := b.stages(ctx, report); err != nil {
		return nil, err
	}
	return report, b.costs(ctx, report)
}

// speed measures whole passes, and what they allocate.
func (b *bencher) speed(ctx context.Context, atLeast time.Duration, report *BenchReport) error {
	var took []time.Duration
	var before, after runtime.MemStats
	for total := time.Duration(0); total < atLeast; {
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		c, err := b.pass(ctx, nil)
		if err != nil {
			return err
		}
		took = append(took, time.Since(start))
		total += took[len(took)-1]
		runtime.ReadMemStats(&after)
		report.Events, report.Rejected, report.Signals = c.Events, c.Rejected, c.Signals+c.ShadowSignals
	}
	slices.Sort(took)
	n := float64(b.n)
	report.Passes = len(took)
	report.EventsPerSecond = n / max(took[len(took)/2], 1).Seconds()
	report.Best = n / max(took[0], 1).Seconds()
	report.Allocations = float64(after.Mallocs-before.Mallocs) / n
	report.AllocatedBytes = float64(after.TotalAlloc-before.TotalAlloc) / n
	return nil
}

// rounds is how often what has to be looked at closely is measured; the least counts, since whatever else the
// machine does only adds to it.
const rounds = 3

// stages measures the stages and single events.
func (b *bencher) stages(ctx context.Context, report *BenchReport) error {
	order := []pipeline.Stage{pipeline.StageDecode, pipeline.StageEnrich, pipeline.StageEvaluate, pipeline.StageSink}
	reading := clockReading()
	var least [4]time.Duration
	var single []time.Duration // by event
	for round := range rounds {
		var sum [4]time.Duration
		start := time.Now()
		var last, event time.Duration
		n := 0
		_, err := b.pass(ctx, func(l *pipeline.Look) {
			now := time.Since(start)
			if i := slices.Index(order, l.Stage); i >= 0 {
				d := max(now-last-reading, 0)
				sum[i] += d
				event += d
			}
			switch l.Stage {
			case pipeline.StageSource:
				event = 0
			case pipeline.StageSink:
				if round == 0 {
					single = append(single, event)
				} else if n < len(single) {
					single[n] = min(single[n], event)
				}
				n++
			}
			last = time.Since(start)
		})
		if err != nil {
			return err
		}
		for i, d := range sum {
			if round == 0 || d < least[i] {
				least[i] = d
			}
		}
	}
	ns := func(d time.Duration) float64 { return float64(d) / float64(b.n) }
	report.Stages = BenchStages{Decode: ns(least[0]), Enrich: ns(least[1]), Match: ns(least[2]), Encode: ns(least[3])}
	slices.Sort(single)
	at := func(share float64) float64 {
		if len(single) == 0 {
			return 0
		}
		return float64(single[min(int(share*float64(len(single))), len(single)-1)])
	}
	report.Latency = BenchLatency{P50: at(.5), P99: at(.99), P999: at(.999), Max: at(1)}
	return nil
}

// clockReading is what one look at the clock takes.
func clockReading() time.Duration {
	least := time.Hour
	start := time.Now()
	for range 1000 {
		a := time.Since(start)
		least = min(least, time.Since(start)-a)
	}
	return least
}

// costs measures what rules cost.
func (b *bencher) costs(ctx context.Context, report *BenchReport) error {
	start := time.Now()
	profile := rules.NewProfile(b.set, func() time.Duration { return time.Since(start) })
	least := make([]time.Duration, len(profile.Rules))
	search := time.Duration(0)
	for round := range rounds {
		profile.Clear()
		_, err := b.pass(ctx, func(l *pipeline.Look) {
			if l.Stage == pipeline.StageSource {
				l.Result.Profile = profile
			}
		})
		if err != nil {
			return err
		}
		for i, c := range profile.Rules {
			if round == 0 || c.Time < least[i] {
				least[i] = c.Time
			}
		}
		if round == 0 || profile.Search < search {
			search = profile.Search
		}
	}
	n := float64(b.n)
	report.Candidates = float64(profile.Candidates) / n
	report.Stages.Search = float64(search) / n
	var all time.Duration
	for _, d := range least {
		all += d
	}
	for i, r := range b.set.Rules() {
		c := profile.Rules[i]
		report.CostByRule = append(report.CostByRule, BenchRule{
			ID: r.ID, Share: float64(least[i]) / float64(max(all, 1)), Time: float64(least[i]) / n,
			Candidate: float64(c.Candidates) / n, Match: float64(c.Matches) / n, Unindexed: b.set.Unindexed(i),
		})
	}
	slices.SortStableFunc(report.CostByRule, func(a, b BenchRule) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(b.Candidate, a.Candidate), cmp.Compare(a.ID, b.ID))
	})
	return nil
}

// write prints the report for people, with the top dearest rules.
func (r *BenchReport) write(out io.Writer, top int) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, c)
		}
		fmt.Fprintln(w, "\t")
	}
	more := ""
	if r.More {
		more = " (the files hold more: see --limit)"
	}
	fmt.Fprintf(out, "%d events%s, %d of them rejected, %d signals; %d rules, %d of them not indexed; the index takes %.1f MB\n",
		r.Events, more, r.Rejected, r.Signals, r.Rules, r.Unindexed, float64(r.IndexBytes)/1e6)
	fmt.Fprintf(out, "%.0f events/s on one core (median of %d passes, best %.0f); %.1f allocations and %.0f bytes an event; %.2f candidates an event\n\n",
		r.EventsPerSecond, r.Passes, r.Best, r.Allocations, r.AllocatedBytes, r.Candidates)
	sum := r.Stages.Decode + r.Stages.Enrich + r.Stages.Match + r.Stages.Encode
	row("stage", "ns/event", "share")
	for _, s := range []struct {
		name string
		ns   float64
	}{{"decode", r.Stages.Decode}, {"enrich", r.Stages.Enrich}, {"match", r.Stages.Match}, {"encode", r.Stages.Encode}} {
		row(s.name, fmt.Sprintf("%.0f", s.ns), fmt.Sprintf("%.1f %%", 100*s.ns/max(sum, 1)))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nan event takes %.1f us (p50), %.1f us (p99), %.1f us (p99.9), %.0f us at most\n\n",
		r.Latency.P50/1e3, r.Latency.P99/1e3, r.Latency.P999/1e3, r.Latency.Max/1e3)
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "share\tns/event\tcandidate\tmatch\t  rule")
	for _, c := range r.CostByRule[:min(max(top, 0), len(r.CostByRule))] {
		if c.Candidate == 0 {
			break
		}
		why := ""
		if c.Unindexed != "" {
			why = " (not indexed: " + c.Unindexed + ")"
		}
		fmt.Fprintf(w, "%.1f %%\t%.1f\t%.4f\t%.4f\t  %s%s\n", 100*c.Share, c.Time, c.Candidate, c.Match, c.ID, why)
	}
	return w.Flush()
}
