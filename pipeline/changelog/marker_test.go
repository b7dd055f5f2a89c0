package changelog

import (
	"errors"
	"testing"

	"spoor/pipeline/state"
)

func TestMarker(t *testing.T) {
	want := Marker{Sequence: 1 << 40, Next: 0, Set: "abc", Clock: state.Clock{Now: 5, Beyond: 2, Nearest: 9, Record: 3}, Producer: Producer{ID: 1 << 50, Epoch: 32000}, First: Producer{ID: 3, Epoch: 4}}
	r := want.record()
	if !isMarker(r.Key) {
		t.Error("the marker's key is not known for one")
	}
	got, err := decodeMarker(r.Value)
	if err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for n := range r.Value {
		if _, err := decodeMarker(r.Value[:n]); err == nil {
			t.Errorf("%d of %d bytes are taken for a marker", n, len(r.Value))
		}
	}
	if _, err := decodeMarker(append(r.Value, 0)); err == nil {
		t.Error("a byte too many is taken")
	}
	newer := append([]byte{markerFormat + 1}, r.Value[1:]...)
	var format *state.FormatError
	if _, err := decodeMarker(newer); !errors.As(err, &format) || format.Format != markerFormat+1 {
		t.Errorf("a later format: %v", err)
	}
}

// Whose an offset is: only one that was committed with a marker says that the state belongs to it.
func TestMetadata(t *testing.T) {
	m := Marker{Sequence: 12, Next: 345}
	if got := m.metadata(); got != "spoor/1 marker=12@345" {
		t.Errorf("%q", got)
	}
	for metadata, want := range map[string]bool{
		m.metadata():                   true,
		m.metadata() + " partitions=8": true,
		"":                             false,
		"spoor/1":                      false, // without a changelog
		"spoor/1 partitions=8":         false,
		"spoor/1 marker=x@1":           false,
		"spoor/1 marker=12":            false,
		"other":                        false,
	} {
		if got := hasMarker(metadata); got != want {
			t.Errorf("%q: %v", metadata, got)
		}
	}
}
