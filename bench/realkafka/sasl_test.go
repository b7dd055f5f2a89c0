//go:build realkafka

package realkafka

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// Brokers close the connection of who has not said for connections.max.reauth.ms who he is: here every few seconds, the
// coordinator's and all others. The group goes on, and what it publishes is the replay, each id once.
func TestSessionsOfSASLExpire(t *testing.T) {
	whole(t)
	const events, steps = 40_000, 20
	b := &broker{t: t, dir: t.TempDir(), port: freePort(t)}
	port := freePort(t)
	b.properties = []string{
		fmt.Sprintf("listeners=PLAINTEXT://%s,SASL_PLAINTEXT://127.0.0.1:%s,CONTROLLER://127.0.0.1:%s", b.addr(), port, nextPort(t, b.port)),
		fmt.Sprintf("advertised.listeners=PLAINTEXT://%s,SASL_PLAINTEXT://127.0.0.1:%s", b.addr(), port),
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
		"sasl.enabled.mechanisms=PLAIN", "connections.max.reauth.ms=5000",
		`listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_spoor="secret";`,
	}
	b.start()
	t.Cleanup(b.stop)
	b.createTopic("events", partitions)
	b.createTopic("signals", partitions)
	yaml := survivorConfig(b, "expire", "signals", "exactly_once")
	yaml = strings.Replace(yaml, b.addr(), "127.0.0.1:"+port, 1)
	yaml = strings.Replace(yaml, "  group:", "  sasl: {mechanism: plain, username: spoor, password: secret}\n  group:", 1)
	e := newEngine(t, buildEngine(t), yaml)
	members := []*member{e.run(), e.run()}
	step, written := b.trickle("events", events, steps)
	for range steps {
		at := b.committed("expire", "events", partitions)
		step()
		await(t, "the group to get on", func() bool { return b.committed("expire", "events", partitions) >= at+events/steps/2 })
	}
	step()
	<-written
	await(t, "all events to be committed", func() bool {
		return b.committed("expire", "events", partitions) == b.ends("events", partitions)
	})
	for _, m := range members {
		m.drain(t)
	}
	published := b.signals("signals")
	once(t, published)
	compare(t, published, e.replayed())
}

// nextPort is the port that follows, which freePort found free too.
func nextPort(t *testing.T, port string) string {
	t.Helper()
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(n + 1)
}
