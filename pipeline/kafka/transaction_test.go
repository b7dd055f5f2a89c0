package kafka

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"spoor/pipeline"
	"spoor/pipeline/embedded"
)

// Whatever the coordinators and leaders answer in mid-stream, each signal is there once, with the bytes of an
// undisturbed member.
func TestTransactionErrors(t *testing.T) {
	t.Parallel()
	const partitions, n = 2, 300
	cases := []struct {
		key kmsg.Key
		err *kerr.Error
	}{
		{kmsg.Produce, kerr.OutOfOrderSequenceNumber},            // 45
		{kmsg.Produce, kerr.UnknownProducerID},                   // 59
		{kmsg.Produce, kerr.InvalidProducerEpoch},                // 47
		{kmsg.Produce, kerr.RequestTimedOut},                     // applied, answer lost
		{kmsg.AddPartitionsToTxn, kerr.InvalidProducerIDMapping}, // 49
		{kmsg.AddPartitionsToTxn, kerr.ProducerFenced},           // 90
		{kmsg.AddPartitionsToTxn, kerr.ConcurrentTransactions},   // 51
		{kmsg.AddOffsetsToTxn, kerr.NotCoordinator},
		{kmsg.TxnOffsetCommit, kerr.IllegalGeneration},   // 22
		{kmsg.TxnOffsetCommit, kerr.UnknownMemberID},     // 25
		{kmsg.TxnOffsetCommit, kerr.RebalanceInProgress}, // 27
		{kmsg.TxnOffsetCommit, kerr.RequestTimedOut},     // applied, answer lost
		{kmsg.EndTxn, kerr.ProducerFenced},
		{kmsg.EndTxn, kerr.InvalidProducerEpoch},
		{kmsg.EndTxn, kerr.CoordinatorNotAvailable},
		{kmsg.EndTxn, kerr.RequestTimedOut},
		{kmsg.InitProducerID, kerr.ConcurrentTransactions},
	}
	calm := broker(t, embedded.Config{Topics: map[string]int32{"in": partitions, "out": 2, "rejects": 1}})
	execs(t, franz(t, calm), "in", partitions, 0, n)
	m, stop := live(t, survivorConfig(calm), quiet)
	eventually(t, func() string { return atEnd(t, m, partitions, n) })
	stop()
	want, _ := seen(t, calm, "out")
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s/%s", c.key.Name(), c.err.Message), func(t *testing.T) {
			t.Parallel()
			b := broker(t, embedded.Config{Topics: map[string]int32{"in": partitions, "out": 2, "rejects": 1}})
			f := franz(t, b)
			execs(t, f, "in", partitions, 0, n)
			fault := b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{c.key}, Err: c.err, Count: 5})
			m, stop := live(t, survivorConfig(b), quiet)
			eventually(t, func() string { return atEnd(t, m, partitions, n) })
			stop()
			if fault.Hits() == 0 {
				t.Error("the fault never struck")
			}
			got, count := seen(t, b, "out")
			if len(got) != len(want) {
				t.Fatalf("%d signals, want %d", len(got), len(want))
			}
			for id, v := range want {
				if got[id] != v || count[id] != 1 {
					t.Fatalf("%s %d times\n%s\nwant\n%s", id, count[id], got[id], v)
				}
			}
		})
	}
}

// A zombie that wakes up in mid-transaction, its generation and its epoch gone, neither publishes nor moves anything.
func TestZombieIsFenced(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1, "out": 1, "rejects": 1}})
	cfg := survivorConfig(b)
	ctx := context.Background()
	c, err := connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := c.preflight(ctx, 900<<10); err != nil {
		t.Fatal(err)
	}
	once := func(ctx context.Context, _ string, permanent func(error) bool, f func() error) error {
		return retry(ctx, func(err error) bool { return permanent(err) || !isAny(err, kafka.ConcurrentTransactions) }, func(error) {}, f)
	}
	txn := func() *transaction {
		x := &transaction{client: c, id: cfg.transactionPrefix() + "0", retry: once, alive: func() error { return nil }}
		if err := x.init(ctx); err != nil {
			t.Fatal(err)
		}
		return x
	}
	zombie := txn()
	zombie.needs("out", 0)
	if err := zombie.addPartitions(ctx); err != nil {
		t.Fatal(err)
	}
	txn() // another owner
	for what, err := range map[string]error{
		"ends":            zombie.end(ctx),
		"adds partitions": func() error { zombie.needs("rejects", 0); return zombie.addPartitions(ctx) }(),
		"sends an offset": zombie.sendOffset(ctx, 1, "nobody", "in", 0, 5, "x"),
	} {
		if err == nil || !badSequence(err) {
			t.Errorf("a zombie %s: %v", what, err)
		}
	}
}

