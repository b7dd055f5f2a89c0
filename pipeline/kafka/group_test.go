package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"spoor/pipeline"
	"spoor/pipeline/embedded"
	"spoor/rules"
	"spoor/rules/policy"
)

func testSet() *rules.Set {
	none, _ := rules.Compile(&policy.Set{})
	return none
}

func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 8, "out": 3, "rejects": 1}})
	f := franz(t, b)
	fill(t, f, "in", 8, 0, 100)
	cfg := config(b)
	var mu sync.Mutex
	owners := map[int32][]string{} // who processed each partition, in order
	watch := func(name string) func(pipeline.TopicPartition, pipeline.Fetch) {
		return func(tp pipeline.TopicPartition, _ pipeline.Fetch) {
			mu.Lock()
			defer mu.Unlock()
			if o := owners[tp.Partition]; len(o) == 0 || o[len(o)-1] != name {
				owners[tp.Partition] = append(o, name)
			}
		}
	}
	a, stopA := member(t, cfg, quiet, watch("a"))
	eventually(t, func() string { return assigned(map[*Member]int{a: 8}) })
	fill(t, f, "in", 8, 100, 100)
	m, stopB := member(t, cfg, quiet, watch("b"))
	eventually(t, func() string { return assigned(map[*Member]int{a: 4, m: 4}) })
	fill(t, f, "in", 8, 200, 100)
	eventually(t, func() string { return missing(t, b, "in", "out", 8, 300) })
	stopA()
	eventually(t, func() string { return assigned(map[*Member]int{m: 8}) })
	fill(t, f, "in", 8, 300, 100)
	eventually(t, func() string { return missing(t, b, "in", "out", 8, 400) })
	stopB()

	for id, n := range ids(t, b, "out") {
		if n != 1 {
			t.Errorf("%s was published %d times though everybody left in order", id, n)
		}
	}
	moves := 0
	mu.Lock()
	for _, o := range owners {
		moves += len(o) - 1
	}
	mu.Unlock()
	if moves != 8 { // four to b when it joins, the other four when a leaves
		t.Errorf("partitions moved %d times, 8 are needed: %v", moves, owners)
	}
	// Output partition = input partition modulo the count, and the offsets of each in order.
	for p, records := range collect(t, b, "out") {
		last := map[string]int64{}
		for _, r := range records {
			var topic string
			var in int32
			var offset int64
			fmt.Sscanf(strings.ReplaceAll(string(r.Headers[0].Value), "/", " "), "%s %d %d", &topic, &in, &offset)
			if in%3 != p {
				t.Fatalf("partition %d went to %d", in, p)
			}
			if at, ok := last[fmt.Sprint(in)]; ok && offset <= at {
				t.Fatalf("partition %d: offset %d after %d", in, offset, at)
			}
			last[fmt.Sprint(in)] = offset
		}
	}
}

// TestChild is not a test: it is the member that TestKilledMember kills.
func TestChild(t *testing.T) {
	addr := os.Getenv("SPOOR_CHILD_OF")
	if addr == "" {
		t.Skip("only as a child process")
	}
	cfg := childConfig(addr)
	m := NewMember(cfg, pipeline.New(pipeline.Config{}, testSet(), pipeline.NewMetrics(nil)), quiet)
	m.newRunner = func(tp pipeline.TopicPartition, _ string) runner {
		return &echo{tp: tp, next: -1, onFetch: func(pipeline.TopicPartition, pipeline.Fetch) { time.Sleep(2 * time.Millisecond) }}
	}
	m.Run(context.Background())
}

func childConfig(addr string) Config {
	cfg := DefaultConfig()
	cfg.Brokers = []string{addr}
	cfg.Group, cfg.Input, cfg.Output, cfg.Reject = "g", "in", "out", "rejects"
	cfg.HeartbeatInterval, cfg.SessionTimeout, cfg.RebalanceTimeout = 100*time.Millisecond, time.Second, 2*time.Second
	for env, field := range map[string]*string{"SPOOR_CHILD_INPUT": &cfg.Input, "SPOOR_CHILD_OUTPUT": &cfg.Output, "SPOOR_CHILD_GROUP": &cfg.Group} {
		if v := os.Getenv(env); v != "" {
			*field, cfg.Reject = v, ""
			cfg.SessionTimeout, cfg.RebalanceTimeout = 6*time.Second, 6*time.Second
		}
	}
	cfg.FetchBytes = 2 << 10 // small steps, so that the kill comes in the middle
	return cfg
}

