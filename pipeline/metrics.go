package pipeline

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the engine's Prometheus collectors, prefix spoor_. One struct holds them all, pipeline/kafka's
// too, so that the reference table can be generated from it. It is constant after NewMetrics; the collectors
// are safe for concurrent use. Whoever counts per record keeps the curried collector, never looks it up.
type Metrics struct {
	// What partitions do.
	Records       *prometheus.CounterVec // topic, partition
	RecordBytes   *prometheus.CounterVec // topic, partition
	Rejects       *prometheus.CounterVec // reason, stage
	UnknownFields prometheus.Counter
	Signals       *prometheus.CounterVec // rule, mode
	Matches       *prometheus.CounterVec // rule, mode
	Exceptions    *prometheus.CounterVec // rule, exception
	OverBudget    *prometheus.CounterVec // rule
	RuleSeconds   *prometheus.CounterVec // rule
	StageSeconds  *prometheus.HistogramVec
	CommitSeconds prometheus.Histogram
	Latency       prometheus.Histogram
	ClockSkew     prometheus.Histogram
	Lag           *prometheus.GaugeVec // topic, partition
	LastCommit    *prometheus.GaugeVec // topic, partition
	ColdStarts    prometheus.Counter

	// What they remember.
	LineageLookups       *prometheus.CounterVec // result
	LineageSuspectHosts  *prometheus.GaugeVec   // topic, partition
	LineageDisagreements prometheus.Counter
	ClocksAhead          prometheus.Counter
	Evictions            *prometheus.CounterVec // kind
	StateEntries         *prometheus.GaugeVec   // topic, partition, table
	StateBytes           *prometheus.GaugeVec   // topic, partition

	// The policy set.
	PolicySet       *prometheus.GaugeVec // hash
	PolicySetLoaded prometheus.Gauge
	PolicyRules     *prometheus.GaugeVec // mode
	PolicyUnindexed prometheus.Gauge
	PolicyIndex     prometheus.Gauge
	PolicyCompile   prometheus.Histogram
	Reloads         *prometheus.CounterVec // outcome
	ReloadOK        prometheus.Gauge

	// Kafka.
	Rebalances          prometheus.Counter
	RebalanceGap        prometheus.Histogram
	AssignedPartitions  prometheus.Gauge
	PartitionPaused     *prometheus.GaugeVec   // topic, partition
	PartitionStalled    *prometheus.GaugeVec   // topic, partition
	OutOfRange          *prometheus.CounterVec // topic, partition, policy
	CorruptBatches      *prometheus.CounterVec // topic, partition
	AbortedRecords      *prometheus.CounterVec // topic
	FetchRecords        *prometheus.CounterVec // topic
	FetchBytes          *prometheus.CounterVec // topic
	FetchSeconds        prometheus.Histogram
	ProduceSeconds      *prometheus.HistogramVec // kind
	OffsetCommitSeconds prometheus.Histogram
	Retries             *prometheus.CounterVec // request

	// The changelog.
	TransactionSeconds prometheus.Histogram
	TransactionAborts  *prometheus.CounterVec // cause
	ChangelogRecords   prometheus.Counter
	ChangelogBytes     prometheus.Counter
	RestoreSeconds     prometheus.Histogram
	RestoreChanges     prometheus.Counter
	RestoreLeft        *prometheus.GaugeVec   // topic, partition
	Starts             *prometheus.CounterVec // cause

	table []metricRow
}

// metricRow is one line of MetricsTable.
type metricRow struct{ name, kind, labels, help string }

// Buckets: stages take microseconds, requests milliseconds, latency and gaps anything up to minutes.
var (
	stageBuckets   = []float64{1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 1e-3, 1e-2, 1e-1}
	requestBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	latencyBuckets = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600}
	gapBuckets     = []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}
	skewBuckets    = []float64{-86400, -3600, -600, -60, -10, -1, 0, 1, 10, 60, 600, 3600, 86400}
)

