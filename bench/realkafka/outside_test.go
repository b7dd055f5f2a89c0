//go:build realkafka

package realkafka

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"spoor/pipeline"
	"spoor/pipeline/file"
	"spoor/pipeline/kafka"
	"spoor/rules"
	"spoor/rules/policy"
)

// answersLost cuts the connection in place of many answers: of EndTxn most of all, whose outcome nobody then knows but the
// changelog, and of everything else that a transaction is made of. REALKAFKA_SEED chooses which.
func (x *trial) answersLost() {
	x.records = 40
	x.configure("")
	oneIn := map[int16]int{apiEndTxn: 4, apiProduce: 25, apiAddPartitions: 15, apiAddOffsets: 15, apiTxnOffsetCommit: 15, apiInitProducerID: 6}
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(uint64(number(x.t, "REALKAFKA_SEED", 1)), 2)) // guarded by mu
	lost := map[int16]int{}                                                      // guarded by mu
	x.lab.proxy.watch(x.group, func(e *exchange) bool {
		mu.Lock()
		defer mu.Unlock()
		if e.answer == nil || oneIn[e.api] == 0 || random.IntN(oneIn[e.api]) > 0 {
			return true
		}
		lost[e.api]++
		return false
	})
	x.run()
	x.end()
	mu.Lock()
	defer mu.Unlock()
	x.t.Logf("answers lost, by request: %v", lost)
	for api := range oneIn {
		if lost[api] == 0 {
			x.t.Errorf("no answer of request %d was lost", api)
		}
	}
}

// foreign is another program that commits under the partitions' transactional ids while a commit of ours is in doubt.
func (x *trial) foreign() {
	x.patient()
	h := x.stand(stepEnd, false)
	m := x.run()
	h.reach()
	back := x.stand(stepInit, false) // the member may not take over while the other is at it
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	clients := make([]*kgo.Client, labPartitions)
	for p := range clients {
		clients[p] = x.client(kgo.TransactionalID(x.id(p)), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		defer clients[p].Close()
		if _, _, err := clients[p].ProducerID(ctx); err != nil {
			x.t.Fatal(err)
		}
	}
	last := map[int32]*kgo.Record{} // marker by partition
	for _, r := range x.readCommitted(x.changelog()) {
		if string(r.Key) == "\x00marker" {
			last[r.Partition] = r
		}
	}
	if len(last) == 0 { // a partition that was slow to start may have none
		x.t.Fatal("there is no marker")
	}
	for p, r := range last {
		// The commit after it: the second field is the number.
		number, n := binary.Varint(r.Value[1:])
		value := append(binary.AppendVarint(r.Value[:1:1], number+1), r.Value[1+n:]...)
		if err := clients[p].BeginTransaction(); err != nil {
			x.t.Fatal(err)
		}
		if err := clients[p].ProduceSync(ctx, &kgo.Record{Topic: x.changelog(), Partition: p, Key: r.Key, Value: value}).FirstErr(); err != nil {
			x.t.Fatal(err)
		}
		if err := clients[p].EndTransaction(ctx, kgo.TryCommit); err != nil {
			x.t.Fatal(err)
		}
	}
	h.release(true)
	back.release(true)
	x.disturbed(m, "the changelog holds another's commits")
	h.fenced()
}

// forwards is an operator who moves the group's offsets forwards: what is stepped over is not processed, and the state is
// what it was.
func (x *trial) forwards() {
	h := x.stand(stepEnd, true)
	x.run()
	h.reach()
	time.AfterFunc(300*time.Millisecond, func() { h.release(true) })
	x.drain()
	var from []int64
	await(x.t, "the group's offsets", func() bool {
		from = x.settled(x.group, x.input, labPartitions)
		return from != nil
	})
	to := make([]int64, labPartitions)
	for p, end := range x.logEnds(x.input, labPartitions) {
		to[p] = min(from[p]+300, end)
	}
	if x.t.Logf("from %d to %d", from, to); sum(to) < sum(from)+300 {
		x.t.Fatal("the group was done already")
	}
	x.setOffsets(x.group, x.input, to)
	m := x.run()
	x.finished()
	if !m.says("moved forwards by somebody else") {
		x.t.Error("the engine does not say that the offsets were moved")
	}
	x.drain()

	recording := x.e.recorded("all.ndjson")
	text, err := os.ReadFile(recording)
	if err != nil {
		x.t.Fatal(err)
	}
	var rest strings.Builder
	for line := range strings.Lines(string(text)) {
		var r struct {
			Partition int
			Offset    int64
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			x.t.Fatal(err)
		}
		if r.Offset < from[r.Partition] || r.Offset >= to[r.Partition] {
			rest.WriteString(line)
		}
	}
	if err := os.WriteFile(recording, []byte(rest.String()), 0o600); err != nil {
		x.t.Fatal(err)
	}
	published := x.signals(x.out())
	once(x.t, published)
	compare(x.t, published, x.e.replay(recording))
}

// own gives the group an input of its own.
func (x *trial) own(events int) {
	x.t.Helper()
	x.input = x.group + ".in"
	x.createTopic(x.input, labPartitions)
	x.more(x.input, 31, events)
	x.configure("")
}

// expired is a group that was idle for so long that the coordinator forgot its transactional ids.
func (x *trial) expired() {
	x.own(2_000)
	m := x.run()
	x.finished()
	for p := range labPartitions {
		await(x.t, "the coordinator to forget "+x.id(p), func() bool { return x.transactions(x.id(p))[x.id(p)] == "" })
	}
	x.more(x.input, 32, 2_000)
	x.finished()
	if !m.says("Invalid Producer ID Mapping") || !m.says(goesOn) {
		x.t.Error("the engine does not say that its producer id was forgotten")
	}
	x.drain()
	published := x.signals(x.out())
	once(x.t, published)
	compare(x.t, published, x.e.replayed())
}

// stateLost is an engine that fails on a record when the state may be half changed. It is one of this process, as the
// built one does not fail; a built one goes on from what it left in the changelog.
func (x *trial) stateLost() {
	x.own(3_000)
	p, diags := policy.LoadFS(os.DirFS("testdata"))
	if p == nil {
		x.t.Fatal(diags)
	}
	set, diags := rules.Compile(p)
	if set == nil {
		x.t.Fatal(diags)
	}
	cfg := pipeline.DefaultConfig()
	cfg.State.MaxNodes, cfg.CommitRecords, cfg.CommitInterval = labNodes, 100, 50*time.Millisecond
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageEnrich && l.Offset == 500 {
			panic("half way")
		}
	}
	cluster := kafka.DefaultConfig()
	cluster.Brokers, cluster.Group, cluster.Input, cluster.Output, cluster.Reject = []string{x.addr()}, x.group, x.input, x.out(), x.rejects()
	cluster.Changelog, cluster.Delivery = true, "exactly_once"
	cluster.SessionTimeout, cluster.HeartbeatInterval = 6*time.Second, 500*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- kafka.Run(ctx, cluster, pipeline.New(cfg, set, pipeline.NewMetrics(prometheus.NewRegistry())), slog.New(slog.DiscardHandler))
	}()
	x.finished()
	cancel()
	if err := <-ended; err != nil {
		x.t.Fatal(err)
	}
	if n := len(x.readCommitted(x.rejects())); n != labPartitions {
		x.t.Errorf("it failed on %d records", n)
	}
	x.more(x.input, 32, 2_000)
	x.run()
	x.finished()
	x.drain()

	var want strings.Builder
	sink := file.NewSink(file.SinkConfig{Signals: &want, Records: true})
	if _, err := file.Replay(context.Background(), pipeline.New(cfg, set, nil), []string{x.e.recorded("all.ndjson")}, file.Options{}, sink); err != nil {
		x.t.Fatal(err)
	}
	published := x.signals(x.out())
	once(x.t, published)
	compare(x.t, published, parse(x.t, want.String()))
}

