package kafka

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"spoor/pipeline"
	"spoor/pipeline/embedded"
)

// certificate makes a self-signed one for 127.0.0.1 and returns it and a PEM file of it.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

func TestPreflight(t *testing.T) {
	cert, ca := certificate(t)
	_, otherCA := certificate(t)
	server := &tls.Config{Certificates: []tls.Certificate{cert}}
	topics := map[string]int32{"in": 2, "out": 2, "rejects": 1}
	admin := &embedded.User{Mechanism: "SCRAM-SHA-512", Name: "admin", Password: "right"}
	plain := &embedded.User{Mechanism: "PLAIN", Name: "admin", Password: "right"}
	scram := SASL{Mechanism: "scram-sha-512", Username: "admin", Password: "right"}
	all := []kmsg.ACLOperation{kmsg.ACLOperationAll}
	describe := []kmsg.ACLOperation{kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs}
	user := func(in, out, group []kmsg.ACLOperation) []embedded.User {
		u := embedded.User{Mechanism: "PLAIN", Name: "engine", Password: "pw"}
		for _, a := range []embedded.Allow{{Topic: "in", Operations: in}, {Topic: "out", Operations: out}, {Topic: "rejects", Operations: all}, {Group: "g", Operations: group}} {
			if a.Operations != nil {
				u.Allow = append(u.Allow, a)
			}
		}
		return []embedded.User{u}
	}
	engine := SASL{Mechanism: "plain", Username: "engine", Password: "pw"}

	for _, tt := range []struct {
		name   string
		broker embedded.Config
		change func(*Config)
		want   string // "" is no problem; parts separated by | must all be there
	}{
		{"all is well", embedded.Config{}, nil, ""},
		{"nothing listens", embedded.Config{}, func(c *Config) { c.Brokers = []string{"127.0.0.1:1"} }, "nothing listens at 127.0.0.1:1: check the addresses"},
		{"no such host", embedded.Config{}, func(c *Config) { c.Brokers = []string{"nowhere.invalid:9092"} }, "nowhere.invalid:9092 has no address"},
		{"TLS and SCRAM", embedded.Config{TLS: server, SASL: admin}, func(c *Config) { c.TLS = TLS{Enabled: true, CA: ca}; c.SASL = scram }, ""},
		{"TLS and PLAIN", embedded.Config{TLS: server, SASL: plain}, func(c *Config) {
			c.TLS = TLS{Enabled: true, CA: ca}
			c.SASL = SASL{Mechanism: "plain", Username: "admin", Password: "right"}
		}, ""},
		{"the broker wants TLS", embedded.Config{TLS: server}, nil, "speaks TLS on this port: set tls.enabled: true"},
		{"unknown authority", embedded.Config{TLS: server}, func(c *Config) { c.TLS = TLS{Enabled: true, CA: otherCA} }, "authority that is not trusted: set tls.ca"},
		{"another name", embedded.Config{TLS: server}, func(c *Config) { c.TLS = TLS{Enabled: true, CA: ca, ServerName: "kafka.example"} }, "is for another name"},
		{"no such CA file", embedded.Config{}, func(c *Config) { c.TLS = TLS{Enabled: true, CA: "nowhere.pem"} }, "tls.ca: open nowhere.pem"},
		{"the broker wants SASL", embedded.Config{SASL: admin}, nil, "probably wants SASL"},
		{"wrong password", embedded.Config{SASL: admin}, func(c *Config) { c.SASL = scram; c.SASL.Password = "wrong" }, `user "admin"|check sasl.username, the password`},
		{"wrong mechanism", embedded.Config{SASL: admin}, func(c *Config) { c.SASL = scram; c.SASL.Mechanism = "plain" }, "sasl.mechanism"},
		{"topics are missing", embedded.Config{Topics: map[string]int32{"in": 2}}, nil, `topic "out" does not exist: create it|topic "rejects" does not exist`},
		{"topics are created", embedded.Config{Topics: map[string]int32{"in": 2}}, func(c *Config) { c.CreateTopics.Partitions = 3 }, ""},
		{"more replicas than brokers", embedded.Config{Topics: map[string]int32{"in": 2}}, func(c *Config) { c.CreateTopics = CreateTopics{3, 9} }, "create_topics.replication"},
		{"all rights", embedded.Config{ACLs: true, SASL: plain, Users: user(all, all, all)}, func(c *Config) { c.SASL = engine }, ""},
		{"may not see the input", embedded.Config{ACLs: true, SASL: plain, Users: user(nil, all, all)}, func(c *Config) { c.SASL = engine }, `user "engine" may not see topic "in": grant DESCRIBE and READ`},
		{"may not read", embedded.Config{ACLs: true, SASL: plain, Users: user(describe, all, all)}, func(c *Config) { c.SASL = engine }, `user "engine" may not use topic "in": grant READ`},
		{"may not write", embedded.Config{ACLs: true, SASL: plain, Users: user(all, describe, all)}, func(c *Config) { c.SASL = engine }, `user "engine" may not use topic "out": grant WRITE`},
		{"may not use the group", embedded.Config{ACLs: true, SASL: plain, Users: user(all, all, nil)}, func(c *Config) { c.SASL = engine }, `user "engine" may not use the consumer group "g": grant READ`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.broker.Topics == nil {
				tt.broker.Topics = topics
			}
			b := broker(t, tt.broker)
			cfg := config(b)
			if tt.change != nil {
				tt.change(&cfg)
			}
			err := Preflight(context.Background(), cfg, 900<<10)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("no problem was seen")
			}
			for _, part := range strings.Split(tt.want, "|") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v\nwant: %s", err, part)
				}
			}
			if strings.Contains(err.Error(), "wrong") || strings.Contains(err.Error(), "right\"") {
				t.Errorf("the password is in it: %v", err)
			}
		})
	}
}

