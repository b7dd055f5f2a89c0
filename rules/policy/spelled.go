package policy

import (
	"regexp/syntax"
	"slices"
	"strings"
)

// Spelled reads a regular expression that only spells texts: it matches what contains one of texts, begins or ends
// with it, or both and is nothing else. There are no texts when it does more than that, or spells too many.
//
// A leading or trailing .* says nothing and is left out; the one difference, that . is no newline, is not what
// anybody writes it for. What ignores case is spelled in lower case.
func Spelled(re *syntax.Regexp) (texts []string, begin, end bool) {
	parts := concatenation(re)
	if len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		begin, parts = true, parts[1:]
	}
	if n := len(parts); n > 0 && parts[n-1].Op == syntax.OpEndText {
		end, parts = true, parts[:n-1]
	}
	if len(parts) > 0 && anything(parts[0]) {
		begin, parts = false, parts[1:]
	}
	if n := len(parts); n > 0 && anything(parts[n-1]) {
		end, parts = false, parts[:n-1]
	}
	if texts = spelled(parts); slices.Contains(texts, "") {
		texts = nil
	}
	return texts, begin, end
}

// concatenation is what re is made of, one after the other, without groups.
func concatenation(re *syntax.Regexp) []*syntax.Regexp {
	switch re.Op {
	case syntax.OpCapture:
		return concatenation(re.Sub[0])
	case syntax.OpConcat:
		var out []*syntax.Regexp
		for _, sub := range re.Sub {
			out = append(out, concatenation(sub)...)
		}
		return out
	case syntax.OpEmptyMatch:
		return nil
	}
	return []*syntax.Regexp{re}
}

func anything(re *syntax.Regexp) bool {
	return re.Op == syntax.OpStar && (re.Sub[0].Op == syntax.OpAnyCharNotNL || re.Sub[0].Op == syntax.OpAnyChar)
}

// maxSpelled is how many texts a regex may stand for: more read worse than the regex.
const maxSpelled = 8

// spelled lists the texts that parts match, nil when they are many or not only texts.
func spelled(parts []*syntax.Regexp) []string {
	texts := []string{""}
	for _, re := range parts {
		var here []string
		switch re.Op {
		case syntax.OpLiteral:
			here = []string{string(re.Rune)}
			if re.Flags&syntax.FoldCase != 0 {
				here[0] = strings.ToLower(here[0])
			}
		case syntax.OpCharClass:
			// The parser makes a class of a|b; one that an author wrote reads better as it is, but for these.
			for i := 0; i+1 < len(re.Rune); i += 2 {
				for r := re.Rune[i]; r <= re.Rune[i+1] && len(here) <= 2; r++ {
					here = append(here, string(r))
				}
			}
			if len(here) > 2 {
				return nil
			}
		case syntax.OpAlternate:
			for _, sub := range re.Sub {
				one := spelled(concatenation(sub))
				if one == nil {
					return nil
				}
				here = append(here, one...)
			}
		default:
			return nil
		}
		var longer []string
		for _, a := range texts {
			for _, b := range here {
				longer = append(longer, a+b)
			}
		}
		if texts = longer; len(texts) == 0 || len(texts) > maxSpelled {
			return nil
		}
	}
	return texts
}
