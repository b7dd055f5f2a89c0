//go:build realkafka

package realkafka

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// The changelog's cleaner runs all the time: the topic's segments are a second long and the broker looks twice a
// second.
var eagerCleaner = []string{"log.cleaner.backoff.ms=500", "log.segment.delete.delay.ms=1000", "transaction.state.log.segment.bytes=1048576"}

// changelogTopic creates a group's changelog as the engine would, but for segments of a second.
func (b *broker) changelogTopic(group string) {
	b.t.Helper()
	b.createTopicWith(group+".events.spoor-state", partitions, map[string]string{
		"cleanup.policy": "compact", "segment.ms": "1000", "segment.bytes": "1048576", "min.cleanable.dirty.ratio": "0.01",
		"max.compaction.lag.ms": "1000", "delete.retention.ms": "3600000",
	})
}

// Three members share the topic and its state. At random moments one is killed, one is frozen for longer than its session
// and thawed, the broker is restarted, all members are replaced in order. What a read_committed consumer of another
// library sees is the replay, byte for byte, each id once. REALKAFKA_EVENTS and REALKAFKA_STEPS make it longer, REALKAFKA_SEED
// repeats one.
func TestExactlyOnce(t *testing.T) {
	if testing.Short() {
		t.Parallel()
	}
	once(t, disturbed(t, "exactly_once", 100_000, 8))
}

// The same, but for ids that may come twice, with equal bytes: the state survives all of it.
func TestAtLeastOnceKeepsState(t *testing.T) {
	whole(t)
	disturbed(t, "at_least_once", 40_000, 4)
}

func disturbed(t *testing.T, delivery string, events, steps int) (published []signal) {
	if testing.Short() {
		events, steps = 24_000, 4
	}
	events, steps = number(t, "REALKAFKA_EVENTS", events), number(t, "REALKAFKA_STEPS", steps)
	seed := uint64(number(t, "REALKAFKA_SEED", int(time.Now().UnixNano()%1_000_000)))
	t.Logf("seed %d, %d events, %d steps", seed, events, steps)
	r := rand.New(rand.NewPCG(seed, 1))
	b := startBroker(t, eagerCleaner...)
	b.createTopic("events", partitions)
	b.createTopic("signals", partitions)
	b.changelogTopic("once")
	e := newEngine(t, buildEngine(t), survivorConfig(b, "once", "signals", delivery))
	next, written := b.trickle("events", events, steps+1)
	members := []*member{e.run(), e.run(), e.run()}
	next()
	await(t, "the first commits", func() bool { return b.committed("once", "events", partitions) > 0 })
	actions := []string{"kill", "freeze", "broker", "roll"}
	for i := range steps {
		next()
		time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
		victim := r.IntN(len(members))
		action := actions[r.IntN(len(actions))]
		if i < len(actions) {
			action = actions[i] // each at least once
		}
		t.Logf("step %d: %s %d at %d of %d", i, action, victim, b.committed("once", "events", partitions), events)
		switch action {
		case "kill":
			members[victim].kill()
			members[victim] = e.run()
		case "freeze":
			members[victim].Process.Signal(syscall.SIGSTOP)
			time.Sleep(8 * time.Second) // the session is 6 s: the others take over
			next()
			time.Sleep(time.Second)
			members[victim].Process.Signal(syscall.SIGCONT)
		case "broker":
			b.stop()
			time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
			b.start()
		case "roll":
			for j := range members {
				members[j].drain(t)
				members[j] = e.run()
			}
		}
	}
	for range steps {
		next()
	}
	<-written
	await(t, "all events to be committed", func() bool {
		return b.committed("once", "events", partitions) == b.ends("events", partitions)
	})
	for _, m := range members {
		m.drain(t)
	}
	published = b.signals("signals")
	compare(t, published, e.replayed())
	t.Logf("the changelog was %d offsets long, %d records are left", b.ends("once.events.spoor-state", partitions), len(b.readCommitted("once.events.spoor-state")))
	return published
}
