package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"spoor/pipeline/event"
	"spoor/rules/policy"
)

func (a *app) schemaCommand() *cobra.Command {
	kinds := []string{"event", "signal", "policy", "config"}
	return &cobra.Command{
		Use:   "schema event|signal|policy|config",
		Short: "Print a JSON Schema: of events, signals, policies or the configuration",
		Long: `Print a JSON Schema. Editors complete and check policies with it: save it beside them and begin each with

  # yaml-language-server: $schema=policy.schema.json`,
		Example: "  engine schema policy > policy.schema.json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(kinds, args[0]) {
				return fmt.Errorf("name one of %s", strings.Join(kinds, ", "))
			}
			return nil
		},
		ValidArgs: kinds,
		RunE: func(_ *cobra.Command, args []string) error {
			var schema []byte
			switch args[0] {
			case "policy":
				schema = policy.Schema()
			case "config":
				schema = ConfigSchema()
			default:
				schema = event.Schema(args[0])
			}
			_, err := fmt.Fprintf(a.stdout, "%s\n", trimNewline(schema))
			return err
		},
	}
}

func trimNewline(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	return b
}
