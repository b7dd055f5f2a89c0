// Package rules turns policies into an immutable Set and says which rules an event matches. It owns the
// environment that expressions read, the functions they call, the checks that make every accepted
// expression total and bounded, the conditions that a rule compiles to, and their explanation. It is the
// only door to expr-lang/expr. It imports pipeline/event, pipeline/state and rules/policy and nothing else
// of ours.
//
// The way of an expression: parse (parse.go), check, with macros, lists and lets inlined (check*.go, term.go),
// rewrite for expr's VM (lower.go, native*.go), compile (program.go), and cut into leaves (cond.go). Set.Match
// runs it, Set.Explain says why.
package rules
