package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"spoor/pipeline"
	"spoor/pipeline/embedded"
	"spoor/pipeline/state"
)

// series is how many series a collector has, and the sum of their values, or of the number of their observations.
func series(c prometheus.Collector) (n int, sum float64) {
	ch := make(chan prometheus.Metric, 1000)
	c.Collect(ch)
	close(ch)
	for m := range ch {
		var v dto.Metric
		if err := m.Write(&v); err != nil {
			panic(err)
		}
		n++
		sum += v.GetCounter().GetValue() + v.GetGauge().GetValue() + float64(v.GetHistogram().GetSampleCount())
	}
	return n, sum
}

// What transactions, the changelog and restores say of themselves in metrics.
func TestMetricsOfAChangelog(t *testing.T) {
	t.Parallel()
	const n = 200
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1, "out": 1, "rejects": 1}})
	cfg := survivorConfig(b)
	execs(t, franz(t, b), "in", 1, 0, n)
	f := func(what string, c prometheus.Collector, least float64) {
		t.Helper()
		if _, sum := series(c); sum < least || least == 0 && sum != 0 {
			t.Errorf("%s: %g, want at least %g", what, sum, least)
		}
	}
	m, stop := live(t, cfg, quiet)
	eventually(t, func() string { return atEnd(t, m, 1, n) })
	stop()
	of := m.meters
	f("spoor_transaction_end_seconds", of.TransactionSeconds, n/50)
	f("spoor_changelog_records_total", of.ChangelogRecords, n/50+1)
	f("spoor_changelog_bytes_total", of.ChangelogBytes, 50*n/50)
	f("spoor_produce_seconds of the changelog", of.ProduceSeconds.WithLabelValues("state").(prometheus.Histogram), n/50)
	f("spoor_partition_starts_total of nothing", of.Starts.WithLabelValues("none"), 1)
	f("spoor_transaction_aborts_total", of.TransactionAborts, 0)
	f("spoor_restore_changes_total of an empty changelog", of.RestoreChanges, 0)

	// The next one reads the changelog, and has a transaction that is fenced and one that is in doubt.
	execs(t, franz(t, b), "in", 1, n, n)
	b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.AddPartitionsToTxn}, Err: kerr.ProducerFenced, Count: 1})
	m, stop = live(t, cfg, quiet)
	eventually(t, func() string { return atEnd(t, m, 1, 2*n) })
	stop()
	of = m.meters
	f("spoor_restore_changes_total", of.RestoreChanges, 2)
	f("spoor_restore_seconds", of.RestoreSeconds, 1)
	f("spoor_partition_starts_total of a marker", of.Starts.WithLabelValues("marker"), 2)
	f("spoor_transaction_aborts_total of a fenced one", of.TransactionAborts.WithLabelValues("fenced"), 1)
	if left, _ := series(of.RestoreLeft); left != 0 {
		t.Errorf("spoor_restore_left_offsets has %d series after the restore", left)
	}
}

func TestAbortCause(t *testing.T) {
	cut, cancel := context.WithCancel(context.Background())
	cancel()
	for want, errs := range map[string][]error{
		"generation_lost": {fmt.Errorf("%w: %w", errLost, kafka.IllegalGeneration), errLost},
		"fenced":          {codeProducerFenced, kafka.InvalidProducerEpoch},
		"producer_state":  {kafka.OutOfOrderSequenceNumber, kafka.UnknownProducerId, kafka.InvalidProducerIDMapping, kafka.InvalidTransactionState},
		"broker_error":    {kafka.RequestTimedOut, kafka.NotCoordinatorForGroup},
		"cut_off":         {cut.Err(), context.DeadlineExceeded},
		"no_answer":       {io.ErrUnexpectedEOF, errors.New("connection reset")},
	} {
		for _, err := range errs {
			if got := abortCause(fmt.Errorf("end_txn: %w", err)); got != want {
				t.Errorf("%v is %s, should be %s", err, got, want)
			}
		}
	}
}

