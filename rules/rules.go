// Package rules turns policies into an immutable Set and says which rules an event matches. It owns the
// environment that expressions read, the functions they call, the checks that make every accepted
// expression total and bounded, the conditions that a rule compiles to, and their explanation. It is the
// only door to expr-lang/expr. It imports pipeline/event, pipeline/state and rules/policy and nothing else
// of ours.
package rules

import (
	"encoding/json"

	"spoor/pipeline/event"
	"spoor/rules/policy"
)

// Set is an immutable, compiled policy set. It may be shared by any number of goroutines.
type Set struct{}

// Compile checks and compiles every rule of set. It returns every fault of every expression, sorted; the
// Set is nil when one of them is an error.
func Compile(set *policy.Set) (*Set, policy.Diagnostics) { return &Set{}, nil }

// Rule is what a signal says of a rule. Constant after Compile.
type Rule struct {
	ID            string
	Version       string
	Title         string
	PolicyName    string
	PolicyVersion string
	Severity      policy.Severity
	Priority      int
	Shadow        bool
	Tags          []string // sorted "key:value"
	Actions       []json.RawMessage
	// Events are the canonical event names the rule can match; empty means every name.
	Events []string
	Source *policy.Rule
}

// Hash identifies the set (see policy.Set.Hash).
func (s *Set) Hash() string { return "" }

// Rules lists the enabled rules by severity, then priority, then policy order (sorted path, then
// position): the order in which a signal names them. The index into it is what Result holds.
func (s *Set) Rules() []*Rule { return nil }

// Tests lists the tests that the set's policies carry, in policy order.
func (s *Set) Tests() []policy.Test { return nil }

// Result is the answer of Match and the scratch it needs. It is owned by one goroutine and reused: each
// Match overwrites it. The zero value is ready.
type Result struct {
	// Live and Shadow are indexes into Set.Rules, ascending.
	Live, Shadow []int
	// Exceptions are the exceptions that took a match out, one a rule at most.
	Exceptions []ExceptionHit
	// OverBudget are the rules whose evaluation was cut off by the budget; they did not match.
	OverBudget []int
}

// ExceptionHit says that the exception of that name and index took out rule Rule (an index into Set.Rules).
type ExceptionHit struct {
	Rule      int
	Exception int // index into Set.Rules()[Rule].Source.Exceptions
}

// Match evaluates every rule on an enriched event. It never fails.
func (s *Set) Match(e *event.Event, r *Result) {}
