package rules

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"spoor/pipeline/event"
)

// TestEnvironment walks the types that expr sees against the table that values are read with.
func TestEnvironment(t *testing.T) {
	paths := map[string]string{}
	var walk func(typ reflect.Type, prefix string)
	walk = func(typ reflect.Type, prefix string) {
		if typ.NumMethod() > 0 || reflect.PointerTo(typ).NumMethod() > 0 {
			t.Errorf("%s has methods", typ)
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			name := f.Tag.Get("expr")
			if f.Anonymous || name == "" || !f.IsExported() {
				t.Errorf("%s.%s is embedded, untagged or not exported", typ, f.Name)
			}
			path := strings.TrimPrefix(prefix+"."+name, ".")
			switch {
			case f.Type == reflect.TypeFor[time.Time]():
				paths[path] = "time"
			case f.Type.Kind() == reflect.Struct:
				walk(f.Type, path)
			case f.Type.Kind() == reflect.Slice:
				paths[path] = "list of processes"
				walk(f.Type.Elem(), path+"[]")
			default:
				paths[path] = map[reflect.Kind]string{reflect.String: "text", reflect.Int64: "int", reflect.Bool: "bool"}[f.Type.Kind()]
			}
		}
	}
	walk(reflect.TypeFor[Env](), "")
	for _, f := range Fields() {
		if paths[f.Path] != f.Type {
			t.Errorf("the table has %s of type %q, the types have %q", f.Path, f.Type, paths[f.Path])
		}
		if f.Description == "" || !strings.HasSuffix(f.Description, ".") {
			t.Errorf("%s has no description", f.Path)
		}
		delete(paths, f.Path)
	}
	for path := range paths {
		t.Errorf("the types have %s, the table does not", path)
	}
	slots, processSlots := 0, 0
	for i := range eventFields {
		if eventFields[i].text != nil {
			slots++
		}
	}
	for i := range processFields {
		if processFields[i].text != nil {
			processSlots++
		}
	}
	if slots > maxEventTexts || processSlots > maxProcessTexts {
		t.Errorf("%d texts of an event, %d of a process: more than the caches hold", slots, processSlots)
	}
}

// TestFieldsReadTheDocument holds every field that is not derived against the document: each path gets a
// value of its own, and the field reads exactly that.
func TestFieldsReadTheDocument(t *testing.T) {
	for i := range eventFields {
		f := &eventFields[i]
		if f.Derived || f.kind == kindList || f.Path == "evt.name" {
			continue
		}
		raw := map[kind]string{kindText: `"value"`, kindInt: "77", kindBool: "true", kindTime: `"2026-01-02T03:04:05Z"`}[f.kind]
		e := decode(t, nest(f.Path, raw))
		v := &view{work: 1 << 30}
		v.reset(e)
		b := &native{lower: newLowering()}
		got := b.value(&term{op: opField, field: f, typ: typ{kind: f.kind}})(frame{ev: v})
		if at, ok := got.(time.Time); ok {
			got = at.Format(time.RFC3339)
		}
		var want any
		if err := json.Unmarshal([]byte(raw), &want); err != nil {
			t.Fatal(err)
		}
		if n, ok := want.(float64); ok {
			want = int(n)
		}
		if got != want {
			t.Errorf("%s reads %v, want %v", f.Path, got, want)
		}
		v.reset(new(event.Event))
		if got := b.value(&term{op: opField, field: f, typ: typ{kind: f.kind}})(frame{ev: v}); !reflect.ValueOf(got).IsZero() {
			t.Errorf("%s of an empty event reads %v", f.Path, got)
		}
	}
}

func nest(path, value string) string {
	names := strings.Split(path, ".")
	return `{"` + strings.Join(names, `":{"`) + `":` + value + strings.Repeat("}", len(names))
}