// NewMetrics makes the collectors and registers them with reg; nil registers them nowhere. Registering twice
// with one registry panics, as the prometheus package does.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{}
	b := metricsBuilder{m: m, reg: reg}
	tp := []string{"topic", "partition"}

	m.Records = b.counters("records_total", "Records taken in, rejects included.", tp...)
	m.RecordBytes = b.counters("record_bytes_total", "Bytes of the values of the records taken in.", tp...)
	m.Rejects = b.counters("rejects_total", "Records that could not be evaluated, and signals that could not be published.", "reason", "stage")
	m.UnknownFields = b.counter("unknown_fields_total", "JSON members of events that the schema does not have; they are ignored.")
	m.Signals = b.counters("signals_total", "Signals acknowledged, by their primary rule. mode is live or shadow.", "rule", "mode")
	m.Matches = b.counters("rule_matches_total", "Events that a rule matched, primary or not. mode is live or shadow.", "rule", "mode")
	m.Exceptions = b.counters("rule_exceptions_total", "Matches that an exception of the rule took out.", "rule", "exception")
	m.OverBudget = b.counters("rule_budget_errors_total", "Evaluations that were cut off by the evaluation budget; the rule did not match.", "rule")
	m.RuleSeconds = b.counters("rule_seconds_total", "Time of evaluating a rule, estimated from 1 of 64 events. Looking for the rules to evaluate is not in it; a condition that several rules share is paid for by the first of them.", "rule")
	m.StageSeconds = b.histograms("stage_seconds", "Time of one stage for one event: decode, enrich, evaluate or sink. Measured on 1 of 64 events.", stageBuckets, "stage")
	m.CommitSeconds = b.histogram("commit_seconds", "Time from handing a batch out until everything in it was acknowledged and its position stored.", requestBuckets)
	m.Latency = b.histogram("record_to_signal_seconds", "Time from the input record's timestamp until its signal was acknowledged. Not measured in replay.", latencyBuckets)
	m.ClockSkew = b.histogram("clock_skew_seconds", "The event's date minus its record's timestamp: more than 0 when the host's clock is ahead. Measured on 1 of 64 events.", skewBuckets)
	m.Lag = b.gauges("lag_records", "Offsets between the position and the end of what can be read now.", tp...)
	m.LastCommit = b.gauges("last_commit_timestamp_seconds", "When the partition last committed; time() minus this is the time since.", tp...)
	m.ColdStarts = b.counter("lineage_cold_starts_total", "Partitions that started in the middle of their log with empty state: ancestors of older processes are unknown.")

	m.LineageLookups = b.counters("lineage_lookups_total", "Questions who a pid was: hit, unknown, reused, ambiguous or nohost.", "result")
	m.LineageSuspectHosts = b.gauges("lineage_suspect_hosts", "Hosts most of whose parents are unknown: the one sign of wrong partitioning.", tp...)
	m.LineageDisagreements = b.counter("lineage_disagreements_total", "Events whose agent-supplied parent or ancestors contradict what is known better.")
	m.ClocksAhead = b.counter("clocks_ahead_total", "Events dated more than max_clock_ahead after the log's time.")
	m.Evictions = b.counters("lineage_evictions_total", "Processes forgotten. kind is exited, exited_needed or live (the table was full), expired_exited or expired_live (their time was up), generations (the process id was reused too often) or refuted (an exec contradicted what an agent had told).", "kind")
	m.StateEntries = b.gauges("state_entries", "Entries of a table of the partition's state: processes, stubs (forgotten, but named as parent) or hosts.", "topic", "partition", "table")
	m.StateBytes = b.gauges("state_bytes", "Bytes of the partition's state, as its bound counts them.", tp...)

	m.PolicySet = b.gauges("policy_set_info", "1 for the hash of the policy set in force.", "hash")
	m.PolicySetLoaded = b.gauge("policy_set_loaded_timestamp_seconds", "When the policy set in force was loaded; time() minus this is its age.")
	m.PolicyRules = b.gauges("policy_set_rules", "Rules of the policy set in force. mode is live or shadow.", "mode")
	m.PolicyUnindexed = b.gauge("policy_set_unindexed_rules", "Rules that are evaluated for every event of their names, because nothing they demand can be looked up.")
	m.PolicyIndex = b.gauge("policy_set_index_bytes", "Bytes of the index of the policy set in force, about.")
	m.PolicyCompile = b.histogram("policy_compile_seconds", "Time of reading and compiling the policies for a reload, whatever its outcome.", requestBuckets)
	m.Reloads = b.counters("policy_reloads_total", "Reloads of the policies: ok, unchanged or failed (the old set stays).", "outcome")
	for _, outcome := range []string{"ok", "unchanged", "failed"} {
		m.Reloads.WithLabelValues(outcome) // there from the start: increase() does not see a counter that begins at 1
	}
	m.ReloadOK = b.gauge("policy_last_reload_successful", "0 while the policies have errors and the set before them stays in force, else 1.")
	m.ReloadOK.Set(1)

	m.Rebalances = b.counter("rebalances_total", "Generations of the consumer group that this member joined.")
	m.RebalanceGap = b.histogram("rebalance_gap_seconds", "Time from losing a generation until the partitions of the next one ran.", gapBuckets)
	m.AssignedPartitions = b.gauge("assigned_partitions", "Partitions assigned to this member.")
	m.PartitionPaused = b.gauges("partition_paused", "1 while the partition waits for an operator, e.g. at a corrupt batch.", tp...)
	m.PartitionStalled = b.gauges("partition_stalled", "1 while the partition has been retrying for more than 5 minutes.", tp...)
	m.OutOfRange = b.counters("offset_out_of_range_total", "Positions that the log no longer or not yet had, by the policy that decided.", "topic", "partition", "policy")
	m.CorruptBatches = b.counters("corrupt_batches_total", "Record batches that failed their checks, each attempt.", tp...)
	m.AbortedRecords = b.counters("aborted_records_total", "Records of aborted transactions; they are not for consumers and were filtered out.", "topic")
	m.FetchRecords = b.counters("fetch_records_total", "Records in fetch responses, before filtering.", "topic")
	m.FetchBytes = b.counters("fetch_bytes_total", "Bytes of record batches in fetch responses, compressed.", "topic")
	m.FetchSeconds = b.histogram("fetch_seconds", "Time of a fetch request, the broker's wait included.", requestBuckets)
	m.ProduceSeconds = b.histograms("produce_seconds", "Time until a produce request was acknowledged. kind is signal, shadow, reject or state (the changelog).", requestBuckets, "kind")
	m.OffsetCommitSeconds = b.histogram("offset_commit_seconds", "Time of an offset commit request.", requestBuckets)
	m.Retries = b.counters("retries_total", "Requests sent again after an error.", "request")
	m.TransactionSeconds = b.histogram("transaction_end_seconds", "Time of the request that ends a transaction.", requestBuckets)
	m.TransactionAborts = b.counters("transaction_aborts_total", "Transactions that did not commit, or were in doubt until the marker was read. cause is generation_lost, fenced, producer_state, broker_error, cut_off or no_answer.", "cause")
	m.ChangelogRecords = b.counter("changelog_records_total", "Records written to the changelog, markers included.")
	m.ChangelogBytes = b.counter("changelog_bytes_total", "Bytes of their keys and values, before compression.")
	m.RestoreSeconds = b.histogram("restore_seconds", "Time of reading a partition's changelog.", gapBuckets)
	m.RestoreChanges = b.counter("restore_changes_total", "Records read from the changelog.")
	m.RestoreLeft = b.gauges("restore_left_offsets", "Offsets of the changelog that a restore under way has still to read.", tp...)
	m.Starts = b.counters("partition_starts_total", "Starts of partitions with a changelog. cause is marker, none (nothing was known), offset (empty state at the group's offset), changelog_lost (likewise, but there was a state once), moved_forwards or moved_backwards (somebody else set the group's offset; backwards discards the state) or offset_disagrees (the marker counts).", "cause")
	return m
}

