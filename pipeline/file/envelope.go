package file

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"spoor/pipeline"
	"spoor/pipeline/event"
)

// A line of recorded traffic is one JSON object. It is a record when it has a member "value" or "raw" and no
// member "evt", which every event of interest has and no record:
//
//	{"topic":"events","partition":3,"offset":17,"ts":"2026-01-01T00:00:00.000Z","key":"host-1",
//	 "headers":{"a":"b"},"value":{...}}
//
//   - key: text; absent or null: no key. raw_key: the key in base64, when it is not UTF-8.
//   - ts: RFC 3339, or a number: milliseconds since 1970. Absent: the event's date.
//   - value: the event; null: no value. raw: the value in base64, when it is not one line of JSON that is an
//     object.
//   - topic, partition, offset: all or none.
//   - headers: an object of texts, or a list of {"key","value"} when a key comes twice or a value is null or
//     not UTF-8 ("raw": base64).
//
// Other members are ignored. Any other line is a bare event: no key, no headers, ts is its date.

// line is what parseLine finds. It points into the line.
type line struct {
	positioned bool
	topic      string
	partition  int32
	rec        pipeline.Record
}

// member is a top-level member of an object: its key with the quotes and its value, both as they stand.
type member struct{ key, value []byte }

// members cuts the object text into its members. It looks at strings and brackets only: what lies inside a
// value is checked by who decodes the value.
func members(text []byte, out []member) ([]member, error) {
	i := space(text, 0)
	if i == len(text) || text[i] != '{' {
		if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
			return nil, errors.New("the file is UTF-16: save it as UTF-8") // as PowerShell's > writes it
		}
		return nil, errors.New("not a JSON object")
	}
	i = space(text, i+1)
	if i < len(text) && text[i] == '}' {
		i = space(text, i+1)
		if i < len(text) {
			return nil, errors.New("more text after the object")
		}
		return out, nil
	}
	for {
		if i == len(text) || text[i] != '"' {
			return nil, cut(text, i, "a member's name")
		}
		end := skipText(text, i)
		if end < 0 {
			return nil, cut(text, len(text), "the end of a name")
		}
		m := member{key: text[i:end]}
		i = space(text, end)
		if i == len(text) || text[i] != ':' {
			return nil, cut(text, i, "a colon")
		}
		i = space(text, i+1)
		end = skipValue(text, i)
		if end <= i {
			return nil, cut(text, len(text), "the end of a value")
		}
		m.value = text[i:end]
		out = append(out, m)
		i = space(text, end)
		switch {
		case i < len(text) && text[i] == ',':
			i = space(text, i+1)
		case i < len(text) && text[i] == '}':
			if i = space(text, i+1); i < len(text) {
				return nil, errors.New("more text after the object")
			}
			return out, nil
		default:
			return nil, cut(text, i, "a comma or the end of the object")
		}
	}
}

func cut(text []byte, i int, want string) error {
	if i >= len(text) {
		return fmt.Errorf("the line ends where %s should be", want)
	}
	return fmt.Errorf("byte %d is %q where %s should be", i, text[i], want)
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}

// skipText returns the index after the string that opens at b[i], -1 if it is not closed.
func skipText(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

// skipValue returns the index after the value that begins at b[i], at most i if it does not end.
func skipValue(b []byte, i int) int {
	depth := 0
	for j := i; j < len(b); j++ {
		switch b[j] {
		case '"':
			end := skipText(b, j)
			if end < 0 {
				return -1
			}
			if depth == 0 {
				return end
			}
			j = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return j
			}
			if depth--; depth == 0 {
				return j + 1
			}
		case ',', ' ', '\t':
			if depth == 0 {
				return j
			}
		}
	}
	return -1
}

// parseLine reads one line. scratch is reused for the members. An error says what is wrong with the line.
func parseLine(text []byte, scratch *[]member) (line, error) {
	var l line
	ms, err := members(text, (*scratch)[:0])
	if ms != nil {
		*scratch = ms
	}
	if err != nil {
		return l, err
	}
	record, evt := false, false
	for i := range ms {
		switch string(ms[i].key) {
		case `"value"`, `"raw"`:
			record = true
		case `"evt"`:
			evt = true
		}
	}
	if !record || evt {
		l.rec.Value = text
		l.rec.Timestamp = dateOf(ms)
		return l, nil
	}
	return parseRecord(ms)
}

// dateOf is the date of a bare event in milliseconds, 0 when it has none that can be read: the decoder says
// what is wrong with it.
func dateOf(ms []member) int64 {
	for i := len(ms) - 1; i >= 0; i-- {
		if string(ms[i].key) == `"date"` {
			var t event.Time
			if t.UnmarshalJSON(ms[i].value) == nil {
				return t.Time().UnixMilli() * btoi(t != 0)
			}
			return 0
		}
	}
	return 0
}

