package secl

import (
	"regexp"
	"regexp/syntax"
	"slices"
)

// regexpOf is a regular expression of SECL. One that only spells texts becomes the operator that says the same.
func regexpOf(n *node) ([]comparand, *fault) {
	if _, err := regexp.Compile(n.text); err != nil {
		return nil, n.faultf("%v", err)
	}
	whole := []comparand{{matches, n.text}}
	re, err := syntax.Parse(n.text, syntax.Perl)
	if err != nil {
		return whole, nil
	}
	parts := concatenation(re)
	begin := len(parts) > 0 && parts[0].Op == syntax.OpBeginText
	if begin {
		parts = parts[1:]
	}
	end := len(parts) > 0 && parts[len(parts)-1].Op == syntax.OpEndText
	if end {
		parts = parts[:len(parts)-1]
	}
	if len(parts) > 0 && anything(parts[0]) {
		begin, parts = false, parts[1:]
	}
	if len(parts) > 0 && anything(parts[len(parts)-1]) {
		end, parts = false, parts[:len(parts)-1]
	}
	texts := spelled(parts)
	if len(texts) == 0 || slices.Contains(texts, "") {
		return whole, nil
	}
	by := contains
	switch {
	case begin && end:
		by = equals
	case begin:
		by = startsWith
	case end:
		by = endsWith
	}
	out := make([]comparand, len(texts))
	for i, t := range texts {
		out[i] = comparand{by, t}
	}
	return out, nil
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

// maxSpelled is how many texts are still better to read than a regular expression.
const maxSpelled = 8

// spelled lists the texts that parts match, nil when they are many or not only texts.
func spelled(parts []*syntax.Regexp) []string {
	texts := []string{""}
	for _, re := range parts {
		var here []string
		switch re.Op {
		case syntax.OpLiteral:
			here = []string{string(re.Rune)}
		case syntax.OpCharClass:
			// The parser makes a class of a|b.
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
