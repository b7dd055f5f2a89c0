package event

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-json"
)

// MaxDepth is how deeply objects and lists may be nested in a record. The schema needs 6 levels; what a
// rule action holds is free.
const MaxDepth = 64

// DefaultMaxBytes is the longest record decoded when DecoderConfig does not say.
const DefaultMaxBytes = 1 << 20

// DecoderConfig says what a Decoder refuses.
type DecoderConfig struct {
	MaxBytes      int  // longest record; 0 means DefaultMaxBytes
	RejectUnknown bool // a member that the schema lacks is a reject, not counted
}

// Decoder decodes records into an Event. It is owned by one goroutine and reused, because it owns the nested
// objects of the event it decoded last: Decode overwrites them, so only one decoded event is alive at a time.
//
// What it accepts, encoding/json accepts too, with the same content: keys match without regard to case (an
// exact match first), the last of two equal keys wins and two objects under one key merge, a null member is
// an absent one, and each byte of invalid UTF-8 in a text is read as U+FFFD, so that a strange file name
// does not hide an event. It is stricter in this: the record must be one object, its depth and length are
// bounded, ancestors are not null, dates are RFC 3339, and variables have the shape that Variables says.
type Decoder struct {
	cfg     DecoderConfig
	store   storage
	unknown int

	// lenient says that the last record had unknown members, so the next one probably has: records without
	// them are told by go-json in the one pass of decoding, records with them take a second pass to count.
	lenient         bool
	strict, counted json.DecodeOptionFunc
}

// NewDecoder returns a Decoder.
func NewDecoder(cfg DecoderConfig) *Decoder {
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	d := &Decoder{cfg: cfg, counted: json.DecodeNoCopyString()}
	d.strict = disallowUnknown(d.counted)
	return d
}

// disallowUnknown is the option that go-json offers for its Decoder only, taken from one and put on top of
// another option.
func disallowUnknown(with json.DecodeOptionFunc) json.DecodeOptionFunc {
	stream := json.NewDecoder(strings.NewReader("{}"))
	stream.DisallowUnknownFields()
	var option json.DecodeOption
	// The empty object decodes without error; what is wanted is the option it is decoded with.
	_ = stream.DecodeWithOption(&struct{}{}, func(o *json.DecodeOption) { option = *o })
	flags := option.Flags
	return func(o *json.DecodeOption) {
		with(o)
		o.Flags |= flags
	}
}

// Decode decodes value, which is one record, into e and completes it: names of files and keys are filled in
// from their paths, empty objects become absent ones, e.Meta is reset and gets its Name. The error is an
// *Error; e is empty then.
//
// The texts of e point into value where they can, so e is valid as long as value is unchanged and until the
// next Decode. Clone what lives longer.
func (d *Decoder) Decode(value []byte, e *Event) error {
	d.unknown = 0
	err := d.decode(value, e)
	if err != nil {
		*e = Event{}
		d.unknown = 0
		return err
	}
	return nil
}

// Unknown is the number of members that the schema lacks in the record decoded last, their own members not
// counted.
func (d *Decoder) Unknown() int { return d.unknown }

func (d *Decoder) decode(value []byte, e *Event) error {
	if len(value) > d.cfg.MaxBytes {
		return &Error{ReasonTooLarge, fmt.Sprintf("%d bytes, at most %d are read", len(value), d.cfg.MaxBytes)}
	}
	if i := skipSpace(value, 0); i == len(value) {
		return &Error{ReasonInvalidJSON, "empty"}
	} else if value[i] != '{' {
		return &Error{ReasonInvalidJSON, "not an object: " + clip(value[i:])}
	}
	if tooDeep(value) {
		return &Error{ReasonTooDeep, fmt.Sprintf("nested deeper than %d levels", MaxDepth)}
	}
	// Records with unknown members are walked over, to count them; records that hold an empty list as well,
	// since go-json reads those otherwise when they come twice.
	if !d.lenient && d.unmarshal(value, e, d.strict) == nil {
		if hasEmptyList(value) && walk(value).twice {
			return decodeTwice(value, e)
		}
		return d.complete(e)
	}
	// Either it has unknown members, or it is broken and this says how.
	if err := d.unmarshal(value, e, d.counted); err != nil {
		return asError(err)
	}
	w := walk(value)
	d.unknown = w.unknown
	d.lenient = d.unknown > 0 && !d.cfg.RejectUnknown
	if d.unknown > 0 && d.cfg.RejectUnknown {
		return &Error{ReasonUnknownField, clip(w.first)}
	}
	if w.twice {
		return decodeTwice(value, e)
	}
	return d.complete(e)
}

// decodeTwice decodes a record in which an object or a list comes twice under one key, which no agent writes.
// What is left of the first is then a matter of how the decoder merges: a second list is decoded into the
// elements of the first, and go-json keeps those over an empty list in between. Encoding/json has the say.
func decodeTwice(value []byte, e *Event) error {
	*e = Event{}
	if err := stdjson.Unmarshal(value, e); err != nil {
		return asError(err)
	}
	return complete(e)
}

// hasEmptyList reports whether value has an empty list, or a text that looks like one.
func hasEmptyList(value []byte) bool {
	for i := 0; ; {
		j := bytes.IndexByte(value[i:], '[')
		if j < 0 {
			return false
		}
		if i = skipSpace(value, i+j+1); i < len(value) && value[i] == ']' {
			return true
		}
	}
}

func (d *Decoder) complete(e *Event) error {
	d.store.grow(e)
	return complete(e)
}

// unmarshal decodes value into e and the storage.
func (d *Decoder) unmarshal(value []byte, e *Event, option json.DecodeOptionFunc) error {
	d.store.attach(e, true)
	if err := json.UnmarshalWithOption(value, e, option); err != nil {
		return err
	}
	if d.store.detach(value, e) {
		return nil
	}
	// The text of the mark occurs in the record, as a process id or in a text: decode it without marks.
	d.store.attach(e, false)
	return json.UnmarshalWithOption(value, e, option)
}

// asError finds the reason of an error of go-json.
func asError(err error) *Error {
	var own *Error
	var syntax *json.SyntaxError
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &wrong):
		return &Error{ReasonWrongType, fmt.Sprintf("%s: %s is not %s", wrong.Field, wrong.Value, schemaType(wrong.Type))}
	case errors.As(err, &syntax):
		return &Error{ReasonInvalidJSON, fmt.Sprintf("at byte %d: %s", syntax.Offset, syntax.Error())}
	}
	return &Error{ReasonInvalidJSON, err.Error()}
}

// schemaType is what the schema calls a value of type t.
func schemaType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct, reflect.Pointer:
		return "an object"
	case reflect.Slice:
		return "an array"
	case reflect.Int64:
		return "an integer"
	case reflect.Bool:
		return "a boolean"
	}
	return "a string"
}

// tooDeep reports whether value is nested deeper than MaxDepth. Records with few brackets, which is all but
// the strangest, are told by counting them.
func tooDeep(value []byte) bool {
	if bytes.Count(value, []byte{'{'})+bytes.Count(value, []byte{'['}) <= MaxDepth {
		return false
	}
	depth := 0
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '"':
			i = stringEnd(value, i)
		case '{', '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}
