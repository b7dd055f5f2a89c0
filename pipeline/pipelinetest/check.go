package pipelinetest

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"spoor/pipeline"
	"spoor/pipeline/event"
)

// HeaderOf is the value of a header of o, "" when it has none.
func HeaderOf(o pipeline.Output, key string) string {
	for _, h := range o.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// IDs are the distinct signal ids of outputs, sorted.
func IDs(outputs []pipeline.Output) []string {
	var ids []string
	for _, o := range outputs {
		ids = append(ids, HeaderOf(o, pipeline.HeaderSignalID))
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// SameDelivery compares what was published with what should have been, once each. It returns what is wrong:
// an id that is missing, one that should not be, or two outputs of one id with different keys, values,
// headers or times. Duplicates that are equal in all of them are allowed.
func SameDelivery(want, got []pipeline.Output) error {
	expected := make(map[string]pipeline.Output)
	for _, o := range want {
		expected[HeaderOf(o, pipeline.HeaderSignalID)] = o
	}
	seen := make(map[string]bool)
	for _, o := range got {
		id := HeaderOf(o, pipeline.HeaderSignalID)
		w, ok := expected[id]
		if !ok {
			return fmt.Errorf("signal %q was published and should not be", id)
		}
		if err := sameOutput(w, o); err != nil {
			return fmt.Errorf("signal %q: %w", id, err)
		}
		seen[id] = true
	}
	for _, o := range want {
		if id := HeaderOf(o, pipeline.HeaderSignalID); !seen[id] {
			return fmt.Errorf("signal %q is lost", id)
		}
	}
	return nil
}

func sameOutput(a, b pipeline.Output) error {
	switch {
	case !bytes.Equal(a.Key, b.Key):
		return fmt.Errorf("key %q, should be %q", b.Key, a.Key)
	case !bytes.Equal(a.Value, b.Value):
		return fmt.Errorf("value\n%s\nshould be\n%s", b.Value, a.Value)
	case a.Timestamp != b.Timestamp || a.Offset != b.Offset:
		return fmt.Errorf("time %d offset %d, should be %d and %d", b.Timestamp, b.Offset, a.Timestamp, a.Offset)
	case !slices.EqualFunc(a.Headers, b.Headers, func(x, y pipeline.Header) bool {
		return x.Key == y.Key && bytes.Equal(x.Value, y.Value)
	}):
		return fmt.Errorf("headers %s, should be %s", b.Headers, a.Headers)
	}
	return nil
}

// signalSchema is the JSON Schema of signals, compiled once.
var signalSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(event.Schema("signal")))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("signal.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("signal.json")
})

// ValidateSignal fails tb when value is not a signal by the project's schema.
func ValidateSignal(tb testing.TB, value []byte) {
	tb.Helper()
	schema, err := signalSchema()
	if err != nil {
		tb.Fatalf("the schema of signals: %v", err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		tb.Errorf("signal is not JSON: %v\n%s", err, value)
		return
	}
	if err := schema.Validate(doc); err != nil {
		tb.Errorf("signal does not validate: %v\n%s", err, value)
	}
}

// ValidateSignals is ValidateSignal for every output.
func ValidateSignals(tb testing.TB, outputs []pipeline.Output) {
	tb.Helper()
	for _, o := range outputs {
		ValidateSignal(tb, o.Value)
	}
}