// A restore that lasts says how far it is, in the log and in the metrics, until it is done.
func TestRestoreSaysHowFar(t *testing.T) {
	out := &logged{}
	m := &Member{log: out.logger(), meters: pipeline.NewMetrics(nil)}
	r := m.restoring(pipeline.TopicPartition{Topic: "in", Partition: 3})
	r.at(100, 100, 1000)
	if len(out.all()) != 0 {
		t.Errorf("%q before there is anything to wait for", out.all())
	}
	r.logged = r.logged.Add(-progressEvery)
	r.at(200, 300, 1000)
	if got := strings.Join(out.all(), "\n"); !strings.Contains(got, "reading the changelog") || !strings.Contains(got, "partition=3 changes=300 offsets_left=700") {
		t.Errorf("%q", got)
	}
	if n, left := series(m.meters.RestoreLeft); n != 1 || left != 700 {
		t.Errorf("%d series of %g offsets left", n, left)
	}
	r.done()
	if n, _ := series(m.meters.RestoreLeft); n != 0 {
		t.Errorf("%d series when it is done", n)
	}
	if _, n := series(m.meters.RestoreSeconds); n != 1 {
		t.Errorf("%g restores were timed", n)
	}
}

// A partition whose state a later release wrote is paused and says so; the other one goes on.
func TestLaterReleasePausesItsPartition(t *testing.T) {
	t.Parallel()
	const n = 100
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 2, "out": 2, "rejects": 1}})
	if err := b.CreateTopic("g.in.spoor-state", 2, map[string]string{"cleanup.policy": "compact"}); err != nil {
		t.Fatal(err)
	}
	f := franz(t, b)
	execs(t, f, "in", 2, 0, n)
	if err := f.ProduceSync(context.Background(), &kgo.Record{Topic: "g.in.spoor-state", Partition: 1, Key: []byte("\x00marker"), Value: []byte{7, 1, 2, 3}}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	cfg := survivorConfig(b)
	out := &logged{}
	m, stop := live(t, cfg, out.logger())
	eventually(t, func() string {
		c, err := connect(cfg)
		if err != nil {
			return err.Error()
		}
		defer c.close()
		rows, err := c.committed(context.Background(), 2)
		if s := m.Status(); err != nil || rows[0].offset != n || s.Paused != 1 || s.Ready || s.Restoring != 1 {
			return fmt.Sprintf("%v %v %+v", err, rows, s)
		}
		return ""
	})
	if got := gaugeValue(m.meters.PartitionPaused.WithLabelValues("in", "1")); got != 1 {
		t.Errorf("spoor_partition_paused is %g", got)
	}
	if got := strings.Join(out.all(), "\n"); !strings.Contains(got, "its state was written by a later release; run that release here too") || !strings.Contains(got, "partition=1 format=7 reads=1") {
		t.Errorf("%s", got)
	}
	stop()
	if s := m.Status(); s.Paused != 0 {
		t.Errorf("%+v", s)
	}
}

// A partition that starts again and again without committing anything is stalled after a while, and is told of once.
func TestStall(t *testing.T) {
	var s stall
	now := time.Unix(1e9, 0)
	f := func(after time.Duration, next int64, wantSince time.Duration, wantOver bool) {
		t.Helper()
		now = now.Add(after)
		if since, over := s.failed(next, now); since != wantSince || over != wantOver {
			t.Errorf("%s at %d: failing for %s, %v; want %s, %v", after, next, since, over, wantSince, wantOver)
		}
	}
	f(0, 5, 0, false)
	f(time.Minute, -1, time.Minute, false) // what was remembered is gone
	f(time.Minute, 5, 2*time.Minute, false)
	f(3*time.Minute, 5, 5*time.Minute, true)
	f(time.Minute, 5, 6*time.Minute, false)
	f(time.Minute, 9, 0, false) // it got on
	f(5*time.Minute, 9, 5*time.Minute, true)
}

// A reset that may not see whether the group has members does not take it for empty.
func TestResetAsksForMembers(t *testing.T) {
	t.Parallel()
	all := []kmsg.ACLOperation{kmsg.ACLOperationAll}
	topics := map[string]int32{"in": 1, "out": 1, "rejects": 1, "g.in.spoor-state": 1}
	user := embedded.User{Mechanism: "PLAIN", Name: "operator", Password: "pw", Allow: []embedded.Allow{{Transactions: "g.in.", Operations: all}}}
	for topic := range topics {
		user.Allow = append(user.Allow, embedded.Allow{Topic: topic, Operations: all})
	}
	b := broker(t, embedded.Config{ACLs: true, SASL: &embedded.User{Mechanism: "PLAIN", Name: "admin", Password: "right"}, Topics: topics, Users: []embedded.User{user}})
	cfg := survivorConfig(b)
	cfg.SASL = SASL{Mechanism: "plain", Username: "operator", Password: "pw"}
	if _, err := ResetState(context.Background(), cfg, state.Config{}, 0, quiet); err == nil || !strings.Contains(err.Error(), `describe the consumer group "g"`) {
		t.Error(err)
	}
}
