package main

import (
	"fmt"
	"net"
	"strings"
	"time"

	"spoor/pipeline"
	"spoor/pipeline/kafka"
)

// Config is everything that can be set: one YAML file, each key overridden by an environment variable
// (kafka.sasl.password: SPOOR_KAFKA_SASL_PASSWORD). The tags are the one table that the loader, the
// printer and the JSON Schema are made from: yaml names the key, doc
// describes it, enum closes the set of its values, secret masks it. Defaults are in DefaultConfig.
type Config struct {
	Policies       []string      `yaml:"policies" doc:"policy files and folders; none: the bundled policies"`
	Signals        string        `yaml:"signals" enum:"per_event,per_rule" doc:"one signal for an event, or one for each rule it matches"`
	Lineage        bool          `yaml:"lineage" doc:"give each event its parent and ancestors"`
	UnknownFields  string        `yaml:"unknown_fields" enum:"ignore,reject" doc:"what to do with JSON members that the event schema lacks"`
	HostHeader     string        `yaml:"host_header" doc:"record header that names the host; empty: the record key does. Partitioning must follow it: all records of a host on one partition"`
	MaxRecordSize  Bytes         `yaml:"max_record_size" doc:"longer records are rejects"`
	MaxSignalSize  Bytes         `yaml:"max_signal_size" doc:"longer signals lose ancestors, then their command lines, else become rejects"`
	CommitInterval time.Duration `yaml:"commit_interval" doc:"longest time between two commits of a partition that has records"`
	CommitRecords  int           `yaml:"commit_records" doc:"most records in one commit"`
	Delivery       string        `yaml:"delivery" enum:"at_least_once,exactly_once" doc:"exactly_once publishes in the transaction that stores state and offset (needs state.changelog): consumers that read committed see each signal once"`
	Kafka          KafkaConfig   `yaml:"kafka"`
	State          StateConfig   `yaml:"state"`
	Admin          AdminConfig   `yaml:"admin"`
	Log            LogConfig     `yaml:"log"`
}

// KafkaConfig is the cluster and the topics. Its keys are kafka.Config's.
type KafkaConfig struct {
	Brokers           []string           `yaml:"brokers" doc:"addresses to start from, host:port"`
	ClientID          string             `yaml:"client_id" doc:"name in the brokers' logs and quotas"`
	TLS               TLSConfig          `yaml:"tls"`
	SASL              SASLConfig         `yaml:"sasl"`
	Group             string             `yaml:"group" doc:"consumer group; all its members are engines"`
	Input             string             `yaml:"input" doc:"topic of events"`
	Output            string             `yaml:"output" doc:"topic of signals"`
	Reject            string             `yaml:"reject" doc:"topic of what could not be evaluated; empty: it is counted and logged"`
	Shadow            string             `yaml:"shadow" doc:"topic of the signals of shadow rules; empty: they are counted"`
	CreateTopics      CreateTopicsConfig `yaml:"create_topics"`
	Start             string             `yaml:"start" enum:"earliest,latest" doc:"where a group without committed offsets starts"`
	OutOfRange        string             `yaml:"out_of_range" enum:"earliest,latest,fail" doc:"what to do when the log no longer holds the position"`
	OnCorrupt         string             `yaml:"on_corrupt" enum:"pause,skip" doc:"what to do with a batch that stays unreadable: pause its partition, or step over it and publish a reject"`
	Partitioner       string             `yaml:"partitioner" enum:"input,murmur2" doc:"partition of a signal: the input's modulo the count, or by key as Java producers do"`
	Compression       string             `yaml:"compression" enum:"none,gzip,snappy,lz4,zstd" doc:"compression of what is published"`
	SessionTimeout    time.Duration      `yaml:"session_timeout" doc:"silence after which the group takes a member's partitions"`
	RebalanceTimeout  time.Duration      `yaml:"rebalance_timeout" doc:"time members have to finish their batches in a rebalance"`
	HeartbeatInterval time.Duration      `yaml:"heartbeat_interval" doc:"how often the member says that it lives, and learns of a rebalance"`
	FetchBytes        Bytes              `yaml:"fetch_bytes" doc:"how much of a partition is asked for at once"`
}

