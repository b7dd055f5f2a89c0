package event

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"
)

// oracle decodes with encoding/json.
func oracle(value []byte) (*Event, error) {
	e := new(Event)
	if err := json.Unmarshal(value, e); err != nil {
		return nil, err
	}
	return e, complete(e)
}

// FuzzDecode holds what Decoder promises, on any two records in a row: it never panics; what it accepts,
// encoding/json accepts with the same content; the record before makes no difference; and what is encoded is
// stable, valid UTF-8 and on one line.
func FuzzDecode(f *testing.F) {
	for _, c := range decodeCases {
		if len(c.in) > 4096 {
			continue // bombs, which mutate slowly and to nothing new
		}
		f.Add([]byte(c.in), []byte(everything))
		f.Add([]byte(everything), []byte(c.in))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		used := NewDecoder(DecoderConfig{})
		var e Event
		for _, value := range [][]byte{first, second, first} {
			kept := bytes.Clone(value)
			err := used.Decode(value, &e)
			unknown := used.Unknown()
			fresh := NewDecoder(DecoderConfig{})
			var again Event
			err2 := fresh.Decode(value, &again)
			if !reflect.DeepEqual(err, err2) || !reflect.DeepEqual(e, again) || unknown != fresh.Unknown() {
				t.Fatalf("%q after another record: %+v, %v, %d unknown; alone: %+v, %v, %d", value, e, err, unknown, again, err2, fresh.Unknown())
			}
			if !bytes.Equal(kept, value) {
				t.Fatalf("%q was changed to %q", kept, value)
			}
			strict := NewDecoder(DecoderConfig{RejectUnknown: true})
			if err3 := strict.Decode(value, &again); (err3 == nil) != (err == nil && unknown == 0) {
				t.Fatalf("%q: %v, %d unknown; when unknown ones are rejected: %v", value, err, unknown, err3)
			}
			if err != nil {
				if !isReason(err.(*Error).Reason) || !reflect.DeepEqual(e, Event{}) {
					t.Fatalf("%q: %v left %+v", value, err, e)
				}
				continue
			}
			want, err := oracle(value)
			if err != nil {
				t.Fatalf("%q is accepted, encoding/json says %v", value, err)
			}
			if !reflect.DeepEqual(&e, want) {
				t.Fatalf("%q is %s, encoding/json reads %s", value, dump(&e), dump(want))
			}
			if c := e.Clone(); !reflect.DeepEqual(&e, c) {
				t.Fatalf("clone of %s is %s", dump(&e), dump(c))
			}
			for _, encode := range []func([]byte, *Event) ([]byte, error){AppendEvent, AppendSignal} {
				text, err := encode(nil, &e)
				if err != nil {
					t.Fatalf("%q does not encode: %v", value, err)
				}
				if !utf8.Valid(text) || bytes.ContainsAny(text, "\n\r") || !json.Valid(text) {
					t.Fatalf("%q encodes to %q", value, text)
				}
				var back Event
				if err := NewDecoder(DecoderConfig{MaxBytes: 1 << 30, RejectUnknown: true}).Decode(text, &back); err != nil {
					t.Fatalf("%q encodes to %q, which is rejected: %v", value, text, err)
				}
				again, err := encode(nil, &back)
				if err != nil || !bytes.Equal(again, text) {
					t.Fatalf("%q encodes to %q, that to %q, %v", value, text, again, err)
				}
			}
		}
	})
}

func isReason(r Reason) bool {
	for _, known := range Reasons() {
		if r == known {
			return true
		}
	}
	return false
}

func dump(e *Event) string {
	b, err := json.Marshal(e)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
