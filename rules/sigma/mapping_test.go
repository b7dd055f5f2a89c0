package sigma_test

import (
	"strings"
	"testing"

	"spoor/rules/policy"
	"spoor/rules/sigma"
)

// TestMappingFaults holds the faults of a field map, and of a file of placeholders, to their places.
func TestMappingFaults(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"fields: {A: process.pid}\n", ""},
		{"feelds: {}\n", `m.yaml:1:1: error: unknown key "feelds" [unknown-key]`},
		{"[a]\n", "m.yaml:1:1: error: a field map is a mapping [wrong-type]"},
		{"fields: [a]\n", "m.yaml:1:9: error: fields is a mapping [wrong-type]"},
		{"fields: {A: [b]}\n", "m.yaml:1:13: error: a field is a text [wrong-type]"},
		{"fields:\n  A: Process Path\n", `m.yaml:2:6: error: "Process Path" is no field [bad-field]`},
		{"fields:\n  A: {field: process.pid, type: float}\n", "m.yaml:2:33: error: the type of a field is text or int [bad-value]"},
		{"fields:\n  A: {path: process.pid}\n", `m.yaml:2:7: error: unknown key "path" [unknown-key]`},
		{"categories: {c: {fields: {}}}\n", `m.yaml:1:17: error: the category "c" has no events [missing-key]`},
		{"categories: {c: {events: []}}\n", `m.yaml:1:26: error: events are a list of texts [wrong-type]` + "\n" +
			`m.yaml:1:17: error: the category "c" has no events [missing-key]`},
		{"categories: {c: {event: [a]}}\n", `m.yaml:1:18: error: unknown key "event" [unknown-key]`},
		{"services: {s: {events: {one: [exec]}}}\n", "m.yaml:1:25: error: an EventID is a number [bad-integer]"},
		{"services: {s: {ids: {}}}\n", `m.yaml:1:16: error: unknown key "ids" [unknown-key]`},
		{"event_types: {A: [b]}\n", "m.yaml:1:18: error: an event name is a text [wrong-type]"},
		{"fields: {\n", "m.yaml:1:9: error: "},
	} {
		src := policy.ImportSource{Name: "m.yaml", Data: []byte(c.in)}
		im := sigma.Import(nil, sigma.Options{Mapping: &src})
		var got []string
		for _, d := range im.Faults {
			got = append(got, d.String())
		}
		for _, want := range strings.Split(c.want, "\n") {
			if !strings.Contains(strings.Join(got, "\n"), want) || c.want == "" && got != nil {
				t.Errorf("%q: got %q, want %q", c.in, got, want)
			}
		}
	}
	src := policy.ImportSource{Name: "p.yaml", Data: []byte("a: {b: c}\n")}
	im := sigma.Import(nil, sigma.Options{Placeholders: &src})
	if len(im.Faults) != 1 || im.Faults[0].String() != `p.yaml:1:4: error: the values of "a" are a list of texts [wrong-type]` {
		t.Errorf("got %v", im.Faults)
	}
}
