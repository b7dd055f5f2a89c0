package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"spoor/pipeline"
	"spoor/pipeline/file"
	"spoor/rules"
	"spoor/rules/policy"
)

func (a *app) explainCommand() *cobra.Command {
	var flags replayFlags
	var rule, event string
	var record int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain --rule ID --event FILE",
		Short: "Say why a rule did or did not match an event",
		Long: `Print every condition of a rule with the values it saw in an event, and what decided. FILE holds the event as
JSON, or recorded traffic: then the events before it teach the lineage, and the last is explained unless --record
says which.`,
		Example: "  engine explain --rule office_spawns_shell --event event.json\n" +
			"  engine explain --policies policies/ --rule office_spawns_shell --event traffic.ndjson.zst --record 4711",
		Args: noArgs,
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
			why, err := a.explain(cmd.Context(), cfg.Pipeline(), set, rule, event, record)
			if err != nil {
				return err
			}
			if asJSON {
				return a.writeJSON(file.Stdin, why)
			}
			return why.Render(a.stdout, isTerminal(a.stdout))
		},
	}
	flags.register(cmd)
	cmd.Flags().StringVarP(&rule, "rule", "r", "", "id of the rule")
	cmd.Flags().StringVarP(&event, "event", "e", "", "file with the event; - is standard input")
	cmd.Flags().IntVar(&record, "record", 0, "which record of the file, from 1; default: the last")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// explain runs the file's records through a pipeline up to the one that is asked for, 0 being the last, and
// explains what rule made of that.
func (a *app) explain(ctx context.Context, cfg pipeline.Config, set *rules.Set, rule, name string, record int) (*rules.Explanation, error) {
	if err := findRule(set, rule); err != nil {
		return nil, err
	}
	path, stdin, err := a.eventFile(name, cfg.MaxRecordBytes)
	if err != nil {
		return nil, err
	}
	told := faults{w: a.stderr, bar: newProgress(a.stderr)}
	defer told.bar.done()
	r, err := file.Open([]string{path}, file.Options{Stdin: stdin, Fault: told.add, Progress: told.bar.set})
	if err != nil {
		return nil, err
	}
	defer r.Close()

	var why *rules.Explanation
	var failed error
	asked := false
	cfg.Probe = func(l *pipeline.Look) {
		if asked && l.Stage == pipeline.StageEvaluate {
			why, failed = set.Explain(l.Event, rule)
		}
	}
	eng := pipeline.New(cfg, set, nil)
	partitions := map[pipeline.TopicPartition]*pipeline.Partition{}
	// Which record is the last shows only behind it, so each waits for the next.
	var at pipeline.TopicPartition
	var waiting pipeline.Record
	var out lastReject
	step := func() error {
		p := partitions[at]
		if p == nil {
			p = eng.Partition(at, "")
			partitions[at] = p
		}
		next := waiting.Offset + 1
		return p.Step(ctx, pipeline.Fetch{Records: []pipeline.Record{waiting}, Next: next, End: next}, &out)
	}
	n := 0
	for record == 0 || n < record {
		line, err := r.Next()
		if err == io.EOF {
			break
		}
		if err == nil && n > 0 {
			err = step()
		}
		if err != nil {
			return nil, err
		}
		n++
		at, waiting = line.TopicPartition, cloneRecord(line.Record)
	}
	switch {
	case n == 0:
		return nil, fmt.Errorf("%s holds no event", name)
	case record > n:
		return nil, fmt.Errorf("%s holds %d records, not %d", name, n, record)
	}
	asked = true
	if err := firstError(step(), failed); err != nil {
		return nil, err
	}
	if why == nil {
		if err := partitions[at].Flush(ctx, &out); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("record %d of %s was rejected: %s", n, name, out.why)
	}
	return why, nil
}

// lastReject takes every batch and keeps why the last record that was rejected was.
type lastReject struct{ why string }

func (l *lastReject) Commit(_ context.Context, b *pipeline.Batch) error {
	if n := len(b.Rejects); n > 0 {
		l.why = fmt.Sprintf("%s: %s", b.Rejects[n-1].Reason, b.Rejects[n-1].Detail)
	}
	return nil
}

// findRule says that the set has no such rule before traffic is read.
func findRule(set *rules.Set, id string) error {
	ids := make([]string, len(set.Rules()))
	for i, r := range set.Rules() {
		if ids[i] = r.ID; r.ID == id {
			return nil
		}
	}
	if near := policy.Suggest(id, ids); near != "" {
		return fmt.Errorf("no enabled rule has the id %q; did you mean %q?", id, near)
	}
	return fmt.Errorf("no enabled rule has the id %q", id)
}

// eventFile is what to read for name: an event that stands over several lines, as tools print it, becomes one
// line of standard input; everything else is read as it is. most is the longest event.
func (a *app) eventFile(name string, most int) (path string, stdin io.Reader, err error) {
	stdin = a.stdin
	if name != file.Stdin {
		f, err := os.Open(name)
		if err != nil {
			return "", nil, err
		}
		if info, err := f.Stat(); err != nil || info.IsDir() || info.Mode().IsRegular() {
			defer f.Close()
			if text, err := io.ReadAll(io.LimitReader(f, int64(most)+1)); err == nil {
				if event := oneLine(text); event != nil {
					return file.Stdin, bytes.NewReader(event), nil
				}
			}
			return name, stdin, nil
		}
		stdin = f // a pipe can be read once only; it ends with the process
	}
	ahead := bufio.NewReaderSize(stdin, most+1)
	if text, err := ahead.Peek(most + 1); err == io.EOF {
		if event := oneLine(text); event != nil {
			return file.Stdin, bytes.NewReader(event), nil
		}
	}
	return file.Stdin, ahead, nil
}

// oneLine is text as one line when it is one JSON object over several, else nil.
func oneLine(text []byte) []byte {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))
	if len(text) == 0 || text[0] != '{' || bytes.IndexByte(text, '\n') < 0 {
		return nil
	}
	var line bytes.Buffer
	if json.Compact(&line, text) != nil {
		return nil
	}
	return line.Bytes()
}
