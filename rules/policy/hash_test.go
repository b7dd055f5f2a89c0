package policy

import (
	"strings"
	"testing"
	"testing/fstest"
)

const hashBase = `name: p
version: 1.0
lists: {l: [a, b], m: [1]}
macros: [{id: is_x, params: [q], expression: 'q == 1'}]
shared: {lists: {s: [z]}}
rules:
  - id: a
    expression: |
      x == 1
    severity: high
    tags: {t: v, u: [1, 2]}
    exceptions:
      - {name: e, expression: 'true'}
      - {name: f, expression: 'false'}
  - {id: b, expression: 'y'}
variables:
  v: {scope: process, type: string, default: d}
  w: {scope: event, type: [int], default: [1, 2]}
tests: [{name: t, events: [{evt.name: exec}], expect: {a: [0]}}]
`

func hashOf(t *testing.T, files map[string]string) string {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	set, diags := LoadFS(fsys)
	if err := diags.Err(); err != nil {
		t.Fatalf("%v\n%v", err, files)
	}
	if len(set.Hash) != 64 {
		t.Fatalf("hash %q", set.Hash)
	}
	return set.Hash
}

func TestHash(t *testing.T) {
	base := hashOf(t, map[string]string{"p.yaml": hashBase})
	edit := func(pairs ...string) map[string]string {
		out := hashBase
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(out, pairs[i]) {
				t.Fatalf("%q is not in the policy", pairs[i])
			}
			out = strings.Replace(out, pairs[i], pairs[i+1], 1)
		}
		return map[string]string{"p.yaml": out}
	}
	same := map[string]map[string]string{
		"another path":           {"sub/other.yml": hashBase},
		"comments":               edit("name: p", "# hello\nname: p # there"),
		"CRLF":                   {"p.yaml": strings.ReplaceAll(hashBase, "\n", "\r\n")},
		"key order":              edit("    severity: high\n", "", "  - id: a\n", "  - severity: high\n    id: a\n"),
		"order of lists":         edit("{l: [a, b], m: [1]}", "{m: [1], l: [a, b]}"),
		"order of variables":     edit("  v: {scope: process, type: string, default: d}\n", "", "default: [1, 2]}\n", "default: [1, 2]}\n  v: {scope: process, type: string, default: d}\n"),
		"order of tags":          edit("{t: v, u: [1, 2]}", "{u: [2, 1], t: v}"),
		"defaults spelled out":   edit("{id: b, expression: 'y'}", "{id: b, expression: 'y', severity: medium, priority: 0, mode: live, disabled: false, version: 1.0, title: b}"),
		"defaults of the policy": edit("lists: {l", "defaults: {severity: high}\nlists: {l", "    severity: high\n", "", "{id: b,", "{id: b, severity: medium,"),
		"quotes":                 edit("expression: 'y'", "expression: \"y\""),
		"block or quotes":        edit("|\n      x == 1", "'x == 1'"),
		"integers as hex":        edit("m: [1]", "m: [0x1]"),
		"texts for people":       edit("severity: high", "severity: high\n    references: [r]\n    authors: [a]\n    false_positives: [f]\n    status: s\n    metadata: {k: v}"),
		"tests":                  edit("evt.name: exec", "evt.name: exit"),
		"a disabled rule":        edit("  - {id: b,", "  - {id: c, expression: 'z', disabled: true}\n  - {id: b,"),
	}
	for name, files := range same {
		if hashOf(t, files) != base {
			t.Errorf("%s: the hash changed", name)
		}
	}
	seen := map[string]string{base: "the policy"}
	different := map[string]map[string]string{
		"policy name":       edit("name: p", "name: q"),
		"policy version":    edit("version: 1.0", "version: 1.00"),
		"list member":       edit("[a, b]", "[a, c]"),
		"list name":         edit("{l:", "{k:"),
		"list of texts":     edit("m: [1]", "m: ['1']"),
		"macro":             edit("q == 1", "q == 2"),
		"macro parameter":   edit("params: [q]", "params: [r]"),
		"shared member":     edit("[z]", "[y]"),
		"variable name":     edit("  v: {", "  u: {"),
		"variable scope":    edit("scope: process", "scope: event"),
		"variable type":     edit("type: string, default: d", "type: [string], default: [d]"),
		"variable default":  edit("default: d", "default: e"),
		"variable list":     edit("[1, 2]}", "[1, 3]}"),
		"rule id":           edit("- id: a", "- id: aa", "{a: [0]}", "{aa: [0]}"),
		"expression":        edit("x == 1", "x == 2"),
		"severity":          edit("severity: high", "severity: low"),
		"priority":          edit("severity: high", "severity: high\n    priority: 1"),
		"mode":              edit("severity: high", "severity: high\n    mode: shadow"),
		"version of a rule": edit("severity: high", "severity: high\n    version: 2"),
		"title":             edit("severity: high", "severity: high\n    title: T"),
		"description":       edit("severity: high", "severity: high\n    description: D"),
		"tag":               edit("{t: v,", "{t: w,"),
		"every":             edit("severity: high", "severity: high\n    every: 1m"),
		"action":            edit("severity: high", "severity: high\n    actions: [{kill: {}}]"),
		"exception":         edit("'true'", "'1 == 1'"),
		"order of exceptions": edit("      - {name: e, expression: 'true'}\n      - {name: f, expression: 'false'}\n",
			"      - {name: f, expression: 'false'}\n      - {name: e, expression: 'true'}\n"),
		"order of rules": edit("  - {id: b, expression: 'y'}\n", "", "rules:\n", "rules:\n  - {id: b, expression: 'y'}\n"),
		"disabled":       edit("{id: b,", "{id: b, disabled: true,"),
		"a policy more":  {"p.yaml": hashBase, "q.yaml": "rules: [{id: z, expression: 'z'}]\n"},
		"order of files": {"p.yaml": hashBase, "a.yaml": "name: q\nrules: [{id: z, expression: 'z'}]\n"},
	}
	for name, files := range different {
		h := hashOf(t, files)
		if other, ok := seen[h]; ok {
			t.Errorf("%s: the same hash as %s", name, other)
		}
		seen[h] = name
	}
}

// TestHashOfOverride holds an override equal to the edit it stands for.
func TestHashOfOverride(t *testing.T) {
	target := "name: t\nlists: {l: [a]}\nrules:\n  - {id: a, expression: 'x', tags: {k: v}}\n"
	over := "name: o\noverrides:\n  - {rule: a, severity: high, add: {tags: {k: w}}}\n  - {list: t/l, add: [b]}\n"
	edited := "name: t\nlists: {l: [a, b]}\nrules:\n  - {id: a, expression: 'x', severity: high, tags: {k: [v, w]}}\n"
	h := hashOf(t, map[string]string{"t.yaml": target, "u.yaml": over})
	if h != hashOf(t, map[string]string{"t.yaml": edited, "u.yaml": "name: o\n"}) {
		t.Error("the override and the edit give different hashes")
	}
}

// TestHashOfScope tells an expression from the same text where its names may mean something else.
func TestHashOfScope(t *testing.T) {
	files := func(rule, over string) map[string]string {
		return map[string]string{"t.yaml": "name: t\nlists: {l: [a]}\nrules:\n  - {id: a, expression: '" + rule + "'}\n",
			"u.yaml": "name: o\nlists: {l: [b]}\n" + over}
	}
	here := hashOf(t, files("x in l", ""))
	there := hashOf(t, files("y", "overrides:\n  - {rule: a, expression: 'x in l'}\n"))
	if here == there {
		t.Error("the list of another policy gives the same hash")
	}
}
