package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"spoor/pipeline"
	"spoor/rules"
	"spoor/rules/policy"
)

// collect is a Committer that writes down what it gets, one line an output.
type collect struct {
	lines []string
	calls int
	fail  int // the call that fails, from 1
}

var errFull = errors.New("disk full")

func (c *collect) Commit(_ context.Context, b *pipeline.Batch) error {
	c.calls++
	if c.calls == c.fail {
		return errFull
	}
	for _, kind := range []struct {
		name    string
		outputs []pipeline.Output
	}{{"signal", b.Signals}, {"shadow", b.Shadow}} {
		for _, o := range kind.outputs {
			c.lines = append(c.lines, fmt.Sprintf("%s %s/%d/%d", kind.name, b.Topic, b.Partition, o.Offset))
		}
	}
	for _, r := range b.Rejects {
		c.lines = append(c.lines, fmt.Sprintf("%s %s/%d/%d", r.Reason, b.Topic, b.Partition, r.Offset))
	}
	return nil
}

func engine(cfg pipeline.Config) *pipeline.Engine {
	none, _ := rules.Compile(&policy.Set{})
	return pipeline.New(cfg, none, nil)
}

// interleaved is n lines over four partitions. Every third has a value that is no event.
func interleaved(n int) (text string, want []string) {
	var b strings.Builder
	offsets := map[int]int{}
	for i := range n {
		p := i * i % 7 % 5
		offset := offsets[p]
		offsets[p] += 1 + i%2
		value := `{"title":"fine"}`
		if i%3 == 0 {
			value = `"no event"`
			want = append(want, fmt.Sprintf("invalid_json t/%d/%d", p, offset))
		}
		fmt.Fprintf(&b, `{"topic":"t","partition":%d,"offset":%d,"ts":%d,"key":"h","value":%s}`+"\n", p, offset, 1767225600000+i, value)
	}
	return b.String(), want
}

func TestReplayKeepsTheOrderOfLines(t *testing.T) {
	const lines = 3*epochLines + 17
	text, want := interleaved(lines)
	put(t, map[string]string{"a.ndjson": text})
	fast := func() pipeline.Config { // commits at any moment
		cfg := pipeline.DefaultConfig()
		now := time.Unix(0, 0)
		cfg.Clock = func() time.Time { now = now.Add(37 * time.Millisecond); return now }
		return cfg
	}
	for name, cfg := range map[string]pipeline.Config{
		"by time":          fast(),
		"each record":      {CommitRecords: 1},
		"every 13 records": {CommitRecords: 13},
		"default":          {},
	} {
		full := pipeline.DefaultConfig()
		if cfg.CommitRecords > 0 {
			full.CommitRecords = cfg.CommitRecords
		}
		full.Clock = cfg.Clock
		out := &collect{}
		totals, err := Replay(t.Context(), engine(full), []string{"a.ndjson"}, Options{}, out)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(out.lines, want) {
			t.Errorf("%s: %d outputs, want %d, in the order of the lines", name, len(out.lines), len(want))
		}
		if want := (Totals{Records: lines, Bytes: int64(len(text)), Partitions: 4}); totals != want {
			t.Errorf("%s: %+v, want %+v", name, totals, want)
		}
	}
}

func TestReplayFaults(t *testing.T) {
	put(t, map[string]string{"a.ndjson": "{\"value\":{}}\nnonsense\n{\"value\":[]}\n{\"value\":{\"title\":\"cut", "b.ndjson": `{"value":7}`})
	var faults []string
	out := &collect{}
	totals, err := Replay(t.Context(), engine(pipeline.DefaultConfig()), []string{"a.ndjson", "b.ndjson"},
		Options{Fault: func(f Fault) { faults = append(faults, f.Error()) }}, out)
	if err != nil {
		t.Fatal(err)
	}
	diff(t, out.lines, []string{"corrupt_record a/0/1", "invalid_json a/0/2", "corrupt_record a/0/3", "invalid_json b/0/0"})
	diff(t, faults, []string{"a.ndjson:2: corrupt_record: not a JSON object",
		"a.ndjson:4: corrupt_record: the line ends where the end of a value should be"})
	if totals.Records != 5 || totals.Faults != 2 || totals.Partitions != 2 {
		t.Errorf("%+v", totals)
	}
}

