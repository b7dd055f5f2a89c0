//go:build realkafka

package realkafka

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// startTwo starts a cluster of two brokers; the first is the controller, too.
func startTwo(t *testing.T, properties ...string) (first, second *broker) {
	t.Helper()
	// Java keeps the last of a property that comes twice.
	t.Setenv("KAFKA_CLUSTER_ID", "c3Bvb3ItdHdvLWJyb2tlcg")
	properties = append(properties, "offsets.topic.replication.factor=2", "transaction.state.log.replication.factor=2", "default.replication.factor=2",
		"broker.session.timeout.ms=3000", "broker.heartbeat.interval.ms=500")
	first = startBroker(t, properties...)
	port, err := strconv.Atoi(first.port)
	if err != nil {
		t.Fatal(err)
	}
	second = &broker{t: t, dir: t.TempDir(), port: freePort(t), nodes: 2}
	second.properties = append(properties, "node.id=2", "process.roles=broker", "listeners=PLAINTEXT://"+second.addr(), "controller.quorum.voters=1@127.0.0.1:"+strconv.Itoa(port+1))
	second.start()
	t.Cleanup(second.stop)
	first.nodes = 2
	return first, second
}

// kill is SIGKILL, after which the controller has to find out.
func (b *broker) kill() {
	b.cmd.Process.Signal(syscall.SIGKILL)
	b.cmd.Wait()
	b.cmd = nil
}

// led is how many partitions of all topics a node leads, and whether every replica of all is in sync.
func (b *broker) led(node int32) (partitions int, inSync bool) {
	b.t.Helper()
	inSync = true
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = nil // all
	for _, topic := range request(b, req).Topics {
		for _, p := range topic.Partitions {
			if p.Leader == node {
				partitions++
			}
			inSync = inSync && len(p.ISR) == len(p.Replicas)
		}
	}
	return partitions, inSync
}

// preferred gives every partition back to its first replica: leaders and coordinators move while everybody is alive.
func (b *broker) preferred() {
	b.t.Helper()
	req := kmsg.NewPtrElectLeadersRequest()
	req.TimeoutMillis = 10_000
	b.none("electing leaders", request(b, req).ErrorCode)
}

// A broker that stands still for some seconds, as in a long garbage collection, costs nobody the generation: the session is
// that of the default config, which is longer.
func TestBrokerStandsStill(t *testing.T) {
	whole(t)
	b := startBroker(t)
	b.createTopic("events", partitions)
	b.createTopic("signals", partitions)
	yaml := strings.Replace(survivorConfig(b, "still", "signals", "exactly_once"), "  session_timeout: 6s\n", "", 1)
	e := newEngine(t, buildEngine(t), yaml)
	m := e.run()
	b.more("events", 51, 5_000)
	done := func() {
		t.Helper()
		await(t, "all events to be committed", func() bool { return b.committed("still", "events", partitions) == b.ends("events", partitions) })
	}
	done()
	b.cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(8 * time.Second)
	b.cmd.Process.Signal(syscall.SIGCONT)
	b.more("events", 52, 5_000)
	done()
	if m.says("generation over") {
		t.Error("the generation ended")
	}
	m.drain(t)
	published := b.signals("signals")
	once(t, published)
	compare(t, published, e.replayed())
}

// Leaders and coordinators are lost with their broker, and moved back when it is there again. Then the output has too few
// replicas in sync for longer than a transaction may last: the coordinator aborts what is open, and its members, alive all
// the time, do it again. It takes two minutes.
func TestCoordinatorsMove(t *testing.T) {
	whole(t)
	const events, steps = 60_000, 4
	b, other := startTwo(t, "transaction.abort.timed.out.transaction.cleanup.interval.ms=500")
	b.createTopic("events", partitions)
	b.createTopic("signals", partitions)
	e := newEngine(t, buildEngine(t), survivorConfig(b, "move", "signals", "exactly_once"))
	next, written := b.trickle("events", events, steps)
	members := []*member{e.run(), e.run()}
	at := func() int64 { return b.committed("move", "events", partitions) }
	advance := func(what string) {
		t.Helper()
		had := at()
		next()
		await(t, "the group to go on "+what, func() bool { return at() > had+events/steps/4 })
	}
	next()
	await(t, "the first commits", func() bool { return at() > 0 })

	next()
	time.Sleep(300 * time.Millisecond)
	other.kill()
	t.Logf("a broker is killed at %d of %d", at(), events)
	await(t, "its partitions to move", func() bool { n, _ := b.led(2); return n == 0 })
	advance("without the second broker")

	other.start()
	await(t, "all replicas", func() bool { _, inSync := b.led(2); return inSync })
	next()
	time.Sleep(300 * time.Millisecond)
	b.preferred()
	t.Logf("leaders and coordinators move back at %d of %d", at(), events)
	n, _ := b.led(2)
	if t.Logf("the second broker leads %d partitions", n); n == 0 {
		t.Error("nothing moved")
	}
	for range steps {
		next()
	}
	<-written
	await(t, "all of that", func() bool { return at() == b.ends("events", partitions) })

	b.set("signals", "min.insync.replicas", "2")
	other.kill()
	await(t, "its partitions to move", func() bool { n, _ := b.led(2); return n == 0 })
	b.more("events", 41, 10_000)
	var ids []string
	for p := range partitions {
		ids = append(ids, fmt.Sprintf("move.events.%d", p))
	}
	ongoing := func() (n int) {
		for _, state := range b.transactions(ids...) {
			if state == "Ongoing" {
				n++
			}
		}
		return n
	}
	await(t, "transactions that cannot end", func() bool { return ongoing() > 0 })
	await(t, "their timeout, which is a minute", func() bool { return ongoing() == 0 })
	other.start()
	await(t, "all events to be committed", func() bool { return at() == b.ends("events", partitions) })
	aborted := false
	for _, m := range members {
		aborted = aborted || m.says(goesOn)
		m.drain(t)
	}
	if !aborted {
		t.Error("no member says that a commit failed")
	}
	published := b.signals("signals")
	once(t, published)
	compare(t, published, e.replayed())
}