func TestPreflightOfSettings(t *testing.T) {
	for setting, want := range map[[2]string]string{
		{"cleanup.policy", "compact"}:    `topic "out" is compacted`,
		{"max.message.bytes", "500000"}:  `topic "out" takes messages of at most 500000 bytes, a signal has up to 921600: raise its max.message.bytes to 937984`,
		{"min.insync.replicas", "3"}:     `topic "out" has 1 replicas and wants 3 in sync`,
		{"max.message.bytes", "2000000"}: "",
	} {
		b := broker(t, embedded.Config{Topics: map[string]int32{"in": 2, "rejects": 1}})
		if err := b.CreateTopic("out", 1, map[string]string{setting[0]: setting[1]}); err != nil {
			t.Fatal(err)
		}
		err := Preflight(context.Background(), config(b), 900<<10)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", setting, err)
		}
	}
}

// A listener without TLS closes the connection at a TLS greeting, which reads as a huge request.
func TestPreflightOfListenerWithoutTLS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				var head [14]byte
				if _, err := io.ReadFull(conn, head[:]); err == nil && binary.BigEndian.Uint32(head[:]) < 1<<20 {
					conn.Write(append([]byte{0, 0, 0, 10}, append(head[8:12:12], 0, 0, 0, 0, 0, 0)...))
				}
			}()
		}
	}()
	cfg := DefaultConfig()
	cfg.Brokers, cfg.Group, cfg.Input, cfg.Output = []string{l.Addr().String()}, "g", "in", "out"
	cfg.TLS.Enabled = true
	if err := Preflight(context.Background(), cfg, 1); err == nil || !strings.Contains(err.Error(), "does not speak TLS on this port") {
		t.Error(err)
	}
}