func TestKilledMember(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 4, "out": 4, "rejects": 1}})
	const each = 2000
	f := franz(t, b)
	for i := 0; i < each; i += 20 {
		fill(t, f, "in", 4, i, 20)
	}
	child := exec.Command(os.Args[0], "-test.run", "^TestChild$")
	child.Env = append(os.Environ(), "SPOOR_CHILD_OF="+b.Addr())
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if len(ids(t, b, "out")) < 200 {
			return "the child does not publish"
		}
		return ""
	})
	child.Process.Kill()
	child.Wait()
	if n := len(ids(t, b, "out")); n >= 4*each {
		t.Fatalf("the child was done before it was killed: %d", n)
	}
	member(t, childConfig(b.Addr()), quiet, nil)
	eventually(t, func() string { return missing(t, b, "in", "out", 4, each) })
}

func TestWarmPartitionsStay(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 4, "out": 4, "rejects": 1}})
	fill(t, franz(t, b), "in", 4, 0, 10)
	cfg := config(b)
	var mu sync.Mutex
	made, closed := map[int32]int{}, map[int32]int{}
	a := NewMember(cfg, pipeline.New(pipeline.Config{}, testSet(), pipeline.NewMetrics(nil)), quiet)
	a.newRunner = func(tp pipeline.TopicPartition, _ string) runner {
		mu.Lock()
		defer mu.Unlock()
		made[tp.Partition]++
		return &echo{tp: tp, next: -1, closed: func(e *echo) {
			mu.Lock()
			defer mu.Unlock()
			closed[e.tp.Partition]++
		}}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error)
	go func() { done <- a.Run(ctx) }()
	eventually(t, func() string { return missing(t, b, "in", "out", 4, 10) })
	_, stop := member(t, cfg, quiet, nil)
	eventually(t, func() string {
		mu.Lock()
		defer mu.Unlock()
		if len(closed) < 2 {
			return "two partitions have to go"
		}
		return ""
	})
	stop()
	eventually(t, func() string {
		mu.Lock()
		defer mu.Unlock()
		if made[0]+made[1]+made[2]+made[3] < 6 {
			return "two partitions have to come back"
		}
		return ""
	})
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// The two that stayed were made once; the two that went away and came back twice.
	counts := map[int]int{}
	for p, n := range made {
		counts[n]++
		if closed[p] != n {
			t.Errorf("partition %d was made %d times and closed %d times", p, n, closed[p])
		}
	}
	if want := (map[int]int{1: 2, 2: 2}); !reflect.DeepEqual(counts, want) {
		t.Errorf("made: %v", made)
	}
}

func TestGrownTopic(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 2, "out": 2, "rejects": 1}})
	f := franz(t, b)
	fill(t, f, "in", 2, 0, 5)
	cfg := config(b)
	cfg.Start = "latest"
	a, _ := member(t, cfg, quiet, nil)
	m, _ := member(t, cfg, quiet, nil)
	eventually(t, func() string { return assigned(map[*Member]int{a: 1, m: 1}) })
	req := kmsg.NewPtrCreatePartitionsRequest()
	topic := kmsg.NewCreatePartitionsRequestTopic()
	topic.Topic, topic.Count = "in", 4
	req.Topics = append(req.Topics, topic)
	if res, err := req.RequestWith(context.Background(), f); err != nil || res.Topics[0].ErrorCode != 0 {
		t.Fatal(res, err)
	}
	f.ForceMetadataRefresh()
	grown := franz(t, b)
	fill(t, grown, "in", 4, 5, 5)
	eventually(t, func() string { return assigned(map[*Member]int{a: 2, m: 2}) })
	// What was there before the group began is skipped; the new partitions are read from their beginning.
	want := map[string]int{}
	for p := range 4 {
		for i := range 5 {
			if p < 2 {
				want[fmt.Sprintf("in/%d/%d", p, i+5)] = 1
			} else {
				want[fmt.Sprintf("in/%d/%d", p, i)] = 1
			}
		}
	}
	eventually(t, func() string {
		if got := ids(t, b, "out"); !reflect.DeepEqual(got, want) {
			return fmt.Sprintf("%v, want %v", got, want)
		}
		return ""
	})
}

// The leader shares out a topic while it is not there, deleted to be made anew: nobody gets anything. When it is there
// again, it is shared out again.
func TestTopicThatWasNotThere(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 2, "out": 2, "rejects": 1}})
	fill(t, franz(t, b), "in", 2, 0, 5)
	var there atomic.Bool
	b.Cluster().ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster().KeepControl()
		req := r.(*kmsg.MetadataRequest)
		if !req.AllowAutoTopicCreation || there.Swap(true) { // the leader's alone allows it
			return nil, nil, false
		}
		res := req.ResponseKind().(*kmsg.MetadataResponse)
		for _, asked := range req.Topics {
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic, topic.ErrorCode = asked.Topic, kerr.UnknownTopicOrPartition.Code
			res.Topics = append(res.Topics, topic)
		}
		return res, nil, true
	})
	m, _ := member(t, config(b), quiet, nil)
	eventually(t, func() string { return missing(t, b, "in", "out", 2, 5) })
	if n := m.Status().Generation; n < 2 {
		t.Errorf("generation %d: the topic was there at once", n)
	}
}