// tooLarge lowers what the output topic takes: the signals beyond it are rejects, in the same transaction.
func (x *trial) tooLarge() {
	h := x.stand(stepAdd, false)
	x.run()
	h.reach()
	x.set(x.out(), "max.message.bytes", "2000")
	h.release(true)
	x.finished()
	x.drain()
	all := x.signals(x.out())
	taken := len(all)
	for _, r := range x.readCommitted(x.rejects()) {
		if reason := header(r, "spoor-reason"); reason != "refused" {
			x.t.Errorf("a reject for %q", reason)
		}
		id := fmt.Sprintf("%s/%s/%s", header(r, "spoor-topic"), header(r, "spoor-partition"), header(r, "spoor-offset"))
		all = append(all, signal{id: id, key: string(r.Key), value: string(r.Value), partition: r.Partition})
	}
	if x.t.Logf("%d taken, %d refused", taken, len(all)-taken); taken == len(all) {
		x.t.Error("nothing was refused")
	}
	once(x.t, all)
	compare(x.t, all, x.lab.replayed)
	x.sameState()
}

// tooLargeChange lowers what the changelog takes: nothing is committed until an operator raises it.
func (x *trial) tooLargeChange() {
	h := x.stand(stepAdd, false)
	m := x.run()
	h.reach()
	x.set(x.changelog(), "max.message.bytes", "150")
	h.release(true)
	await(x.t, "the engine to say what to raise", func() bool { return m.says("raise max.message.bytes of topic") })
	x.set(x.changelog(), "max.message.bytes", "")
	x.end()
}
