package rules

import (
	"strings"
	"testing"

	"spoor/rules/policy"
)

// TestGuard holds that a panic becomes a diagnostic: a rule whose policy is not of the set cannot be compiled.
func TestGuard(t *testing.T) {
	elsewhere := new(policy.Policy)
	rule := policy.Rule{ID: policy.Text{Value: "lost", Span: policy.Span{File: "a.yaml", Line: 3, Col: 5, EndLine: 3, EndCol: 9}}}
	rule.Expression.Text, rule.Expression.Scope = "x == 1", elsewhere
	set, ds := Compile(&policy.Set{Policies: []*policy.Policy{{Rules: []policy.Rule{rule}}}})
	found := false
	for _, d := range ds {
		found = found || d.Code == codeInternal && d.Line == 3 && strings.Contains(d.Message, "rule `lost`")
	}
	if set != nil || !found {
		t.Errorf("%v", ds)
	}
}
