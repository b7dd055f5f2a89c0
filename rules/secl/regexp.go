package secl

import (
	"regexp"
	"regexp/syntax"

	"spoor/rules/policy"
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
	texts, begin, end := policy.Spelled(re)
	if texts == nil {
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