// The changelog's topic is created with its settings, a wrong cleanup.policy is refused, missing partitions are added.
func TestChangelogTopic(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 3, "out": 1, "rejects": 1}})
	cfg := survivorConfig(b)
	ctx := context.Background()
	if err := Preflight(ctx, cfg, 900<<10); err != nil {
		t.Fatal(err)
	}
	f := franz(t, b)
	req := kmsg.NewPtrDescribeConfigsRequest()
	res := kmsg.NewDescribeConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeTopic, "g.in.spoor-state"
	req.Resources = append(req.Resources, res)
	answer, err := req.RequestWith(ctx, f)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, c := range answer.Resources[0].Configs {
		if c.Value != nil {
			have[c.Name] = *c.Value
		}
	}
	for _, want := range changelogSettings {
		if have[want.ConfigName] != want.ConfigValue {
			t.Errorf("%s is %q, want %q", want.ConfigName, have[want.ConfigName], want.ConfigValue)
		}
	}

	c, err := connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if n, err := c.ensureChangelog(ctx, 5); n != 5 || err != nil {
		t.Errorf("%d partitions, %v; want 5", n, err)
	}
	if n, err := c.ensureChangelog(ctx, 2); n != 5 || err != nil {
		t.Errorf("%d partitions, %v; more than needed is fine", n, err)
	}

	alter := kmsg.NewPtrIncrementalAlterConfigsRequest()
	ar := kmsg.NewIncrementalAlterConfigsRequestResource()
	ar.ResourceType, ar.ResourceName = kmsg.ConfigResourceTypeTopic, "g.in.spoor-state"
	policy := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	value := "delete"
	policy.Name, policy.Value = "cleanup.policy", &value
	ar.Configs = append(ar.Configs, policy)
	alter.Resources = append(alter.Resources, ar)
	if _, err := alter.RequestWith(ctx, f); err != nil {
		t.Fatal(err)
	}
	if err := Preflight(ctx, cfg, 900<<10); err == nil || !strings.Contains(err.Error(), "forgets state by age") {
		t.Errorf("cleanup.policy delete: %v", err)
	}
}

// What reading may not step over, and what compaction leaves: positions, not "last record + 1".
func TestChangelogIsReadByPosition(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"log": 1}})
	want := transactions(t, b, "log")
	cfg := config(b)
	cfg.Input = "log"
	c, err := connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	// The last record is aborted or a marker: a reader that waits for its offset waits for ever.
	f := franz(t, b, kgo.TransactionalID("last"))
	if err := f.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := f.ProduceSync(context.Background(), &kgo.Record{Topic: "log", Value: []byte("aborted")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := f.EndTransaction(context.Background(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	all, err := c.bounds(context.Background(), "log", []int32{0})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	at, err := readLog(ctx, c, pipeline.TopicPartition{Topic: "log"}, 0, all[0].end, pipeline.NewMetrics(nil), quiet, func(_ int64, _, value []byte) error {
		got = append(got, string(value))
		return nil
	}, func(int, int64, int64) {})
	if err != nil || at != all[0].end || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q up to %d, %v; want %q up to %d", got, at, err, want, all[0].end)
	}
}

// What a changelog needs of the brokers' rights, each lack as one sentence that says what to grant.
func TestChangelogRights(t *testing.T) {
	t.Parallel()
	all := []kmsg.ACLOperation{kmsg.ACLOperationAll}
	f := func(want string, topics map[string]int32, more ...embedded.Allow) {
		t.Helper()
		topics["in"], topics["out"], topics["rejects"] = 2, 1, 1
		allow := append([]embedded.Allow{{Topic: "in", Operations: all}, {Topic: "out", Operations: all}, {Topic: "rejects", Operations: all}, {Group: "g", Operations: all}}, more...)
		b := broker(t, embedded.Config{ACLs: true, SASL: &embedded.User{Mechanism: "PLAIN", Name: "admin", Password: "right"},
			Topics: topics, Users: []embedded.User{{Mechanism: "PLAIN", Name: "engine", Password: "pw", Allow: allow}}})
		cfg := survivorConfig(b)
		cfg.SASL = SASL{Mechanism: "plain", Username: "engine", Password: "pw"}
		err := Preflight(context.Background(), cfg, 900<<10)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%v\nwant: %s", err, want)
		}
	}
	topic := func(operations ...kmsg.ACLOperation) embedded.Allow {
		return embedded.Allow{Topic: "g.in.spoor-state", Operations: operations}
	}
	transactions := embedded.Allow{Transactions: "g.in.", Operations: all}
	there := func() map[string]int32 { return map[string]int32{"g.in.spoor-state": 2} }
	f(`topic "g.in.spoor-state": grant DESCRIBE and READ and WRITE`, there(), transactions)
	f(`user "engine" may not use topic "g.in.spoor-state": grant READ and WRITE`, there(), transactions, topic(kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationWrite))
	f(`may not use transactional ids that begin with "g.in.": grant WRITE and DESCRIBE`, there(), topic(all...))
	f(`may not create the changelog's topic "g.in.spoor-state": grant CREATE`, map[string]int32{}, transactions, topic(kmsg.ACLOperationDescribe, kmsg.ACLOperationRead, kmsg.ACLOperationWrite))
	f("", map[string]int32{}, transactions, topic(all...))
}
