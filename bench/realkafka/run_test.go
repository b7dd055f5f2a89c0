//go:build realkafka

package realkafka

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"spoor/bench"
)

const partitions = 8

// publish writes the simulator's traffic to the input topic, in order.
func (b *broker) publish(topic string, events int) {
	b.t.Helper()
	cl := b.client(kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	defer cl.Close()
	n := 0
	err := bench.Generate(bench.Config{Seed: 7, Hosts: 40, Events: events, Attacks: bench.AttackNames()}, func(r bench.Record) error {
		n++
		cl.Produce(context.Background(), &kgo.Record{Topic: topic, Key: []byte(r.Key), Value: bytes.Clone(r.Value), Timestamp: r.Time}, nil)
		return nil
	})
	if err == nil {
		err = cl.Flush(context.Background())
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if got := b.ends(topic, partitions); got != int64(n) {
		b.t.Fatalf("published %d of %d events", got, n)
	}
}

// await polls until done, at most a minute and a half.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for start := time.Now(); time.Since(start) < 90*time.Second; time.Sleep(50 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

func config(b *broker, group, output string, lineage bool) string {
	state := "off"
	if lineage {
		state = "on"
	}
	policies, err := filepath.Abs("testdata")
	if err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprintf(`
policies: [%q]
lineage: %s
kafka:
  brokers: [%q]
  group: %s
  input: events
  output: %s
  session_timeout: 6s
  heartbeat_interval: 500ms
admin: {listen: ""}
`, policies, state, b.addr(), group, output)
}

// signal is a published record as another consumer sees it.
type signal struct {
	id, key, value string
	partition      int32
}

func (b *broker) signals(topic string) []signal {
	var out []signal
	for _, r := range b.read(topic, partitions) {
		s := signal{key: string(r.Key), value: string(r.Value), partition: r.Partition}
		for _, h := range r.Headers {
			if h.Key == "spoor-signal-id" {
				s.id = string(h.Value)
			}
		}
		if s.id == "" {
			b.t.Fatalf("a signal at %d/%d has no id", r.Partition, r.Offset)
		}
		out = append(out, s)
	}
	return out
}

// replayed dumps the input topic with `engine record` and returns the signals of its replay, by partition.
func (e *engine) replayed() []signal {
	e.t.Helper()
	dir := e.t.TempDir()
	dump, result := filepath.Join(dir, "events.ndjson.zst"), filepath.Join(dir, "signals.ndjson")
	e.call("record", "--config", e.config, "-o", dump)
	e.call("replay", "--config", e.config, "--format", "record", "-o", result, dump)
	f, err := os.Open(result)
	if err != nil {
		e.t.Fatal(err)
	}
	defer f.Close()
	byPartition := make([][]signal, partitions)
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 4<<20)
	for sc.Scan() {
		var line struct {
			Key       string          `json:"key"`
			Partition int32           `json:"partition"`
			Value     json.RawMessage `json:"value"`
			Headers   map[string]string
		}
		if err := json.Unmarshal(sc.Bytes(), &line); err != nil {
			e.t.Fatal(err)
		}
		byPartition[line.Partition] = append(byPartition[line.Partition],
			signal{id: line.Headers["spoor-signal-id"], key: line.Key, value: string(line.Value), partition: line.Partition})
	}
	if err := sc.Err(); err != nil {
		e.t.Fatal(err)
	}
	var all []signal
	for _, s := range byPartition {
		all = append(all, s...)
	}
	return all
}

// compare holds what was published against the replay: nothing lost, nothing invented, and what was
// published twice is the same to the byte.
func compare(t *testing.T, published, replayed []signal) {
	t.Helper()
	want := map[string]signal{}
	for _, s := range replayed {
		want[s.id] = s
	}
	if len(want) == 0 || len(want) != len(replayed) {
		t.Fatalf("the replay gives %d signals with %d ids", len(replayed), len(want))
	}
	seen := map[string]int{}
	for _, s := range published {
		seen[s.id]++
		if w, ok := want[s.id]; !ok {
			t.Errorf("%s was published but is not in the replay", s.id)
		} else if s != w {
			t.Errorf("%s differs\npublished %+v\nreplayed  %+v", s.id, s, w)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	lost := 0
	for id := range want {
		if seen[id] == 0 {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d signals are lost", lost, len(want))
	}
	t.Logf("%d signals, %d published twice or more", len(want), len(published)-len(seen))
}

// Two members share the topic; one is killed half way, a third joins, all are stopped. Then the same with a
// restart of the broker in the middle.
func TestKilledMembersLoseNothing(t *testing.T) {
	const events = 200_000
	bin := buildEngine(t)
	f := func(name string, disturb func(b *broker)) {
		t.Run(name, func(t *testing.T) {
			b := startBroker(t)
			b.createTopic("events", partitions)
			b.createTopic("signals", partitions)
			b.publish("events", events)
			e := newEngine(t, bin, config(b, "kill", "signals", false))
			first, second := e.run(), e.run()
			await(t, "half of the events", func() bool { return b.committed("kill", "events", partitions) > events/2 })
			first.kill()
			disturb(b)
			third := e.run()
			await(t, "all events to be committed", func() bool {
				return b.committed("kill", "events", partitions) == b.ends("events", partitions)
			})
			second.drain(t)
			third.drain(t)
			compare(t, b.signals("signals"), e.replayed())
		})
	}
	f("kill", func(*broker) {})
	f("kill and broker restart", func(b *broker) {
		b.stop()
		b.start()
	})
}

// One undisturbed engine with lineage publishes, byte for byte and in order, what its replay gives.
func TestUndisturbedEqualsReplay(t *testing.T) {
	b := startBroker(t)
	b.createTopic("events", partitions)
	b.createTopic("signals", partitions)
	b.publish("events", 100_000)
	e := newEngine(t, buildEngine(t), config(b, "calm", "signals", true))
	m := e.run()
	await(t, "all events to be committed", func() bool {
		return b.committed("calm", "events", partitions) == b.ends("events", partitions)
	})
	m.drain(t)
	published, replayed := b.signals("signals"), e.replayed()
	if len(published) != len(replayed) {
		t.Fatalf("%d signals published, %d in the replay", len(published), len(replayed))
	}
	for i := range published {
		if published[i] != replayed[i] {
			t.Fatalf("signal %d differs\npublished %+v\nreplayed  %+v", i, published[i], replayed[i])
		}
	}
	t.Logf("%d signals equal", len(published))
}
