package event

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Kinds lists the documents that Schema knows.
func Kinds() []string { return []string{"event", "signal"} }

// Schema returns the JSON Schema (draft 2020-12) of an input event, kind "event", or of a signal, kind
// "signal"; nil for any other kind. It is generated from the types: a member is required when its tag has no
// omitempty.
func Schema(kind string) []byte {
	s := schemaWriter{seen: map[string]bool{}}
	var root reflect.Type
	var title string
	switch kind {
	case "event":
		root, title = reflect.TypeFor[Event](), "Input event"
	case "signal":
		root, title = reflect.TypeFor[signal](), "Signal"
	default:
		return nil
	}
	body := s.object(root, "Event")
	text := fmt.Sprintf(`{"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"urn:spoor:%s","title":%q,"description":%q,%s,"$defs":{%s}}`,
		kind, title, schemaTexts[title], body, strings.Join(s.defs, ","))
	var out bytes.Buffer
	if err := stdjson.Indent(&out, []byte(text), "", "  "); err != nil {
		panic("event: the generated schema is not JSON: " + err.Error()) // no input leads here
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// schemaWriter collects the definitions of the types that it met.
type schemaWriter struct {
	seen map[string]bool
	defs []string // in the order in which they were met first
}

// object writes the keywords of a struct type called name in schemaTexts.
func (s *schemaWriter) object(t reflect.Type, name string) string {
	var properties, required []string
	for _, f := range reflect.VisibleFields(t) {
		member, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if member == "" || member == "-" {
			continue
		}
		properties = append(properties, fmt.Sprintf(`%q:{%s,"description":%q}`, member, s.value(f.Type), schemaTexts[textKey(name, member)]))
		if !strings.Contains(options, "omitempty") {
			required = append(required, fmt.Sprintf("%q", member))
		}
	}
	text := `"type":"object","properties":{` + strings.Join(properties, ",") + `},"additionalProperties":false`
	if required != nil {
		text += `,"required":[` + strings.Join(required, ",") + `]`
	}
	return text
}

// textKey is where the description of a member of the type called name stands. What a ProcessContext shares
// with a Process is described once.
func textKey(name, member string) string {
	if _, own := schemaTexts[name+"."+member]; !own && name == "ProcessContext" {
		name = "Process"
	}
	return name + "." + member
}

// value writes the keywords of a value of type t.
func (s *schemaWriter) value(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Time]():
		return `"type":"string","format":"date-time"`
	case t == reflect.TypeFor[Variables]():
		return s.ref("Variables", func() string { return `"type":"object"` })
	case t.Kind() == reflect.Pointer:
		return s.value(t.Elem())
	case t.Kind() == reflect.Slice && t.Elem() == reflect.TypeFor[stdjson.RawMessage]():
		return `"type":"array","items":true`
	case t.Kind() == reflect.Slice:
		return `"type":"array","items":{` + s.value(t.Elem()) + `}`
	case t.Kind() == reflect.Struct:
		name := t.Name()
		if t == reflect.TypeFor[signalAgent]() {
			name = "Agent"
		}
		return s.ref(name, func() string { return s.object(t, name) })
	case t.Kind() == reflect.Int64:
		return `"type":"integer"`
	case t.Kind() == reflect.Bool:
		return `"type":"boolean"`
	}
	return `"type":"string"`
}

func (s *schemaWriter) ref(name string, body func() string) string {
	if !s.seen[name] {
		s.seen[name] = true
		at := len(s.defs)
		s.defs = append(s.defs, "")
		s.defs[at] = fmt.Sprintf(`%q:{"description":%q,%s}`, name, schemaTexts[name], body())
	}
	return `"$ref":"#/$defs/` + name + `"`
}