// CreateTopicsConfig says how missing topics are created.
type CreateTopicsConfig struct {
	Partitions  int `yaml:"partitions" doc:"partitions of each topic that is created; 0: a missing topic is an error"`
	Replication int `yaml:"replication" doc:"brokers that hold each; -1: the broker's default"`
}

// TLSConfig encrypts the connections to the brokers.
type TLSConfig struct {
	Enabled    bool   `yaml:"enabled" doc:"connect with TLS"`
	CA         string `yaml:"ca" doc:"PEM file of the authorities to trust; empty: the system's"`
	Cert       string `yaml:"cert" doc:"PEM file of the client certificate"`
	Key        string `yaml:"key" doc:"PEM file of its key"`
	ServerName string `yaml:"server_name" doc:"name expected in the brokers' certificates, when it is not the address"`
	Insecure   bool   `yaml:"insecure" doc:"accept any certificate; for tests only"`
}

// SASLConfig authenticates against the brokers.
type SASLConfig struct {
	Mechanism    string `yaml:"mechanism" enum:",plain,scram-sha-256,scram-sha-512" doc:"empty: no authentication"`
	Username     string `yaml:"username" doc:"user"`
	Password     string `yaml:"password" secret:"true" doc:"password; better in password_file or the environment"`
	PasswordFile string `yaml:"password_file" doc:"file that holds the password"`
}

// StateConfig bounds what a partition remembers.
type StateConfig struct {
	Changelog     bool          `yaml:"changelog" doc:"keep the state in the topic GROUP.INPUT.spoor-state, so that it survives restarts and rebalances; the topic is created when it is missing"`
	MaxNodes      int           `yaml:"max_nodes" doc:"processes remembered per partition"`
	MaxSize       Bytes         `yaml:"max_size" doc:"memory of the processes of a partition"`
	MaxAncestors  int           `yaml:"max_ancestors" doc:"longest chain of ancestors given to an event"`
	ExitedTTL     time.Duration `yaml:"exited_ttl" doc:"how long an exited process without living descendants is kept"`
	LiveTTL       time.Duration `yaml:"live_ttl" doc:"how long a process is kept after it was last seen"`
	TouchInterval time.Duration `yaml:"touch_interval" doc:"how often use of a process counts as being seen"`
	MaxClockAhead time.Duration `yaml:"max_clock_ahead" doc:"how far a host's clock may run ahead of the log"`
}

// AdminConfig is the HTTP server for operators.
type AdminConfig struct {
	Listen string `yaml:"listen" doc:"address of /metrics, /healthz and /readyz; empty: none"`
	Pprof  bool   `yaml:"pprof" doc:"serve /debug/pprof too"`
}

// LogConfig says how to log.
type LogConfig struct {
	Level  string `yaml:"level" enum:"debug,info,warn,error" doc:"least level that is logged"`
	Format string `yaml:"format" enum:"text,json" doc:"format of log lines"`
}

// Bytes is a size, written as a number with an optional KiB, MiB or GiB.
type Bytes int64

var byteUnits = []struct {
	suffix string
	size   int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}

func (b Bytes) String() string {
	for _, u := range byteUnits {
		if b != 0 && int64(b)%u.size == 0 {
			return fmt.Sprintf("%d%s", int64(b)/u.size, u.suffix)
		}
	}
	return fmt.Sprintf("%d", int64(b))
}

