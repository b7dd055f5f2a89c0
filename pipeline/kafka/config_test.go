package kafka

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	good := func() Config {
		c := DefaultConfig()
		c.Brokers, c.Group, c.Input, c.Output = []string{"k:9092"}, "g", "in", "out"
		return c
	}
	for _, tt := range []struct {
		change func(*Config)
		want   string // substrings, one for each error
	}{
		{func(c *Config) {}, ""},
		{func(c *Config) { c.Reject, c.Shadow = "r", "s" }, ""},
		{func(c *Config) { c.Brokers = nil }, "brokers: at least one"},
		{func(c *Config) { c.Brokers = []string{"host"} }, `"host" is not host:port`},
		{func(c *Config) { c.Brokers = []string{"host:kafka"} }, `"host:kafka" is not host:port`},
		{func(c *Config) { c.Brokers = []string{"host:90920"} }, `"host:90920" is not host:port`},
		{func(c *Config) { c.Group = "" }, "group:"},
		{func(c *Config) { c.Input, c.Output = "", "" }, "input: a topic|output: a topic"},
		{func(c *Config) { c.Output = "in" }, "output: is the input topic"},
		{func(c *Config) { c.Reject = "in" }, "reject: is the input topic"},
		{func(c *Config) { c.Shadow = "in" }, "shadow: is the input topic"},
		{func(c *Config) { c.Shadow = "out" }, "shadow: is the output topic"},
		{func(c *Config) { c.Reject = "out" }, "rejects are not signals"},
		{func(c *Config) {
			c.Start, c.OutOfRange, c.OnCorrupt, c.Partitioner, c.Compression = "a", "b", "c", "d", "e"
		}, "start:|out_of_range:|on_corrupt:|partitioner:|compression:"},
		{func(c *Config) { c.TLS.CA = "ca.pem" }, "tls: has settings but is not enabled"},
		{func(c *Config) { c.TLS = TLS{Enabled: true, Cert: "x"} }, "cert and key go together"},
		{func(c *Config) { c.SASL = SASL{Username: "u"} }, "sasl: has credentials but no mechanism"},
		{func(c *Config) { c.SASL = SASL{Mechanism: "kerberos"} }, `sasl.mechanism: "kerberos"`},
		{func(c *Config) { c.SASL = SASL{Mechanism: "plain"} }, "sasl.username|either password or password_file"},
		{func(c *Config) {
			c.SASL = SASL{Mechanism: "plain", Username: "u", Password: "p", PasswordFile: "f"}
		}, "either password or password_file"},
		{func(c *Config) { c.HeartbeatInterval = c.SessionTimeout }, "more than a third"},
		{func(c *Config) { c.SessionTimeout = 0 }, "must be above 0"},
		{func(c *Config) { c.FetchBytes = 1 }, "fetch_bytes"},
		{func(c *Config) { c.CreateTopics = CreateTopics{Partitions: -1, Replication: 0} }, "create_topics.partitions|create_topics.replication"},
	} {
		c := good()
		tt.change(&c)
		errs := c.Validate()
		var want []string
		if tt.want != "" {
			want = strings.Split(tt.want, "|")
		}
		ok := len(errs) == len(want)
		for i := range min(len(errs), len(want)) {
			ok = ok && strings.Contains(errs[i].Error(), want[i])
		}
		if !ok {
			t.Errorf("%v, want %q", errs, want)
		}
	}
}

func TestSecretsAreMasked(t *testing.T) {
	c := DefaultConfig()
	c.SASL = SASL{Mechanism: "plain", Username: "u", Password: "hunter2"}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "kafka", c, "password", c.SASL.Password)
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "kafka", c, "password", c.SASL.Password)
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%s %q %x", c.SASL, c.SASL.Password, c.SASL.Password), string(asJSON), log.String()} {
		if strings.Contains(text, "hunter2") || strings.Contains(text, fmt.Sprintf("%x", "hunter2")) {
			t.Error(text)
		}
	}
	if p, err := c.SASL.password(); p != "hunter2" || err != nil {
		t.Error("the password itself is lost")
	}
}

// A member outlasts a coordinator that stands still for some seconds, and stops before its session is over.
func TestHeartbeatTimeout(t *testing.T) {
	for session, want := range map[time.Duration]time.Duration{6 * time.Second: 3 * time.Second, DefaultConfig().SessionTimeout: 15 * time.Second, time.Hour: 15 * time.Second} {
		c := DefaultConfig()
		c.SessionTimeout, c.HeartbeatInterval = session, min(c.HeartbeatInterval, session/3)
		if got := c.heartbeatTimeout(); got != want || got+c.HeartbeatInterval >= session {
			t.Errorf("session %s: %s, want %s", session, got, want)
		}
	}
}
