package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"spoor/rules/ruletest"
)

func (a *app) testCommand() *cobra.Command {
	var config string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "test PATH...",
		Short: "Run the tests that policies carry",
		Long: `Run the tests in policies through the real pipeline: decoding, lineage, evaluation. A failure shows why the
rule did or did not match, term by term. The exit code is 1 when a test fails.`,
		Example: "  engine test policies/",
		Args:    someArgs("PATH"),
		RunE: func(_ *cobra.Command, paths []string) error {
			cfg, err := a.loadConfig(config)
			if err != nil {
				return err
			}
			set, err := a.mustLoadSet(paths)
			if err != nil {
				return err
			}
			var text bytes.Buffer
			failed := 0
			outcomes := ruletest.Run(set, cfg.Pipeline())
			for _, o := range outcomes {
				if len(o.Failures) == 0 {
					if verbose {
						fmt.Fprintf(&text, "ok    %s: %s\n", o.Policy, o.Name)
					}
					continue
				}
				failed++
				fmt.Fprintf(&text, "FAIL  %s: %s (%s:%d:%d)\n", o.Policy, o.Name, o.File, o.Line, o.Col)
				for _, f := range o.Failures {
					fmt.Fprintf(&text, "  %s:%d:%d: %s\n", f.File, f.Line, f.Col, f.Message)
					for line := range strings.Lines(f.Explanation) {
						fmt.Fprintf(&text, "      %s\n", strings.TrimRight(line, "\n"))
					}
				}
			}
			fmt.Fprintf(&text, "%d passed, %d failed\n", len(outcomes)-failed, failed)
			if _, err := a.stdout.Write(text.Bytes()); err != nil {
				return err
			}
			if failed > 0 {
				return errFailed
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", "", "configuration file, as for run")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "name every test")
	return cmd
}
