// Package rules turns policies into an immutable Set and says which rules an event matches. It owns the
// environment that expressions read, the functions they call, the checks that make every accepted
// expression total and bounded, the conditions that a rule compiles to, and their explanation. It is the
// only door to expr-lang/expr. It imports pipeline/event, pipeline/state and rules/policy and nothing else
// of ours.
//
// The way of an expression: parse (parse.go), check, with macros, lists and lets inlined (check*.go, term.go),
// rewrite for expr's VM (lower.go, native*.go), compile (program.go), and cut into leaves (cond.go). The program
// defines the answer; Set.Explain says why. Several goroutines do that, a rule at a time (compile_rules.go).
//
// Set.Match gives that answer for thousands of rules at the price of a few. The leaves of all rules become
// conditions, equal ones shared (formula*.go, source.go, condition.go); for each rule it is worked out which texts it
// cannot hold without (access.go); an index finds the rules that have one in the event (index.go, grams.go) and only
// those are evaluated, each condition at most once (candidates.go). Regexes run as lazy DFAs (dfa.go, regex_run.go),
// and what surely stands nowhere in a text is not searched for (sieve.go). Where a rule might be cut off by its budget,
// its program has the say (bound.go). profile.go says what rules cost.
package rules