// MetricsTable is the reference of every metric, in Markdown, generated from the collectors.
func MetricsTable() string {
	var b strings.Builder
	b.WriteString("| Name | Type | Labels | What it says |\n|---|---|---|---|\n")
	for _, r := range NewMetrics(nil).table {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.name, r.kind, r.labels, r.help)
	}
	return b.String()
}

// metricsBuilder makes collectors, registers them and writes down what they are: Prometheus keeps no readable
// description of a collector.
type metricsBuilder struct {
	m   *Metrics
	reg prometheus.Registerer
}

func (b metricsBuilder) add(c prometheus.Collector, kind, name, help string, labels []string) {
	b.m.table = append(b.m.table, metricRow{"spoor_" + name, kind, strings.Join(labels, ", "), help})
	if b.reg != nil {
		b.reg.MustRegister(c)
	}
}

func (b metricsBuilder) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "spoor_" + name, Help: help})
	b.add(c, "counter", name, help, nil)
	return c
}

func (b metricsBuilder) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "spoor_" + name, Help: help}, labels)
	b.add(c, "counter", name, help, labels)
	return c
}

func (b metricsBuilder) gauge(name, help string) prometheus.Gauge {
	c := prometheus.NewGauge(prometheus.GaugeOpts{Name: "spoor_" + name, Help: help})
	b.add(c, "gauge", name, help, nil)
	return c
}

func (b metricsBuilder) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	c := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "spoor_" + name, Help: help}, labels)
	b.add(c, "gauge", name, help, labels)
	return c
}

func (b metricsBuilder) histogram(name, help string, buckets []float64) prometheus.Histogram {
	c := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "spoor_" + name, Help: help, Buckets: buckets})
	b.add(c, "histogram", name, help, nil)
	return c
}

func (b metricsBuilder) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	c := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "spoor_" + name, Help: help, Buckets: buckets}, labels)
	b.add(c, "histogram", name, help, labels)
	return c
}
