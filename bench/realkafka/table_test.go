//go:build realkafka

package realkafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// lab is one broker behind a proxy, and one input that every trial reads in a group of its own: a start of the
// broker costs as much as ten trials.
type lab struct {
	*broker
	proxy *proxy
	bin   string

	replayed []signal // what the input leads to
	state    string   // what is remembered at its end
}

const (
	labPartitions = 3
	labEvents     = 6_000
	labNodes      = 300 // processes remembered by a partition
)

func startLab(t *testing.T) *lab {
	l := &lab{bin: buildEngine(t)}
	l.broker, l.proxy = startBehindProxy(t,
		"transaction.abort.timed.out.transaction.cleanup.interval.ms=100",
		"transactional.id.expiration.ms=9000", "transaction.remove.expired.transaction.cleanup.interval.ms=200")
	l.createTopic("events", labPartitions)
	l.publish("events", labEvents)
	// Nothing happens to this one: the measure of the others.
	x := l.trial(t, "calm", "exactly_once")
	x.run()
	x.finished()
	x.drain()
	l.replayed, l.state = x.e.replayed(), x.remembered()
	x.compare()
	return l
}

// trial is one group of engines that something happens to.
type trial struct {
	*broker
	lab      *lab
	t        *testing.T
	group    string
	input    string
	delivery string
	e        *engine
	members  []*member    // those that were not killed
	timeout  atomic.Int64 // of transactions, in place of the engine's; 0: the engine's
	joins    atomic.Int64 // how often members asked to join
	inits    atomic.Int64 // how often a transactional id was taken over
	stop     stopper
}

// trial prepares a group with topics of its own.
func (l *lab) trial(t *testing.T, group, delivery string) *trial {
	t.Helper()
	x := &trial{broker: l.as(t), lab: l, t: t, group: group, input: "events", delivery: delivery}
	x.createTopic(x.out(), labPartitions)
	x.createTopic(x.rejects(), labPartitions)
	x.configure("")
	l.proxy.watch(group, x.watch)
	return x
}

// configure makes the configuration, with further lines for kafka. So small a state evicts all the time, and a partition
// makes some 20 commits.
func (x *trial) configure(kafka string) {
	x.t.Helper()
	yaml := survivorConfig(x.broker, x.group, x.out(), x.delivery)
	yaml = strings.Replace(yaml, "  group:", fmt.Sprintf("  client_id: %s\n  reject: %s\n  compression: none\n%s  group:", x.group, x.rejects(), kafka), 1)
	yaml = strings.Replace(yaml, "input: events", "input: "+x.input, 1)
	yaml = strings.Replace(yaml, "changelog: on", fmt.Sprintf("changelog: on, max_nodes: %d", labNodes), 1)
	x.e = newEngine(x.t, x.lab.bin, yaml+"commit_interval: 50ms\ncommit_records: 100\n")
}

func (x *trial) out() string       { return x.group + ".out" }
func (x *trial) rejects() string   { return x.group + ".rejects" }
func (x *trial) changelog() string { return x.group + "." + x.input + ".spoor-state" }

func (x *trial) run() *member {
	x.t.Helper()
	m := x.e.run()
	x.members = append(x.members, m)
	return m
}

// kill ends the members there are.
func (x *trial) kill() {
	for _, m := range x.members {
		m.kill()
	}
	x.members = nil
}

// drain stops the members in order.
func (x *trial) drain() {
	x.t.Helper()
	for _, m := range x.members {
		m.drain(x.t)
	}
	x.members = nil
}

// finished waits until all of the input is committed.
func (x *trial) finished() {
	x.t.Helper()
	end := x.ends(x.input, labPartitions)
	await(x.t, "all events to be committed", func() bool { return x.position() == end })
}

// position is how far the group is.
func (x *trial) position() int64 { return x.committed(x.group, x.input, labPartitions) }

// takenOver waits until every partition was, since there were so many inits.
func (x *trial) takenOver(inits int64) {
	x.t.Helper()
	await(x.t, "another member to take over", func() bool { return x.inits.Load() >= inits+labPartitions && x.position() > 0 })
}

// remembered is what the changelog says: the hosts with their processes, and the position that this is of.
func (x *trial) remembered() string {
	x.t.Helper()
	x.readCommitted(x.changelog()) // the last transaction may not have ended there yet
	var s strings.Builder
	s.WriteString(x.e.call("state", "ls", "--config", x.e.config))
	for line := range strings.Lines(x.e.call("state", "stats", "--config", x.e.config)) {
		if fields := strings.Fields(line); len(fields) > 2 {
			fmt.Fprintln(&s, fields[0], fields[2])
		}
	}
	return s.String()
}

// compare holds what was published against the replay, and what is remembered against what an undisturbed group does.
func (x *trial) compare() {
	x.t.Helper()
	compare(x.t, x.signals(x.out()), x.lab.replayed)
	x.sameState()
}

func (x *trial) sameState() {
	x.t.Helper()
	if got := x.remembered(); got != x.lab.state {
		x.t.Errorf("the state differs from that of an undisturbed group\n%s\nwant\n%s", got, x.lab.state)
	}
}

// end lets the group finish, and holds that nothing shows.
func (x *trial) end() {
	x.t.Helper()
	x.finished()
	x.drain()
	if x.delivery == "exactly_once" {
		once(x.t, x.signals(x.out()))
	}
	x.compare()
}

// step is a moment of a group's life: a request that some member sends, before the broker sees it.
type step struct {
	name string
	api  int16
	of   func(*trial) string // a topic that the request names; nil: any
	nth  int                 // how many there were before it: 0 is the first
}

