package rules

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"

	"spoor/rules/policy"
)

// TestLintNeverIsSound combines comparisons of two texts and a number with few constants, so that many
// contradict each other, and tries them on every combination of values that could tell them apart: what lint
// calls impossible must not happen.
func TestLintNeverIsSound(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	texts := []string{"a", "AB", "b", "ba", `a\b`, ""}
	var values []string
	for _, x := range texts {
		values = append(values, x, x+"c")
		for _, y := range texts {
			values = append(values, x+y)
		}
	}
	atom := func() string {
		if r.IntN(4) == 0 {
			return fmt.Sprintf("process.pid %s %d", []string{"==", "!=", "<", "<=", ">", ">="}[r.IntN(6)], r.IntN(4))
		}
		field := []string{"process.cmdline", "process.user"}[r.IntN(2)]
		s := "`" + texts[r.IntN(len(texts))] + "`"
		u := "`" + texts[r.IntN(len(texts))] + "`"
		switch r.IntN(9) {
		case 0:
			return fmt.Sprintf("%s in [%s, %s]", field, s, u)
		case 1:
			return fmt.Sprintf("like(%s, %s)", field, []string{"`*b`", "`?*a?`", "`a*`"}[r.IntN(3)])
		case 2:
			return fmt.Sprintf("glob(%s, [%s, `a*`, `**\\b`])", field, s)
		case 3:
			return fmt.Sprintf("%s matches `^[a-z]+$`", field)
		case 4:
			return fmt.Sprintf("exact(%s) %s %s", field, []string{"==", "contains", "startsWith"}[r.IntN(3)], s)
		case 5:
			return "exact(lower(" + field + ")) == " + s
		}
		return fmt.Sprintf("%s %s %s", field, []string{"==", "==", "!=", "contains", "startsWith", "endsWith", "<", ">="}[r.IntN(8)], s)
	}
	var condition func(depth int) string
	condition = func(depth int) string {
		if depth == 0 {
			return atom()
		}
		switch x, y := condition(depth-1), condition(depth-1); r.IntN(6) {
		case 0:
			return "(" + x + " or " + y + ")"
		case 1:
			return "not (" + x + " or " + y + ")"
		case 2:
			return "(" + x + " ? " + y + " : " + condition(depth-1) + ")"
		default:
			return "(" + x + " and " + y + ")"
		}
	}
	text := "rules:\n"
	var conditions []string
	for range 300 {
		c := condition(2 + r.IntN(2))
		text += fmt.Sprintf("  - id: r%d\n    expression: |\n      evt.name == \"exec\" and %s\n", len(conditions), c)
		conditions = append(conditions, c)
	}
	loaded, found := policy.LoadFS(fstest.MapFS{"policy.yaml": {Data: []byte(text)}})
	if loaded == nil {
		t.Fatal(found.Err())
	}
	set, found := Compile(loaded)
	if set == nil {
		t.Fatal(found.Err())
	}
	never := map[string]string{}
	for _, d := range found {
		if m := advNever.FindStringSubmatch(d.Message); d.Code == codeNeverMatches && m != nil {
			never[m[1]] = d.Message
		}
	}
	matched := map[string]bool{}
	var result Result
	for pid := range 5 {
		for i, cmdline := range values {
			user := values[(i*7+pid*3)%len(values)]
			for _, user := range []string{user, cmdline, strings.ToLower(cmdline), "AB", "", "b"} {
				e := decode(t, fmt.Sprintf(`{"evt":{"name":"exec"},"process":{"pid":%d,"cmdline":%q,"user":%q}}`, pid, cmdline, user))
				set.Match(e, &result)
				for _, n := range result.Live {
					id := set.Rules()[n].ID
					matched[id] = true
					if why := never[id]; why != "" {
						t.Fatalf("%s: %s matches pid %d, cmdline %q, user %q", why, conditions[n], pid, cmdline, user)
					}
				}
			}
		}
	}
	if len(never) < 15 || len(matched) < 100 {
		t.Errorf("too few cases: %d can never match, %d matched", len(never), len(matched))
	}
}