func TestReplayStops(t *testing.T) {
	text, want := interleaved(100)
	put(t, map[string]string{"a.ndjson": text, "again.ndjson": text})
	t.Run("at offsets that do not ascend", func(t *testing.T) {
		out := &collect{}
		_, err := Replay(t.Context(), engine(pipeline.DefaultConfig()), []string{"a.ndjson", "again.ndjson"}, Options{}, out)
		if err == nil || !strings.HasPrefix(err.Error(), "again.ndjson:1: offset 0 of t/0 comes after offset ") {
			t.Errorf("error: %v", err)
		}
		diff(t, out.lines, want)
	})
	t.Run("when the output fails", func(t *testing.T) {
		out := &collect{fail: 3}
		_, err := Replay(t.Context(), engine(pipeline.DefaultConfig()), []string{"a.ndjson"}, Options{}, out)
		if !errors.Is(err, errFull) || out.calls != 3 {
			t.Errorf("%v after %d calls", err, out.calls)
		}
	})
	t.Run("when the context ends", func(t *testing.T) {
		cfg := pipeline.DefaultConfig()
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		cfg.Probe = func(*pipeline.Look) {
			if seen++; seen == 50 {
				cancel()
			}
		}
		out := &collect{}
		totals, err := Replay(ctx, engine(cfg), []string{"a.ndjson"}, Options{}, out)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error: %v", err)
		}
		if n := len(out.lines); n == 0 || n == len(want) || !slices.Equal(out.lines, want[:n]) {
			t.Errorf("%d of %d lines processed, got %q", totals.Records, 100, out.lines)
		}
	})
}

