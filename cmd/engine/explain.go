package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"spoor/pipeline"
	"spoor/pipeline/file"
	"spoor/rules"
)

func (a *app) explainCommand() *cobra.Command {
	var flags replayFlags
	var rule, event string
	var record int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain --rule ID --event FILE",
		Short: "Say why a rule did or did not match an event",
		Long: `Print every condition of a rule with the values it saw in an event, and what decided. FILE holds the event, or
recorded traffic: then the events before it teach the lineage, and the last is explained unless --record says
which.`,
		Example: "  engine explain --rule office_spawns_shell --event event.json\n" +
			"  engine explain --policies policies/ --rule office_spawns_shell --event traffic.ndjson.zst --record 4711",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := need(cmd, "rule", "event"); err != nil {
				return err
			}
			if record < 0 {
				return &usageError{fmt.Errorf("--record counts from 1, not %d", record), cmd.CommandPath()}
			}
			cfg, set, err := flags.load(a)
			if err != nil {
				return err
			}
			var last *rules.Explanation
			var failed error
			n, explained := 0, 0
			pc := cfg.Pipeline()
			pc.Probe = func(l *pipeline.Look) {
				switch {
				case l.Stage == pipeline.StageSource:
					n++
				case l.Stage == pipeline.StageEvaluate && (record == 0 || record == n):
					last, failed = set.Explain(l.Event, rule)
					explained = n
				}
			}
			eng := pipeline.New(pc, set, nil)
			if _, err := a.replay(cmd.Context(), eng, []string{event}, file.NewSink(file.SinkConfig{})); err != nil {
				return err
			}
			target := record
			if target == 0 {
				target = n
			}
			switch {
			case failed != nil:
				return failed
			case n == 0:
				return fmt.Errorf("%s holds no event", event)
			case target > n:
				return fmt.Errorf("%s holds %d records, not %d", event, n, target)
			case explained != target:
				return fmt.Errorf("record %d of %s was rejected: 'engine replay --rejects - %s' says why", target, event, event)
			case asJSON:
				return a.writeJSON(file.Stdin, last)
			}
			return last.Render(a.stdout, isTerminal(a.stdout))
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVarP(&rule, "rule", "r", "", "id of the rule")
	cmd.Flags().StringVarP(&event, "event", "e", "", "file with the event; - is standard input")
	cmd.Flags().IntVar(&record, "record", 0, "which record of the file, from 1; default: the last")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
