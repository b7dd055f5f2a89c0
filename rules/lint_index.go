package rules

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// A matcher of many rules looks in an event for what rules demand: an equality, or a text of a few
// characters. A rule that demands nothing of the kind has to be evaluated for every event of its name.

// minLookup is the shortest text worth looking for, in characters.
const minLookup = 3

// expensive reports a rule without anything to look for.
func (l *linter) expensive(r *lintRule) {
	if l.demandsLookup(r.condition, false) {
		return
	}
	l.warn(r.rule.ID.Span, codeExpensive,
		fmt.Sprintf("rule `%s` is evaluated for every event of its name: nothing it demands can be looked up", r.rule.ID.Value),
		"demand an equality with a constant, or a text of three or more characters, outside of any negation")
}

// demandsLookup says that t cannot hold (or, with not, fail) unless something that can be looked up is there.
func (l *linter) demandsLookup(t *term, not bool) bool {
	switch t.op {
	case opConst:
		return t.konst == not // it never comes to that
	case opNot:
		return l.demandsLookup(t.args[0], !not)
	case opAnd, opOr:
		every := (t.op == opAnd) == not
		for _, a := range t.args {
			if l.demandsLookup(a, not) != every {
				return !every
			}
		}
		return every
	case opCond:
		return (l.demandsLookup(t.args[0], false) || l.demandsLookup(t.args[1], not)) &&
			(l.demandsLookup(t.args[0], true) || l.demandsLookup(t.args[2], not))
	case opClosure:
		return !not && (t.name == "any" || t.name == "one") && len(t.args) == 2 && l.demandsLookup(t.args[1], false)
	}
	c, ok := constantTestOf(t)
	if !ok || not || c.path() == "evt.name" {
		return false
	}
	for _, v := range c.values {
		switch v := v.(type) {
		case string:
			if !canLookUp(c, v) {
				return false
			}
		case int, float64:
			if !c.equality() {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// canLookUp says that the comparison with text demands something to look for.
func canLookUp(c constantTest, text string) bool {
	switch c.op {
	case "==", "in":
		return text != ""
	case "contains", "startsWith", "endsWith":
		return utf8.RuneCountInString(text) >= minLookup
	case "glob", "like":
		return longest(strings.FieldsFunc(text, func(r rune) bool { return r == '*' || r == '?' })) >= minLookup
	case "matches":
		re, err := syntax.Parse(text, syntax.Perl)
		return err == nil && requiredLength(re) >= minLookup
	}
	return false
}

func longest(parts []string) int {
	n := 0
	for _, p := range parts {
		n = max(n, utf8.RuneCountInString(p))
	}
	return n
}

// maxLookups is how many texts a regex may demand one of and still be looked up.
const maxLookups = 32

// requiredLength is the length, in characters, of the shortest of the texts that every match of re has one
// of: the choice of texts that makes it longest.
func requiredLength(re *syntax.Regexp) int {
	texts, least := required(re)
	if texts != nil {
		return shortest(texts)
	}
	return least
}

// required gives the texts that re matches, when they are few, and else the length of the shortest of some
// that a match has one of.
func required(re *syntax.Regexp) (texts []string, least int) {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{string(re.Rune)}, 0
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpBeginText, syntax.OpEndLine, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return []string{""}, 0
	case syntax.OpCharClass:
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if texts = append(texts, string(r)); len(texts) > 4 {
					return nil, 0
				}
			}
		}
		return texts, 0
	case syntax.OpCapture:
		return required(re.Sub[0])
	case syntax.OpPlus:
		return nil, requiredLength(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return nil, requiredLength(re.Sub[0])
		}
		return nil, 0
	case syntax.OpQuest:
		if some, _ := required(re.Sub[0]); some != nil && len(some) < maxLookups {
			return append(slices.Clip(some), ""), 0
		}
		return nil, 0
	case syntax.OpConcat:
		// Texts that follow each other make longer ones, until something in between is not a text.
		texts = []string{""}
		whole := true
		for _, sub := range re.Sub {
			some, n := required(sub)
			if some != nil && len(texts)*len(some) <= maxLookups {
				var longer []string
				for _, a := range texts {
					for _, b := range some {
						longer = append(longer, a+b)
					}
				}
				texts = longer
				continue
			}
			whole = false
			least = max(least, n, shortest(texts))
			texts = []string{""}
			if some != nil {
				texts = some
			}
		}
		if !whole {
			return nil, max(least, shortest(texts))
		}
		return texts, 0
	case syntax.OpAlternate:
		whole := true
		for i, sub := range re.Sub {
			some, n := required(sub)
			if some == nil {
				whole = false
			} else {
				n = shortest(some)
			}
			texts = append(texts, some...)
			if i == 0 || n < least {
				least = n
			}
		}
		if whole && len(texts) <= maxLookups {
			return texts, 0
		}
		return nil, least
	}
	return nil, 0
}

func shortest(texts []string) int {
	n := utf8.RuneCountInString(texts[0])
	for _, t := range texts[1:] {
		n = min(n, utf8.RuneCountInString(t))
	}
	return n
}
