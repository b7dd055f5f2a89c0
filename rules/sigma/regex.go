package sigma

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"

	"spoor/rules/policy"
)

// inlineFold is the flag that many rules put into a regular expression instead of |i.
const inlineFold = "(?i)"

// insensitive says that the regular expressions of the line ignore case, as the language does by itself.
func (l *line) insensitive(values []*policy.ImportNode) bool {
	if l.mods.has("i") {
		return true
	}
	for _, v := range values {
		if !strings.HasPrefix(v.Text, inlineFold) {
			return false
		}
	}
	return true
}

// regex is `Field|re: expression`.
func (l *line) regex(v *policy.ImportNode) (alternatives, *refusal) {
	expression := v.Text
	// The flag says nothing where case is ignored anyway.
	if l.folded {
		expression = strings.TrimPrefix(expression, inlineFold)
	}
	if m, found := lookaround.FindString(expression), lookaround.MatchString(expression); found {
		return nil, refuse(v.Span, "%s: the regular expression looks around itself with %s, which RE2 cannot", l.key.Text, m)
	}
	flags := ""
	for _, f := range []string{"m", "s"} {
		if l.mods.has(f) {
			flags += f
		}
	}
	if flags != "" {
		expression = "(?" + flags + ")" + expression
	}
	if _, err := syntax.Parse(expression, syntax.Perl); err != nil {
		return nil, refuse(v.Span, "%s: %s", l.key.Text, regexFault(err))
	}
	return alternatives{simpler(expression)}, nil
}

var lookaround = regexp.MustCompile(`\(\?(=|!|<=|<!)`)

// regexFault says what RE2 lacks, or what is wrong.
func regexFault(err error) string {
	var e *syntax.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	switch {
	case e.Code == syntax.ErrInvalidEscape && len(e.Expr) == 2 && e.Expr[1] >= '1' && e.Expr[1] <= '9', strings.HasPrefix(e.Expr, `\k`), strings.HasPrefix(e.Expr, `\g`):
		return "the regular expression refers back with " + e.Expr + ", which RE2 cannot"
	case e.Code == syntax.ErrInvalidRepeatSize:
		return "the regular expression repeats with " + e.Expr + ", more than the 1000 times that RE2 does"
	}
	return "the regular expression is not one of RE2: " + e.Code.String() + " " + quoted(e.Expr)
}

// atLeast is a regular expression that asks for a length only.
var atLeast = regexp.MustCompile(`^\^?\.\{([0-9]+),\}\$?$|^\.\{([0-9]+)(?:,[0-9]+)?\}$`)

// simpler is the test for a regular expression: with an operator that says the same where there is one. A
// length is not left to the expression, whose every state would have to be followed.
func simpler(expression string) test {
	if m := atLeast.FindStringSubmatch(expression); m != nil {
		return test{"length", m[1] + m[2]}
	}
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return test{"matches", expression}
	}
	parts := []*syntax.Regexp{re}
	if re.Op == syntax.OpConcat {
		parts = re.Sub
	}
	operator := "contains"
	if parts[0].Op == syntax.OpBeginText {
		operator, parts = "startsWith", parts[1:]
	}
	if n := len(parts); n > 0 && parts[n-1].Op == syntax.OpEndText {
		operator = map[string]string{"contains": "endsWith", "startsWith": "=="}[operator]
		parts = parts[:n-1]
	}
	if len(parts) != 1 || parts[0].Op != syntax.OpLiteral || parts[0].Flags&syntax.FoldCase != 0 {
		return test{"matches", expression}
	}
	return test{operator, string(parts[0].Rune)}
}
