package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"spoor/pipeline/event"
)

// ReasonInternal is the reason of a record whose processing failed by a fault of the engine: one more than
// event.Reasons, which is about documents.
const ReasonInternal event.Reason = "internal_error"

// The headers of rejects, in the order they are written.
const (
	HeaderReason         = "spoor-reason"
	HeaderStage          = "spoor-stage"
	HeaderTopic          = "spoor-topic"
	HeaderPartition      = "spoor-partition"
	HeaderOffset         = "spoor-offset"
	HeaderDetail         = "spoor-detail"
	HeaderOriginalLength = "spoor-original-length" // only when the value was cut
	HeaderOriginalSHA256 = "spoor-original-sha256" // likewise; hex
	HeaderKeyLength      = "spoor-original-key-length"
)

// maxDetail bounds the text of a detail: it may quote the record.
const maxDetail = 1 << 10

// reject appends the record to the rejects, cut to fit, and counts and logs it. Whether anything publishes
// rejects is the Committer's; the position moves on either way.
func (p *Partition) reject(r *Record, stage Stage, fault *event.Error) {
	b := p.batch
	detail := clip(fault.Detail, maxDetail)
	from := len(b.headers)
	b.header(HeaderReason, []byte(fault.Reason))
	b.header(HeaderStage, []byte(stage))
	b.header(HeaderTopic, p.topic)
	b.header(HeaderPartition, p.number)
	b.header(HeaderOffset, strconv.AppendInt(nil, r.Offset, 10))
	if detail != "" {
		b.header(HeaderDetail, []byte(detail))
	}
	// A key as long as a signal is nobody's host, but it must not make the reject unpublishable.
	key, value := r.Key, r.Value
	most := p.engine.cfg.MaxSignalBytes
	if len(key) > most/2 {
		b.header(HeaderKeyLength, strconv.AppendInt(nil, int64(len(key)), 10))
		key = key[:most/2]
	}
	if room := most - len(key); len(value) > room {
		sum := sha256.Sum256(value)
		b.header(HeaderOriginalLength, strconv.AppendInt(nil, int64(len(value)), 10))
		b.header(HeaderOriginalSHA256, hex.AppendEncode(nil, sum[:]))
		value = value[:room]
	}
	timestamp := r.Timestamp
	if timestamp == 0 {
		// That of the record before: a reject of 1970 would be past its topic's retention at once.
		timestamp = p.state.Clock().Record
	}
	b.Rejects = append(b.Rejects, Reject{
		Output: Output{
			Key:       b.bytes.copy(key),
			Value:     b.bytes.copy(value),
			Headers:   b.headersFrom(from),
			Timestamp: timestamp,
			Offset:    r.Offset,
		},
		Reason: fault.Reason,
		Detail: detail,
	})
	p.counts.Rejected++
	p.meters.reject(fault.Reason, stage)
	p.logReject(r, stage, fault.Reason, detail)
}

// survive turns a panic in the processing of one record into a reject: a record never ends a partition. What
// the record had put into the batch is taken out again. A panic in a stage that changes the state may have
// left it half changed, and a wrong ancestor is worse than an unknown one, so the state is thrown away then.
// The same record panics in any replay, so this is as deterministic as the rest. It is deferred by process.
func (p *Partition) survive(r *Record, signals, shadow int) {
	fault := recover()
	if fault == nil {
		return
	}
	p.batch.Signals = p.batch.Signals[:signals]
	p.batch.Shadow = p.batch.Shadow[:shadow]
	p.dec = p.engine.decoder()
	stage := p.stage
	if stage == StageSource || stage == StageEnrich {
		clock := p.state.Clock() // the records', not the state's: it goes on
		p.forget()
		p.state.SetClock(clock)
		p.batch.StateLost = true
	}
	detail := "the engine failed on this record"
	if err, ok := fault.(error); ok {
		detail = err.Error()
	} else if text, ok := fault.(string); ok {
		detail = text
	}
	if skipped, ok := p.panicLog.allow(p.engine.now()); ok {
		p.engine.log.Error("panic while processing a record; it becomes a reject",
			"topic", p.tp.Topic, "partition", p.tp.Partition, "offset", r.Offset, "stage", string(stage),
			"panic", fault, "stack", string(debug.Stack()), "not_logged_since_last", skipped)
	}
	p.reject(r, stage, &event.Error{Reason: ReasonInternal, Detail: detail})
}

// logReject logs one reject in a while.
func (p *Partition) logReject(r *Record, stage Stage, reason event.Reason, detail string) {
	skipped, ok := p.rejectLog.allow(p.engine.now())
	if !ok {
		return
	}
	p.engine.log.Warn("record rejected", "topic", p.tp.Topic, "partition", p.tp.Partition, "offset", r.Offset,
		"reason", string(reason), "stage", string(stage), "detail", detail, "not_logged_since_last", skipped)
}

// throttle lets one log line in a while through and counts those it holds back. It is owned by the
// partition's goroutine.
type throttle struct {
	last    time.Time
	skipped int
}

// logEvery is the time between two log lines of one kind of a partition.
const logEvery = 10 * time.Second

func (l *throttle) allow(now time.Time) (skipped int, ok bool) {
	if !l.last.IsZero() && now.Sub(l.last) < logEvery {
		l.skipped++
		return 0, false
	}
	skipped = l.skipped
	l.last, l.skipped = now, 0
	return skipped, true
}

// clip cuts s to at most n bytes and makes it valid UTF-8.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
