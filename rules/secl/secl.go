// Package secl reads rules written in SECL, the language of Datadog's runtime security agent, and turns those
// for Windows into policies of ours. It owns the lexer and parser of SECL, the map of its Windows fields
// (fields.go is data), and what becomes of the keys of its policy files; README.md lists all three, and where
// SECL's own matching differs from what an author means. It is a front end to rules/policy, imports nothing
// else of ours, and knows nothing of evaluation.
//
// The way of a rule: read the file (source.go), merge macros and overrides over all files (merge.go), parse
// (lex.go, parse.go), ask its filters whether it is for Windows (filter.go), build the condition
// (compile*.go), carry the other keys over (rule.go).
package secl

import (
	"fmt"

	"spoor/rules/policy"
)

// fault is why a rule cannot be imported, with the place in the source that it is about.
type fault struct {
	place   policy.Span
	message string
}

func (f *fault) Error() string { return f.place.String() + ": " + f.message }

// text is an expression of a source file, with the places of its characters.
type text struct {
	value string
	at    func(from, to int) policy.Span // of characters from ... to
	of    string                         // "" for a rule's own, else what it belongs to: macro `SHELLS`
}

func textOf(n *policy.ImportNode) *text { return &text{value: n.Text, at: n.At} }

func (t *text) faultf(from, to int, format string, args ...any) *fault {
	message := fmt.Sprintf(format, args...)
	if t.of != "" {
		message = "in " + t.of + ": " + message
	}
	return &fault{t.at(from, to), message}
}