// A generation that another member's commit, a coordinator that moves or a broker's error ends, ends with
// nothing lost.
func TestCommitErrors(t *testing.T) {
	for _, tt := range []struct {
		err  *kerr.Error
		once bool // no duplicates
	}{
		{kerr.CoordinatorLoadInProgress, true}, {kerr.NotCoordinator, true}, {kerr.RequestTimedOut, true}, {kerr.UnknownServerError, true},
		{kerr.IllegalGeneration, false}, {kerr.UnknownMemberID, false}, {kerr.RebalanceInProgress, false},
	} {
		t.Run(tt.err.Message, func(t *testing.T) {
			t.Parallel()
			b := broker(t, embedded.Config{Topics: map[string]int32{"in": 2, "out": 2, "rejects": 1}})
			h := b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: tt.err, Count: 3})
			fill(t, franz(t, b), "in", 2, 0, 50)
			_, stop := member(t, config(b), quiet, nil)
			eventually(t, func() string { return missing(t, b, "in", "out", 2, 50) })
			eventually(t, func() string {
				if h.Hits() < 3 {
					return "not all faults were met"
				}
				return ""
			})
			stop()
			for id, n := range ids(t, b, "out") {
				if tt.once && n != 1 {
					t.Errorf("%s was published %d times", id, n)
				}
			}
			// What is committed is everything.
			c, err := connect(config(b))
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			res, err := c.client.OffsetFetch(context.Background(), &kafka.OffsetFetchRequest{GroupID: "g", Topics: map[string][]int{"in": {0}}})
			if err != nil || res.Topics["in"][0].Metadata != "spoor/1" {
				t.Errorf("%+v, %v", res, err)
			}
			rows, err := c.committed(context.Background(), 2)
			if err != nil || rows[0].offset != 50 || rows[1].offset != 50 {
				t.Errorf("committed %v, %v", rows, err)
			}
		})
	}
}

// A member that has not heard from its coordinator for a session publishes nothing more.
func TestFence(t *testing.T) {
	c := &client{heard: &lastHeard{}}
	c.heard.at(sinceStart())
	var told error
	w := &offsetWriter{client: c, fenced: 20 * time.Millisecond, lose: func(err error) { told = err }}
	if err := w.alive(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(30 * time.Millisecond)
	if err := w.alive(); !errors.Is(err, errLost) || !errors.Is(told, errLost) {
		t.Fatal(err, told)
	}
	c.heard.at(sinceStart())
	if err := w.alive(); !errors.Is(err, errLost) {
		t.Fatal("a lost generation came back:", err)
	}
}

// Without a coordinator nothing is published, though the partitions' leaders would take it.
func TestCoordinatorGone(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1, "out": 1, "rejects": 1}})
	f := franz(t, b)
	fill(t, f, "in", 1, 0, 10)
	cfg := config(b)
	cfg.SessionTimeout = time.Second
	m, _ := member(t, cfg, quiet, nil)
	eventually(t, func() string { return missing(t, b, "in", "out", 1, 10) })
	h := b.Cluster().Fault(
		kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat, kmsg.JoinGroup, kmsg.SyncGroup}, TopLevel: true, Err: kerr.CoordinatorNotAvailable, Count: -1},
		kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Err: kerr.CoordinatorNotAvailable, Count: -1})
	eventually(t, func() string {
		if m.Status().Joined {
			return "still joined"
		}
		return ""
	})
	fill(t, f, "in", 1, 10, 10)
	time.Sleep(300 * time.Millisecond)
	if n := len(ids(t, b, "out")); n != 10 {
		t.Errorf("%d signals: published without a generation", n)
	}
	h.Remove()
	eventually(t, func() string { return missing(t, b, "in", "out", 1, 20) })
}

