package ruletest

import (
	"spoor/pipeline/event"
	"spoor/rules"
)

func explain(set *rules.Set, e *event.Event, rule int) string { return "" }
