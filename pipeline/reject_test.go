package pipeline_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"spoor/pipeline"
	"spoor/pipeline/event"
	"spoor/pipeline/pipelinetest"
)

func TestReject(t *testing.T) {
	const most = 4096
	long := `{"evt":{"name":"exec"},` + strings.Repeat(" ", 6000) + `"date":3}`
	sum := sha256.Sum256([]byte(long))
	cases := []struct {
		name    string
		record  pipeline.Record
		reason  event.Reason
		stage   string
		value   string
		headers string // that must be among them
	}{
		{"broken", record(1, `{"evt":`), event.ReasonInvalidJSON, "decode", `{"evt":`, "spoor-topic=events spoor-partition=3 spoor-offset=0"},
		{"empty", record(1, ``), event.ReasonInvalidJSON, "decode", ``, ""},
		{"tombstone", pipeline.Record{Key: []byte("pc1")}, event.ReasonInvalidJSON, "decode", ``, ""},
		{"wrong type", record(1, `{"evt":7}`), event.ReasonWrongType, "decode", `{"evt":7}`, ""},
		{"bad date", record(1, `{"date":"yesterday"}`), event.ReasonBadDate, "decode", `{"date":"yesterday"}`, ""},
		{"cut", record(1, long), event.ReasonWrongType, "decode", long[:most-3], "spoor-original-length=6032 spoor-original-sha256=" + hex.EncodeToString(sum[:])},
		{"fits exactly", record(1, long[:most-3]), event.ReasonInvalidJSON, "decode", long[:most-3], "spoor-offset=0 spoor-detail="},
		{"the source's fault", pipeline.Record{Value: []byte("?"), Fault: &event.Error{Reason: event.ReasonCorruptRecord, Detail: "bad crc"}}, event.ReasonCorruptRecord, "source", "?", "spoor-detail=bad crc"},
		{"huge key", pipeline.Record{Key: []byte(strings.Repeat("k", 9000)), Value: []byte(`[]`)}, event.ReasonInvalidJSON, "decode", `[]`, "spoor-original-key-length=9000"},
	}
	cfg := testConfig()
	cfg.MaxSignalBytes = most
	set := compile(t, testPolicy)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := run(t, cfg, set, c.record, record(2, execCalc))
			if len(b.Rejects) != 1 || len(b.Signals) != 1 {
				t.Fatalf("%d rejects, %d signals", len(b.Rejects), len(b.Signals))
			}
			r := b.Rejects[0]
			if len(long) != 6032 && c.name == "cut" {
				t.Fatalf("the case is wrong: %d", len(long))
			}
			if r.Reason != c.reason || string(r.Value) != c.value {
				t.Errorf("reason %s, value %q", r.Reason, r.Value)
			}
			got := headers(r.Output)
			if !strings.HasPrefix(got, "spoor-reason="+string(c.reason)+" spoor-stage="+c.stage+" ") || !strings.Contains(got, c.headers) {
				t.Errorf("headers %s", got)
			}
			if cut := len(r.Value) < len(c.record.Value); strings.Contains(got, pipeline.HeaderOriginalLength) != cut || strings.Contains(got, pipeline.HeaderOriginalSHA256) != cut {
				t.Errorf("headers %s of a value that was cut: %v", got, cut)
			}
			if len(r.Key)+len(r.Value) > most {
				t.Errorf("key and value have %d bytes", len(r.Key)+len(r.Value))
			}
		})
	}
}

