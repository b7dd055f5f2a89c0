package rules

import (
	"testing"
	"testing/fstest"

	"spoor/pipeline/event"
	"spoor/rules/policy"
)

// FuzzCompile holds that no policy text makes Compile panic, that whatever compiles matches without an error
// other than the budget's, that the leaves say what the whole says, and that everything can be explained.
func FuzzCompile(f *testing.F) {
	_, cases := readSemantics(f)
	for i, c := range cases {
		if i%5 == 0 {
			f.Add(generatedNames + "rules:\n  - id: a\n    expression: |\n      " + c.expression + "\n")
		}
	}
	f.Add("rules:\n  - {id: a, expression: 'evt.name == \"exec\"', exceptions: [{name: x, expression: '#'}]}\n")
	f.Add("macros:\n  - {id: m, params: [a, b], expression: 'any(process.ancestors, a == .pid or b)'}\nrules:\n  - {id: a, expression: 'm(1, m(2, true)) and process.pid % 0 == 0x7fffffffffffffff'}\n")
	for _, x := range []string{"first([process.cmdline]) == `x`", "[process.cmdline, `x`][-1] in []", "len([process.pid, 1]) == 1", "[][0] == `x`",
		"count([], # == 1) == 1", "find([], evt.async) != `a`", "[][0xC0000005] < [process.cmdline, `x`]", "process.parent not in []",
		"first([evt.async, true])", "[date(`2026-01-01`)][1] < time", "(evt.async ? exit.code : 0) in [0xC0000005]", "map([1], registry.key_path)[0] == `HKCU`",
		"evt.name == `exec", "filter(words, # == process.user)[0] == (evt.async ? registry.target : `x`)"} {
		f.Add(generatedNames + "rules:\n  - id: a\n    expression: |\n      " + x + "\n")
	}
	events := []*event.Event{new(event.Event), decode(f, richEvent)}
	seen := map[int]bool{}
	for _, c := range cases {
		if !seen[len(seen)] && len(events) < 8 {
			events = append(events, c.event)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		loaded, _ := policy.LoadFS(fstest.MapFS{"a.yaml": &fstest.MapFile{Data: []byte(text)}})
		if loaded == nil {
			return
		}
		set, ds := Compile(loaded)
		for _, d := range ds {
			if d.Code == codeInternal {
				t.Fatalf("%v on %q", d, text)
			}
			if d.Line < 1 || d.Col < 1 || d.EndLine < d.Line || d.EndLine == d.Line && d.EndCol <= d.Col {
				t.Fatalf("%+v has no place", d)
			}
		}
		if set == nil {
			return
		}
		var r Result
		for _, e := range events {
			set.Match(e, &r)
			if r.machine.fault != nil {
				t.Fatalf("%v on %q", r.machine.fault, text)
			}
			if len(r.OverBudget) > 0 {
				continue
			}
			agreeOn(t, set, e, &r)
			for _, rule := range set.Rules() {
				if _, err := set.Explain(e, rule.ID); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
