package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"
)

// Config says which cluster, which topics and how. Defaults are in DefaultConfig; Validate returns every
// problem. It may be printed: secrets mask themselves.
type Config struct {
	// Brokers are addresses to start from, host:port.
	Brokers []string
	// ClientID is the name the brokers log for our requests. Default spoor.
	ClientID string
	TLS      TLS
	SASL     SASL

	// Group is the consumer group. All its members must be of this program: its way to share partitions is
	// its own.
	Group string
	// Input is the topic consumed, Output the one that gets signals. Reject gets what could not be evaluated;
	// empty: it is counted and logged. Shadow gets the signals of shadow rules; empty: they are counted.
	Input  string
	Output string
	Reject string
	Shadow string

	// Changelog keeps the state in a compacted topic beside the input's partitions, GROUP.INPUT.spoor-state, so that it
	// survives restarts and rebalances: state, marker and input offset are one transaction. The topic is created when
	// it is missing, and grown with the input.
	Changelog bool `yaml:"changelog"`
	// Delivery is at_least_once: outputs are acknowledged before the input position is stored, and may come twice with
	// one id; or exactly_once: they are part of the changelog's transaction, and consumers that read committed see each
	// once. Default at_least_once.
	Delivery string `yaml:"delivery"`

	// Start is where a group without committed offsets starts: earliest or latest. Default earliest. A
	// partition that appears later starts at its beginning in any case.
	Start string
	// OutOfRange says what to do when the log no longer holds the position: earliest (go on with what is left),
	// latest (go on at the end) or fail (stop). Default earliest.
	OutOfRange string
	// OnCorrupt says what to do with a batch that is still corrupt after being fetched again three times: pause
	// the partition, or skip it and publish a reject that names it. Default pause.
	OnCorrupt string

	// Partitioner says which output partition a signal goes to: input (the input partition modulo the number of
	// output partitions, so that a host's signals stay in order) or murmur2 (of the key, as Java clients do).
	// Default input.
	Partitioner string
	// Compression of what is published: none, gzip, snappy, lz4 or zstd. Default zstd.
	Compression string
	// CreateTopics, when Partitions is above 0, creates the topics that are missing at start.
	CreateTopics CreateTopics

	// SessionTimeout is how long the broker waits for a heartbeat before it gives our partitions to others.
	// Default 45 s.
	SessionTimeout time.Duration
	// RebalanceTimeout is how long the broker waits for members to finish their batches in a rebalance; half of
	// the lesser of this and SessionTimeout is the budget of a drain. Default 60 s.
	RebalanceTimeout time.Duration
	// HeartbeatInterval is how often the member says that it lives, and learns that the group rebalances.
	// Default 3 s.
	HeartbeatInterval time.Duration

	// FetchBytes is how much of a partition is asked for at once. A partition holds twice as much, plus what a
	// batch expands to. Default 1 MiB.
	FetchBytes int
}

// TLS says how to encrypt connections and whom to trust.
type TLS struct {
	Enabled bool
	// CA is a PEM file with the authorities that may have signed a broker's certificate; empty: the system's.
	CA string
	// Cert and Key are PEM files with the client's certificate and key, when brokers ask for one. They are read again for
	// every connection, so that they may be replaced.
	Cert string
	Key  string
	// ServerName is the name expected in broker certificates; empty: the host connected to.
	ServerName string
	// Insecure accepts any certificate. For tests only: whoever is in between reads everything.
	Insecure bool
}

// SASL says who we are.
type SASL struct {
	// Mechanism is plain, scram-sha-256 or scram-sha-512; empty: no SASL.
	Mechanism string
	Username  string
	// Password, or PasswordFile with the password as its content (a trailing newline is cut), which is read again for every
	// connection, so that it may be replaced. Not both.
	Password     Secret
	PasswordFile string
}

// CreateTopics says how missing topics are created.
type CreateTopics struct {
	// Partitions is how many partitions each gets; 0: missing topics are an error.
	Partitions int
	// Replication is how many brokers hold each; -1: the broker's default. Default -1.
	Replication int
}