func TestStart(t *testing.T) {
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 3, "out": 1, "rejects": 1}})
	fill(t, franz(t, b), "in", 3, 0, 10)
	cfg := config(b)
	c, err := connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	ctx := context.Background()
	commit := func(metadata string, offsets map[int32]int64) {
		t.Helper()
		req := &kafka.OffsetCommitRequest{GroupID: cfg.Group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{}}
		for p, o := range offsets {
			req.Topics["in"] = append(req.Topics["in"], kafka.OffsetCommit{Partition: int(p), Offset: o, Metadata: metadata})
		}
		if res, err := c.client.OffsetCommit(ctx, req); err != nil || res.Topics["in"][0].Error != nil {
			t.Fatal(res, err)
		}
	}
	for _, tt := range []struct {
		name, group, start, metadata string
		committed                    map[int32]int64
		want                         map[int32]start
	}{
		{"no group, earliest", "g1", "earliest", "", nil, map[int32]start{0: {0, false}, 1: {0, false}, 2: {0, false}}},
		{"no group, latest", "g2", "latest", "", nil, map[int32]start{0: {10, false}, 1: {10, false}, 2: {10, false}}},
		{"some committed by hand, latest: the others appeared later", "g3", "latest", "", map[int32]int64{0: 4}, map[int32]start{0: {4, true}, 1: {0, false}, 2: {0, false}}},
		{"the group began with two partitions, latest", "g4", "latest", "spoor/1 partitions=2", map[int32]int64{0: 4}, map[int32]start{0: {4, true}, 1: {10, false}, 2: {0, false}}},
		{"some committed, earliest", "g5", "earliest", "spoor/1", map[int32]int64{1: 7}, map[int32]start{0: {0, false}, 1: {7, true}, 2: {0, false}}},
	} {
		cfg.Group, c.cfg.Group, c.cfg.Start = tt.group, tt.group, tt.start
		if tt.committed != nil {
			commit(tt.metadata, tt.committed)
		}
		got, _, err := c.starts(ctx, []int32{0, 1, 2}, 3)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
		}
	}
}

// The pipeline's own partitions, kept and moved by rebalances: garbage in, rejects out; events in, signals
// out; every one once.
func TestEnginePartitions(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 4, "out": 4, "rejects": 2}})
	f := franz(t, b)
	policies, problems := policy.LoadFS(fstest.MapFS{"p.yaml": {Data: []byte("name: p\nrules:\n  - id: deletion\n    title: A file was deleted\n    expression: evt.name == \"delete\"\n")}})
	if policies == nil {
		t.Fatal(problems)
	}
	set, problems := rules.Compile(policies)
	if set == nil {
		t.Fatal(problems)
	}
	// Of every two records of a partition one is an event that matches and one is garbage.
	publish := func(from, n int) {
		var records []*kgo.Record
		for p := range int32(4) {
			for i := from; i < from+n; i += 2 {
				records = append(records,
					&kgo.Record{Topic: "in", Partition: p, Key: []byte("host"), Value: []byte(`{"evt":{"name":"delete"},"date":"2024-03-05T10:00:00Z"}`), Timestamp: time.UnixMilli(1_700_000_000_000)},
					&kgo.Record{Topic: "in", Partition: p, Value: []byte("garbage"), Timestamp: time.UnixMilli(1_700_000_000_000)})
			}
		}
		if err := f.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	publish(0, 100)
	var stops []func()
	for range 2 {
		m := NewMember(config(b), pipeline.New(pipeline.DefaultConfig(), set, pipeline.NewMetrics(nil)), quiet)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		stops = append(stops, func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		eventually(t, func() string { return assigned(map[*Member]int{m: 4 / len(stops)}) })
		publish(100*len(stops), 100)
	}
	seen := func(topic string, headers ...string) map[string]int {
		out := map[string]int{}
		for _, records := range collect(t, b, topic) {
			for _, r := range records {
				var id string
				for _, h := range r.Headers {
					if slices.Contains(headers, h.Key) {
						id += "/" + string(h.Value)
					}
				}
				out[id]++
			}
		}
		return out
	}
	want := func(format string, first int) map[string]int {
		out := map[string]int{}
		for p := range 4 {
			for i := first; i < 300; i += 2 {
				out[fmt.Sprintf(format, p, i)] = 1
			}
		}
		return out
	}
	eventually(t, func() string {
		signals, rejects := len(seen("out", "spoor-signal-id")), len(seen("rejects", pipeline.HeaderPartition, pipeline.HeaderOffset))
		if signals < 600 || rejects < 600 {
			return fmt.Sprintf("%d signals and %d rejects, 600 each are due", signals, rejects)
		}
		return ""
	})
	for _, stop := range stops {
		stop()
	}
	if got, want := seen("out", "spoor-signal-id"), want("/in/%d/%d", 0); !reflect.DeepEqual(got, want) {
		t.Errorf("signals: %v", got)
	}
	if got, want := seen("rejects", pipeline.HeaderReason, pipeline.HeaderPartition, pipeline.HeaderOffset), want("/invalid_json/%d/%d", 1); !reflect.DeepEqual(got, want) {
		t.Errorf("rejects: %v", got)
	}
}

// TestStopWhileStarting ends a member at moments of its start: that is no failure, whatever it was asking the cluster.
func TestStopWhileStarting(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 2, "out": 2, "rejects": 1}})
	for i := range 40 {
		_, stop := member(t, config(b), quiet, nil)
		time.Sleep(time.Duration(i) * 250 * time.Microsecond)
		stop()
	}
}
