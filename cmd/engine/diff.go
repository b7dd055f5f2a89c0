package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"spoor/pipeline"
	"spoor/pipeline/file"
	"spoor/rules"
)

// ruleDiff is what a policy change does to one rule.
type ruleDiff struct {
	Rule     string   `json:"rule"`
	Before   int      `json:"before"` // events matched
	After    int      `json:"after"`
	Added    int      `json:"added"`
	Removed  int      `json:"removed"`
	Examples []string `json:"examples"` // "+topic/partition/offset" and "-...", the first few
}

// diffExamples is how many events are named per rule and direction.
const diffExamples = 3

func (a *app) diffCommand() *cobra.Command {
	var config string
	var before, after []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff --old PATH --new PATH FILE...",
		Short: "Show which matches a policy change adds and removes, over recorded traffic",
		Long: `Run two versions of the policies over the same recorded traffic and list, rule by rule, the events that only
one of them matches. An event is named by topic/partition/offset; without a position in the file the topic is
the file's name and the offset the line, from 0.`,
		Example: "  engine diff --old policies/ --new policies.next/ traffic.ndjson.zst",
		Args:    someArgs("FILE"),
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := need(cmd, "old", "new"); err != nil {
				return err
			}
			if slices.Contains(files, file.Stdin) {
				return &usageError{fmt.Errorf("the traffic is read twice: it cannot be standard input"), cmd.CommandPath()}
			}
			cfg, err := a.loadConfig(config)
			if err != nil {
				return err
			}
			sets := make([]*rules.Set, 2)
			for i, paths := range [][]string{before, after} {
				if sets[i], err = a.mustLoadSet(paths); err != nil {
					return err
				}
			}
			sides := make([]matches, 2)
			told := []faults{{w: a.stderr}, {}} // both sides read the same lines
			var events int64
			for i, set := range sets {
				if sides[i], events, err = a.matchesOf(cmd.Context(), cfg, set, files, &told[i]); err != nil {
					return err
				}
			}
			if events == 0 {
				return errors.New("there is nothing to compare: the files hold no records")
			}
			diffs := compareMatches(sides[0], sides[1])
			if asJSON {
				err = a.writeJSON(file.Stdin, diffs)
			} else {
				err = a.printDiffs(diffs, events)
			}
			return firstError(err, told[0].end())
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", "", "configuration file, as for run")
	cmd.Flags().StringSliceVar(&before, "old", nil, "the policies as they are: files and folders")
	cmd.Flags().StringSliceVar(&after, "new", nil, "the policies as they will be")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// matches are, by rule, the events it matched, in the order of the input.
type matches map[string][]eventID

type eventID struct {
	pipeline.TopicPartition
	offset int64
}

func (id eventID) String() string { return fmt.Sprintf("%s/%d/%d", id.Topic, id.Partition, id.offset) }

// matchesOf runs the files through set and collects who matched what among how many events.
func (a *app) matchesOf(ctx context.Context, cfg Config, set *rules.Set, files []string, told *faults) (matches, int64, error) {
	m := matches{}
	pc := cfg.Pipeline()
	pc.Probe = func(l *pipeline.Look) {
		if l.Stage != pipeline.StageEvaluate {
			return
		}
		for _, hits := range [][]int{l.Result.Live, l.Result.Shadow} {
			for _, i := range hits {
				id := set.Rules()[i].ID
				m[id] = append(m[id], eventID{l.TopicPartition, l.Offset})
			}
		}
	}
	eng := pipeline.New(pc, set, nil)
	err := a.replay(ctx, eng, files, told, file.NewSink(file.SinkConfig{}))
	return m, eng.Counters().Events, err
}

// compareMatches lists the rules whose matches differ, sorted by id.
func compareMatches(before, after matches) []ruleDiff {
	ids := slices.Collect(maps.Keys(before))
	for id := range after {
		if _, ok := before[id]; !ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	diffs := []ruleDiff{}
	for _, id := range ids {
		d := ruleDiff{Rule: id, Before: len(before[id]), After: len(after[id])}
		added, removed := only(after[id], before[id]), only(before[id], after[id])
		d.Added, d.Removed = len(added), len(removed)
		for _, e := range added[:min(len(added), diffExamples)] {
			d.Examples = append(d.Examples, "+"+e.String())
		}
		for _, e := range removed[:min(len(removed), diffExamples)] {
			d.Examples = append(d.Examples, "-"+e.String())
		}
		if d.Added+d.Removed > 0 {
			diffs = append(diffs, d)
		}
	}
	return diffs
}

// only lists what is in a and not in b.
func only(a, b []eventID) []eventID {
	in := make(map[eventID]bool, len(b))
	for _, e := range b {
		in[e] = true
	}
	var out []eventID
	for _, e := range a {
		if !in[e] {
			out = append(out, e)
		}
	}
	return out
}

func (a *app) printDiffs(diffs []ruleDiff, events int64) error {
	if len(diffs) == 0 {
		_, err := fmt.Fprintf(a.stdout, "no match is added or removed in %d events\n", events)
		return err
	}
	slices.SortStableFunc(diffs, func(x, y ruleDiff) int { return cmp.Compare(y.Added+y.Removed, x.Added+x.Removed) })
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tBEFORE\tAFTER\tADDED\tREMOVED\tEXAMPLES")
	for _, d := range diffs {
		fmt.Fprintf(w, "%s\t%d\t%d\t+%d\t-%d\t", d.Rule, d.Before, d.After, d.Added, d.Removed)
		for i, e := range d.Examples {
			if i > 0 {
				fmt.Fprint(w, " ")
			}
			fmt.Fprint(w, e)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
