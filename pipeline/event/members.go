package event

import (
	"bytes"
	"reflect"
	"strings"

	"github.com/goccy/go-json"
)

// shape is what the schema says of a value, as far as unknown members are concerned: the members of an
// object, the items of a list, or neither.
type shape struct {
	members map[string]*shape
	names   []string // of members, in the order of the type
	items   *shape
	bit     uint64 // of this member, among those of its object
}

// eventShape is the shape of an Event. Constant.
var eventShape = shapeOf(reflect.TypeFor[Event]())

var free = &shape{} // a text, a number, or JSON of any shape

func shapeOf(t reflect.Type) *shape {
	switch {
	case t == reflect.TypeFor[Variables]() || t == reflect.TypeFor[json.RawMessage]():
		return free
	case t.Kind() == reflect.Pointer:
		return shapeOf(t.Elem())
	case t.Kind() == reflect.Slice:
		return &shape{items: shapeOf(t.Elem())}
	case t.Kind() == reflect.Struct:
		s := &shape{members: map[string]*shape{}}
		for _, f := range reflect.VisibleFields(t) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
				m := *shapeOf(f.Type)
				m.bit = 1 << len(s.names)
				s.members[name] = &m
				s.names = append(s.names, name)
			}
		}
		return s
	}
	return free
}

// member finds the member of that key as encoding/json does: by its exact name, else without regard to case.
func (s *shape) member(key []byte) *shape {
	if m, ok := s.members[string(key)]; ok {
		return m
	}
	for _, name := range s.names { // no two are equal but for case
		// The letters whose other cases are longer, like the Kelvin sign, only make the key longer.
		if len(key) >= len(name) && strings.EqualFold(name, string(key)) {
			return s.members[name]
		}
	}
	return nil
}

// walker walks over a record that decodes: it checks nothing, and is at most MaxDepth deep.
type walker struct {
	b       []byte
	i       int
	unknown int    // members that the schema lacks; their own members are not counted
	first   []byte // the key of the first of them, quoted
	twice   bool   // an object or a list comes twice under one key
}

// walk walks over value.
func walk(value []byte) walker {
	w := walker{b: value}
	w.value(eventShape)
	return w
}

func (w *walker) value(s *shape) {
	w.i = skipSpace(w.b, w.i)
	switch w.b[w.i] {
	case '{':
		var seen uint64 // bits are indexes into s.names; no type has 64 members
		for w.i = skipSpace(w.b, w.i+1); w.b[w.i] != '}'; w.i = skipSpace(w.b, w.i) {
			if w.b[w.i] == ',' {
				w.i++
				continue
			}
			sub := w.key(s)
			if sub.names != nil || sub.items != nil {
				w.twice = w.twice || seen&sub.bit != 0
				seen |= sub.bit
			}
			w.i = skipSpace(w.b, w.i) + 1 // the colon
			w.value(sub)
		}
		w.i++
	case '[':
		items := s.items
		if items == nil {
			items = free
		}
		for w.i = skipSpace(w.b, w.i+1); w.b[w.i] != ']'; w.i = skipSpace(w.b, w.i) {
			if w.b[w.i] == ',' {
				w.i++
				continue
			}
			w.value(items)
		}
		w.i++
	case '"':
		w.i = stringEnd(w.b, w.i) + 1
	default:
		for w.i < len(w.b) && !endsScalar(w.b[w.i]) {
			w.i++
		}
	}
}

// key steps over a key and returns the shape of its value.
func (w *walker) key(s *shape) *shape {
	end := stringEnd(w.b, w.i)
	quoted := w.b[w.i : end+1]
	w.i = end + 1
	if s.members == nil {
		return free
	}
	if m := s.member(quoted[1 : len(quoted)-1]); m != nil {
		return m
	}
	if bytes.IndexByte(quoted, '\\') >= 0 {
		var key string
		if json.Unmarshal(quoted, &key) == nil {
			if m := s.member([]byte(key)); m != nil {
				return m
			}
		}
	}
	if w.unknown == 0 {
		w.first = quoted
	}
	w.unknown++
	return free
}

// endsScalar reports whether c ends a number, true, false or null.
func endsScalar(c byte) bool {
	return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\t' || c == '\r'
}
