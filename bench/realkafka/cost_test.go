//go:build realkafka

package realkafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"spoor/bench"
)

// delivery is one way to run the engine, by what it promises.
type delivery struct {
	name, yaml string
}

// deliveries are the three that are compared: the last two differ in nothing but `delivery`.
var deliveries = []delivery{
	{"no changelog", "state: {changelog: off}\n"},
	{"at_least_once", "delivery: at_least_once\nstate: {changelog: on}\n"},
	{"exactly_once", "delivery: exactly_once\nstate: {changelog: on}\n"},
}

// costRounds is how often each delivery is measured; the middle one counts.
const costRounds = 3

// What a changelog and exactly_once cost, in events/s and in CPU of engine and broker, which share the machine, by
// number of partitions. REALKAFKA_COST=seconds is how long each is measured, from some seconds after every partition has
// committed until before the first partition is at its end; REALKAFKA_COST_EVENTS is how many events there are for it.
// Rounds are interleaved, so that a machine that others use too slows all of them, and the first does not count: the
// broker compiles itself in it.
func TestCost(t *testing.T) {
	seconds := number(t, "REALKAFKA_COST", 0)
	if seconds == 0 {
		t.Skip("REALKAFKA_COST is not set")
	}
	events := number(t, "REALKAFKA_COST_EVENTS", 400_000*(seconds+8))
	bin := buildEngine(t)
	for _, n := range []int32{1, 8, 64} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := startBroker(t, "log.cleaner.enable=false") // a cleaner would work in some of the rounds
			b.createTopic("events", n)
			b.fill("events", n, events)
			var rounds [][]cost
			for round := range 1 + costRounds {
				var costs []cost
				for i, d := range deliveries {
					c := b.steady(bin, fmt.Sprintf("cost-%d-%d-%d", n, round, i), n, d, time.Duration(seconds)*time.Second)
					costs = append(costs, c)
					t.Logf("%2d partitions, round %d, %-13s  %s", n, round, d.name, c)
				}
				if round > 0 {
					rounds = append(rounds, costs)
				}
			}
			for i, d := range deliveries {
				t.Logf("%2d partitions, median,  %-13s  %s", n, d.name, medianCost(rounds, i))
			}
			var ratios []float64
			for _, r := range rounds {
				ratios = append(ratios, r[2].rate/r[1].rate)
			}
			slices.Sort(ratios)
			if middle := ratios[len(ratios)/2]; middle < 0.85 {
				t.Errorf("exactly_once costs %.0f %% of throughput, at most 15 %% are accepted", 100*(1-middle))
			}
			t.Logf("%2d partitions: exactly_once has %.2f times the throughput of at_least_once (%.2f)", n, ratios[len(ratios)/2], ratios)
		})
	}
}

// cost is what one run took while it was steady.
type cost struct {
	rate           float64 // events/s
	engine, broker float64 // µs of CPU for each event
	commits        float64 // each second
	commit, end    time.Duration
}

func (c cost) String() string {
	return fmt.Sprintf("%8.0f events/s, CPU/event: engine %5.2f µs, broker %5.2f µs; %4.0f commits/s of %v, of which EndTxn %v",
		c.rate, c.engine, c.broker, c.commits, c.commit.Round(100*time.Microsecond), c.end.Round(100*time.Microsecond))
}

