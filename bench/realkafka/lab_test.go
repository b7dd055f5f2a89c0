//go:build realkafka

package realkafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
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
	labEvents     = 4_000
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
	records  int    // in a commit
	session  string // its timeout
	e        *engine
	members  []*member    // those that were not killed
	timeout  atomic.Int64 // of transactions, in place of the engine's; 0: the engine's
	joins    atomic.Int64 // how often members asked to join
	inits    atomic.Int64 // how often a transactional id was taken over

	mu    sync.Mutex
	holds []*hold // guarded by mu
}

// trial prepares a group with topics of its own.
func (l *lab) trial(t *testing.T, group, delivery string) *trial {
	t.Helper()
	x := &trial{broker: l.as(t), lab: l, t: t, group: group, input: "events", delivery: delivery, records: 100, session: "6s"}
	x.createTopic(x.out(), labPartitions)
	x.createTopic(x.rejects(), labPartitions)
	x.configure("")
	l.proxy.watch(group, x.watch)
	return x
}

// configure makes the configuration, with further lines for kafka. So small a state evicts all the time, and a partition
// makes a dozen commits.
func (x *trial) configure(kafka string) {
	x.t.Helper()
	yaml := survivorConfig(x.broker, x.group, x.out(), x.delivery)
	yaml = strings.Replace(yaml, "  group:", fmt.Sprintf("  client_id: %s\n  reject: %s\n  compression: none\n%s  group:", x.group, x.rejects(), kafka), 1)
	yaml = strings.Replace(yaml, "input: events", "input: "+x.input, 1)
	yaml = strings.Replace(yaml, "session_timeout: 6s", "session_timeout: "+x.session, 1)
	yaml = strings.Replace(yaml, "changelog: on", fmt.Sprintf("changelog: on, max_nodes: %d", labNodes), 1)
	x.e = newEngine(x.t, x.lab.bin, yaml+fmt.Sprintf("commit_interval: 50ms\ncommit_records: %d\n", x.records))
}

// patient gives the group a session that outlasts a machine's pauses, where nobody is to lose its generation.
func (x *trial) patient() {
	x.session = "60s"
	x.configure("")
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

// id is the transactional id of a partition.
func (x *trial) id(p int) string { return fmt.Sprintf("%s.%s.%d", x.group, x.input, p) }

// nobody waits until the coordinator says of none of the group's transactional ids that it is in a state.
func (x *trial) nobody(state string) {
	x.t.Helper()
	var ids []string
	for p := range labPartitions {
		ids = append(ids, x.id(p))
	}
	await(x.t, "no transaction to be "+state, func() bool {
		return !slices.Contains(slices.Collect(maps.Values(x.transactions(ids...))), state)
	})
}

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

// hold makes a group stand still at a step: all such requests from the nth on, or all such answers, wait.
type hold struct {
	x        *trial
	at       step
	answered bool
	reached  chan struct{}
	released chan struct{}

	// guarded by x.mu
	over   bool // nothing more is held
	pass   bool
	held   []*exchange
	came   int      // how many of those the broker has answered
	errors []uint16 // what it answered
}

// stand makes the group stand still at a step: with answered, when the broker has done it. It is called before that
// can happen.
func (x *trial) stand(at step, answered bool) *hold {
	h := &hold{x: x, at: at, answered: answered, reached: make(chan struct{}), released: make(chan struct{})}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.holds = append(x.holds, h)
	return h
}

// reach waits until the group stands still, and gives all of its partitions the time to.
func (h *hold) reach() {
	h.x.t.Helper()
	select {
	case <-h.reached:
		time.Sleep(100 * time.Millisecond)
	case <-time.After(patience):
		h.x.t.Fatalf("no member comes to %s", h.at.name)
	}
}

// others lets everything pass from now on but what is held.
func (h *hold) others() {
	h.x.mu.Lock()
	defer h.x.mu.Unlock()
	h.over = true
}

// release lets what was held go to the broker, or back to the member; without pass it is lost.
func (h *hold) release(pass bool) {
	h.x.mu.Lock()
	defer h.x.mu.Unlock()
	h.over, h.pass = true, pass
	close(h.released)
}

// takes says whether e is to wait, and notes what the broker answers to what waited before.
func (h *hold) takes(e *exchange) bool {
	if e.answer != nil && !h.answered && slices.Contains(h.held, e) {
		h.came++
		if (e.api == apiEndTxn || e.api == apiAddOffsets) && len(e.answer) >= 15 {
			h.errors = append(h.errors, binary.BigEndian.Uint16(e.answer[13:])) // version 3
		}
	}
	if h.over || e.api != h.at.api || (e.answer != nil) != h.answered || h.at.of != nil && !bytes.Contains(e.request, []byte(h.at.of(h.x))) {
		return false
	}
	if h.at.nth > 0 {
		h.at.nth--
		return false
	}
	if len(h.held) == 0 {
		close(h.reached)
	}
	h.held = append(h.held, e)
	return true
}

// arrived waits until the broker has answered a held request that was let go.
func (h *hold) arrived() {
	h.x.t.Helper()
	await(h.x.t, "the broker to answer what was held at "+h.at.name, func() bool {
		h.x.mu.Lock()
		defer h.x.mu.Unlock()
		return h.came > 0
	})
}

// fenced holds that the broker refused every held request that reached it. Only EndTxn and AddOffsetsToTxn begin their
// answers with the error; of others nothing is held.
func (h *hold) fenced() {
	h.x.t.Helper()
	h.arrived()
	h.x.mu.Lock()
	defer h.x.mu.Unlock()
	if api := h.at.api; len(h.errors) == 0 && (api == apiEndTxn || api == apiAddOffsets) {
		h.x.t.Error("no answer to what was held came by")
	}
	for _, code := range h.errors {
		if code == 0 {
			h.x.t.Errorf("the broker took a late %s", h.at.name)
		}
	}
	h.x.t.Logf("answers to late requests: %d", h.errors)
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
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, h := range x.holds {
		if h.takes(e) {
			x.mu.Unlock()
			<-h.released
			x.mu.Lock()
			return h.pass
		}
	}
	return true
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

// together runs trials at once: most of their time they wait for a session to end.
func together(t *testing.T, trials map[string]func(*testing.T)) {
	places := make(chan struct{}, 24)
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