// Secret is text that prints as ***.
type Secret string

const mask = "***"

func (s Secret) masked() string {
	if s == "" {
		return ""
	}
	return mask
}

// String is the mask.
func (s Secret) String() string { return s.masked() }

// GoString is the mask.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.masked()) }

// LogValue is the mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.masked()) }

// MarshalText is the mask: what encodes a Config for people must not give the secret away.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.masked()), nil }

// DefaultConfig is a Config that lacks only brokers, group and topics.
func DefaultConfig() Config {
	return Config{
		ClientID:          "spoor",
		Delivery:          "at_least_once",
		Start:             "earliest",
		OutOfRange:        "earliest",
		OnCorrupt:         "pause",
		Partitioner:       "input",
		Compression:       "zstd",
		CreateTopics:      CreateTopics{Replication: -1},
		SessionTimeout:    45 * time.Second,
		RebalanceTimeout:  60 * time.Second,
		HeartbeatInterval: 3 * time.Second,
		FetchBytes:        1 << 20,
	}
}

// Validate returns every problem that can be seen without a cluster, each naming its field as the config
// file does.
func (c *Config) Validate() []error {
	errs := c.validateConnection()
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	oneOf := func(field, value string, allowed ...string) {
		for _, a := range allowed {
			if value == a {
				return
			}
		}
		bad("%s: %q is not one of %s", field, value, strings.Join(allowed, ", "))
	}

	if c.Group == "" {
		bad("group: a consumer group is needed")
	}
	errs = append(errs, c.validateTopics()...)
	oneOf("delivery", c.Delivery, "at_least_once", "exactly_once")
	if c.Delivery == "exactly_once" && !c.Changelog {
		bad("delivery: exactly_once needs the changelog: its transactions are the changelog's")
	}
	oneOf("start", c.Start, "earliest", "latest")
	oneOf("out_of_range", c.OutOfRange, "earliest", "latest", "fail")
	oneOf("on_corrupt", c.OnCorrupt, "pause", "skip")
	oneOf("partitioner", c.Partitioner, "input", "murmur2")
	oneOf("compression", c.Compression, "none", "gzip", "snappy", "lz4", "zstd")
	if c.CreateTopics.Partitions < 0 {
		bad("create_topics.partitions: %d is negative", c.CreateTopics.Partitions)
	}
	if r := c.CreateTopics.Replication; r < -1 || r == 0 || r > 1000 {
		bad("create_topics.replication: %d is neither -1 (the broker's default) nor a number of brokers", r)
	}
	if c.SessionTimeout <= 0 || c.RebalanceTimeout <= 0 || c.HeartbeatInterval <= 0 {
		bad("session_timeout, rebalance_timeout, heartbeat_interval: each must be above 0")
	} else if c.HeartbeatInterval > c.SessionTimeout/3 {
		bad("heartbeat_interval: %s is more than a third of session_timeout (%s): one lost heartbeat would end the session", c.HeartbeatInterval, c.SessionTimeout)
	}
	if c.FetchBytes < 1<<10 || c.FetchBytes > maxBatchBytes {
		bad("fetch_bytes: %d is not between 1024 and %d", c.FetchBytes, maxBatchBytes)
	}
	return errs
}

