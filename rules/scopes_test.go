package rules

import (
	"slices"
	"strings"
	"testing"
)

// TestScopes holds where a name is looked up when an expression of one policy is used in another: the body of a
// macro in the macro's policy, what it is given in that of the caller, and the expression of an override in the
// policy that overrides. Both policies call a list and a macro alike.
func TestScopes(t *testing.T) {
	set := mustCompile(t, "a.yaml", `
name: a
lists: {mine: [of-a.exe], only_a: [only-a.exe]}
macros:
  - {id: is_mine, expression: 'process.executable.name in mine'}
  - {id: twice, params: [p], expression: 'p and process.cmdline contains "twice"'}
shared:
  lists: {everybody: [shared.exe]}
  macros:
    - {id: of_a, expression: 'is_mine'}
    - {id: either, params: [x], expression: 'x or is_mine'}
    - {id: one_of, params: [names], expression: 'process.executable.name in names or process.executable.name in only_a'}
    - {id: nested, params: [p], expression: 'twice(either(p))'}
    - {id: letting, params: [p], expression: 'let x = mine; process.user in x and p'}
rules:
  - {id: a_rule, expression: 'evt.name == "exec" and is_mine', exceptions: [{name: first, expression: 'process.user in mine'}]}
`, "b.yaml", `
name: b
lists: {mine: [of-b.exe]}
macros:
  - {id: is_mine, expression: 'process.executable.name in mine'}
  - {id: twice, params: [p], expression: 'p and process.cmdline contains "never"'}
rules:
  - {id: own, expression: 'evt.name == "exec" and is_mine'}
  - {id: theirs, expression: 'evt.name == "exec" and of_a'}
  - {id: both, expression: 'evt.name == "exec" and either(is_mine)'}
  - {id: written, expression: 'evt.name == "exec" and either(process.executable.name in mine)'}
  - {id: list, expression: 'evt.name == "exec" and one_of(mine)'}
  - {id: lists, expression: 'evt.name == "exec" and (one_of(everybody) or one_of(mine))'}
  - {id: deep, expression: 'evt.name == "exec" and nested(is_mine)'}
  - {id: let, expression: 'evt.name == "exec" and (let y = mine; letting(process.executable.name in y))'}
overrides:
  - rule: a_rule
    expression: evt.name == "exec" and is_mine
    add: {exceptions: [{name: second, expression: 'process.user in mine'}]}
`)
	for _, c := range []struct{ name, cmdline, user, want string }{
		{"of-a.exe", "", "", "both theirs written"},
		{"of-b.exe", "", "", "a_rule both list lists own written"},
		{"only-a.exe", "", "", "list lists"},
		{"shared.exe", "", "", "lists"},
		{"of-a.exe", "twice", "", "both deep theirs written"},
		{"of-b.exe", "twice", "", "a_rule both deep list lists own written"},
		{"of-b.exe", "never", "of-a.exe", "both let list lists own written"},
		{"of-b.exe", "", "of-b.exe", "both list lists own written"},
	} {
		e := decode(t, `{"evt":{"name":"exec"},"process":{"pid":1,"cmdline":"`+c.cmdline+`","user":"`+c.user+`","executable":{"name":"`+c.name+`"}}}`)
		var r Result
		set.Match(e, &r)
		got := strings.Fields(ids(set, r.Live))
		slices.Sort(got)
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%+v matches %s", c, got)
		}
	}
	for _, rule := range set.Rules() {
		if want := map[bool]string{true: "a", false: "b"}[rule.ID == "a_rule"]; rule.PolicyName != want {
			t.Errorf("%s is of policy %s, want %s", rule.ID, rule.PolicyName, want)
		}
	}
}