// The whole path works over TLS and SCRAM: group, fetch, produce and commit have connections of their own.
func TestMemberOverTLSAndSCRAM(t *testing.T) {
	t.Parallel()
	cert, ca := certificate(t)
	plain := broker(t, embedded.Config{Topics: map[string]int32{"in": 2, "out": 2, "rejects": 1}, TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
		SASL: &embedded.User{Mechanism: "SCRAM-SHA-256", Name: "u", Password: "p"}})
	cfg := config(plain)
	cfg.TLS, cfg.SASL = TLS{Enabled: true, CA: ca}, SASL{Mechanism: "scram-sha-256", Username: "u", PasswordFile: filepath.Join(t.TempDir(), "pw")}
	if err := os.WriteFile(cfg.SASL.PasswordFile, []byte("p\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	in := newPublisher(c, newEncoders("zstd"), []outTopic{{name: "in", kind: "signal", partitions: 2, maxBytes: 1 << 20}}, pipeline.TopicPartition{Partition: 1}, pipeline.NewMetrics(nil), quiet, func() error { return nil })
	if err := in.publish(context.Background(), batchOf(signal(0, 0), signal(1, 0))); err != nil {
		t.Fatal(err)
	}
	m, _ := member(t, cfg, quiet, nil)
	eventually(t, func() string { return assigned(map[*Member]int{m: 2}) })
	eventually(t, func() string {
		rows, err := c.committed(context.Background(), 2)
		if err != nil || rows[1].offset != 2 {
			return "nothing is committed"
		}
		return ""
	})
}

// What one broker's loss takes, where there are brokers enough.
func TestPreflightOfReplicas(t *testing.T) {
	f := func(brokers, replicas, minInSync int, want string) {
		t.Helper()
		if got := atRisk("out", brokers, replicas, minInSync); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%d brokers, %d replicas, %d in sync: %q, want %q", brokers, replicas, minInSync, got, want)
		}
	}
	f(1, 1, 1, "")
	f(2, 1, 1, "")
	f(3, 1, 1, `topic "out" has 1 replicas on 3 brokers`)
	f(3, 2, 2, `3 replicas with min.insync.replicas=2 lose nothing`)
	f(3, 3, 1, `topic "out" has min.insync.replicas=1: what one broker alone has acknowledged can be lost with it; set it to 2`)
	f(3, 3, 2, "")
	f(5, 3, 0, "") // not told
	f(3, 0, 1, "") // not known yet

	// As a cluster tells it: every topic published to, the changelog's among them.
	b := broker(t, embedded.Config{Brokers: 3, Topics: map[string]int32{"in": 2, "out": 2, "rejects": 1}})
	c, err := connect(survivorConfig(b))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	facts, err := c.preflight(context.Background(), 900<<10)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(facts.warnings, "\n")
	for _, topic := range []string{"out", "rejects", "g.in.spoor-state"} {
		if strings.Count(got, `topic "`+topic+`" has `) != 1 {
			t.Errorf("nothing of topic %q in:\n%s", topic, got)
		}
	}
	if strings.Contains(got, `topic "in"`) {
		t.Errorf("the input is not ours to judge:\n%s", got)
	}
}

// The settings of a changelog's topic that somebody else made.
func TestPreflightOfChangelog(t *testing.T) {
	f := func(setting, value, warning, problem string) {
		t.Helper()
		have := map[string]string{"max.message.bytes": "1048588"}
		for _, e := range changelogSettings {
			have[e.ConfigName] = e.ConfigValue
		}
		have[setting] = value
		warnings, err := judgeChangelog("log", have)
		if got := strings.Join(warnings, "\n"); (got == "") != (warning == "") || !strings.Contains(got, warning) {
			t.Errorf("%s=%s: warning %q, want %q", setting, value, got, warning)
		}
		if (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("%s=%s: %v, want %q", setting, value, err, problem)
		}
	}
	f("cleanup.policy", "compact", "", "")
	f("cleanup.policy", "delete", "", "forgets state by age: set it to compact")
	f("cleanup.policy", "compact,delete", "", "forgets state by age: set it to compact")
	f("segment.ms", "604800000", "segment.ms=604800000; 600000 is recommended", "")
	f("segment.ms", "1000", "", "")
	f("segment.bytes", "1073741824", "segment.bytes=1073741824; 67108864 is recommended", "")
	f("min.cleanable.dirty.ratio", "0.5", "min.cleanable.dirty.ratio=0.5; 0.2 is recommended", "")
	f("max.compaction.lag.ms", "9223372036854775807", "max.compaction.lag.ms", "")
	f("delete.retention.ms", "86400000", "delete.retention.ms=86400000; 3600000 is recommended", "")
	f("delete.retention.ms", "60000", "", "comes back to a member that was away: set it to 3600000")
	f("max.message.bytes", "100000", "", "takes messages of at most 100000 bytes, a change of the state has up to")
}

// A broker that does not know a topic yet, which another has just told of, is no reason not to start.
func TestPreflightOfTopicsJustMade(t *testing.T) {
	t.Parallel()
	b := broker(t, embedded.Config{Topics: map[string]int32{"in": 1}})
	cfg := survivorConfig(b)
	cfg.CreateTopics.Partitions = 1
	made := false // a control runs in the broker's one goroutine
	b.Cluster().ControlKey(int16(kmsg.CreateTopics), func(kmsg.Request) (kmsg.Response, error, bool) {
		made = true
		return nil, nil, false
	})
	stale := 0
	b.Cluster().ControlKey(int16(kmsg.Metadata), func(r kmsg.Request) (kmsg.Response, error, bool) {
		b.Cluster().KeepControl()
		if made && stale < 3 {
			stale++
			res := r.ResponseKind().(*kmsg.MetadataResponse)
			for _, asked := range r.(*kmsg.MetadataRequest).Topics {
				topic := kmsg.NewMetadataResponseTopic()
				topic.Topic, topic.ErrorCode = asked.Topic, kerr.UnknownTopicOrPartition.Code
				res.Topics = append(res.Topics, topic)
			}
			host, port, _ := net.SplitHostPort(b.Addr())
			n, _ := strconv.Atoi(port)
			broker := kmsg.NewMetadataResponseBroker()
			broker.Host, broker.Port = host, int32(n)
			res.Brokers = append(res.Brokers, broker)
			return res, nil, true
		}
		return nil, nil, false
	})
	unknown := b.Cluster().Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.DescribeConfigs}, Err: kerr.UnknownTopicOrPartition, Count: 2})
	if err := Preflight(context.Background(), cfg, 900<<10); err != nil {
		t.Error(err)
	}
	if stale != 3 || unknown.Hits() != 2 {
		t.Errorf("%d times the metadata and %d times the settings were of before", stale, unknown.Hits())
	}
}
