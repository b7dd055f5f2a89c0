package sigma

import (
	"slices"
	"strings"

	"spoor/rules/policy"
)

// written is the condition that left meets one of groups, or with all one alternative of each of them.
func written(left string, groups []alternatives, all, cased bool) policy.Condition {
	groups = distinct(groups, cased)
	if !all || len(groups) == 1 {
		return oneOf(left, groups)
	}
	operator := groups[0][0].operator
	single := len(groups) > 2
	for _, g := range groups {
		single = single && len(g) == 1 && g[0].operator == operator && operator != "like" && operator != "length"
	}
	if single {
		var members []string
		for _, g := range groups {
			members = append(members, policy.Quote(g[0].constant))
		}
		return policy.OverList("all", members, left+" "+operator+" #")
	}
	var args []policy.Condition
	for _, g := range groups {
		args = append(args, oneOf(left, []alternatives{g}))
	}
	return policy.And(args...)
}

// weight is about how many nodes the condition takes once the engine has taken its lists apart: each text is
// compared on its own, but for equality and like.
func weight(left string, groups []alternatives) int {
	field := 4 + 2*strings.Count(left, ".") + 2*strings.Count(left, "[") + strings.Count(left, "exact(")
	out := field
	for _, g := range groups {
		for _, t := range g {
			if t.operator == "==" || t.operator == "like" {
				out++
			} else {
				out += field
			}
		}
	}
	return out
}

// distinct leaves out what was said before; a text that differs in case only was, unless case matters.
func distinct(groups []alternatives, cased bool) []alternatives {
	seen := map[test]bool{}
	var out []alternatives
	for _, g := range groups {
		var kept alternatives
		for _, t := range g {
			key := t
			if !cased {
				key.constant = strings.ToLower(t.constant)
			}
			if !seen[key] {
				seen[key] = true
				kept = append(kept, t)
			}
		}
		if len(kept) > 0 {
			out = append(out, kept)
		}
	}
	return out
}

// oneOf is the condition that left meets one of groups. Tests with one operator are one list.
func oneOf(left string, groups []alternatives) policy.Condition {
	var operators []string
	rows := map[string][][]string{} // by operator: the constants of each group, quoted
	for _, g := range groups {
		started := map[string]bool{}
		for _, t := range g {
			if rows[t.operator] == nil {
				operators = append(operators, t.operator)
			}
			if !started[t.operator] {
				started[t.operator] = true
				rows[t.operator] = append(rows[t.operator], nil)
			}
			last := len(rows[t.operator]) - 1
			rows[t.operator][last] = append(rows[t.operator][last], policy.Quote(t.constant))
		}
	}
	var args []policy.Condition
	for _, op := range operators {
		args = append(args, overRows(left, op, rows[op]))
	}
	return policy.Or(args...)
}

// rowWidth is how many members of a group stand on one line of a list: the five dashes.
const rowWidth = 5

// overRows is the condition that left compares with one of the constants of rows.
func overRows(left, operator string, rows [][]string) policy.Condition {
	var flat, lines []string
	for _, row := range rows {
		flat = append(flat, row...)
		for part := range slices.Chunk(row, rowWidth) {
			lines = append(lines, strings.Join(part, ", "))
		}
	}
	switch {
	case operator == "length":
		var args []policy.Condition
		for _, n := range flat {
			args = append(args, policy.Compare("len("+bare(left)+")", ">=", strings.Trim(n, `"`)))
		}
		return policy.Or(args...)
	case operator == "like" && len(flat) == 1:
		return policy.Call("like(" + left + ", " + flat[0] + ")")
	case operator == "like":
		return policy.CallList("like", left, lines)
	case len(flat) == 1 || operator == "!=":
		return policy.Compare(left, operator, flat[0])
	case operator == "==":
		return policy.InList(left, lines)
	case len(flat) == 2:
		return policy.Or(policy.Compare(left, operator, flat[0]), policy.Compare(left, operator, flat[1]))
	}
	return policy.OverList("any", lines, left+" "+operator+" #")
}

// bare is a field without exact around it.
func bare(left string) string { return strings.TrimSuffix(strings.TrimPrefix(left, "exact("), ")") }
