package rules

import (
	"slices"

	"spoor/rules/policy"
)

// Codes lists every code that a diagnostic of a policy can have: of its structure, of its expressions, and
// of lint, in the order of the reference.
func Codes() []policy.Code {
	return slices.Concat(policy.Codes(), expressionCodes(), lintCodes())
}
