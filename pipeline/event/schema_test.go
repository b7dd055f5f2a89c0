package event

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// structure is what a schema demands, its references followed and its words left out.
func structure(t *testing.T, root, node any) any {
	m, ok := node.(map[string]any)
	if !ok {
		return node // true, for the items that may be anything
	}
	if ref, ok := m["$ref"].(string); ok {
		name, ok := strings.CutPrefix(ref, "#/$defs/")
		if !ok {
			t.Fatalf("unexpected reference %s", ref)
		}
		return structure(t, root, root.(map[string]any)["$defs"].(map[string]any)[name])
	}
	out := map[string]any{}
	for keyword, v := range m {
		switch keyword {
		case "$schema", "$id", "$defs", "title", "description":
		case "properties":
			properties := map[string]any{}
			for name, p := range v.(map[string]any) {
				properties[name] = structure(t, root, p)
			}
			out[keyword] = properties
		case "items":
			out[keyword] = structure(t, root, v)
		case "required":
			names := map[string]bool{}
			for _, n := range v.([]any) {
				names[n.(string)] = true
			}
			out[keyword] = names
		default: // type, format, additionalProperties and any keyword that should not be there
			out[keyword] = v
		}
	}
	return out
}

func parse(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaIsTheContract(t *testing.T) {
	for kind, name := range map[string]string{"event": "input_event", "signal": "backend_event"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "schema", name+".schema.json"))
		if err != nil {
			t.Skipf("no schema to compare with: %v", err)
		}
		theirs, ours := parse(t, text), parse(t, Schema(kind))
		if got, want := structure(t, ours, ours), structure(t, theirs, theirs); !reflect.DeepEqual(got, want) {
			g, _ := json.MarshalIndent(got, "", " ")
			w, _ := json.MarshalIndent(want, "", " ")
			t.Errorf("%s: got %s\nwant %s", kind, g, w)
		}
	}
}

// compile compiles a schema of ours; formats are checked too.
func compile(t *testing.T, kind string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(kind, parse(t, Schema(kind))); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(kind)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchemaAccepts(t *testing.T) {
	cases := []struct {
		kind, text string
		want       bool
	}{
		{"event", `{}`, true},
		{"event", everything, true},
		{"signal", everything, true},
		{"event", `{"x":1}`, false},
		{"event", `{"process":{"x":1}}`, false},
		{"event", `{"exit":{"cause":"EXITED"}}`, false},
		{"event", `{"date":"yesterday"}`, false},
		{"event", `{"process":{"pid":1.5}}`, false},
		{"signal", `{}`, false},
		{"signal", `{"title":"t","agent":{}}`, false},
		{"signal", `{"agent":{"rule_id":"r"}}`, false},
		{"signal", `{"title":"t","agent":{"rule_id":"r"}}`, true},
	}
	for _, c := range cases {
		if err := compile(t, c.kind).Validate(parse(t, []byte(c.text))); (err == nil) != c.want {
			t.Errorf("%s %.60s: %v", c.kind, c.text, err)
		}
	}
}

// What is encoded validates, whatever the event.
func TestEncodedValidates(t *testing.T) {
	signals, events := compile(t, "signal"), compile(t, "event")
	d := NewDecoder(DecoderConfig{})
	for _, c := range decodeCases {
		var e Event
		if d.Decode([]byte(c.in), &e) != nil {
			continue
		}
		text, err := AppendSignal(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		if err := signals.Validate(parse(t, text)); err != nil {
			t.Errorf("%s: %s: %v", c.name, text, err)
		}
		if text, err = AppendEvent(nil, &e); err != nil {
			t.Fatal(err)
		}
		if err := events.Validate(parse(t, text)); err != nil {
			t.Errorf("%s: %s: %v", c.name, text, err)
		}
	}
}

func TestSchemaTexts(t *testing.T) {
	used := map[string]bool{"Input event": true, "Signal": true}
	var walk func(name string, t reflect.Type)
	walk = func(name string, typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice && typ != reflect.TypeFor[Variables]() {
			typ = typ.Elem()
		}
		if typ == reflect.TypeFor[Variables]() {
			used["Variables"] = true
		}
		if typ.Kind() != reflect.Struct || used[name] {
			return
		}
		if name != "Event" {
			used[name] = true
		}
		for _, f := range reflect.VisibleFields(typ) {
			if member, _, _ := strings.Cut(f.Tag.Get("json"), ","); member != "" && member != "-" {
				used[textKey(name, member)] = true
				elem := f.Type
				for elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice {
					elem = elem.Elem()
				}
				walk(elem.Name(), f.Type)
			}
		}
	}
	walk("Event", reflect.TypeFor[Event]())
	for key := range used {
		if schemaTexts[key] == "" {
			t.Errorf("%s has no text", key)
		}
	}
	for key := range schemaTexts {
		if !used[key] {
			t.Errorf("the text of %s is used nowhere", key)
		}
	}
	if Schema("x") != nil {
		t.Error("a schema of nothing")
	}
}

// The types that signals are encoded with have the members of the types they stand for.
func TestSignalTypes(t *testing.T) {
	for _, c := range []struct{ ours, of reflect.Type }{
		{reflect.TypeFor[signal](), reflect.TypeFor[Event]()},
		{reflect.TypeFor[signalAgent](), reflect.TypeFor[Agent]()},
	} {
		var names, want []string
		for _, f := range reflect.VisibleFields(c.ours) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			names = append(names, f.Name+" "+name)
		}
		for _, f := range reflect.VisibleFields(c.of) {
			if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "-" {
				want = append(want, f.Name+" "+name)
			}
		}
		if !reflect.DeepEqual(names, want) {
			t.Errorf("%s has %v, %s has %v", c.ours, names, c.of, want)
		}
	}
}
