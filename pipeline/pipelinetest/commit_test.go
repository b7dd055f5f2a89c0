package pipelinetest_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"spoor/pipeline"
	"spoor/pipeline/changelog"
	"spoor/pipeline/pipelinetest"
)

// A commit makes four requests and no more, and a position that moved over control records alone makes none.
func TestRequestsOfACommit(t *testing.T) {
	records := traffic(rand.New(rand.NewPCG(8, 8)), 10)
	w := newWorld(t, tiny(), true, records, compile(t))
	w.member.Cluster.Skip(3)
	var got []string
	w.member.Fate = func(op pipelinetest.Op, w pipelinetest.When, _ func()) error {
		if w == pipelinetest.After {
			got = append(got, string(op))
		}
		return nil
	}
	if died, err := w.member.Live(); died || err != nil {
		t.Fatal(died, err)
	}
	const commit = " publish append send_offset end"
	if want := "init bounds read committed owned" + commit + commit; strings.Join(got, " ") != want {
		t.Errorf("requests: %s\nwant      %s", got, want)
	}
	if next, _ := w.member.Cluster.Offset(); next != records[9].Offset+1 {
		t.Errorf("the group's offset is %d, the last record's %d", next, records[9].Offset)
	}
}

// What a member remembers of its own commits, and of those that it knows were aborted, it need not read again.
func TestOwnCommitsAreNotRead(t *testing.T) {
	w := newWorld(t, tiny(), true, traffic(rand.New(rand.NewPCG(8, 8)), 40), compile(t))
	w.member.Process = new(pipelinetest.Process)
	var starts []string
	w.member.Opened = func(s changelog.Start) {
		starts = append(starts, fmt.Sprintf("%v %d at %d", s.Warm, s.Records, s.Next))
	}
	aborted := pipelinetest.Strike{Op: pipelinetest.OpEnd, When: pipelinetest.Before, Nth: 3, Err: errBroken}
	if died, err := w.member.Live(aborted); died || err != nil {
		t.Fatal(died, err)
	}
	if died, err := w.member.Live(); died || err != nil {
		t.Fatal(died, err)
	}
	if got := strings.Join(starts, ", "); got != "false 0 at 0, true 0 at 10, true 0 at 54" {
		t.Errorf("starts: %s", got)
	}
}

// A commit without a record is one all the same when it has something to tell: that the state was thrown away, since an
// operator moved back to where the log has a gap, or what tighter bounds took away when it was restored.
func TestCommitsWithoutRecords(t *testing.T) {
	records := traffic(rand.New(rand.NewPCG(8, 8)), 40)
	for i := range records {
		records[i].Offset = int64(i + i/5*5) // a gap after every fifth
	}
	for name, set := range map[string]func(w *world, tight *pipelinetest.Member){
		"moved backwards": func(w *world, _ *pipelinetest.Member) { w.member.Cluster.SetOffset(25) },
		"tighter bounds":  func(_ *world, tight *pipelinetest.Member) { tight.Config.State.MaxNodes = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, roomy(), true, records, compile(t))
			if died, err := w.member.Live(pipelinetest.Strike{Op: pipelinetest.OpAppend, When: pipelinetest.After, Nth: 5}); !died || err != nil {
				t.Fatal(died, err)
			}
			var ticks atomic.Int64
			again := w.member
			again.Process = new(pipelinetest.Process)
			again.Config.Clock = func() time.Time { return time.Unix(0, ticks.Add(1)) }
			again.Config.CommitInterval = 1
			size := 0 // of the first fetch: over the gap
			again.Size = func() int { defer func() { size = 5 }(); return size }
			set(w, &again)
			if died, err := again.Live(); died || err != nil {
				t.Fatal(died, err)
			}
			state, err := w.member.State()
			if err != nil {
				t.Fatal(err)
			}
			p := again.Process.Partition()
			if got := pipelinetest.Describe(p, p.Next()); got != state {
				t.Errorf("the state is\n%s\nin the changelog\n%s", got, state)
			}
		})
	}
}

// A state that was thrown away is thrown away in the changelog or not at all: whatever fails of the requests that find out
// what is there.
func TestStateLostAndARequestFails(t *testing.T) {
	records := traffic(rand.New(rand.NewPCG(8, 8)), 40)
	for _, op := range []pipelinetest.Op{pipelinetest.OpOwned, pipelinetest.OpInit, pipelinetest.OpBounds, pipelinetest.OpRead} {
		for _, when := range []pipelinetest.When{pipelinetest.Before, pipelinetest.Middle, pipelinetest.After} {
			cfg := roomy()
			cfg.Probe = func(l *pipeline.Look) {
				if l.Stage == pipeline.StageEnrich && l.Offset == records[22].Offset {
					panic("half way")
				}
			}
			w := newWorld(t, cfg, true, records, compile(t))
			// The first of each request is the start's.
			if died, err := w.member.Live(pipelinetest.Strike{Op: op, When: when, Nth: 2, Err: errBroken}); died || err != nil {
				t.Fatal(died, err)
			}
			if err := w.same(); err != nil {
				t.Errorf("%s %s: %v", op, when, err)
			}
		}
	}
}