// No key and an empty key are different keys to Kafka, and so are no value and an empty one.
func TestNilIsNotEmpty(t *testing.T) {
	for _, b := range [][]byte{nil, {}} {
		// Not through the memory broker, which makes copies of its own.
		p := pipeline.New(testConfig(), compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
		out := committerFunc(func(_ context.Context, batch *pipeline.Batch) error {
			for _, got := range [][]byte{batch.Signals[0].Key, batch.Rejects[0].Key, batch.Rejects[0].Value} {
				if (got == nil) != (b == nil) || len(got) != 0 {
					t.Errorf("%#v became %#v", b, got)
				}
			}
			return nil
		})
		f := pipeline.Fetch{Records: []pipeline.Record{{Key: b, Value: []byte(create)}, {Offset: 1, Key: b, Value: b}}, Next: 2}
		if err := p.Step(context.Background(), f, out); err != nil {
			t.Fatal(err)
		}
		if err := p.Flush(context.Background(), out); err != nil {
			t.Fatal(err)
		}
	}
}

// A record that could not be read has no timestamp; its reject takes that of the record before, because a
// reject of 1970 would be past the retention of its topic at once.
func TestRejectTimestamp(t *testing.T) {
	corrupt := pipeline.Record{Fault: &event.Error{Reason: event.ReasonCorruptRecord}}
	b := run(t, testConfig(), compile(t, testPolicy), record(1, "?"), record(2, create), corrupt)
	if len(b.Rejects) != 2 || b.Rejects[0].Timestamp != b.Input[0].Timestamp || b.Rejects[1].Timestamp != b.Input[1].Timestamp {
		t.Errorf("rejects %+v", b.Rejects)
	}
	// Also when that one cost the state.
	cfg := testConfig()
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageEnrich && l.Offset == 1 {
			panic("half way")
		}
	}
	b = run(t, cfg, compile(t, testPolicy), record(1, create), record(2, create), corrupt)
	if len(b.Rejects) != 2 || b.Rejects[1].Timestamp != b.Input[1].Timestamp {
		t.Errorf("rejects after a panic %+v", b.Rejects)
	}
}

func TestRejectTooLarge(t *testing.T) {
	cfg := testConfig()
	cfg.MaxRecordBytes = len(execCalc)
	b := run(t, cfg, compile(t, testPolicy), record(1, execCalc+" "), record(2, execCalc))
	if len(b.Rejects) != 1 || b.Rejects[0].Reason != event.ReasonTooLarge || len(b.Signals) != 1 {
		t.Errorf("rejects %v, %d signals", b.Rejects, len(b.Signals))
	}
}

func TestUnknownFields(t *testing.T) {
	value := `{"evt":{"name":"exec","colour":"red"},"process":{"pid":1}}`
	cfg := testConfig()
	if b := run(t, cfg, compile(t, testPolicy), record(1, value)); len(b.Signals) != 1 {
		t.Errorf("ignored by default: %d signals", len(b.Signals))
	}
	cfg.RejectUnknownFields = true
	if b := run(t, cfg, compile(t, testPolicy), record(1, value)); len(b.Rejects) != 1 || b.Rejects[0].Reason != event.ReasonUnknownField {
		t.Errorf("rejects %v", b.Rejects)
	}
}

// A panic in the processing of one record rejects that record and nothing else, whatever the stage.
func TestPanic(t *testing.T) {
	for stage, panics := range map[pipeline.Stage]struct {
		with   any
		detail string
	}{
		pipeline.StageSource:   {"index out of range", "index out of range"},
		pipeline.StageDecode:   {errors.New("divided by zero"), "divided by zero"},
		pipeline.StageEnrich:   {"\xff", "\uFFFD"},
		pipeline.StageEvaluate: {strings.Repeat("x", 5000), strings.Repeat("x", 1024)},
		pipeline.StageSink:     {7, "the engine failed on this record"},
	} {
		detail := panics.detail
		t.Run(string(stage), func(t *testing.T) {
			cfg := testConfig()
			cfg.Probe = func(l *pipeline.Look) {
				if l.Stage == stage && l.Offset == 1 {
					panic(panics.with)
				}
			}
			b := run(t, cfg, compile(t, testPolicy), record(1, execCmd), record(2, execCalc), record(3, create))
			if ids := pipelinetest.IDs(b.Signals); !reflect.DeepEqual(ids, []string{"events/3/0", "events/3/2"}) {
				t.Errorf("signals %q", ids)
			}
			if len(b.Shadow) != 1 {
				t.Errorf("%d shadow signals", len(b.Shadow))
			}
			if len(b.Rejects) != 1 || b.Rejects[0].Reason != pipeline.ReasonInternal || b.Rejects[0].Offset != 1 || string(b.Rejects[0].Value) != execCalc {
				t.Fatalf("rejects %v", b.Rejects)
			}
			if got := pipelinetest.HeaderOf(b.Rejects[0].Output, pipeline.HeaderStage); got != string(stage) {
				t.Errorf("stage %s", got)
			}
			if got := pipelinetest.HeaderOf(b.Rejects[0].Output, pipeline.HeaderDetail); got != b.Rejects[0].Detail || got != detail {
				t.Errorf("detail %q", got)
			}
			touched := stage == pipeline.StageSource || stage == pipeline.StageEnrich
			if (b.Lost == 1) != touched {
				t.Errorf("state thrown away in %d batches", b.Lost)
			}
		})
	}
}

