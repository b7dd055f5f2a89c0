package rules

import (
	"fmt"

	"spoor/rules/policy"
)

// guard runs a step of Compile. A panic in it is a fault of ours; it becomes a diagnostic, so that no policy takes
// the engine down.
func (c *compiler) guard(at policy.Span, what string, step func()) {
	defer func() {
		if fault := recover(); fault != nil {
			c.reportSpan(at, codeInternal, fmt.Sprintf("the engine cannot compile %s: %v", what, fault), "please report it with the policy")
		}
	}()
	step()
}
