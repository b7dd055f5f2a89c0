package event

import (
	"bytes"
	"encoding/json"
	"math"
	"time"
)

// Time is an instant in nanoseconds since 1970-01-01 UTC; 0 means that there is none. On the wire it is
// RFC 3339 text, written in UTC with as many digits of fraction as it needs. The zero instant of Go (year 1)
// and the epoch itself read as none; what int64 nanoseconds cannot hold (before 1678 or after 2262) is a bad
// date, as is a leap second.
type Time int64

// At converts from a time.Time.
func At(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixNano())
}

// Time converts to a time.Time in UTC; none is the zero time.Time.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(t)).UTC()
}

// String is the text on the wire; none is "".
func (t Time) String() string {
	if t == 0 {
		return ""
	}
	return t.Time().Format(time.RFC3339Nano)
}

// ParseTime reads RFC 3339 text as UnmarshalJSON does; "" is none. The error is an *Error.
func ParseTime(text string) (Time, error) {
	var t Time
	if text == "" {
		return 0, nil
	}
	err := t.parse([]byte(text))
	return t, err
}

// MarshalJSON writes the text; none is written as the zero time.Time is, since omitempty leaves it out
// wherever the schema has a date.
func (t Time) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, len(`"2006-01-02T15:04:05.999999999Z"`))
	b = append(b, '"')
	b = t.Time().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"'), nil
}

// UnmarshalJSON reads RFC 3339 text; null changes nothing. The error is an *Error.
func (t *Time) UnmarshalJSON(b []byte) error {
	if len(b) < 2 || b[0] != '"' {
		if string(b) == "null" {
			return nil
		}
		return &Error{ReasonWrongType, "a date is RFC 3339 text, not " + clip(b)}
	}
	if bytes.IndexByte(b, '\\') >= 0 { // an escaped colon is a colon
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return &Error{ReasonInvalidJSON, err.Error()}
		}
		return t.parse([]byte(s))
	}
	return t.parse(b[1 : len(b)-1])
}

func (t *Time) parse(b []byte) error {
	var tm time.Time
	if err := tm.UnmarshalText(b); err != nil {
		return &Error{ReasonBadDate, "not RFC 3339: " + clip(b)}
	}
	if tm.IsZero() {
		*t = 0
		return nil
	}
	// UnixNano is defined from 1677-09-21 to 2262-04-11.
	if s := tm.Unix(); s <= math.MinInt64/1_000_000_000 || s >= math.MaxInt64/1_000_000_000 {
		return &Error{ReasonBadDate, "out of range 1678 to 2262: " + clip(b)}
	}
	*t = Time(tm.UnixNano())
	return nil
}

// clip quotes at most 64 bytes of b for an error.
func clip(b []byte) string {
	if len(b) > 64 {
		return string(bytes.ToValidUTF8(b[:64], []byte("\uFFFD"))) + "..."
	}
	return string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
}
