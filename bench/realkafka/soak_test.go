//go:build realkafka

package realkafka

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"spoor/bench"
)

// One engine lives through it all while others join, leave, are killed and freeze, it too, all freeze at once, and the broker
// is restarted. Then it is alone and idle, as it was in the beginning, and must not hold more than it did then. What was
// published is the replay, each id once. REALKAFKA_SOAK is how many minutes, with something happening twice in each;
// without it two, with something every ten seconds. REALKAFKA_RATE is events/s, REALKAFKA_SEED repeats the choices.
func TestSoak(t *testing.T) {
	whole(t)
	minutes, rate := number(t, "REALKAFKA_SOAK", 2), number(t, "REALKAFKA_RATE", 2000)
	seed := uint64(number(t, "REALKAFKA_SEED", int(time.Now().UnixNano()%1_000_000)))
	length := time.Duration(minutes) * time.Minute
	every := min(30*time.Second, length/12)
	t.Logf("seed %d, %v at %d events/s, something every %v", seed, length, rate, every)
	r := rand.New(rand.NewPCG(seed, 3))
	b := startBroker(t)
	b.createTopic("events", partitions)
	b.createTopic("signals", partitions)
	bin := buildEngine(t)
	yaml := survivorConfig(b, "soak", "signals", "exactly_once")
	e := newEngine(t, bin, yaml)
	s := &soak{t: t, b: b, e: e, admin: "127.0.0.1:" + freePort(t)}

	// A backlog first: what the engine holds after reading one is what it may hold after the others.
	backlog := rate * 60
	reached, gate, written := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(written)
		var began time.Time
		b.write("events", bench.Config{Seed: 9, Hosts: 80, Events: backlog + rate*int(length.Seconds()), Attacks: bench.AttackNames()}, func(n int) {
			if n == backlog {
				close(reached)
				<-gate
				began = time.Now()
			}
			if n > backlog {
				time.Sleep(time.Until(began.Add(time.Duration(n-backlog) * time.Second / time.Duration(rate))))
			}
		})
	}()
	<-reached
	s.first = newEngine(t, bin, strings.ReplaceAll(yaml, `admin: {listen: ""}`, fmt.Sprintf("admin: {listen: %q, pprof: true}", s.admin))).run()
	await(t, "the backlog to be published", func() bool { return b.ends("events", partitions) == int64(backlog) })
	s.caughtUp()
	// At rest means that connections which only a burst needed are closed: that takes half a minute.
	time.Sleep(40 * time.Second)
	before := s.vitals("before")
	t.Logf("at rest before: %s", before)

	close(gate)
	actions := []string{"join", "join", "kill", "freeze", "join", "leave", "freeze first", "join", "freeze all", "broker"}
	for begin, i := time.Now(), 0; time.Since(begin) < length; i++ {
		time.Sleep(time.Until(begin.Add(time.Duration(i+1) * every)))
		action := actions[r.IntN(len(actions)-1)] // the broker only in its turn
		if i < len(actions) {
			action = actions[i]
		}
		t.Logf("%4.0f s, %d others, %s; %s", time.Since(begin).Seconds(), len(s.others), s.look(), action)
		s.act(action, r)
	}
	<-written
	for _, m := range s.others {
		m.drain(t)
	}
	s.caughtUp()
	if text := "partition stalled"; s.first.says(text) {
		t.Errorf("an engine says %q", text)
	}
	var after vitals
	for begin := time.Now(); time.Since(begin) < 3*time.Minute; time.Sleep(5 * time.Second) {
		if after = s.vitals("after"); after.within(before) {
			break
		}
	}
	t.Logf("at rest after: %s; %s", after, s.look())
	if !after.within(before) {
		t.Errorf("the engine holds more than it did in the beginning: %s, it was %s", after, before)
		s.dump()
	}
	s.first.drain(t)
	published := b.signals("signals")
	once(t, published)
	compare(t, published, e.replayed())
}

// soak is what TestSoak works with.
type soak struct {
	t      *testing.T
	b      *broker
	e      *engine
	admin  string // of first
	first  *member
	others []*member
}

