package ruletest

import (
	"slices"
	"strings"

	"spoor/pipeline/event"
	"spoor/rules"
)

// explain is why the rule did or did not match the event: what `engine explain` prints, without the terms and
// the exceptions that decided nothing.
func explain(set *rules.Set, e *event.Event, rule int) string {
	x, err := set.Explain(e, set.Rules()[rule].ID)
	if err != nil {
		return err.Error() // an id that Rules itself gave
	}
	prune(x.Condition)
	x.Exceptions = slices.DeleteFunc(x.Exceptions, func(x rules.ExplainedException) bool { return !x.Decides })
	for _, x := range x.Exceptions {
		prune(x.Condition)
	}
	var b strings.Builder
	if err := x.Render(&b, false); err != nil {
		return err.Error()
	}
	return b.String()
}

// prune keeps of each condition the parts that made it what it is.
func prune(c *rules.Condition) {
	if slices.ContainsFunc(c.Parts, decides) {
		c.Parts = slices.DeleteFunc(c.Parts, func(p *rules.Condition) bool { return !decides(p) })
	}
	for _, p := range c.Parts {
		prune(p)
	}
}

// decides says whether c, or a part of it, is marked as deciding.
func decides(c *rules.Condition) bool { return c.Decides || slices.ContainsFunc(c.Parts, decides) }
