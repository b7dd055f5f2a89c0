// Package ruletest runs the tests that policies carry, through the real pipeline: the events of a test are
// records of one partition, and what matches is what that partition's evaluation says. It owns the times and
// hosts that test events get and the comparison with what the test expects; it decides nothing about rules.
// It imports pipeline and rules and nothing else of ours.
package ruletest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"spoor/pipeline"
	"spoor/rules"
)

// Outcome is how one test went. It passed when there are no failures.
type Outcome struct {
	Policy    string // its name
	Name      string
	File      string
	Line, Col int // of the test's name, from 1
	Failures  []Failure
}

// Failure is one thing that was not as expected.
type Failure struct {
	File      string
	Line, Col int    // of the expectation that failed, or of the event that matched and should not
	Message   string // lower case, no period
	// Explanation is why the rule did or did not match the event, term by term with values; it may have
	// several lines, and is empty when no rule is to blame.
	Explanation string
}

// The first event of a test is at start; each further one a second after the one before, unless it says
// `after` or has a date of its own.
const (
	start       = "2026-01-01T00:00:00Z"
	defaultHost = "test"
	topic       = "test"
)

// Run runs every test of set with cfg, the config of run, in policy order. Each test has a partition of its
// own, so it starts knowing nothing. Rules that are disabled are not held against what tests expect of them.
func Run(set *rules.Set, cfg pipeline.Config) []Outcome {
	r := runner{set: set, index: make(map[string]int)}
	for i, rule := range set.Rules() {
		r.index[rule.ID] = i
	}
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageEvaluate {
			r.current.saw(l)
		}
	}
	// A field that the schema lacks is a slip of the pen, and a test that must not match would pass for it.
	cfg.RejectUnknownFields = true
	// A test has few events, and one batch at the end is all that is read.
	cfg.CommitInterval = time.Hour
	engine := pipeline.New(cfg, set, nil)

	var outcomes []Outcome
	for _, t := range set.Tests() {
		c := newTestCase(&r, t.Policy.Name.Value, t.Name.Value, len(t.Events))
		c.out.File, c.out.Line, c.out.Col = t.Name.Span.File, t.Name.Span.Line, t.Name.Span.Col
		for i, rule := range set.Rules() {
			if rule.Source.Policy == t.Policy {
				c.own = append(c.own, i)
			}
		}
		at, err := time.Parse(time.RFC3339, start)
		if err != nil {
			panic(err) // the constant above
		}
		var records []pipeline.Record
		for i, e := range t.Events {
			c.events = append(c.events, place{e.Span.File, e.Span.Line, e.Span.Col})
			pause := time.Second
			if i == 0 {
				pause = 0
			}
			if e.After != "" {
				d, err := time.ParseDuration(e.After)
				if err != nil {
					c.fail(c.events[i], "", "after: %v", err)
				}
				pause = d
			}
			at = at.Add(pause)
			value := e.JSON
			value, at = dated(value, at)
			host := e.Host
			if host == "" {
				host = defaultHost
			}
			records = append(records, pipeline.Record{
				Offset: int64(i), Timestamp: at.UnixMilli(), Key: []byte(host), Value: value,
			})
		}
		for _, x := range t.Expect {
			i, ok := r.index[x.Rule.Value]
			if !ok {
				continue
			}
			c.expect[i] = x.Events
			c.where[i] = place{x.Rule.Span.File, x.Rule.Span.Line, x.Rule.Span.Col}
			if !slices.Contains(c.own, i) {
				c.own = append(c.own, i) // of another policy, which this one overrides
			}
		}
		r.current = c
		c.run(engine, records)
		for _, x := range t.ExpectException {
			if _, ok := r.index[x.Rule.Value]; ok && !c.decided[exception{x.Rule.Value, x.Exception.Value}] {
				s := x.Exception.Span
				c.fail(place{s.File, s.Line, s.Col}, "", "exception %q of rule %q decides on no event of the test", x.Exception.Value, x.Rule.Value)
			}
		}
		outcomes = append(outcomes, c.out)
	}
	return outcomes
}

// runner is what the tests of one Run share.
type runner struct {
	set     *rules.Set
	index   map[string]int // of a rule, by id
	current *testCase
}

// place is a position in a policy.
type place struct {
	file      string
	line, col int
}

type exception struct{ rule, name string }

