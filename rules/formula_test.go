package rules

import (
	"fmt"
	"testing"
)

// TestFormulaByName holds the formulas of rules that say several things of the event's name: with that worked out,
// texts come to stand beside each other, and are joined once more.
func TestFormulaByName(t *testing.T) {
	set := mustCompile(t, "a.yaml", `rules:
  - id: beside
    expression: |
      evt.name in ["create", "rename"] and ((evt.name == "rename" and file.path contains "aaa") or file.path contains "bbb")
  - id: negated
    expression: |
      evt.name in ["create", "rename"] and file.path != "" and not (file.path contains "ccc" and evt.name == "rename") and not (file.path contains "bbb")
  - id: alone
    expression: |
      (evt.name == "create" and file.path contains "aaa") or (evt.name == "rename" and (file.path contains "bbb" or evt.name == "create"))
`)
	var match, plain Result
	for _, c := range []struct{ name, path, want string }{
		{"create", "aaa", "negated alone"},
		{"create", "bbb", "beside"},
		{"create", "ccc", "negated"},
		{"rename", "aaa", "beside negated"},
		{"rename", "bbb", "beside alone"},
		{"rename", "ccc", ""},
		{"create", "", ""},
		{"unlink", "bbb", ""},
	} {
		e := decode(t, fmt.Sprintf(`{"evt": {"name": %q}, "file": {"path": %q}}`, c.name, c.path))
		set.Match(e, &match)
		set.MatchPlain(e, &plain)
		if got, by := ids(set, match.Live), ids(set, plain.Live); got != c.want || by != c.want {
			t.Errorf("%s of %q: Match says %q, MatchPlain %q, want %q", c.name, c.path, got, by, c.want)
		}
	}
}
