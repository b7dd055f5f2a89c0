// Package policies holds the bundled policies: YAML, one file for a tactic, each rule with the tests that show
// what it matches and what it leaves alone. It owns the files and nothing else: rules/policy loads them, rules
// compiles them. It imports nothing of ours.
package policies

import "embed"

// FS holds the policies, one *.yaml file each at its root.
//
//go:embed *.yaml
var FS embed.FS