// testCase is one test while it runs.
type testCase struct {
	*runner
	out     Outcome
	events  []place
	own     []int         // the rules that are held against the test
	expect  map[int][]int // by rule: the events it should match
	where   map[int]place // by rule: where the test says so
	decided map[exception]bool
}

func newTestCase(r *runner, policy, name string, events int) *testCase {
	return &testCase{
		runner: r, out: Outcome{Policy: policy, Name: name},
		expect: make(map[int][]int), where: make(map[int]place), decided: make(map[exception]bool),
	}
}

func (c *testCase) fail(at place, explanation, format string, args ...any) {
	c.out.Failures = append(c.out.Failures, Failure{
		File: at.file, Line: at.line, Col: at.col, Message: fmt.Sprintf(format, args...), Explanation: explanation,
	})
}

// saw compares what the rules said of one event with what the test expects. It is called in the pipeline,
// where the event still is what the rules saw.
func (c *testCase) saw(l *pipeline.Look) {
	n := int(l.Offset)
	all := c.set.Rules()
	took := make(map[int]string) // by rule: the exception that took a match out
	for _, x := range l.Result.Exceptions {
		name := all[x.Rule].Source.Exceptions[x.Exception].Name.Value
		took[x.Rule] = name
		c.decided[exception{all[x.Rule].ID, name}] = true
	}
	for _, i := range c.own {
		matched := slices.Contains(l.Result.Live, i) || slices.Contains(l.Result.Shadow, i)
		wanted := slices.Contains(c.expect[i], n)
		if matched == wanted {
			continue
		}
		id := all[i].ID
		why := explain(c.set, l.Event, i)
		switch {
		case matched:
			c.fail(c.events[n], why, "rule %q matches event %d and should not", id, n)
		case took[i] != "":
			c.fail(c.where[i], why, "rule %q should match event %d, but its exception %q holds", id, n, took[i])
		default:
			c.fail(c.where[i], why, "rule %q should match event %d and does not", id, n)
		}
	}
}

// run sends the records through the pipeline.
func (c *testCase) run(engine *pipeline.Engine, records []pipeline.Record) {
	p := engine.Partition(pipeline.TopicPartition{Topic: topic}, "")
	out := rejects{}
	ctx := context.Background()
	err := p.Step(ctx, pipeline.Fetch{Records: records, Next: int64(len(records)), End: -1}, &out)
	if err == nil {
		err = p.Flush(ctx, &out)
	}
	if err != nil {
		c.fail(place{c.out.File, c.out.Line, c.out.Col}, "", "the pipeline failed: %v", err)
	}
	for _, r := range out {
		c.fail(c.events[r.Offset], "", "event %d is rejected: %s: %s", r.Offset, r.Reason, r.Detail)
	}
	for _, i := range c.own {
		for _, n := range c.expect[i] {
			if n < 0 || n >= len(records) {
				c.fail(c.where[i], "", "event %d is expected to match, the test has %d events", n, len(records))
			}
		}
	}
}

// rejects is a Committer that keeps what was rejected.
type rejects []pipeline.Reject

func (r *rejects) Commit(_ context.Context, b *pipeline.Batch) error {
	*r = append(*r, b.Rejects...)
	for i := range *r {
		(*r)[i].Output = pipeline.Output{Offset: (*r)[i].Offset}
	}
	return nil
}

// dated gives the event the date at, unless it has one; it returns the event and the date it has now. A date
// that cannot be read is left for decode to reject.
func dated(value []byte, at time.Time) ([]byte, time.Time) {
	var has struct {
		Date *json.RawMessage `json:"date"`
	}
	if err := json.Unmarshal(value, &has); err != nil {
		return value, at
	}
	if has.Date != nil {
		if text, err := strconv.Unquote(string(*has.Date)); err == nil {
			if own, err := time.Parse(time.RFC3339Nano, text); err == nil {
				return value, own
			}
		}
		return value, at
	}
	rest := value[slices.Index(value, '{')+1:]
	comma := ","
	if i := slices.IndexFunc(rest, func(c byte) bool { return c != ' ' && c != '\n' && c != '\t' && c != '\r' }); i >= 0 && rest[i] == '}' {
		comma = ""
	}
	return fmt.Appendf(nil, `{"date":%q%s%s`, at.UTC().Format(time.RFC3339Nano), comma, rest), at
}