// What a sequencer gets from partitions, in whatever order, goes out by line, in runs of one partition.
func TestSequencer(t *testing.T) {
	out := &collect{}
	s := &sequencer{out: out, lanes: map[pipeline.TopicPartition]*lane{}}
	e := engine(pipeline.DefaultConfig())
	a, b := pipeline.TopicPartition{Topic: "a"}, pipeline.TopicPartition{Topic: "b"}
	for i, tp := range []pipeline.TopicPartition{a, b, b, a} { // lines 0 to 3
		l := s.lane(e, tp)
		l.lines = append(l.lines, mark{int64(10 + i), s.seq})
		s.seq++
	}
	output := func(offset int64) pipeline.Output { return pipeline.Output{Offset: offset, Value: []byte("{}")} }
	for _, batch := range []*pipeline.Batch{
		{TopicPartition: b, Signals: []pipeline.Output{output(11), output(11)}, Shadow: []pipeline.Output{output(11)}},
		{TopicPartition: a, Signals: []pipeline.Output{output(10), output(13)}},
		{TopicPartition: b, Rejects: []pipeline.Reject{{Output: output(12), Reason: "wrong_type"}}},
	} {
		if err := s.Commit(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Commit(t.Context(), &pipeline.Batch{TopicPartition: a, Signals: []pipeline.Output{output(12)}}); err == nil {
		t.Error("an output of a line that was not there was taken")
	}
	if err := s.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	diff(t, out.lines, []string{"signal a/0/10", "signal b/0/11", "signal b/0/11", "shadow b/0/11", "wrong_type b/0/12", "signal a/0/13"})
	if out.calls != 3 {
		t.Errorf("%d calls, want one for each run", out.calls)
	}
}

func TestSink(t *testing.T) {
	batch := &pipeline.Batch{
		TopicPartition: pipeline.TopicPartition{Topic: "t", Partition: 2},
		Signals: []pipeline.Output{
			{Key: []byte("h"), Value: []byte(`{"title":"a"}`), Offset: 5, Timestamp: 1767225600000, Headers: []pipeline.Header{{Key: "spoor-signal-id", Value: []byte("t/2/5")}}},
			{Value: []byte(`{"title":"b"}`), Offset: 6},
		},
		Shadow:  []pipeline.Output{{Value: []byte(`{"title":"c"}`), Offset: 7}},
		Rejects: []pipeline.Reject{{Output: pipeline.Output{Value: []byte("\xff"), Offset: 8}, Reason: "invalid_json"}},
	}
	const (
		rejects = `{"topic":"t","partition":2,"offset":8,"ts":"1970-01-01T00:00:00.000Z","key":null,"headers":{},"raw":"/w=="}` + "\n"
		records = `{"ts":"2026-01-01T00:00:00.000Z","key":"h","headers":{"spoor-signal-id":"t/2/5"},"value":{"title":"a"}}` + "\n" +
			`{"ts":"1970-01-01T00:00:00.000Z","key":null,"headers":{},"value":{"title":"b"}}` + "\n"
	)
	for _, c := range []struct {
		records bool
		want    [3]string
	}{
		{false, [3]string{"{\"title\":\"a\"}\n{\"title\":\"b\"}\n", "{\"title\":\"c\"}\n", rejects}},
		{true, [3]string{records, `{"ts":"1970-01-01T00:00:00.000Z","key":null,"headers":{},"value":{"title":"c"}}` + "\n", rejects}},
	} {
		var signals, shadows, rejected bytes.Buffer
		s := NewSink(SinkConfig{Signals: &signals, Shadow: &shadows, Rejects: &rejected, Records: c.records})
		if err := s.Commit(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if got := [3]string{signals.String(), shadows.String(), rejected.String()}; !reflect.DeepEqual(got, c.want) {
			t.Errorf("records %v: got %q, want %q", c.records, got, c.want)
		}
	}
	if err := NewSink(SinkConfig{}).Commit(t.Context(), batch); err != nil {
		t.Error(err)
	}
	if err := NewSink(SinkConfig{Signals: failingWriter{}}).Commit(t.Context(), batch); !errors.Is(err, errFull) {
		t.Errorf("error: %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errFull }

// tell is a Committer that says when it got something.
type tell chan int

func (c tell) Commit(_ context.Context, b *pipeline.Batch) error {
	c <- len(b.Rejects)
	return nil
}

// What the lines of standard input led to is out before the next line is waited for.
func TestReplayFollowsStandardInput(t *testing.T) {
	pr, pw := io.Pipe()
	out, done := make(tell), make(chan error, 1)
	go func() {
		_, err := Replay(t.Context(), engine(pipeline.DefaultConfig()), []string{Stdin}, Options{Stdin: pr}, out)
		done <- err
	}()
	for i := range 3 {
		if _, err := io.WriteString(pw, "{\"value\":[]}\n"); err != nil {
			t.Fatal(err)
		}
		select {
		case n := <-out:
			if n != 1 {
				t.Errorf("line %d: %d rejects", i, n)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing came of line %d", i)
		}
	}
	pw.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Signals written as records can be read again, however many an event led to, and know whose they are.
func TestSignalsAreRead(t *testing.T) {
	var out bytes.Buffer
	o := pipeline.Output{Key: []byte("h"), Value: []byte(`{"title":"a"}`), Offset: 5, Timestamp: 1767225600000,
		Headers: []pipeline.Header{{Key: pipeline.HeaderSignalID, Value: []byte("t/2/5/one")}, {Key: pipeline.HeaderSource, Value: []byte("/t/2/5")}}}
	other := o
	other.Headers = []pipeline.Header{{Key: pipeline.HeaderSignalID, Value: []byte("t/2/5/two")}, {Key: pipeline.HeaderSource, Value: []byte("/t/2/5")}}
	batch := &pipeline.Batch{TopicPartition: pipeline.TopicPartition{Topic: "t", Partition: 2},
		Signals: []pipeline.Output{o, other}, Shadow: []pipeline.Output{o}, Rejects: []pipeline.Reject{{Output: o}}}
	if err := NewSink(SinkConfig{Signals: &out, Shadow: &out, Rejects: &out, Records: true}).Commit(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	r, err := Open([]string{Stdin}, Options{Stdin: &out})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i, want := range []string{"stdin/0/0 t/2/5/one", "stdin/0/1 t/2/5/two", "stdin/0/2 t/2/5/one", "t/2/5 t/2/5/one"} {
		l, err := r.Next()
		if err != nil || l.Fault != nil {
			t.Fatalf("line %d: %v", i, err)
		}
		got := fmt.Sprintf("%s/%d/%d %s", l.Topic, l.Partition, l.Offset, l.Headers[0].Value)
		if got != want || l.Timestamp != o.Timestamp || string(l.Key) != "h" || string(l.Headers[1].Value) != "/t/2/5" {
			t.Errorf("line %d: %s, want %s; %+v", i, got, want, l)
		}
	}
}
