package secl

import (
	"regexp"
	"strings"

	"spoor/rules/policy"
)

// matcher is one way of our language to compare a text with a constant.
type matcher int

const (
	equals matcher = iota
	contains
	startsWith
	endsWith
	like
	glob
	matches
)

var operatorOf = [...]string{"==", "contains", "startsWith", "endsWith", "like", "glob", "matches"}

// listSuffix makes the name of a list from that of a macro, so that a macro whose members need several
// operators becomes several lists.
var listSuffix = [...]string{"", "_parts", "_prefixes", "_suffixes", "_patterns", "_globs", ""}

// comparand is a constant with the way to compare with it.
type comparand struct {
	by   matcher
	text string
}

// comparandsOf says what a literal of SECL asks of a field, one of the comparands. pattern is a text behind =~
// or a ~"...", where * is a wildcard; a plain text is literal, even with a *.
func comparandsOf(n *node, form fieldForm, pattern bool) ([]comparand, *fault) {
	if n.kind == regexpNode {
		return regexpOf(n)
	}
	c, f := patternOf(n, form, pattern)
	return []comparand{c}, f
}

func patternOf(n *node, form fieldForm, pattern bool) (comparand, *fault) {
	s := n.text
	if form == registryForm && pattern {
		s = strings.ReplaceAll(s, `\\`, `\`)
	}
	isPath := form == pathForm || form == deviceForm
	if !pattern || !strings.Contains(s, "*") {
		if isPath {
			s = strings.ReplaceAll(s, "/", `\`)
		}
		if isPath && pattern {
			s = singleSeparators(s)
		}
		return comparand{equals, s}, nil
	}
	if isPath {
		return globOf(n, s, form)
	}
	if strings.Contains(s, "**") {
		return comparand{}, n.faultf("`**` stands only in patterns of paths")
	}
	inner := strings.Trim(s, "*")
	switch left, right := strings.HasPrefix(s, "*"), strings.HasSuffix(s, "*"); {
	case inner == "":
		return comparand{like, "*"}, nil
	case strings.Contains(inner, "*"):
		if strings.Contains(s, "?") {
			return comparand{matches, "(?s)^" + wildcards(s, ".*") + "$"}, nil
		}
		return comparand{like, s}, nil
	case left && right:
		return comparand{contains, inner}, nil
	case left:
		return comparand{endsWith, inner}, nil
	}
	return comparand{startsWith, inner}, nil
}

// globOf is a pattern of a path. A first component * stands for the first that a path has, also when
// the path begins with a separator, as device paths do.
func globOf(n *node, s string, form fieldForm) (comparand, *fault) {
	for _, c := range strings.FieldsFunc(s, isSeparator) {
		if c != "**" && strings.Contains(c, "**") {
			return comparand{}, n.faultf("`**` is a whole component of a path, as in C:\\Temp\\**")
		}
	}
	if len(s) > 1 && s[0] == '*' && isSeparator(rune(s[1])) && form == deviceForm {
		s = s[1:2] + s
	}
	if !strings.Contains(s, "?") {
		return comparand{glob, s}, nil
	}
	// ? is a wildcard of glob and none of SECL.
	if strings.Contains(strings.TrimSuffix(s, "**"), "**") {
		return comparand{}, n.faultf("a pattern with both `?` and a `**` inside cannot be written in the rule language")
	}
	rest, below := strings.CutSuffix(s, "**")
	parts := separators.Split(rest, -1)
	for i := range parts {
		parts[i] = wildcards(parts[i], `[^\\/]*`)
	}
	re := "(?s)^" + strings.Join(parts, `[\\/]+`)
	if below {
		re += ".+"
	}
	return comparand{matches, re + "$"}, nil
}

var separators = regexp.MustCompile(`[\\/]+`)

func isSeparator(r rune) bool { return r == '\\' || r == '/' }

// singleSeparators takes the doubles out that authors write because other texts need them; those at the start
// of a path are its own.
func singleSeparators(s string) string {
	if len(s) < 2 {
		return s
	}
	return s[:1] + strings.ReplaceAll(s[1:], `\\`, `\`)
}

// wildcards is a regular expression for a pattern.
func wildcards(s, star string) string {
	parts := strings.Split(s, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return strings.Join(parts, star)
}

// anyOf is the condition that a text, written subject, compares with one of cs. Below an element of a list,
// where # would be another element, lists are written without a closure. named is asked for the name of
// a list in the policy, and gives "" to have it written out.
func anyOf(subject string, cs []comparand, element bool, named func(by matcher, texts []string) string) policy.Condition {
	var order []matcher
	groups := map[matcher][]string{}
	seen := map[comparand]bool{}
	for _, c := range cs {
		if groups[c.by] == nil {
			order = append(order, c.by)
		}
		key := c
		if c.by != matches { // case tells \S from \s
			key.text = strings.ToLower(c.text)
		}
		if !seen[key] {
			seen[key] = true
			groups[c.by] = append(groups[c.by], c.text)
		}
	}
	var out []policy.Condition
	for _, by := range order {
		out = append(out, group(subject, by, groups[by], element, named)...)
	}
	return policy.Or(out...)
}

func group(subject string, by matcher, texts []string, element bool, named func(matcher, []string) string) []policy.Condition {
	name := ""
	if named != nil && by != matches && len(texts) > 1 && !(element && isAffix(by)) {
		name = named(by, texts)
	}
	call := by == like || by == glob
	quoted := policy.QuoteAll(texts)
	switch {
	case call && name != "":
		return []policy.Condition{policy.Call(operatorOf[by] + "(" + subject + ", " + name + ")")}
	case call && len(texts) == 1:
		return []policy.Condition{policy.Call(operatorOf[by] + "(" + subject + ", " + quoted[0] + ")")}
	case call:
		return []policy.Condition{policy.CallList(operatorOf[by], subject, quoted)}
	case by == equals && name != "":
		return []policy.Condition{policy.Compare(subject, "in", name)}
	case by == equals && len(texts) > 1:
		return []policy.Condition{policy.InList(subject, quoted)}
	case name != "":
		return []policy.Condition{policy.Call("any(" + name + ", " + subject + " " + operatorOf[by] + " #)")}
	case isAffix(by) && len(texts) > 2 && !element:
		return []policy.Condition{policy.OverList("any", quoted, subject+" "+operatorOf[by]+" #")}
	}
	var out []policy.Condition
	for _, q := range quoted {
		out = append(out, policy.Compare(subject, operatorOf[by], q))
	}
	return out
}

// cost is about how many nodes of an expression a comparison with cs has once the engine has written its lists
// out, and rather more than fewer.
func cost(cs []comparand) int {
	n := termCost
	for _, c := range cs {
		switch {
		case c.by == matches || isAffix(c.by):
			n += termCost
		default:
			n++
		}
	}
	return n
}

// isAffix says that any(list, ...) is the way to compare with several.
func isAffix(by matcher) bool { return by == contains || by == startsWith || by == endsWith }
