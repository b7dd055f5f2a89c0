package rules

import (
	"slices"
	"strings"

	"spoor/pipeline/event"
)

// constantTest is a comparison of something that differs from event to event with constants.
type constantTest struct {
	term    *term
	subject *term  // without exact
	op      string // == < <= > >= in contains startsWith endsWith matches glob like
	exact   bool
	values  []any    // the constants, one but for in, glob and like
	texts   []string // those that are texts, as written
}

// constantTest is t as a comparison with constants; nil when it is none. Each question of lint asks for it, so it
// is read once for a rule.
func (l *linter) constantTest(t *term) *constantTest {
	if t.op != opCompare && t.op != opCall {
		return nil
	}
	c, known := l.tests[t]
	if !known {
		if test, ok := constantTestOf(t); ok {
			c = &test
		}
		l.tests[t] = c
	}
	return c
}

func constantTestOf(t *term) (constantTest, bool) {
	c := constantTest{term: t, op: t.name, exact: t.exact}
	switch {
	case t.op == opCompare && len(t.args) == 2:
		left, right := t.args[0], t.args[1]
		if left.op == opConst && right.op != opConst && flipped[c.op] != "" {
			left, right, c.op = right, left, flipped[c.op]
		}
		if left.op == opConst || right.op != opConst {
			return c, false
		}
		c.subject, c.values = left, listed(right.konst)
	case t.op == opCall && (t.name == "glob" || t.name == "like") && len(t.args) == 2 && t.args[1].op == opConst:
		c.subject, c.values = t.args[0], listed(t.args[1].konst)
	default:
		return c, false
	}
	if c.subject.op == opCall && c.subject.name == "exact" && len(c.subject.args) == 1 {
		c.subject, c.exact = c.subject.args[0], true
	}
	for i, v := range c.values {
		switch v := v.(type) {
		case string:
			c.texts = append(c.texts, v)
		case int:
			// Exit codes compare in 32 bits; in an order, a code with the high bit is taken without sign.
			if code := exitCode(v); code != v && isExitCode(c.subject) {
				if !c.equality() {
					return c, false
				}
				c.values = slices.Clone(c.values)
				c.values[i] = code
			}
		}
	}
	return c, true
}

// flipped names the operator that says the same with its operands exchanged.
var flipped = map[string]string{"==": "==", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

func listed(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

// equality says that c leaves the subject a few values.
func (c *constantTest) equality() bool { return c.op == "==" || c.op == "in" }

// registry says that the subject is a registry path in canonical form, or a text that begins as one does: constants
// beside it are rewritten.
func (c *constantTest) registry() bool { return !c.exact && isRegistryText(c.subject) }

// path is the field that the subject is, "" when it is something else. Fields of an element of
// process.ancestors have the path below it.
func (c *constantTest) path() string {
	if c.subject.op == opField && c.subject.field != nil {
		return c.subject.field.Path
	}
	return ""
}

// seen is the constant as the comparison sees it; more says that it stands for other texts too.
func (c *constantTest) seen(text string) (s string, more bool) {
	switch {
	case c.exact:
		return text, false
	case c.path() == "evt.name" && c.equality():
		return fold(event.Canonical(text)), false
	case c.registry():
		kind := wholeConstant
		switch c.op {
		case "startsWith", "contains":
			kind = prefixConstant
		case "glob":
			kind = globConstant
		case "like":
			kind = likeConstant
		}
		return canonicalConstant(text, kind)
	}
	return fold(text), false
}

// holdsOn says whether c holds on a value of its subject: a text as the comparison sees it, or a number.
// known is false for what it cannot decide.
func (c *constantTest) holdsOn(v any) (holds, known bool) {
	switch v := v.(type) {
	case string:
		if len(c.texts) != len(c.values) {
			return false, false
		}
		return c.holdsOnText(v)
	case int:
		for _, w := range c.values {
			n, ok := w.(int)
			if !ok {
				return false, false
			}
			switch c.op {
			case "==", "in":
				holds = holds || v == n
			case "<":
				holds = v < n
			case "<=":
				holds = v <= n
			case ">":
				holds = v > n
			case ">=":
				holds = v >= n
			default:
				return false, false
			}
		}
		return holds, true
	}
	return false, false
}

func (c *constantTest) holdsOnText(v string) (holds, known bool) {
	for _, text := range c.texts {
		s, more := c.seen(text)
		if more {
			return false, false
		}
		switch c.op {
		case "==", "in":
			holds = holds || v == s
		case "<":
			holds = v < s
		case "<=":
			holds = v <= s
		case ">":
			holds = v > s
		case ">=":
			holds = v >= s
		case "contains":
			holds = strings.Contains(v, s)
		case "startsWith":
			holds = strings.HasPrefix(v, s)
		case "endsWith":
			holds = strings.HasSuffix(v, s)
		case "like":
			holds = holds || compileLike(s).match(v)
		case "glob":
			p, err := compileGlob(s)
			if err != nil {
				return false, false
			}
			holds = holds || p.match(v)
		case "matches":
			holds = c.term.regex.re.MatchString(v)
		default:
			return false, false
		}
	}
	return holds, true
}

// anyTerm says whether f holds for t or a term below it.
func anyTerm(t *term, f func(*term) bool) bool {
	return f(t) || slices.ContainsFunc(t.args, func(a *term) bool { return anyTerm(a, f) })
}
