package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"spoor/pipeline/changelog"
	"spoor/pipeline/event"
	"spoor/pipeline/kafka"
	"spoor/pipeline/state"
)

func (a *app) stateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "state",
		Short: "Look at what the engines remember, and make them forget it",
		Long: `With state.changelog on, what a partition remembers is in the topic GROUP.INPUT.spoor-state. These commands read
it as an engine that starts would; none but reset changes anything, and none needs the engines stopped but reset. What
was committed in the last second may be missing yet.`,
		Example: "  engine state stats --config engine.yaml",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.stateListCommand(), a.stateGetCommand(), a.stateStatsCommand(), a.stateResetCommand())
	return cmd
}

// stateFlags are those that every state command has.
type stateFlags struct {
	config    string
	partition int
}

func (f *stateFlags) add(cmd *cobra.Command, partition string) {
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration file")
	cmd.Flags().IntVar(&f.partition, "partition", -1, partition)
}

// images reads the changelog, and hands each partition's image to fn.
func (a *app) images(cmd *cobra.Command, f *stateFlags, fn func(partition int32, i *changelog.Image) error) error {
	if f.partition < 0 && cmd.Flags().Changed("partition") {
		return &usageError{fmt.Errorf("there is no partition %d", f.partition), cmd.CommandPath()}
	}
	cfg, err := a.loadConfig(f.config)
	if err != nil {
		return err
	}
	return kafka.ReadState(cmd.Context(), cfg.Cluster(), cfg.Pipeline().State, f.partition, a.logger(cfg.Log), fn)
}

// imageTable writes a table with what rows makes of each partition's image; no head without a body when it fails.
func (a *app) imageTable(cmd *cobra.Command, f *stateFlags, head string, rows func(w io.Writer, partition int32, i *changelog.Image)) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	headed := false
	withHead := func() {
		if !headed {
			headed = true
			fmt.Fprintln(w, head)
		}
	}
	err := a.images(cmd, f, func(p int32, i *changelog.Image) error {
		withHead()
		rows(w, p, i)
		return nil
	})
	if err == nil {
		withHead()
	}
	return firstError(err, w.Flush())
}

func (a *app) stateListCommand() *cobra.Command {
	var f stateFlags
	cmd := &cobra.Command{
		Use:   "ls --config FILE",
		Short: "List the hosts that are remembered",
		Long: `List each host with its partition, how many processes are remembered of it and how many of them run, the time
of the last change, and bytes.`,
		Example: "  engine state ls --config engine.yaml --partition 3",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.imageTable(cmd, &f, "HOST\tPARTITION\tPROCESSES\tRUNNING\tCHANGED\tBYTES", func(w io.Writer, p int32, i *changelog.Image) {
				for entries := i.State.Entries(); len(entries) > 0; {
					host := entries[0].Host
					var processes, running int
					var bytes, changed int64
					n := 0
					for ; n < len(entries) && entries[n].Host == host; n++ {
						e := &entries[n]
						bytes += e.Bytes
						changed = max(changed, e.Changed)
						if !e.Stub {
							processes++
						}
						if e.Running {
							running++
						}
					}
					entries = entries[n:]
					fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%d\n", printable(host), p, processes, running, milliseconds(changed), bytes)
				}
			})
		},
	}
	f.add(cmd, "only this partition")
	return cmd
}

// processLine is one process as state get writes it.
type processLine struct {
	Partition int32          `json:"partition"`
	Host      string         `json:"host"`
	PID       int64          `json:"pid"`
	Start     string         `json:"start"`
	End       string         `json:"end,omitempty"`
	Parent    int64          `json:"parent,omitempty"`
	Forgotten bool           `json:"forgotten,omitempty"`
	Changed   string         `json:"changed"`
	Bytes     int64          `json:"bytes"`
	Process   *event.Process `json:"process,omitempty"`
}

