package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"spoor/policies"
	"spoor/rules"
	"spoor/rules/policy"
)

// loadSet reads and compiles the policies under paths; no paths: the bundled ones. The set is nil when a
// diagnostic is an error.
func loadSet(paths []string) (*rules.Set, policy.Diagnostics) {
	var loaded *policy.Set
	var faults policy.Diagnostics
	if len(paths) == 0 {
		loaded, faults = policy.LoadFS(policies.FS)
	} else {
		loaded, faults = policy.Load(paths...)
	}
	set, more := rules.Compile(loaded)
	return set, append(faults, more...).Sort()
}

// mustLoadSet is loadSet for commands that cannot go on without a set: errors are printed. Warnings are
// the business of check.
func (a *app) mustLoadSet(paths []string) (*rules.Set, error) {
	set, faults := loadSet(paths)
	if set != nil {
		return set, nil
	}
	errs := faults[:0:0]
	for _, d := range faults {
		if d.Level == policy.Error {
			errs = append(errs, d)
		}
	}
	printDiagnostics(a.stderr, errs)
	return nil, errFailed
}

// printDiagnostics writes one line a fault, file:line:col: error|warning: message [code], then its hint and
// notes, indented.
func printDiagnostics(w io.Writer, faults policy.Diagnostics) {
	for _, d := range faults {
		fmt.Fprintln(w, d)
		if d.Hint != "" {
			fmt.Fprintf(w, "    hint: %s\n", strings.ReplaceAll(d.Hint, "\n", "\n          "))
		}
		for _, n := range d.Notes {
			fmt.Fprintf(w, "    note: %s: %s\n", n.Span, n.Message)
		}
	}
}

// loadConfig reads the configuration and prints what is wrong with it.
func (a *app) loadConfig(path string) (Config, error) {
	c, faults := LoadConfig(path, a.environ)
	if len(faults) > 0 {
		printDiagnostics(a.stderr, faults)
		return c, errFailed
	}
	return c, nil
}

func (a *app) checkCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check PATH...",
		Short: "Find every fault of policies",
		Long: `Read policies (files, or folders with everything below them) as one set, and print every fault as

  file:line:col: error|warning: message [code]

The exit code is 1 when one of them is an error.`,
		Example: "  engine check policies/\n  engine check --json policies/ other.yaml",
		Args:    someArgs("PATH"),
		RunE: func(_ *cobra.Command, paths []string) error {
			set, faults := loadSet(paths)
			if asJSON {
				if faults == nil {
					faults = policy.Diagnostics{}
				}
				enc := json.NewEncoder(a.stdout)
				enc.SetEscapeHTML(false)
				enc.SetIndent("", "  ")
				if err := enc.Encode(faults); err != nil {
					return err
				}
			} else {
				var text bytes.Buffer
				printDiagnostics(&text, faults)
				if _, err := a.stdout.Write(text.Bytes()); err != nil {
					return err
				}
			}
			if set == nil {
				return errFailed
			}
			if !asJSON {
				fmt.Fprintf(a.stderr, "%d rules, %d tests, %d warnings\n", len(set.Rules()), len(set.Tests()), len(faults))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON list instead of lines")
	return cmd
}
