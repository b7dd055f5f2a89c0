package secl_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"spoor/rules/policy"
)

// FuzzExpression: the parser never panics, a fault has a place, and what is imported compiles.
func FuzzExpression(f *testing.F) {
	for _, c := range semantics {
		f.Add(c.condition)
	}
	for _, s := range []string{`a == "`, `((((`, `exec.pid in [`, `~"`, `r"\`, `exec.pid == ${process.pid}`, `exec.file.name in LIST`, `PID`,
		`exec.file.path =~ "C:\**\x"`, `exec.user == "%{exec.pid}"`, `process.ancestors[_].pid == 1 && exec.pid == 1`} {
		f.Add(s)
	}
	f.Add(`exec.pid > 0 && (process.ancestors.pid == 1 || process.ancestors[A].pid == 2) && (process.ancestors.ppid == 3 || process.ancestors[A].ppid == 4)`)
	f.Fuzz(func(t *testing.T, condition string) {
		if !utf8.ValidString(condition) || strings.ContainsAny(condition, "\r\u0085\u2028\u2029") || len(condition) > 1000 {
			return
		}
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(condition)
		source := "macros:\n- {id: LIST, expression: '[\"a\", ~\"b*\", ~\"*c*\"]'}\n- {id: PID, expression: exec.pid == 1}\nrules:\n- {id: r, expression: \"" + quoted + "\"}\n"
		im := importText(source)
		if im.Faults.HasErrors() {
			return // characters that YAML does not allow
		}
		r := im.Rules[0]
		if r.Status == policy.StatusRefused {
			if r.Reason == "" || r.Place.Line < 1 || r.Place.Col < 1 {
				t.Fatalf("%q: refused without reason or place: %+v", condition, r)
			}
			return
		}
		if set, faults := load(im); set == nil {
			t.Fatalf("%q: %v\n%s", condition, faults.Err(), written(im))
		}
	})
}

// FuzzFile: no file makes the importer panic.
func FuzzFile(f *testing.F) {
	f.Add("rules:\n  - id: a\n    expression: exec.pid == 1\n    tags: {a: b}\n    every: 10m\n")
	f.Add("macros:\n  - {id: A, values: [a, b]}\n  - {id: A, combine: merge, values: [c]}\nrules:\n  - {id: a, expression: exec.file.name in A}\n")
	f.Add("rules:\n  - id: a\n    combine: override\n    override_options: {fields: [all]}\n    actions: [{set: {name: x, value: [1]}}]\n")
	f.Add("rules: [1, {id: {}}, {id: a, expression: []}, {id: a, filters: {}, tags: [], product_tags: {}, limiter_token: [[]], disabled: []}]\n")
	f.Fuzz(func(t *testing.T, text string) {
		im := importText(text)
		for _, r := range im.Rules {
			if r.Status == policy.StatusRefused && r.Reason == "" {
				t.Fatalf("refused without a reason: %+v", r)
			}
		}
	})
}
