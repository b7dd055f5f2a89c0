package event

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// generator writes records that are nearly right: members of the schema with values of their type, and now
// and then a null, another type, a key twice, in another case or escaped, an unknown member, broken text.
type generator struct {
	*rand.Rand
	b strings.Builder
}

func (g *generator) one(of ...string) string { return of[g.IntN(len(of))] }

func (g *generator) space() {
	if g.IntN(8) == 0 {
		g.b.WriteString(g.one(" ", "\t", "\n", "\r\n  "))
	}
}

func (g *generator) value(t reflect.Type, depth int) {
	g.space()
	defer g.space()
	switch g.IntN(60) {
	case 0, 1, 2:
		g.b.WriteString("null")
		return
	case 3:
		g.b.WriteString(g.one(`1`, `"x"`, `{}`, `[]`, `true`, `{"pid":1}`, `[[]]`, `-0`, `1e400`, `"`, `{`, `tru`, `01`, ``))
		return
	}
	switch {
	case t == reflect.TypeFor[Time]():
		g.b.WriteString(g.one(`"2026-01-02T03:04:05Z"`, `"2026-01-02T03:04:05.000001+05:30"`, `"1969-12-31T23:59:59.999999999Z"`, `"2026\u002d01-02T03:04:05Z"`, `"0001-01-01T00:00:00Z"`, `"never"`))
	case t == reflect.TypeFor[Variables]():
		g.b.WriteString(g.one(`{"a":1}`, `{ "a" : ["x", 2.5, true] , "b":"}" }`, `{}`, `{"a":{}}`, `{"a":"\"]"}`))
	case t.Kind() == reflect.Pointer:
		g.value(t.Elem(), depth)
	case t == reflect.TypeFor[Agent]().Field(2).Type.Elem():
		g.b.WriteString(g.one(`1`, `{"a":[null,{"b":"c"}]}`, `[ ]`, `"x"`, "\"\xff\""))
	case t.Kind() == reflect.Slice:
		g.b.WriteByte('[')
		for i := range g.IntN(4) {
			if i > 0 {
				g.b.WriteByte(',')
			}
			g.value(t.Elem(), depth+1)
		}
		g.b.WriteByte(']')
	case t.Kind() == reflect.Struct:
		g.object(t, depth)
	case t.Kind() == reflect.Int64:
		g.b.WriteString(g.one(`0`, `1`, `-1`, `4294967295`, `-9223372036854775808`, `9223372036854775807`, `-1073741819`))
	case t.Kind() == reflect.Bool:
		g.b.WriteString(g.one(`true`, `false`))
	default:
		g.b.WriteString(g.one(`""`, `"a"`, `"C:\\Windows\\x.exe"`, `"\u00e9\ud83d\ude00"`, `"é/<&>"`, "\"\xc3(\xff\"", `"\ud800x"`, `"-9223372036854775808"`, `"[[[{{{"`))
	}
}

func (g *generator) object(t reflect.Type, depth int) {
	var names []string
	types := map[string]reflect.Type{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
			types[name] = f.Type
		}
	}
	g.b.WriteByte('{')
	for i := range g.IntN(len(names) + 2) {
		if i > 0 {
			g.b.WriteByte(',')
		}
		g.space()
		name := g.one(names...)
		key := name
		switch g.IntN(20) {
		case 0:
			key = strings.ToUpper(name)
		case 1:
			key = fmt.Sprintf(`\u%04x%s`, name[0], name[1:])
		case 2:
			key = strings.Replace(name, "s", "ſ", 1)
		case 3:
			key, name = g.one("x", "date ", `pid\u0000`, "executables", "é"), ""
		}
		g.b.WriteString(`"` + key + `"`)
		g.space()
		g.b.WriteByte(':')
		if name == "" {
			g.value(reflect.TypeFor[Process](), depth+1)
		} else {
			g.value(types[name], depth+1)
		}
	}
	g.b.WriteByte('}')
}

// Over generated records one decoder accepts only what encoding/json accepts, with the same content, counts
// as many unknown members as a fresh one, and rejects nothing but what it says it does.
func TestGeneratedRecords(t *testing.T) {
	g := &generator{Rand: rand.New(rand.NewPCG(1, 2))}
	d := NewDecoder(DecoderConfig{})
	accepted, rejected := 0, map[Reason]int{}
	for range 5_000 {
		g.b.Reset()
		g.object(reflect.TypeFor[Event](), 0)
		value := []byte(g.b.String())
		var e Event
		err := d.Decode(value, &e)
		want, wantErr := oracle(value)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: %v, encoding/json says %v", value, err, wantErr)
		}
		fresh := NewDecoder(DecoderConfig{})
		if err2 := fresh.Decode(value, new(Event)); !reflect.DeepEqual(err, err2) || fresh.Unknown() != d.Unknown() {
			t.Fatalf("%q: %v and %d unknown members, a fresh decoder says %v and %d", value, err, d.Unknown(), err2, fresh.Unknown())
		}
		if err != nil {
			rejected[err.(*Error).Reason]++
			continue
		}
		accepted++
		if !reflect.DeepEqual(&e, want) {
			t.Fatalf("%q is %s, encoding/json reads %s", value, dump(&e), dump(want))
		}
		first, err := AppendSignal(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		var back Event
		if err := fresh.Decode(first, &back); err != nil || fresh.Unknown() != 0 {
			t.Fatalf("%q is encoded as %q, which is rejected: %v, %d unknown", value, first, err, fresh.Unknown())
		}
		if second, err := AppendSignal(nil, &back); err != nil || string(first) != string(second) {
			t.Fatalf("%q is encoded as %q, that as %q, %v", value, first, second, err)
		}
	}
	if accepted < 1000 || len(rejected) < 3 {
		t.Errorf("%d accepted, rejected by reason: %v: the generator does not reach what it is for", accepted, rejected)
	}
}