func btoi(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func parseRecord(ms []member) (l line, err error) {
	var hasTS, hasRaw, hasTopic, hasPartition, hasOffset bool
	for _, m := range ms {
		var err error
		null := string(m.value) == "null"
		switch string(m.key) {
		case `"value"`:
			if !null && !hasRaw {
				l.rec.Value = m.value
			}
		case `"raw"`:
			hasRaw = true
			l.rec.Value, err = unbase64(m.value)
		case `"key"`:
			if !null {
				l.rec.Key, err = text(m.value)
			}
		case `"raw_key"`:
			l.rec.Key, err = unbase64(m.value)
		case `"ts"`:
			if !null {
				hasTS = true
				l.rec.Timestamp, err = timestamp(m.value)
			}
		case `"topic"`:
			hasTopic = true
			var topic []byte
			topic, err = text(m.value)
			l.topic = string(topic)
		case `"partition"`:
			hasPartition = true
			err = json.Unmarshal(m.value, &l.partition)
		case `"offset"`:
			hasOffset = true
			if err = json.Unmarshal(m.value, &l.rec.Offset); err == nil && (null || l.rec.Offset < 0 || l.rec.Offset == math.MaxInt64) {
				err = errors.New("not the offset of a record")
			}
		case `"headers"`:
			if !null {
				l.rec.Headers, err = parseHeaders(m.value)
			}
		}
		if err != nil {
			return line{}, fmt.Errorf("member %s: %w", m.key, err)
		}
	}
	if hasTopic != hasPartition || hasTopic != hasOffset {
		return line{}, errors.New("topic, partition and offset stand together or not at all")
	}
	l.positioned = hasTopic
	if l.positioned && (l.topic == "" || l.partition < 0) {
		return line{}, errors.New("topic or partition is not one")
	}
	if !hasTS && len(l.rec.Value) > 0 {
		if ms, err := members(l.rec.Value, nil); err == nil {
			l.rec.Timestamp = dateOf(ms)
		}
	}
	return l, nil
}

// text reads a JSON string; without escapes it is the part of b between the quotes. It is never nil.
func text(b []byte) ([]byte, error) {
	if len(b) >= 2 && b[0] == '"' && bytes.IndexByte(b, '\\') < 0 && utf8.Valid(b) {
		for _, c := range b {
			if c < ' ' {
				return nil, errors.New("control character in a text")
			}
		}
		return b[1 : len(b)-1 : len(b)-1], nil
	}
	var s *string
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	if s == nil {
		return nil, errors.New("null is not a text")
	}
	return append([]byte{}, *s...), nil
}

func unbase64(b []byte) ([]byte, error) {
	s, err := text(b)
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.AppendDecode([]byte{}, s)
}

// timestamp reads a ts: milliseconds since 1970, what is finer is cut off.
func timestamp(b []byte) (int64, error) {
	if b[0] != '"' {
		var ms int64
		err := json.Unmarshal(b, &ms)
		return ms, err
	}
	s, err := text(b)
	if err != nil {
		return 0, err
	}
	var t time.Time
	if err := t.UnmarshalText(s); err != nil {
		return 0, fmt.Errorf("not RFC 3339: %q", s)
	}
	return t.UnixMilli(), nil
}

// fileHeader is a header in a list of headers.
type fileHeader struct {
	Key   string  `json:"key"`
	Value *string `json:"value,omitempty"`
	Raw   *[]byte `json:"raw,omitempty"`
}

func parseHeaders(b []byte) ([]pipeline.Header, error) {
	if b[0] == '[' {
		var list []fileHeader
		if err := json.Unmarshal(b, &list); err != nil {
			return nil, err
		}
		headers := make([]pipeline.Header, len(list))
		for i, h := range list {
			headers[i].Key = h.Key
			switch {
			case h.Raw != nil:
				headers[i].Value = *h.Raw
			case h.Value != nil:
				headers[i].Value = append([]byte{}, *h.Value...)
			}
		}
		return headers, nil
	}
	if !json.Valid(b) {
		return nil, errors.New("neither an object nor a list")
	}
	ms, err := members(b, nil)
	if err != nil {
		return nil, err
	}
	headers := make([]pipeline.Header, len(ms))
	for i, m := range ms {
		key, err := text(m.key)
		if err != nil {
			return nil, err
		}
		headers[i].Key = string(key)
		if headers[i].Value, err = text(m.value); err != nil {
			return nil, fmt.Errorf("header %s: %w", m.key, err)
		}
	}
	return headers, nil
}