// Nor is it half thrown away when a commit fails: the one that tells it, or the one before, which is under way meanwhile.
func TestStateLostAndACommitFails(t *testing.T) {
	records := traffic(rand.New(rand.NewPCG(8, 8)), 40)
	for nth := 1; nth <= 8; nth++ {
		failed := pipelinetest.Strike{Op: pipelinetest.OpEnd, When: pipelinetest.Before, Nth: nth, Err: errBroken}
		for _, at := range []int{20, 27, 35} {
			cfg := roomy()
			cfg.CommitRecords = 1 + at/4
			cfg.Probe = func(l *pipeline.Look) {
				if l.Stage == pipeline.StageEnrich && l.Offset == records[at].Offset {
					panic("half way")
				}
			}
			w := newWorld(t, cfg, true, records, compile(t))
			if died, err := w.member.Live(failed); died || err != nil {
				t.Fatal(died, err)
			}
			if err := w.same(); err != nil {
				t.Errorf("panic at record %d, commit %d fails: %v", at, nth, err)
			}
		}
		w := halfOf(t, roomy())
		w.member.Process = new(pipelinetest.Process)
		w.member.Cluster.SetOffset(0)
		if died, err := w.member.Live(failed); died || err != nil {
			t.Fatal(died, err)
		}
		state, err := w.member.State()
		if err != nil {
			t.Fatal(err)
		}
		if state != w.state {
			t.Errorf("moved back, commit %d fails: the state is\n%s\nshould be\n%s", nth, state, w.state)
		}
	}
}

// What becomes of a commit whose answer is lost is read again until it is known, whatever fails in between.
func TestDoubtAndARequestFails(t *testing.T) {
	records := traffic(rand.New(rand.NewPCG(8, 8)), 40)
	for _, committed := range []bool{true, false} {
		for _, op := range []pipelinetest.Op{pipelinetest.OpOwned, pipelinetest.OpInit, pipelinetest.OpBounds, pipelinetest.OpRead} {
			for _, when := range []pipelinetest.When{pipelinetest.Before, pipelinetest.Middle, pipelinetest.After} {
				w := newWorld(t, tiny(), true, records, compile(t))
				lost := pipelinetest.Strike{Op: pipelinetest.OpEnd, When: pipelinetest.Before, Nth: 3, Err: errBroken}
				if committed {
					lost.When = pipelinetest.After
				}
				if died, err := w.member.Live(lost, pipelinetest.Strike{Op: op, When: when, Nth: 2, Err: errBroken}); died || err != nil {
					t.Fatal(died, err)
				}
				if err := w.same(); err != nil {
					t.Errorf("committed %v, %s %s: %v", committed, op, when, err)
				}
			}
		}
	}
}

// Another's commit that has the number, the position, the policies and the time that ours would have had is not ours: what it
// remembers may differ, as its bounds do here.
func TestTheSameCommitOfAnother(t *testing.T) {
	records := traffic(rand.New(rand.NewPCG(8, 8)), 40)
	w := newWorld(t, roomy(), true, records, compile(t))
	w.member.Process = new(pipelinetest.Process)
	c := w.member.Cluster
	var causes []changelog.Cause
	w.member.Opened = func(s changelog.Start) { causes = append(causes, s.Cause) }
	ends := 0
	w.member.Fate = func(op pipelinetest.Op, at pipelinetest.When, _ func()) error {
		if op != pipelinetest.OpEnd || at != pipelinetest.Before {
			return nil
		}
		if ends++; ends != 3 {
			return nil
		}
		ctx := context.Background()
		cfg := w.member.Config
		cfg.State.MaxNodes = 2
		p := w.member.Engine(cfg).Partition(pipeline.TopicPartition{Topic: pipelinetest.Topic}, "")
		// The group has not noticed: it is in the same generation.
		other, start, err := changelog.Open(ctx, &pipelinetest.Conn{Cluster: c, Generation: 1}, p, changelog.NewReplica(), changelog.Options{Inside: true})
		if err != nil {
			return err
		}
		at5 := slices.IndexFunc(records, func(r pipeline.Record) bool { return r.Offset >= start.Next }) + 5
		b := pipelinetest.NewBroker(records[:at5]...)
		b.Next = start.Next
		if err := p.Run(ctx, b.Source(nil), other); err != nil {
			return fmt.Errorf("the other: %w", err)
		}
		return errBroken
	}
	if died, err := w.member.Live(); died || err != nil {
		t.Fatal(died, err)
	}
	if fmt.Sprint(causes) != "[none marker]" {
		t.Errorf("causes %v: another's commit was taken for ours", causes)
	}
	state, err := w.member.State()
	if err != nil {
		t.Fatal(err)
	}
	p := w.member.Process.Partition()
	if got := pipelinetest.Describe(p, p.Next()); got != state {
		t.Errorf("the state is\n%s\nin the changelog\n%s", got, state)
	}
}
