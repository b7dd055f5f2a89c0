package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"spoor/pipeline"
	"spoor/pipeline/file"
	"spoor/rules"
)

// replayFlags are what the commands over recorded traffic share.
type replayFlags struct {
	config   string
	policies []string
}

func (f *replayFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration file, as for run")
	cmd.Flags().StringSliceVarP(&f.policies, "policies", "p", nil, "policy files and folders; default: the configuration's, else the bundled ones")
}

// load reads the configuration and the policies.
func (f *replayFlags) load(a *app) (Config, *rules.Set, error) {
	cfg, err := a.loadConfig(f.config)
	if err != nil {
		return cfg, nil, err
	}
	if len(f.policies) > 0 {
		cfg.Policies = f.policies
	}
	set, err := a.mustLoadSet(cfg.Policies)
	return cfg, set, err
}

func (a *app) replayCommand() *cobra.Command {
	var flags replayFlags
	var format, out, shadow, rejects, summary string
	cmd := &cobra.Command{
		Use:   "replay FILE...",
		Short: "Run policies over recorded traffic",
		Long: `Run policies over recorded traffic and print the signals, one JSON document a line. Files are NDJSON, plain,
.gz or .zst; "-" is standard input. A line is a record as 'engine record' writes it, {"key": host, "ts": time,
"value": event}, or a bare event. The same files, policies and configuration give the same bytes.`,
		Example: "  engine replay traffic.ndjson.zst\n" +
			"  engine replay --policies policies/ -o signals.ndjson --summary summary.json day1.ndjson.gz day2.ndjson.gz",
		Args: someArgs("FILE"),
		RunE: func(cmd *cobra.Command, files []string) (err error) {
			if format != "value" && format != "record" {
				return &usageError{fmt.Errorf("--format is value or record, not %q", format), cmd.CommandPath()}
			}
			cfg, set, err := flags.load(a)
			if err != nil {
				return err
			}
			if err := apart(files, out, shadow, rejects, summary); err != nil {
				return err
			}
			sink := file.SinkConfig{Records: format == "record"}
			closeAll := func() error { return nil }
			for _, o := range []struct {
				path string
				into *io.Writer
			}{{out, &sink.Signals}, {shadow, &sink.Shadow}, {rejects, &sink.Rejects}} {
				if o.path == "" {
					continue
				}
				w, err := a.create(o.path)
				if err != nil {
					return err
				}
				*o.into = w
				before := closeAll
				closeAll = func() error { return firstError(before(), w.Close()) }
			}
			defer func() { err = firstError(err, closeAll()) }()

			start := time.Now()
			eng := pipeline.New(cfg.Pipeline(), set, nil)
			told := faults{w: a.stderr}
			if err := a.replay(cmd.Context(), eng, files, &told, file.NewSink(sink)); err != nil {
				return err
			}
			s := summarize(eng, time.Since(start))
			if summary != "" {
				if err := a.writeJSON(summary, s); err != nil {
					return err
				}
			}
			if isTerminal(a.stderr) {
				fmt.Fprintf(a.stderr, "%d events, %d rejected, %d signals in %.1f s (%.0f events/s)\n",
					s.Events, s.Rejected, s.Signals, s.ElapsedSeconds, s.EventsPerSecond)
			}
			return told.end()
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVar(&format, "format", "value", "value: signals alone; record: with time, key and headers, to be read again")
	cmd.Flags().StringVarP(&out, "output", "o", "-", "file for the signals (.gz and .zst compress), - is standard output")
	cmd.Flags().StringVar(&shadow, "shadow", "", "file for the signals of shadow rules")
	cmd.Flags().StringVar(&rejects, "rejects", "", "file for what could not be evaluated, as records")
	cmd.Flags().StringVar(&summary, "summary", "", "file for the summary, JSON")
	return cmd
}

// apart refuses outputs that are one of the inputs, which making them would empty, or one another. Inputs that are
// not there are found before any output is made.
func apart(inputs []string, outputs ...string) error {
	var taken []os.FileInfo
	for _, in := range inputs {
		if in == file.Stdin {
			continue
		}
		info, err := os.Stat(in)
		if err != nil {
			return err
		}
		taken = append(taken, info)
	}
	seen := map[string]bool{}
	for _, out := range outputs {
		if out == "" || out == file.Stdin {
			continue
		}
		out = filepath.Clean(out)
		info, err := os.Stat(out)
		if err == nil && info.Mode().IsRegular() && slices.ContainsFunc(taken, func(in os.FileInfo) bool { return os.SameFile(in, info) }) {
			return fmt.Errorf("%s is read and would be overwritten: give the output another name", out)
		}
		if err == nil && !info.Mode().IsRegular() {
			continue // a pipe, or /dev/null for several
		}
		if seen[out] {
			return fmt.Errorf("two outputs go to %s: give them different names", out)
		}
		seen[out] = true
	}
	return nil
}

// replay runs the files through eng with a progress bar, and tells of what could not be read.
func (a *app) replay(ctx context.Context, eng *pipeline.Engine, files []string, told *faults, out pipeline.Committer) error {
	told.bar = newProgress(a.stderr)
	defer told.bar.done()
	_, err := file.Replay(ctx, eng, files, file.Options{Stdin: a.stdin, Fault: told.add, Progress: told.bar.set}, out)
	return err
}

// Summary is what a replay did, as --summary writes it.
type Summary struct {
	Events          int64            `json:"events"`
	Rejected        int64            `json:"rejected"`
	Signals         int64            `json:"signals"`
	RuleMatches     map[string]int64 `json:"rule_matches"`
	ElapsedSeconds  float64          `json:"elapsed_seconds"`
	EventsPerSecond float64          `json:"events_per_second"`
	Lineage         lineageSummary   `json:"lineage"`
}

type lineageSummary struct {
	Hit       int64 `json:"hit"`
	Unknown   int64 `json:"unknown"`
	Reused    int64 `json:"reused"`
	Ambiguous int64 `json:"ambiguous"`
	NoHost    int64 `json:"nohost"`
}

func summarize(eng *pipeline.Engine, elapsed time.Duration) Summary {
	c := eng.Counters()
	return Summary{
		Events: c.Events, Rejected: c.Rejected, Signals: c.Signals, RuleMatches: c.RuleMatches,
		ElapsedSeconds:  elapsed.Seconds(),
		EventsPerSecond: float64(c.Events) / max(elapsed.Seconds(), 1e-9),
		Lineage:         lineageSummary(c.Lineage),
	}
}

// create opens a file to write, compressed as its ending says; "-" is standard output.
func (a *app) create(path string) (io.WriteCloser, error) {
	if path == file.Stdin {
		return nopCloser{a.stdout}, nil
	}
	return file.CreateText(path)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func (a *app) writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if path == file.Stdin {
		_, err = a.stdout.Write(b)
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
