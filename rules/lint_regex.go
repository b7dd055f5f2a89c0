package rules

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"spoor/rules/policy"
)

// simplerRegex reports a regular expression that only spells texts, with the operator that says the same.
func (l *linter) simplerRegex(c constantTest) {
	if len(c.texts) != 1 {
		return
	}
	re, err := syntax.Parse(c.texts[0], syntax.Perl)
	if err != nil || c.exact && ignoresCase(re) {
		return
	}
	texts, begin, end := policy.Spelled(re)
	if texts == nil {
		return
	}
	what := l.text(c.subject)
	if c.exact {
		what = "exact(" + what + ")"
	}
	operator := "contains"
	switch {
	case begin && end:
		operator = "=="
	case begin:
		operator = "startsWith"
	case end:
		operator = "endsWith"
	}
	var instead string
	switch {
	case len(texts) == 1:
		instead = fmt.Sprintf("%s %s %s", what, operator, quoteText(texts[0]))
	case operator == "==":
		instead = fmt.Sprintf("%s in [%s]", what, quoteTexts(texts))
	default:
		instead = fmt.Sprintf("any([%s], %s %s #)", quoteTexts(texts), what, operator)
	}
	l.warnOf(c.term, codeSimplerOperator, fmt.Sprintf("the regular expression %s only spells out text", quoteText(c.texts[0])), "write "+instead)
}

func ignoresCase(re *syntax.Regexp) bool {
	return re.Op == syntax.OpLiteral && re.Flags&syntax.FoldCase != 0 && slices.ContainsFunc(re.Rune, unicode.IsLetter) ||
		slices.ContainsFunc(re.Sub, ignoresCase)
}

func quoteTexts(texts []string) string {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = quoteText(t)
	}
	return strings.Join(quoted, ", ")
}

// quoteText writes a constant as an author would.
func quoteText(s string) string {
	if strings.Contains(s, `\`) && !strings.Contains(s, "`") {
		return "`" + s + "`"
	}
	return strconv.Quote(s)
}