func (a *app) stateGetCommand() *cobra.Command {
	var f stateFlags
	cmd := &cobra.Command{
		Use:   "get --config FILE HOST [PID]",
		Short: "Show the processes that are remembered of a host",
		Long: `Write each process of the host, or each that had the process id, as a line of JSON. A forgotten one is only a
time that another process names as its parent.`,
		Example: "  engine state get --config engine.yaml pc-17\n  engine state get --config engine.yaml pc-17 4712",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return fmt.Errorf("name a host, and a process id if only one is asked for, not %d arguments", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			pid := int64(math.MinInt64)
			if len(args) == 2 {
				n, err := strconv.ParseInt(args[1], 10, 64)
				if err != nil {
					return &usageError{fmt.Errorf("%q is not a process id", args[1]), cmd.CommandPath()}
				}
				pid = n
			}
			found := false
			err := a.images(cmd, &f, func(p int32, i *changelog.Image) error {
				for _, e := range i.State.Entries() {
					if e.Host != args[0] || pid != math.MinInt64 && e.PID != pid {
						continue
					}
					found = true
					if err := a.writeProcess(p, &e); err != nil {
						return err
					}
				}
				return nil
			})
			switch {
			case err != nil || found:
			case len(args) == 2:
				err = fmt.Errorf("nothing is remembered of process %s of %q: 'engine state get' without it lists those that are", args[1], args[0])
			default:
				err = fmt.Errorf("nothing is remembered of %q: 'engine state ls' lists the hosts", args[0])
			}
			return err
		},
	}
	f.add(cmd, "only this partition")
	return cmd
}

func (a *app) writeProcess(p int32, e *state.Entry) error {
	line := processLine{Partition: p, Host: e.Host, PID: e.PID, Start: event.Time(e.Start).String(), Parent: e.Parent, Forgotten: e.Stub,
		Changed: milliseconds(e.Changed), Bytes: e.Bytes}
	if e.End != 0 {
		line.End = event.Time(e.End).String()
	}
	if !e.Stub {
		line.Process = &e.Process
	}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n", text)
	return err
}

func (a *app) stateStatsCommand() *cobra.Command {
	var f stateFlags
	cmd := &cobra.Command{
		Use:   "stats --config FILE",
		Short: "Say how much is remembered, and of which position",
		Long: `For each partition: the number of its commits, the input position and the partition time that the state is of, what is
remembered and how much memory that takes, and how many records and bytes a restore reads for it.`,
		Example: "  engine state stats --config engine.yaml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.imageTable(cmd, &f, "PARTITION\tCOMMITS\tPOSITION\tTIME\tHOSTS\tPROCESSES\tSTUBS\tMEMORY\tRECORDS\tBYTES\tOLDEST", func(w io.Writer, p int32, i *changelog.Image) {
				if !i.Marked {
					fmt.Fprintf(w, "%d\t-\t-\t-\t-\t-\t-\t-\t%d\t%d\t-\n", p, i.Records, i.Bytes)
					return
				}
				s := i.State.Stats()
				oldest := "-"
				if all := i.State.Entries(); len(all) > 0 {
					e := slices.MinFunc(all, func(a, b state.Entry) int { return int(a.Changed - b.Changed) })
					oldest = (time.Duration(i.Marker.Clock.Now-e.Changed) * time.Millisecond).Round(time.Second).String()
				}
				fmt.Fprintf(w, "%d\t%d\t%d\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", p, i.Marker.Sequence, i.Marker.Next, milliseconds(i.Marker.Clock.Now),
					s.Hosts, s.Nodes, s.Stubs, s.Bytes, i.Records, i.Bytes, oldest)
			})
		},
	}
	f.add(cmd, "only this partition")
	return cmd
}

func (a *app) stateResetCommand() *cobra.Command {
	var f stateFlags
	cmd := &cobra.Command{
		Use:   "reset --config FILE --partition N",
		Short: "Forget what a partition remembers",
		Long: `Empty a partition's changelog. The partition then goes on at the group's offset with empty state: ancestors of older
processes are unknown. The engines of the group must be stopped.`,
		Example: "  engine state reset --config engine.yaml --partition 3",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := need(cmd, "partition"); err != nil {
				return err
			}
			cfg, err := a.loadConfig(f.config)
			if err != nil {
				return err
			}
			n, err := kafka.ResetState(cmd.Context(), cfg.Cluster(), cfg.Pipeline().State, f.partition, a.logger(cfg.Log))
			if err == nil {
				fmt.Fprintf(a.stderr, "partition %d: %d processes forgotten\n", f.partition, n)
			}
			return err
		},
	}
	f.add(cmd, "the partition")
	return cmd
}

func milliseconds(ms int64) string {
	if ms == 0 {
		return "-"
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339)
}

// printable is a host's name as it can stand in a table: it is bytes of somebody's choosing.
func printable(s string) string {
	for _, r := range s {
		if r < 0x20 || r == 0x7f || r == 0xfffd {
			return strconv.Quote(s)
		}
	}
	return s
}