func (s step) in(steps ...step) bool {
	return slices.ContainsFunc(steps, func(o step) bool { return o.name == s.name })
}

var (
	stepInit      = step{"InitProducerID", apiInitProducerID, nil, 0}
	stepAdd       = step{"AddPartitionsToTxn", apiAddPartitions, nil, 12}
	stepPublish   = step{"Produce of signals", apiProduce, (*trial).out, 8}
	stepChangelog = step{"Produce of changes", apiProduce, (*trial).changelog, 8}
	stepOffsets   = step{"AddOffsetsToTxn", apiAddOffsets, nil, 8}
	stepOffset    = step{"TxnOffsetCommit", apiTxnOffsetCommit, nil, 8}
	stepEnd       = step{"EndTxn", apiEndTxn, nil, 8}
	stepRestore   = step{"Fetch of the changelog", apiFetch, (*trial).changelog, 2}
)

// stopper makes a group stand still at a step: from the nth on, all such requests, or all such answers, wait.
type stopper struct {
	mu       sync.Mutex
	armed    bool // guarded by mu, as all of it
	at       step
	answered bool
	reached  chan struct{}
	released chan struct{}
	pass     bool
	held     []*exchange
	errors   []uint16 // what the broker answered to those, in the end
}

// stand makes the group stand still at a step: with answered, when the broker has done it. It is called before that
// can happen.
func (x *trial) stand(at step, answered bool) {
	x.stop.mu.Lock()
	defer x.stop.mu.Unlock()
	x.stop.armed, x.stop.at, x.stop.answered = true, at, answered
	x.stop.reached, x.stop.released = make(chan struct{}), make(chan struct{})
	x.stop.held, x.stop.errors = nil, nil
}

// reach waits until the group stands still, and gives all of its partitions the time to.
func (x *trial) reach() {
	x.t.Helper()
	select {
	case <-x.stop.reached:
		time.Sleep(100 * time.Millisecond)
	case <-time.After(time.Minute):
		x.t.Fatalf("no member comes to %s", x.stop.at.name)
	}
}

// others lets everything pass from now on but what is held.
func (x *trial) others() {
	x.stop.mu.Lock()
	defer x.stop.mu.Unlock()
	x.stop.armed = false
}

// release lets what was held go to the broker, or back to the member; without pass it is lost.
func (x *trial) release(pass bool) {
	x.stop.mu.Lock()
	defer x.stop.mu.Unlock()
	x.stop.armed, x.stop.pass = false, pass
	close(x.stop.released)
}

// watch is the group's watcher in the proxy.
func (x *trial) watch(e *exchange) bool {
	if bytes.Contains(e.request, []byte(".preflight")) {
		return true // a transactional id that is only asked for
	}
	if n := x.timeout.Load(); n > 0 && e.api == apiInitProducerID && e.answer == nil {
		shorten(e.request, time.Duration(n))
	}
	if e.api == apiJoinGroup && e.answer == nil {
		x.joins.Add(1)
	}
	if e.api == apiInitProducerID && answersInit(e.answer) {
		x.inits.Add(1)
	}
	s := &x.stop
	s.mu.Lock()
	if (e.api == apiEndTxn || e.api == apiAddOffsets) && len(e.answer) >= 15 && slices.Contains(s.held, e) {
		s.errors = append(s.errors, binary.BigEndian.Uint16(e.answer[13:])) // version 3
	}
	if !s.armed || e.api != s.at.api || (e.answer != nil) != s.answered || s.at.of != nil && !bytes.Contains(e.request, []byte(s.at.of(x))) {
		s.mu.Unlock()
		return true
	}
	if s.at.nth > 0 {
		s.at.nth--
		s.mu.Unlock()
		return true
	}
	if len(s.held) == 0 {
		close(s.reached)
	}
	s.held = append(s.held, e)
	released := s.released
	s.mu.Unlock()
	<-released
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pass
}

// shorten gives an InitProducerID (version 4) another transaction timeout: behind the head, which ends in no tagged fields,
// and the transactional id.
func shorten(request []byte, timeout time.Duration) {
	i := 14 + int(binary.BigEndian.Uint16(request[12:])) + 1
	n, size := binary.Uvarint(request[i:])
	if n > 0 {
		n-- // of a compact text; 0 is none
	}
	binary.BigEndian.PutUint32(request[i+size+int(n):], uint32(timeout.Milliseconds()))
}

// answersInit says whether this answer to an InitProducerID (version 4) gives a producer id.
func answersInit(answer []byte) bool {
	return len(answer) >= 15 && binary.BigEndian.Uint16(answer[13:]) == 0
}

// fenced holds that the broker refused every held request that reached it. Only EndTxn and AddOffsetsToTxn begin their
// answers with the error; of others nothing is held.
func (x *trial) fenced() {
	x.t.Helper()
	x.stop.mu.Lock()
	defer x.stop.mu.Unlock()
	if api := x.stop.at.api; len(x.stop.errors) == 0 && (api == apiEndTxn || api == apiAddOffsets) {
		x.t.Error("no answer to what was held came by")
	}
	for _, code := range x.stop.errors {
		if code == 0 {
			x.t.Errorf("the broker took a late %s", x.stop.at.name)
		}
	}
	x.t.Logf("answers to late requests: %d", x.stop.errors)
}

// together runs trials at once: most of their time they wait for a session to end.
func together(t *testing.T, trials map[string]func(*testing.T)) {
	places := make(chan struct{}, 12)
	var running sync.WaitGroup
	for name, f := range trials {
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			t.Run(name, f)
		})
	}
	running.Wait()
}