// act does one thing to the group.
func (s *soak) act(action string, r *rand.Rand) {
	s.t.Helper()
	i := -1
	if len(s.others) > 0 {
		i = r.IntN(len(s.others))
	}
	drop := func() { s.others = append(s.others[:i:i], s.others[i+1:]...) }
	switch {
	case action == "join" && len(s.others) < 4, i < 0 && action != "broker" && action != "freeze first":
		s.others = append(s.others, s.e.run())
	case action == "kill":
		s.others[i].kill()
		drop()
	case action == "leave":
		s.others[i].drain(s.t)
		drop()
	case action == "freeze":
		freeze(s.others[i])
	case action == "freeze first":
		freeze(s.first)
	case action == "freeze all":
		freeze(append([]*member{s.first}, s.others...)...)
	case action == "broker":
		s.b.stop()
		s.b.start()
	}
}

// freeze stops members for longer than their session, which is 6 s.
func freeze(members ...*member) {
	for _, m := range members {
		m.Process.Signal(syscall.SIGSTOP)
	}
	time.Sleep(9 * time.Second)
	for _, m := range members {
		m.Process.Signal(syscall.SIGCONT)
	}
}

// caughtUp waits until all of the input is committed, as long as the group gets on.
func (s *soak) caughtUp() {
	s.t.Helper()
	end := s.b.ends("events", partitions)
	for at := int64(-2); at < end; {
		await(s.t, "the group to get on", func() bool {
			was := at
			at = s.b.committed("soak", "events", partitions)
			return at > was
		})
	}
}

// look is a line of what the first engine says of itself now.
func (s *soak) look() string {
	m := metrics(s.t, s.admin)
	if m == nil {
		return "no metrics"
	}
	return fmt.Sprintf("RSS %.0f MB, heap %.0f MB, state %.1f MB, %.0f goroutines, %.0f files; %.0f partitions, lag %.0f, %.0f generations, %.0f commits, %.0f aborts, %.0f retries, %.0f stalled",
		m["process_resident_memory_bytes"]/1e6, m["go_memstats_heap_alloc_bytes"]/1e6, m["spoor_state_bytes"]/1e6, m["go_goroutines"], m["process_open_fds"],
		m["spoor_assigned_partitions"], m["spoor_lag_records"], m["spoor_rebalances_total"], m["spoor_commit_seconds_count"], m["spoor_transaction_aborts_total"],
		m["spoor_retries_total"], m["spoor_partition_stalled"])
}

// vitals are what an engine at rest holds.
type vitals struct {
	goroutines, files, heap float64 // heap is after a collection, without the state
	partitions              float64
}

func (v vitals) String() string {
	return fmt.Sprintf("%.0f goroutines, %.0f files, %.1f MB of heap beside the state, %.0f partitions", v.goroutines, v.files, v.heap/1e6, v.partitions)
}

// within says whether v is no more than it was, but for what a poll or a connection in between makes.
func (v vitals) within(was vitals) bool {
	return v.partitions == was.partitions && v.goroutines <= was.goroutines+8 && v.files <= was.files+4 && v.heap <= was.heap+16e6
}

// vitals are those of the first engine. Its heap's profile goes to REALKAFKA_PROFILE-NAME.pprof when that is set.
func (s *soak) vitals(name string) vitals {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "heap")
	if to := os.Getenv("REALKAFKA_PROFILE"); to != "" {
		path = fmt.Sprintf("%s-%s.pprof", to, name)
	}
	profile(s.t, "http://"+s.admin+"/debug/pprof/heap?gc=1", path)
	m := metrics(s.t, s.admin)
	return vitals{m["go_goroutines"], m["process_open_fds"], m["go_memstats_heap_alloc_bytes"] - m["spoor_state_bytes"], m["spoor_assigned_partitions"]}
}

// dump says where the goroutines are.
func (s *soak) dump() {
	res, err := http.Get("http://" + s.admin + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		s.t.Log(err)
		return
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	s.t.Logf("%s", text[:min(len(text), 20_000)])
}
