package rules

import "fmt"

// expensive reports a rule for which the index has nothing to look up: it is evaluated for every event of its
// name, however many there are.
func (l *linter) expensive(r *lintRule, index *indexer) {
	why, cost := index.unindexed(r.cond, r.events)
	if why == "" {
		return
	}
	l.warn(r.rule.ID.Span, codeExpensive,
		fmt.Sprintf("rule `%s` is evaluated for every event of its name, which may take about %.0f ns each: nothing it demands can be looked up (%s)", r.rule.ID.Value, cost, why),
		"demand that a field equals a constant, or has a text of two or more characters, outside of any negation")
}
