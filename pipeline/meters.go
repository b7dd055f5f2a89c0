package pipeline

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"spoor/pipeline/event"
	"spoor/pipeline/state"
)

// meters are the collectors of one partition, curried once, and what of its counts they already have. They
// are used by the partition's goroutine.
type meters struct {
	m                *Metrics
	topic, partition string
	records, bytes   prometheus.Counter
	lag, lastCommit  prometheus.Gauge
	decode, enrich   prometheus.Observer
	evaluate, sink   prometheus.Observer
	nodes, stubs     prometheus.Gauge
	hosts            prometheus.Gauge
	stateBytes       prometheus.Gauge
	suspects         prometheus.Gauge
	lookups          []prometheus.Counter // by state.Result
	evictions        []prometheus.Counter // by state.Kind
	published        counts
}

func (m *Metrics) forPartition(tp TopicPartition) meters {
	topic, partition := tp.Topic, strconv.Itoa(int(tp.Partition))
	t := meters{
		m: m, topic: topic, partition: partition,
		records:    m.Records.WithLabelValues(topic, partition),
		bytes:      m.RecordBytes.WithLabelValues(topic, partition),
		lag:        m.Lag.WithLabelValues(topic, partition),
		lastCommit: m.LastCommit.WithLabelValues(topic, partition),
		decode:     m.StageSeconds.WithLabelValues(string(StageDecode)),
		enrich:     m.StageSeconds.WithLabelValues(string(StageEnrich)),
		evaluate:   m.StageSeconds.WithLabelValues(string(StageEvaluate)),
		sink:       m.StageSeconds.WithLabelValues(string(StageSink)),
		nodes:      m.StateEntries.WithLabelValues(topic, partition, "processes"),
		stubs:      m.StateEntries.WithLabelValues(topic, partition, "stubs"),
		hosts:      m.StateEntries.WithLabelValues(topic, partition, "hosts"),
		stateBytes: m.StateBytes.WithLabelValues(topic, partition),
		suspects:   m.LineageSuspectHosts.WithLabelValues(topic, partition),
	}
	for _, r := range state.Results() {
		t.lookups = append(t.lookups, m.LineageLookups.WithLabelValues(r.String()))
	}
	for _, k := range state.Kinds() {
		t.evictions = append(t.evictions, m.Evictions.WithLabelValues(k.String()))
	}
	return t
}

// Close takes the partition's gauges back, when it is no longer assigned here: a lag nobody updates would
// alarm forever. The partition must not be used afterwards.
func (p *Partition) Close() {
	m, topic, partition := p.meters.m, p.meters.topic, p.meters.partition
	m.Lag.DeleteLabelValues(topic, partition)
	m.LastCommit.DeleteLabelValues(topic, partition)
	m.LineageSuspectHosts.DeleteLabelValues(topic, partition)
	m.StateEntries.DeletePartialMatch(prometheus.Labels{"topic": topic, "partition": partition})
	m.StateBytes.DeleteLabelValues(topic, partition)
}

// reject counts a reject at once: rejects are rare, and an operator looks for them.
func (t *meters) reject(reason event.Reason, stage Stage) {
	t.m.Rejects.WithLabelValues(string(reason), string(stage)).Inc()
}

// publish adds the difference of two states of the counts.
func (t *meters) publish(was, now counts) {
	t.records.Add(float64(now.Events - was.Events))
	t.bytes.Add(float64(now.Bytes - was.Bytes))
	t.m.UnknownFields.Add(float64(now.UnknownFields - was.UnknownFields))
	a, b := &was.state, &now.state
	for i, c := range t.lookups {
		c.Add(float64(b.Lookups[i] - a.Lookups[i]))
	}
	for i, c := range t.evictions {
		c.Add(float64(b.Evictions[i] - a.Evictions[i]))
	}
	t.m.LineageDisagreements.Add(float64(b.Disagreements - a.Disagreements))
	t.m.ClocksAhead.Add(float64(b.ClocksAhead - a.ClocksAhead))
	t.remembered(b)
}

// remembered sets the gauges of the state.
func (t *meters) remembered(s *state.Stats) {
	t.nodes.Set(float64(s.Nodes))
	t.stubs.Set(float64(s.Stubs))
	t.hosts.Set(float64(s.Hosts))
	t.stateBytes.Set(float64(s.Bytes))
	t.suspects.Set(float64(s.SuspectHosts))
}

// commit notes a finished commit.
func (t *meters) commit(start, acked time.Time) {
	t.m.CommitSeconds.Observe(acked.Sub(start).Seconds())
	t.lastCommit.Set(float64(acked.UnixMilli()) / 1000)
}

// latency measures from each signal's record to now.
func (t *meters) latency(b *Batch, acked time.Time) {
	ms := acked.UnixMilli()
	for i := range b.Signals {
		t.m.Latency.Observe(float64(ms-b.Signals[i].Timestamp) / 1000)
	}
}

// sampleEvery is how many events share one measured: a pair of clock reads for each stage would cost as much
// as a short stage.
const sampleEvery = 64

// timer measures the stages of one event, if that event is measured.
type timer struct {
	meters *meters // nil: not measured
	now    func() time.Time
	last   time.Time
}

func (t *meters) timer(e *Engine, event int64) timer {
	if event%sampleEvery != 1 {
		return timer{}
	}
	return timer{meters: t, now: e.now, last: e.now()}
}

// done ends a stage.
func (t *timer) done(stage Stage) {
	if t.meters == nil {
		return
	}
	now := t.now()
	var o prometheus.Observer
	switch stage {
	case StageDecode:
		o = t.meters.decode
	case StageEnrich:
		o = t.meters.enrich
	case StageEvaluate:
		o = t.meters.evaluate
	case StageSink:
		o = t.meters.sink
	}
	o.Observe(now.Sub(t.last).Seconds())
	t.last = now
}

// skew measures the host's clock against the log's.
func (t *timer) skew(e *event.Event, r *Record) {
	if t.meters != nil && e.Date != 0 && r.Timestamp > 0 {
		t.meters.m.ClockSkew.Observe(float64(int64(e.Date)/1e6-r.Timestamp) / 1000)
	}
}