// DefaultConfig is the configuration before the file and the environment: the packages' own defaults.
func DefaultConfig() Config {
	p, k := pipeline.DefaultConfig(), kafka.DefaultConfig()
	return Config{
		Signals:        "per_event",
		Delivery:       k.Delivery,
		Lineage:        p.Lineage,
		UnknownFields:  "ignore",
		MaxRecordSize:  Bytes(p.MaxRecordBytes),
		MaxSignalSize:  Bytes(p.MaxSignalBytes),
		CommitInterval: p.CommitInterval,
		CommitRecords:  p.CommitRecords,
		Kafka: KafkaConfig{
			Brokers:           []string{"localhost:9092"},
			ClientID:          k.ClientID,
			Group:             "spoor",
			Input:             "events",
			Output:            "signals",
			CreateTopics:      CreateTopicsConfig{Partitions: k.CreateTopics.Partitions, Replication: k.CreateTopics.Replication},
			Start:             k.Start,
			OutOfRange:        k.OutOfRange,
			OnCorrupt:         k.OnCorrupt,
			Partitioner:       k.Partitioner,
			Compression:       k.Compression,
			SessionTimeout:    k.SessionTimeout,
			RebalanceTimeout:  k.RebalanceTimeout,
			HeartbeatInterval: k.HeartbeatInterval,
			FetchBytes:        Bytes(k.FetchBytes),
		},
		State: StateConfig{
			Changelog:     true, // a restart that forgets every process would surprise
			MaxNodes:      p.State.MaxNodes,
			MaxSize:       Bytes(p.State.MaxBytes),
			MaxAncestors:  p.Enrich.MaxAncestors,
			ExitedTTL:     p.State.ExitedTTL,
			LiveTTL:       p.State.LiveTTL,
			TouchInterval: p.State.TouchInterval,
			MaxClockAhead: p.State.MaxClockAhead,
		},
		Admin: AdminConfig{Listen: "127.0.0.1:9464"},
		Log:   LogConfig{Level: "info", Format: "text"},
	}
}

// Pipeline is the part of the configuration that every command shares.
func (c *Config) Pipeline() pipeline.Config {
	p := pipeline.DefaultConfig()
	p.PerRule = c.Signals == "per_rule"
	p.Lineage = c.Lineage
	p.RejectUnknownFields = c.UnknownFields == "reject"
	p.HostHeader = c.HostHeader
	p.MaxRecordBytes, p.MaxSignalBytes = int(c.MaxRecordSize), int(c.MaxSignalSize)
	p.CommitInterval, p.CommitRecords = c.CommitInterval, c.CommitRecords
	p.State.MaxNodes, p.State.MaxBytes = c.State.MaxNodes, int64(c.State.MaxSize)
	p.State.MaxAncestors, p.Enrich.MaxAncestors = c.State.MaxAncestors, c.State.MaxAncestors
	p.State.ExitedTTL, p.State.LiveTTL = c.State.ExitedTTL, c.State.LiveTTL
	p.State.TouchInterval, p.State.MaxClockAhead = c.State.TouchInterval, c.State.MaxClockAhead
	p.EngineVersion = version()
	return p
}

// Cluster is the part of the configuration that is about Kafka.
func (c *Config) Cluster() kafka.Config {
	k := &c.Kafka
	return kafka.Config{
		Brokers: k.Brokers, ClientID: k.ClientID, TLS: kafka.TLS(k.TLS),
		SASL: kafka.SASL{Mechanism: k.SASL.Mechanism, Username: k.SASL.Username,
			Password: kafka.Secret(k.SASL.Password), PasswordFile: k.SASL.PasswordFile},
		Changelog: c.State.Changelog, Delivery: c.Delivery,
		Group: k.Group, Input: k.Input, Output: k.Output, Reject: k.Reject, Shadow: k.Shadow,
		Start: k.Start, OutOfRange: k.OutOfRange, OnCorrupt: k.OnCorrupt,
		Partitioner: k.Partitioner, Compression: k.Compression, CreateTopics: kafka.CreateTopics(k.CreateTopics),
		SessionTimeout: k.SessionTimeout, RebalanceTimeout: k.RebalanceTimeout, HeartbeatInterval: k.HeartbeatInterval,
		FetchBytes: int(k.FetchBytes),
	}
}

// Validate returns every problem that no single key shows.
func (c *Config) Validate() []error {
	errs := c.Pipeline().Validate()
	cluster := c.Cluster()
	for _, err := range cluster.Validate() {
		if !strings.HasPrefix(err.Error(), "delivery:") { // the one key of it that is not in the section
			err = fmt.Errorf("kafka.%w", err)
		}
		errs = append(errs, err)
	}
	if c.Admin.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Admin.Listen); err != nil {
			errs = append(errs, fmt.Errorf("admin.listen: %q is not host:port", c.Admin.Listen))
		}
	}
	return errs
}
