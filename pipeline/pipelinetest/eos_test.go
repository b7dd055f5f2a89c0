package pipelinetest_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/fstest"
	"time"

	"spoor/pipeline"
	"spoor/pipeline/changelog"
	"spoor/pipeline/pipelinetest"
	"spoor/rules"
	"spoor/rules/policy"
)

// tiny are bounds so small that nearly every event evicts.
func tiny() pipeline.Config {
	cfg := pipeline.DefaultConfig()
	cfg.EngineVersion = "v0"
	cfg.CommitInterval = 1 << 62 // batches end by records: with the log's positions, whatever happens
	cfg.CommitRecords = 5
	cfg.State.MaxNodes = 4
	cfg.State.MaxAncestors, cfg.Enrich.MaxAncestors = 3, 3
	cfg.State.ExitedTTL, cfg.State.TouchInterval = 20*time.Second, 5*time.Second
	return cfg
}

// otherSet differs from compile's in what it matches and in its hash.
func otherSet(tb testing.TB) *rules.Set {
	tb.Helper()
	p, diags := policy.LoadFS(fstest.MapFS{"test.yaml": {Data: []byte(crashPolicy + `
  - id: child_of_anyone
    expression: evt.name == "exec" and process.parent.executable.name != ""
    severity: critical
`)}})
	if p == nil {
		tb.Fatal(diags)
	}
	set, diags := rules.Compile(p)
	if set == nil {
		tb.Fatal(diags)
	}
	return set
}

// world is one scenario: records, a config, policies that change with the position, and what an undisturbed run
// makes of them.
type world struct {
	member pipelinetest.Member
	want   *pipelinetest.Cluster
	state  string
}

func newWorld(tb testing.TB, cfg pipeline.Config, inside bool, records []pipeline.Record, sets ...*rules.Set) *world {
	tb.Helper()
	w := &world{member: pipelinetest.Member{
		Config: cfg, Inside: inside,
		Engine: func(cfg pipeline.Config) *pipeline.Engine { return pipeline.New(cfg, sets[0], nil) },
		Reload: func(e *pipeline.Engine, position int64) { e.Swap(sets[int(position/11)%len(sets)]) },
	}}
	w.want = pipelinetest.NewCluster(records...)
	calm := w.member
	calm.Cluster, calm.Process = w.want, new(pipelinetest.Process)
	if died, err := calm.Live(); died || err != nil {
		tb.Fatal(died, err)
	}
	w.state = pipelinetest.Describe(calm.Process.Partition(), calm.Process.Partition().Next())
	w.member.Cluster = pipelinetest.NewCluster(records...)
	return w
}

// same holds what the disturbed run left against the undisturbed one.
func (w *world) same() error {
	got := w.member.Cluster
	var err error
	if w.member.Inside {
		err = sameOutputs(w.want, got)
	} else {
		err = repeatedOutputs(w.want, []*pipelinetest.Cluster{w.want}, got)
	}
	if err != nil {
		return err
	}
	state, err := w.member.State()
	if err != nil {
		return err
	}
	if state != w.state {
		return fmt.Errorf("the state is\n%s\nshould be\n%s", state, w.state)
	}
	wantNext, wantMeta := w.want.Offset()
	if next, meta := got.Offset(); next != wantNext || meta != wantMeta {
		return fmt.Errorf("the group's offset is %d %q, should be %d %q", next, meta, wantNext, wantMeta)
	}
	return nil
}

var ops = []pipelinetest.Op{pipelinetest.OpInit, pipelinetest.OpBounds, pipelinetest.OpRead, pipelinetest.OpCommitted, pipelinetest.OpPublish,
	pipelinetest.OpAppend, pipelinetest.OpSendOffset, pipelinetest.OpEnd, pipelinetest.OpOwned}

var whens = []pipelinetest.When{pipelinetest.Before, pipelinetest.Middle, pipelinetest.After}

var errBroken = errors.New("broken pipe")

// Every request of every commit and of every start, before, in the middle and after: the process dies there, or the
// request fails there. What is published, remembered and committed is that of an undisturbed run.
func TestExactlyOnceAtEveryStep(t *testing.T) {
	sets := []*rules.Set{compile(t), otherSet(t)}
	records := rough(rand.New(rand.NewPCG(4, 4)), 37)
	for _, inside := range []bool{true, false} {
		for _, op := range ops {
			for _, when := range whens {
				for _, cause := range []error{nil, errBroken} {
					t.Run(fmt.Sprintf("inside=%v/%s/%s/%v", inside, op, when, cause), func(t *testing.T) {
						struck := 0
						for nth := 1; nth <= 8; nth++ {
							w := newWorld(t, tiny(), inside, records, sets...)
							first := pipelinetest.Strike{Op: op, When: when, Nth: nth, Err: cause}
							// A commit in doubt makes the requests that only doubt makes.
							doubt := pipelinetest.Strike{Op: pipelinetest.OpEnd, When: pipelinetest.After, Nth: 2, Err: errBroken}
							died, err := w.member.Live(first, doubt)
							if err != nil {
								t.Fatalf("strike %d: %v", nth, err)
							}
							if died {
								struck++
								if died, err := w.member.Live(); died || err != nil {
									t.Fatal(died, err)
								}
							}
							if err := w.same(); err != nil {
								t.Fatalf("strike %d: %v", nth, err)
							}
						}
						twoHalves := op == pipelinetest.OpRead || op == pipelinetest.OpPublish || op == pipelinetest.OpAppend
						if cause == nil && struck == 0 && (when != pipelinetest.Middle || twoHalves) {
							t.Error("nothing was struck: the step is not passed")
						}
					})
				}
			}
		}
	}
}

// The harness must see what it is there to see: a member that keeps its state and loses a commit's changes.
func TestSchedulesSee(t *testing.T) {
	w := newWorld(t, tiny(), true, traffic(rand.New(rand.NewPCG(6, 6)), 40), compile(t))
	if died, err := w.member.Live(pipelinetest.Strike{Op: pipelinetest.OpEnd, When: pipelinetest.After, Nth: 4}); !died || err != nil {
		t.Fatal(died, err)
	}
	w.member.Cluster.LoseChangelog()
	var causes []changelog.Cause
	w.member.Opened = func(s changelog.Start) { causes = append(causes, s.Cause) }
	if died, err := w.member.Live(); died || err != nil {
		t.Fatal(died, err)
	}
	if fmt.Sprint(causes) != "[changelog_lost]" {
		t.Errorf("causes %v", causes)
	}
	if w.same() == nil {
		t.Error("a lost changelog is not seen")
	}
	for _, o := range w.want.Signals() {
		if bytes.Contains(o.Value, []byte(`"ancestors"`)) {
			return
		}
	}
	t.Error("no signal has ancestors")
}