func medianCost(rounds [][]cost, i int) cost {
	middle := func(of func(cost) float64) float64 {
		var all []float64
		for _, r := range rounds {
			all = append(all, of(r[i]))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return cost{
		rate:    middle(func(c cost) float64 { return c.rate }),
		engine:  middle(func(c cost) float64 { return c.engine }),
		broker:  middle(func(c cost) float64 { return c.broker }),
		commits: middle(func(c cost) float64 { return c.commits }),
		commit:  time.Duration(middle(func(c cost) float64 { return float64(c.commit) })),
		end:     time.Duration(middle(func(c cost) float64 { return float64(c.end) })),
	}
}

// steady runs an engine in a group of its own and measures it for a while, between start and end of the topic.
func (b *broker) steady(bin, group string, n int32, d delivery, during time.Duration) cost {
	t := b.t
	t.Helper()
	b.createTopic(group+".out", n)
	// Made by the engine, it would have no leaders yet for some partitions, and those would open late.
	b.createTopicWith(group+".events.spoor-state", n, map[string]string{"cleanup.policy": "compact"})
	admin := "127.0.0.1:" + freePort(t)
	yaml := strings.ReplaceAll(config(b, group, group+".out", true), `admin: {listen: ""}`, fmt.Sprintf("admin: {listen: %q, pprof: true}", admin)) + d.yaml
	m := newEngine(t, bin, yaml).run()
	await(t, "a commit of every partition", func() bool {
		at := b.offsets(group, "events", n)
		return at != nil && slices.Min(at) > 0
	})
	time.Sleep(2 * time.Second)

	type reading struct {
		at             time.Time
		positions      []int64
		events         int64
		engine, broker time.Duration
		metrics        map[string]float64
	}
	read := func() reading {
		r := reading{positions: b.offsets(group, "events", n), engine: cpu(t, m.Process.Pid), broker: cpu(t, b.cmd.Process.Pid), metrics: metrics(t, admin), at: time.Now()}
		r.events = sum(r.positions)
		return r
	}
	ends := b.logEnds("events", n)
	first := read()
	if path := os.Getenv("REALKAFKA_PROFILE"); path != "" {
		go profile(t, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, int(during.Seconds()/2)), fmt.Sprintf("%s-%s.pprof", path, group))
	}
	// Until the time is over, or some partition has little left.
	last, enough := first, false
	for !enough && last.at.Sub(first.at) < during {
		time.Sleep(250 * time.Millisecond)
		last = read()
		for p, at := range last.positions {
			enough = enough || at > ends[p]*95/100
		}
	}
	if took := last.at.Sub(first.at); took < during/2 {
		t.Fatalf("%s: measured for %v only: give more than REALKAFKA_COST_EVENTS events", d.name, took)
	}
	m.kill() // what is left to read is of no interest

	took, events := last.at.Sub(first.at).Seconds(), float64(last.events-first.events)
	mean := func(histogram string) time.Duration {
		count := last.metrics[histogram+"_count"] - first.metrics[histogram+"_count"]
		if count == 0 {
			return 0
		}
		return time.Duration((last.metrics[histogram+"_sum"] - first.metrics[histogram+"_sum"]) / count * float64(time.Second))
	}
	return cost{
		rate:    events / took,
		engine:  float64((last.engine - first.engine).Microseconds()) / events,
		broker:  float64((last.broker - first.broker).Microseconds()) / events,
		commits: (last.metrics["spoor_commit_seconds_count"] - first.metrics["spoor_commit_seconds_count"]) / took,
		commit:  mean("spoor_commit_seconds"),
		end:     mean("spoor_transaction_end_seconds"),
	}
}

// cpu is the time that a process has had a processor.
func cpu(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // from the third, the state, on
	ticks := 0
	for _, f := range fields[11:13] { // user and system time
		v, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		ticks += v
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100 on Linux
}

// fill writes the simulator's traffic, without its attacks, to a topic: as many hosts and as many events to each
// partition. Hosts differ in how much they do, so what is over is left out.
func (b *broker) fill(topic string, n int32, events int) {
	b.t.Helper()
	cl := b.client(kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	full := errors.New("full")
	partition, each, left := map[string]int32{}, make([]int, n), events/int(n)*int(n)
	err := bench.Generate(bench.Config{Seed: 5, Hosts: 256, Events: math.MaxInt}, func(r bench.Record) error {
		p, ok := partition[r.Key]
		if !ok {
			p = int32(len(partition)) % n
			partition[r.Key] = p
		}
		if each[p] == events/int(n) {
			return nil
		}
		each[p]++
		cl.Produce(context.Background(), &kgo.Record{Topic: topic, Partition: p, Key: []byte(r.Key), Value: bytes.Clone(r.Value), Timestamp: r.Time}, nil)
		if left--; left == 0 {
			return full
		}
		return nil
	})
	if errors.Is(err, full) {
		err = cl.Flush(context.Background())
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// profile writes a profile of the engine to a file, for `go tool pprof`.
func profile(t *testing.T, url, path string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	f, err := os.Create(path)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	if _, err := io.Copy(f, res.Body); err != nil {
		t.Error(err)
	}
}