// Garbage of any kind is a signal or a reject, record for record, and never a fault of the engine.
func TestGarbage(t *testing.T) {
	set := compile(t, `
name: all
rules:
  - id: all
    expression: evt.name != "no such name" and (process.parent.known or not process.parent.known)
`)
	r := rand.New(rand.NewPCG(1, 1))
	seeds := []string{execCmd, execCalc, create, chain(4, 3), typical(1),
		`{"evt":{"name":"exec"},"process":{"pid":-1,"ppid":9223372036854775807,"exec_time":"0001-01-01T00:00:00Z","executable":{"path":"\\"}}}`,
		`{"evt":{"name":"exit"},"process":{"pid":10},"exit":{}}`,
		`{"process":{"parent":{"pid":3},"ancestors":[{},{"pid":3},{}]}}`,
		"", "null", "[]", "7", `"x"`, "{}", `{"process":null,"evt":null}`, strings.Repeat(`{"process":`, 100), strings.Repeat("[", 100_000), "\xff\xfe{}", "{}{}"}
	var rs []pipeline.Record
	for i := range 6000 {
		v := []byte(seeds[r.IntN(len(seeds))])
		for range r.IntN(4) {
			if len(v) == 0 {
				break
			}
			at := r.IntN(len(v))
			switch r.IntN(4) {
			case 0:
				v[at] = byte(r.IntN(256))
			case 1:
				v = v[:at]
			case 2:
				v = slices.Insert(v, at, []byte(seeds[r.IntN(6)])...)
			case 3:
				v = slices.Delete(v, at, min(len(v), at+r.IntN(9)))
			}
		}
		rec := record(i, string(v))
		rec.Timestamp = int64(r.Uint64() >> r.IntN(64))
		rec.Key = []byte(fmt.Sprint("pc", r.IntN(3)))[:r.IntN(4)]
		rs = append(rs, rec)
	}
	b := run(t, testConfig(), set, rs...)
	if len(b.Signals)+len(b.Rejects) != len(rs) || len(b.Signals) < 500 || len(b.Rejects) < 500 {
		t.Errorf("%d records, %d signals, %d rejects", len(rs), len(b.Signals), len(b.Rejects))
	}
	for _, x := range b.Rejects {
		if x.Reason == pipeline.ReasonInternal {
			t.Fatalf("the engine failed on %q: %s", x.Value, x.Detail)
		}
	}
}

// Whatever comes at full speed, the log gets a line in a while, which says how many it stands for.
func TestLogIsThrottled(t *testing.T) {
	now := time.Unix(1e9, 0)
	var log bytes.Buffer
	cfg := testConfig()
	cfg.Clock = func() time.Time { return now }
	cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageSource && l.Offset == 60 {
			now = now.Add(11 * time.Second)
		}
		if l.Stage == pipeline.StageDecode && l.Offset%2 == 1 {
			panic("index out of range")
		}
	}
	var rs []pipeline.Record
	for i := range 100 {
		rs = append(rs, record(i, []string{"?", execCalc}[i%2]))
	}
	run(t, cfg, compile(t, testPolicy), rs...)
	text := log.String()
	if rejects, panics := strings.Count(text, "record rejected"), strings.Count(text, "panic while"); rejects != 2 || panics != 2 {
		t.Errorf("%d lines about rejects, %d about panics, want 2 and 2", rejects, panics)
	}
	if !strings.Contains(text, "not_logged_since_last=59") || !strings.Contains(text, "not_logged_since_last=29") {
		t.Errorf("the lines do not say how many they stand for:\n%s", text)
	}
}
