package policies_test

import (
	"testing"

	"spoor/policies"
	"spoor/rules/policy"
)

func TestLoad(t *testing.T) {
	_, ds := policy.LoadFS(policies.FS)
	for _, d := range ds {
		t.Errorf("%s:%d:%d %s [%s] %s", d.File, d.Line, d.Col, d.Message, d.Code, d.Hint)
	}
}