// validateConnection checks what plain reading needs too.
func (c *Config) validateConnection() []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Brokers) == 0 {
		bad("brokers: at least one address is needed")
	}
	for _, b := range c.Brokers {
		host, port, err := net.SplitHostPort(b)
		if n, wrong := strconv.ParseUint(port, 10, 16); err != nil || host == "" || wrong != nil || n == 0 {
			bad("brokers: %q is not host:port", b)
		}
	}
	if !c.TLS.Enabled && (c.TLS.CA != "" || c.TLS.Cert != "" || c.TLS.Key != "" || c.TLS.ServerName != "" || c.TLS.Insecure) {
		bad("tls: has settings but is not enabled; set tls.enabled: true")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		bad("tls: cert and key go together")
	}
	switch c.SASL.Mechanism {
	case "":
		if c.SASL.Username != "" || c.SASL.Password != "" || c.SASL.PasswordFile != "" {
			bad("sasl: has credentials but no mechanism; set sasl.mechanism to plain, scram-sha-256 or scram-sha-512")
		}
	case "plain", "scram-sha-256", "scram-sha-512":
		if c.SASL.Username == "" {
			bad("sasl.username: is needed for %s", c.SASL.Mechanism)
		}
		if (c.SASL.Password == "") == (c.SASL.PasswordFile == "") {
			bad("sasl: give either password or password_file")
		}
	default:
		bad("sasl.mechanism: %q is not one of plain, scram-sha-256, scram-sha-512", c.SASL.Mechanism)
	}
	return errs
}

func (c *Config) validateTopics() []error {
	var errs []error
	if c.Input == "" {
		errs = append(errs, errors.New("input: a topic is needed"))
	}
	if c.Output == "" {
		errs = append(errs, errors.New("output: a topic is needed"))
	}
	for _, t := range []struct{ field, name string }{{"output", c.Output}, {"reject", c.Reject}, {"shadow", c.Shadow}} {
		if t.name != "" && t.name == c.Input {
			errs = append(errs, fmt.Errorf("%s: is the input topic %q: the engine would consume what it publishes", t.field, t.name))
		}
	}
	if c.Reject != "" && (c.Reject == c.Output || c.Reject == c.Shadow) {
		errs = append(errs, fmt.Errorf("reject: %q also gets signals; rejects are not signals", c.Reject))
	}
	if c.Shadow != "" && c.Shadow == c.Output {
		errs = append(errs, fmt.Errorf("shadow: is the output topic %q: nobody could tell a shadow signal from a live one", c.Shadow))
	}
	for _, t := range []struct{ field, name string }{{"input", c.Input}, {"output", c.Output}, {"reject", c.Reject}, {"shadow", c.Shadow}} {
		if t.name != "" && t.name == c.changelogTopic() {
			errs = append(errs, fmt.Errorf("%s: %q is the changelog's topic", t.field, t.name))
		}
	}
	for _, t := range []string{c.Input, c.Output, c.Reject, c.Shadow, c.changelogTopic()} {
		if len(t) > 249 {
			errs = append(errs, fmt.Errorf("a topic's name has at most 249 characters: %.40q", t))
		}
	}
	return errs
}

// topics are the topics named, each once.
func (c *Config) topics() []string {
	var out []string
	seen := map[string]bool{"": true}
	for _, t := range []string{c.Input, c.Output, c.Reject, c.Shadow, c.changelogTopic()} {
		if !seen[t] {
			seen[t] = true
			out = append(out, t)
		}
	}
	return out
}

// changelogTopic is where the state is kept; "" when it is not.
func (c *Config) changelogTopic() string {
	if !c.Changelog {
		return ""
	}
	return c.Group + "." + c.Input + ".spoor-state"
}

// transactionPrefix begins the transactional ids, which end in the input partition.
func (c *Config) transactionPrefix() string { return c.Group + "." + c.Input + "." }

// transactionTimeout is after how long a coordinator aborts a transaction that nobody ends: longer than a member
// that is to be waited for may take.
func (c *Config) transactionTimeout() time.Duration { return max(2*c.drainBudget(), time.Minute) }

// drainBudget is how long a partition may take to finish its batch when it is revoked: heartbeats have
// stopped by then, so it must be well inside both timeouts.
func (c *Config) drainBudget() time.Duration { return min(c.SessionTimeout, c.RebalanceTimeout) / 2 }

// heartbeatTimeout is how long the coordinator has to answer: as long as any broker, for one that stands still for some
// seconds has not forgotten us. With a heartbeat's interval it stays below the session timeout, so that a member that
// hears nothing stops before its partitions go to another.
func (c *Config) heartbeatTimeout() time.Duration { return min(requestTimeout, c.SessionTimeout/2) }
