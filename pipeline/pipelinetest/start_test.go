package pipelinetest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"spoor/pipeline"
	"spoor/pipeline/changelog"
	"spoor/pipeline/event"
	"spoor/pipeline/pipelinetest"
	"spoor/pipeline/state"
)

// half is a world whose member died in its fifth commit: the marker is at 20, of 40 records.
func half(t *testing.T) *world {
	t.Helper()
	return halfOf(t, tiny())
}

// roomy are bounds under which nothing is forgotten.
func roomy() pipeline.Config {
	cfg := tiny()
	cfg.State.MaxNodes, cfg.State.ExitedTTL = 100, time.Hour
	return cfg
}

func halfOf(t *testing.T, cfg pipeline.Config) *world {
	t.Helper()
	records := traffic(rand.New(rand.NewPCG(8, 8)), 40)
	for i := range records {
		records[i].Offset = int64(i) // without gaps, so that positions are counts
	}
	w := newWorld(t, cfg, true, records, compile(t))
	if died, err := w.member.Live(pipelinetest.Strike{Op: pipelinetest.OpAppend, When: pipelinetest.After, Nth: 5}); !died || err != nil {
		t.Fatal(died, err)
	}
	if next, _ := w.member.Cluster.Offset(); next != 20 {
		t.Fatalf("the group's offset is %d", next)
	}
	return w
}

func (w *world) open(t *testing.T, p *pipeline.Partition, r *changelog.Replica, at func(pipelinetest.Op, pipelinetest.When) error) (changelog.Start, error) {
	t.Helper()
	conn := &pipelinetest.Conn{Cluster: w.member.Cluster, Generation: w.member.Cluster.Join(), At: at}
	_, s, err := changelog.Open(context.Background(), conn, p, r, changelog.Options{Fallback: func(context.Context) (int64, error) { return 7, nil }})
	return s, err
}

func (w *world) partition() *pipeline.Partition {
	return w.member.Engine(w.member.Config).Partition(pipeline.TopicPartition{Topic: pipelinetest.Topic}, "")
}

// The start table, row by row, but for what the log holds, which is the source's: see pipeline/kafka's tests of
// out_of_range and of a recreated topic.
func TestStartTable(t *testing.T) {
	cases := []struct {
		name   string
		set    func(c *pipelinetest.Cluster)
		want   int64
		cause  changelog.Cause
		states bool // the state is kept
	}{
		{"ours, marker", func(c *pipelinetest.Cluster) {}, 20, changelog.AtMarker, true},
		{"absent, marker", func(c *pipelinetest.Cluster) { c.SetOffset(-1) }, 20, changelog.AtMarker, true},
		{"ours, of another marker", func(c *pipelinetest.Cluster) { c.LateOffset(10) }, 20, changelog.Disagrees, true},
		{"an operator's, forwards", func(c *pipelinetest.Cluster) { c.SetOffset(30) }, 30, changelog.Forwards, true},
		{"an operator's, backwards", func(c *pipelinetest.Cluster) { c.SetOffset(3) }, 3, changelog.Backwards, false},
		{"an operator's, where it was", func(c *pipelinetest.Cluster) { c.SetOffset(20) }, 20, changelog.AtMarker, true},
		{"ours, no marker", func(c *pipelinetest.Cluster) { c.LoseChangelog() }, 20, changelog.MarkerLost, false},
		{"an operator's, no marker", func(c *pipelinetest.Cluster) { c.LoseChangelog(); c.SetOffset(11) }, 11, changelog.AtOffset, false},
		{"an operator's, at the beginning, no marker", func(c *pipelinetest.Cluster) { c.LoseChangelog(); c.SetOffset(0) }, 0, changelog.AtOffset, false},
		{"ours, reset", reset, 20, changelog.MarkerLost, false},
		{"absent, no marker", func(c *pipelinetest.Cluster) { c.LoseChangelog(); c.SetOffset(-1) }, 7, changelog.AtFallback, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := half(t)
			c.set(w.member.Cluster)
			p := w.partition()
			s, err := w.open(t, p, changelog.NewReplica(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if s.Next != c.want || s.Cause != c.cause || p.Next() != c.want {
				t.Errorf("starts at %d (%d) because of %s, want %d because of %s", s.Next, p.Next(), s.Cause, c.want, c.cause)
			}
			if changes, _ := p.Snapshot(); len(changes) > 0 != c.states {
				t.Errorf("%d entries of state", len(changes))
			}
		})
	}
}

// reset empties the changelog as an operator does.
func reset(c *pipelinetest.Cluster) {
	ctx := context.Background()
	conn := &pipelinetest.Conn{Cluster: c, Generation: c.Join()}
	image := changelog.NewImage(state.Config{})
	_, err := conn.Init(ctx)
	_, end, boundsErr := conn.Bounds(ctx)
	_, readErr := conn.Read(ctx, 0, end, image.Apply)
	_, appendErr := conn.Append(ctx, image.Reset())
	if err := errors.Join(err, boundsErr, readErr, appendErr, conn.End(ctx)); err != nil {
		panic(err)
	}
}

// A start that fails in any request says so, and the next one gives what a first would have given.
func TestStartFails(t *testing.T) {
	for _, op := range []pipelinetest.Op{pipelinetest.OpInit, pipelinetest.OpBounds, pipelinetest.OpRead, pipelinetest.OpCommitted, pipelinetest.OpOwned} {
		for _, when := range []pipelinetest.When{pipelinetest.Before, pipelinetest.After} {
			w := half(t)
			p, r := w.partition(), changelog.NewReplica()
			_, err := w.open(t, p, r, func(o pipelinetest.Op, at pipelinetest.When) error {
				if o == op && at == when {
					return errBroken
				}
				return nil
			})
			if !errors.Is(err, errBroken) {
				t.Errorf("%s %s fails: %v", op, when, err)
			}
			s, err := w.open(t, p, r, nil)
			if err != nil || s.Next != 20 || s.Cause != changelog.AtMarker {
				t.Errorf("%s %s: then %+v %v", op, when, s, err)
			}
			if got, want := pipelinetest.Describe(p, s.Next), w.fresh(t); got != want {
				t.Errorf("%s %s: the state is\n%s\nshould be\n%s", op, when, got, want)
			}
		}
	}
	w := half(t)
	w.member.Cluster.LoseChangelog()
	w.member.Cluster.SetOffset(-1)
	conn := &pipelinetest.Conn{Cluster: w.member.Cluster, Generation: w.member.Cluster.Join()}
	if _, s, err := changelog.Open(context.Background(), conn, w.partition(), changelog.NewReplica(),
		changelog.Options{Fallback: func(context.Context) (int64, error) { return 0, errBroken }}); !errors.Is(err, errBroken) {
		t.Errorf("no fallback: %+v %v", s, err)
	}
}

// fresh is what a member finds that remembers nothing.
func (w *world) fresh(t *testing.T) string {
	t.Helper()
	p := w.partition()
	s, err := w.open(t, p, changelog.NewReplica(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return pipelinetest.Describe(p, s.Next)
}

// An operator moves back and, before anything was committed, forth again: the state is that of the marker.
func TestMovedBackAndForth(t *testing.T) {
	w := half(t)
	p, r := w.partition(), changelog.NewReplica()
	for _, c := range []struct {
		offset int64
		cause  changelog.Cause
	}{{20, changelog.AtMarker}, {3, changelog.Backwards}, {20, changelog.AtMarker}} {
		w.member.Cluster.SetOffset(c.offset)
		if s, err := w.open(t, p, r, nil); err != nil || s.Cause != c.cause || s.Next != c.offset {
			t.Fatalf("%d: %+v %v", c.offset, s, err)
		}
	}
	if got, want := pipelinetest.Describe(p, 20), w.fresh(t); got != want {
		t.Errorf("the state is\n%s\nshould be\n%s", got, want)
	}
}

// An operator moves back: the state is discarded, also in the changelog, so that a restart after the next commit does
// not bring it back; and before it, the operator's word still counts.
func TestMovedBackwards(t *testing.T) {
	w := half(t)
	w.member.Cluster.SetOffset(0)
	var causes []string
	w.member.Opened = func(s changelog.Start) { causes = append(causes, string(s.Cause)) }
	for _, strike := range []pipelinetest.Strike{
		{Op: pipelinetest.OpEnd, When: pipelinetest.Before, Nth: 1}, {Op: pipelinetest.OpEnd, When: pipelinetest.After, Nth: 2}, {Nth: 0},
	} {
		if _, err := w.member.Live(strike); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(causes, " "); got != "moved_backwards moved_backwards marker" {
		t.Errorf("causes: %s", got)
	}
	state, err := w.member.State()
	if err != nil {
		t.Fatal(err)
	}
	if state != w.state {
		t.Errorf("the state is\n%s\nshould be that of a run from the beginning\n%s", state, w.state)
	}
}

// A member that keeps its state reads only what came since; and all of it when the changelog is another one.
func TestWarmReadsTheRest(t *testing.T) {
	w := half(t)
	p, r := w.partition(), changelog.NewReplica()
	s, err := w.open(t, p, r, nil)
	if err != nil || s.Warm || s.Records == 0 {
		t.Fatalf("%+v %v", s, err)
	}
	// Nothing happened in between: nothing is read.
	if s, err = w.open(t, p, r, nil); err != nil || !s.Warm || s.Records != 0 || s.Next != 20 {
		t.Fatalf("%+v %v", s, err)
	}
	// Another member went on: the rest is read, onto what is there.
	if died, err := w.member.Live(); died || err != nil {
		t.Fatal(died, err)
	}
	if s, err = w.open(t, p, r, nil); err != nil || !s.Warm || s.Records == 0 {
		t.Fatalf("%+v %v", s, err)
	}
	if got := pipelinetest.Describe(p, s.Next); got != w.state {
		t.Errorf("the state is\n%s\nshould be\n%s", got, w.state)
	}
	// The changelog was made anew, and is shorter.
	w.member.Cluster.LoseChangelog()
	if s, err = w.open(t, p, r, nil); err != nil || s.Warm || s.Cause != changelog.MarkerLost {
		t.Fatalf("%+v %v", s, err)
	}
	if changes, _ := p.Snapshot(); len(changes) != 0 {
		t.Errorf("%d entries of state that nobody knows any more", len(changes))
	}
}

// The rest is read on top by whoever remembers, also when the reading fails at first: before it has begun, nothing is read
// again; at its end, what was read is not taken for the state before it is whole.
func TestTheRestIsCutOff(t *testing.T) {
	for _, when := range []pipelinetest.When{pipelinetest.Before, pipelinetest.Middle, pipelinetest.After} {
		w := half(t)
		p, r := w.partition(), changelog.NewReplica()
		if _, err := w.open(t, p, r, nil); err != nil {
			t.Fatal(err)
		}
		if died, err := w.member.Live(); died || err != nil {
			t.Fatal(died, err)
		}
		if s, err := w.open(t, p, r, func(op pipelinetest.Op, at pipelinetest.When) error {
			if op == pipelinetest.OpRead && at == when {
				return errBroken
			}
			return nil
		}); !errors.Is(err, errBroken) {
			t.Fatalf("%s: %+v %v", when, s, err)
		}
		s, err := w.open(t, p, r, nil)
		if err != nil || when == pipelinetest.Before && !s.Warm {
			t.Fatalf("%s: %+v %v", when, s, err)
		}
		if got := pipelinetest.Describe(p, s.Next); got != w.state {
			t.Errorf("%s: the state is\n%s\nshould be\n%s", when, got, w.state)
		}
	}
}

// What is remembered under tighter bounds than it was written under is caught up as any other, before a commit has told what the
// bounds took away; and that commit tells it.
func TestTheRestUnderTighterBounds(t *testing.T) {
	w := newWorld(t, roomy(), true, traffic(rand.New(rand.NewPCG(8, 8)), 40), compile(t))
	tight := w.member
	tight.Config.State.MaxNodes = 3
	tight.Process = new(pipelinetest.Process)
	var warm []bool
	tight.Opened = func(s changelog.Start) { warm = append(warm, s.Warm) }
	if died, err := w.member.Live(pipelinetest.Strike{Op: pipelinetest.OpAppend, When: pipelinetest.After, Nth: 4}); !died || err != nil {
		t.Fatal(died, err)
	}
	lost := pipelinetest.Strike{Op: pipelinetest.OpPublish, When: pipelinetest.Before, Nth: 1, Held: make(chan struct{}), Hold: make(chan struct{})}
	go func() {
		<-lost.Held
		defer close(lost.Hold)
		if died, err := w.member.Live(pipelinetest.Strike{Op: pipelinetest.OpAppend, When: pipelinetest.After, Nth: 3}); !died || err != nil {
			t.Error(died, err)
		}
	}()
	if died, err := tight.Live(lost); died || !pipelinetest.Lost(err) {
		t.Fatal(died, err)
	}
	if died, err := tight.Live(); died || err != nil {
		t.Fatal(died, err)
	}
	if len(warm) != 2 || warm[0] || !warm[1] {
		t.Errorf("warm: %v", warm)
	}
	state, err := w.member.State() // under the wide bounds: all that the changelog holds
	if err != nil {
		t.Fatal(err)
	}
	if got := pipelinetest.Describe(tight.Process.Partition(), tight.Process.Partition().Next()); got != state {
		t.Errorf("the state is\n%s\nin the changelog\n%s", got, state)
	}
}

// The changelog was made anew, and is longer by now than the one that is remembered.
func TestAnotherChangelog(t *testing.T) {
	w := half(t)
	p, r := w.partition(), changelog.NewReplica()
	if _, err := w.open(t, p, r, nil); err != nil {
		t.Fatal(err)
	}
	w.member.Cluster.LoseChangelog()
	w.member.Config.CommitRecords = 1
	if died, err := w.member.Live(); died || err != nil {
		t.Fatal(died, err)
	}
	s, err := w.open(t, p, r, nil)
	if err != nil || s.Warm || s.Cause != changelog.AtMarker {
		t.Fatalf("%+v %v", s, err)
	}
	want, err := w.member.State()
	if err != nil {
		t.Fatal(err)
	}
	if got := pipelinetest.Describe(p, s.Next); got != want {
		t.Errorf("the state is\n%s\nshould be\n%s", got, want)
	}
}

// The changelog was made anew, and ends just where the one that is remembered did: there is nothing to read that would
// tell, but the group's offset is another marker's.
func TestAnotherChangelogOfTheSameLength(t *testing.T) {
	w := half(t)
	c := w.member.Cluster
	p, r := w.partition(), changelog.NewReplica()
	if _, err := w.open(t, p, r, nil); err != nil {
		t.Fatal(err)
	}
	conn := &pipelinetest.Conn{Cluster: c}
	_, was, err := conn.Bounds(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	c.LoseChangelog()
	if died, err := w.member.Live(pipelinetest.Strike{Op: pipelinetest.OpEnd, When: pipelinetest.After, Nth: 2}); !died || err != nil {
		t.Fatal(died, err)
	}
	if _, err := conn.Init(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, end, err := conn.Bounds(context.Background())
	if err != nil || end > was-2 {
		t.Fatal(end, was, err)
	}
	var fill []changelog.Record
	for range was - end - 1 { // the transaction's end takes an offset
		fill = append(fill, changelog.Record{Key: []byte{'p', 1, 'h', 2, 2}})
	}
	if _, err := conn.Append(context.Background(), fill); err != nil {
		t.Fatal(err)
	}
	if err := conn.End(context.Background()); err != nil {
		t.Fatal(err)
	}
	s, err := w.open(t, p, r, nil)
	if err != nil || s.Warm || s.Next != 30 {
		t.Fatalf("%+v %v", s, err)
	}
	fresh := w.partition()
	if _, err := w.open(t, fresh, changelog.NewReplica(), nil); err != nil {
		t.Fatal(err)
	}
	if got, want := pipelinetest.Describe(p, s.Next), pipelinetest.Describe(fresh, s.Next); got != want {
		t.Errorf("the state is\n%s\nshould be\n%s", got, want)
	}
}

// A member stands still in each request of a start, another takes over, and it wakes up: with outputs outside of the
// transaction nothing fences what it publishes, so it must not begin with a state and a position that do not belong
// together.
func TestZombieInAStart(t *testing.T) {
	for _, op := range []pipelinetest.Op{pipelinetest.OpInit, pipelinetest.OpBounds, pipelinetest.OpRead, pipelinetest.OpCommitted, pipelinetest.OpOwned} {
		for _, when := range []pipelinetest.When{pipelinetest.Before, pipelinetest.After} {
			cfg := tiny()
			cfg.State.MaxNodes, cfg.State.ExitedTTL = 100, time.Hour // who begins with nothing knows less
			w := newWorld(t, cfg, false, rough(rand.New(rand.NewPCG(12, 12)), 60), compile(t))
			held, hold := make(chan struct{}), make(chan struct{})
			over := make(chan error, 1)
			zombie := w.member
			go func() {
				_, err := zombie.Live(pipelinetest.Strike{Op: op, When: when, Nth: 1, Held: held, Hold: hold})
				over <- err
			}()
			select {
			case <-held:
			case err := <-over:
				t.Fatalf("%s %s: not passed: %v", op, when, err)
			}
			if died, err := w.member.Live(pipelinetest.Strike{Op: pipelinetest.OpEnd, When: pipelinetest.After, Nth: 5}); !died || err != nil {
				t.Fatal(died, err)
			}
			close(hold)
			if err := <-over; err != nil && !pipelinetest.Lost(err) {
				t.Fatal(err)
			}
			if died, err := w.member.Live(); died || err != nil {
				t.Fatal(died, err)
			}
			if err := w.same(); err != nil {
				t.Errorf("%s %s: %v", op, when, err)
			}
		}
	}
}

// The changelog is deleted while a member commits to it: the next commit finds it at another position than it left it,
// and does not put changes there that are relative to what is gone.
func TestChangelogMadeAnewUnderAMember(t *testing.T) {
	for _, when := range []pipelinetest.When{pipelinetest.Before, pipelinetest.Middle, pipelinetest.After} {
		for nth := 2; nth <= 4; nth++ {
			w := half(t)
			appends := 0
			w.member.Fate = func(op pipelinetest.Op, at pipelinetest.When, _ func()) error {
				if op == pipelinetest.OpAppend && at == when {
					if appends++; appends == nth {
						w.member.Cluster.LoseChangelog()
					}
				}
				return nil
			}
			var causes []changelog.Cause
			w.member.Opened = func(s changelog.Start) { causes = append(causes, s.Cause) }
			kept := new(pipelinetest.Process)
			w.member.Process = kept
			if died, err := w.member.Live(); died || err != nil {
				t.Fatal(died, err)
			}
			if appends < nth || len(causes) != 2 || causes[1] != changelog.MarkerLost {
				t.Errorf("%s append %d of %d: causes %v", when, nth, appends, causes)
			}
			want, err := w.member.State()
			if err != nil {
				t.Fatalf("%s append %d: %v", when, nth, err)
			}
			if got := pipelinetest.Describe(kept.Partition(), kept.Partition().Next()); got != want {
				t.Errorf("%s append %d: the state is\n%s\nin the changelog\n%s", when, nth, got, want)
			}
			got := pipelinetest.IDs(w.member.Cluster.Signals())
			if len(got) != len(w.member.Cluster.Signals()) {
				t.Errorf("%s append %d: signals twice", when, nth)
			}
		}
	}
}

// Changes without a marker, which somebody else wrote, are nobody's state, and the first commit takes them out: also
// that of a member which had seen them in an earlier generation, or in a restore whose end was not heard of.
func TestChangesWithoutAMarker(t *testing.T) {
	for name, before := range map[string]func(t *testing.T, conn *pipelinetest.Conn, run func() error){
		"an earlier generation": func(t *testing.T, _ *pipelinetest.Conn, run func() error) {
			if err := run(); err != nil {
				t.Fatal(err)
			}
		},
		"a restore that failed at its end": func(t *testing.T, conn *pipelinetest.Conn, run func() error) {
			conn.At = func(op pipelinetest.Op, when pipelinetest.When) error {
				if op == pipelinetest.OpRead && when == pipelinetest.After {
					return errBroken
				}
				return nil
			}
			if err := run(); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := halfOf(t, roomy())
			c := w.member.Cluster
			p := w.partition()
			if _, err := w.open(t, p, changelog.NewReplica(), nil); err != nil {
				t.Fatal(err)
			}
			changes, _ := p.Snapshot()
			c.LoseChangelog()
			conn := &pipelinetest.Conn{Cluster: c, Generation: c.Join()}
			if _, err := conn.Init(context.Background()); err != nil {
				t.Fatal(err)
			}
			var records []changelog.Record
			for _, ch := range changes {
				records = append(records, changelog.Record(ch))
			}
			if _, err := conn.Append(context.Background(), records); err != nil {
				t.Fatal(err)
			}
			if err := conn.End(context.Background()); err != nil {
				t.Fatal(err)
			}
			kept := new(pipelinetest.Process)
			w.member.Process = kept
			conn = &pipelinetest.Conn{Cluster: c, Generation: c.Join()}
			before(t, conn, func() error {
				return kept.Run(context.Background(), conn, w.partition,
					func(changelog.Start) pipeline.Source { return pipelinetest.NewBroker().Source(nil) }, changelog.Options{})
			})
			none := w.partition()
			if _, err := w.open(t, none, changelog.NewReplica(), nil); err != nil {
				t.Fatal(err)
			}
			if changes, _ := none.Snapshot(); len(changes) > 0 {
				t.Errorf("%d entries of state that are nobody's", len(changes))
			}
			if died, err := w.member.Live(); died || err != nil {
				t.Fatal(died, err)
			}
			want, err := w.member.State()
			if err != nil {
				t.Fatal(err)
			}
			if got := pipelinetest.Describe(kept.Partition(), kept.Partition().Next()); got != want {
				t.Errorf("the state is\n%s\nin the changelog\n%s", got, want)
			}
		})
	}
}

// A restore that is cut off goes on where it was, also one of a compacted changelog, whose marker is at its end. When
// nothing is left that would prove it, it begins anew.
func TestHalfDoneRestore(t *testing.T) {
	for name, c := range map[string]struct {
		compact bool
		when    pipelinetest.When
		warm    bool
	}{
		"half":                {false, pipelinetest.Middle, true},
		"whole":               {false, pipelinetest.After, false},
		"half of a compacted": {true, pipelinetest.Middle, true},
		"a whole compacted":   {true, pipelinetest.After, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := halfOf(t, roomy())
			if died, err := w.member.Live(); died || err != nil {
				t.Fatal(died, err)
			}
			if c.compact {
				w.member.Cluster.Compact(false)
			}
			p, r := w.partition(), changelog.NewReplica()
			whole, err := w.open(t, w.partition(), changelog.NewReplica(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.open(t, p, r, func(op pipelinetest.Op, when pipelinetest.When) error {
				if op == pipelinetest.OpRead && when == c.when {
					return errBroken
				}
				return nil
			}); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			s, err := w.open(t, p, r, nil)
			if err != nil || s.Warm != c.warm || s.Records == 0 || s.Records >= whole.Records && c.warm {
				t.Errorf("%+v %v; all are %d", s, err, whole.Records)
			}
			if got := pipelinetest.Describe(p, s.Next); got != w.state {
				t.Errorf("the state is\n%s\nshould be\n%s", got, w.state)
			}
		})
	}
}

// What nobody has updated for longer than tombstones are sure to be there is restored from the beginning.
func TestWarmGrowsCold(t *testing.T) {
	w := half(t)
	now := time.Unix(1e9, 0)
	reading := time.Duration(0) // how long it takes
	open := func(p *pipeline.Partition, r *changelog.Replica) changelog.Start {
		t.Helper()
		at := func(op pipelinetest.Op, when pipelinetest.When) error {
			if op == pipelinetest.OpRead && when == pipelinetest.Before {
				now = now.Add(reading)
			}
			return nil
		}
		_, s, err := changelog.Open(context.Background(), &pipelinetest.Conn{Cluster: w.member.Cluster, Generation: w.member.Cluster.Join(), At: at}, p, r,
			changelog.Options{Clock: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	p, r := w.partition(), changelog.NewReplica()
	open(p, r)
	for range 3 {
		now = now.Add(29 * time.Minute)
		if s := open(p, r); !s.Warm {
			t.Errorf("%+v", s)
		}
	}
	now = now.Add(31 * time.Minute)
	if s := open(p, r); s.Warm || s.Records == 0 {
		t.Errorf("%+v", s)
	}
	// A reader that stood still knows what was, not what is.
	reading = 31 * time.Minute
	open(p, r)
	reading = 0
	if s := open(p, r); s.Warm || s.Records == 0 {
		t.Errorf("after a reading of 31 minutes: %+v", s)
	}
}

// An empty changelog is restored at once, and so is one whose records are all compacted away.
func TestEmptyChangelog(t *testing.T) {
	w := half(t)
	w.member.Cluster.LoseChangelog()
	s, err := w.open(t, w.partition(), changelog.NewReplica(), nil)
	if err != nil || s.Records != 0 {
		t.Errorf("%+v %v", s, err)
	}
}

// A changelog written by a later release is not restored, and the error says which it needs.
func TestNewerFormat(t *testing.T) {
	for name, record := range map[string]changelog.Record{
		"marker": {Key: []byte("\x00marker"), Value: []byte{9, 1, 2, 3}},
		"change": {Key: []byte{'p', 1, 'h', 2, 2}, Value: []byte{9, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			w := half(t)
			conn := &pipelinetest.Conn{Cluster: w.member.Cluster, Generation: w.member.Cluster.Join()}
			ctx := context.Background()
			if _, err := conn.Init(ctx); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Append(ctx, []changelog.Record{record}); err != nil {
				t.Fatal(err)
			}
			if err := conn.End(ctx); err != nil {
				t.Fatal(err)
			}
			_, err := w.open(t, w.partition(), changelog.NewReplica(), nil)
			var newer *state.FormatError
			if !errors.As(err, &newer) || newer.Format != 9 || newer.Reads != 1 {
				t.Errorf("%v", err)
			}
		})
	}
}

// A changelog in which a change is missing is not restored, and not the second time either.
func TestChangelogWithAGap(t *testing.T) {
	w := half(t)
	s := state.New(state.Config{})
	start := event.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	for pid := int64(10); pid < 12; pid++ {
		parent, exe := pid-1, &event.File{Path: "a", Name: "a"}
		s.Exec(&state.Sighting{Host: "gap", Date: start + event.Time(pid), Process: &event.ProcessContext{Process: event.Process{PID: &pid, PPID: &parent, Executable: exe}}})
	}
	ctx := context.Background()
	conn := &pipelinetest.Conn{Cluster: w.member.Cluster, Generation: w.member.Cluster.Join()}
	_, err := conn.Init(ctx)
	_, appendErr := conn.Append(ctx, []changelog.Record{changelog.Record(s.Changes(nil)[1])})
	if err := errors.Join(err, appendErr, conn.End(ctx)); err != nil {
		t.Fatal(err)
	}
	p, r := w.partition(), changelog.NewReplica()
	for range 2 {
		if start, err := w.open(t, p, r, nil); err == nil || !strings.Contains(err.Error(), "its parent 10 is missing") || start.Warm {
			t.Errorf("%+v %v", start, err)
		}
	}
}

// Somebody else's commit where ours should be: what is remembered is thrown away and restored, whatever it was.
func TestForeignCommit(t *testing.T) {
	w := half(t)
	var causes []string
	w.member.Opened = func(s changelog.Start) { causes = append(causes, string(s.Cause)) }
	held, hold := make(chan struct{}), make(chan struct{})
	over := make(chan error, 1)
	zombie := w.member
	zombie.Rejoin = true
	go func() {
		_, err := zombie.Live(pipelinetest.Strike{Op: pipelinetest.OpSendOffset, When: pipelinetest.Before, Nth: 2, Held: held, Hold: hold})
		over <- err
	}()
	<-held
	other := w.member
	other.Opened = nil
	if died, err := other.Live(pipelinetest.Strike{Op: pipelinetest.OpEnd, When: pipelinetest.After, Nth: 3}); !died || err != nil {
		t.Fatal(died, err)
	}
	close(hold)
	if err := <-over; err != nil {
		t.Fatal(err)
	}
	if len(causes) < 2 {
		t.Errorf("causes %v: the zombie did not start again", causes)
	}
	if err := w.same(); err != nil {
		t.Error(err)
	}
}

// A commit whose answer is lost had succeeded: the member goes on without starting again.
func TestLostAnswerIsNoRestart(t *testing.T) {
	w := newWorld(t, tiny(), true, traffic(rand.New(rand.NewPCG(8, 8)), 40), compile(t))
	starts := 0
	w.member.Opened = func(changelog.Start) { starts++ }
	if died, err := w.member.Live(pipelinetest.Strike{Op: pipelinetest.OpEnd, When: pipelinetest.After, Nth: 3, Err: errBroken}); died || err != nil {
		t.Fatal(died, err)
	}
	if err := w.same(); err != nil || starts != 1 {
		t.Errorf("%d starts, %v", starts, err)
	}
}

// A member that the group has given up does not take the transactional id from whoever owns the partition now.
func TestLostMemberFencesNobody(t *testing.T) {
	for _, op := range []pipelinetest.Op{pipelinetest.OpPublish, pipelinetest.OpAppend, pipelinetest.OpSendOffset, pipelinetest.OpEnd} {
		w := newWorld(t, tiny(), true, traffic(rand.New(rand.NewPCG(8, 8)), 40), compile(t))
		passed, inits := 0, 0
		w.member.Fate = func(o pipelinetest.Op, at pipelinetest.When, _ func()) error {
			switch {
			case o == op && at == pipelinetest.Before:
				if passed++; passed == 3 {
					w.member.Cluster.Join()
					return errBroken
				}
			case o == pipelinetest.OpInit && passed >= 3:
				inits++
			}
			return nil
		}
		if died, err := w.member.Live(); died || !pipelinetest.Lost(err) || inits > 0 {
			t.Errorf("%s: it took the transactional id %d times; %v %v", op, inits, died, err)
		}
	}
}

// Another's commit with the number that ours would have had is not ours, even while the group has us for the owner.
func TestSameNumberOfAnother(t *testing.T) {
	w := newWorld(t, tiny(), true, traffic(rand.New(rand.NewPCG(8, 8)), 40), compile(t))
	c := w.member.Cluster
	passed := 0
	var causes []changelog.Cause
	w.member.Opened = func(s changelog.Start) { causes = append(causes, s.Cause) }
	w.member.Fate = func(op pipelinetest.Op, at pipelinetest.When, _ func()) error {
		if op != pipelinetest.OpEnd || at != pipelinetest.Before {
			return nil
		}
		if passed++; passed != 3 {
			return nil
		}
		conn := &pipelinetest.Conn{Cluster: c, Generation: 1}
		other, start, err := changelog.Open(context.Background(), conn, w.partition(), changelog.NewReplica(), changelog.Options{Inside: true})
		if err != nil {
			return err
		}
		return other.Commit(context.Background(), &pipeline.Batch{Records: 1, Next: start.Next})
	}
	if died, err := w.member.Live(); died || err != nil {
		t.Fatal(died, err)
	}
	if len(causes) != 2 {
		t.Errorf("causes %v", causes)
	}
	if err := sameOutputs(w.want, c); err != nil {
		t.Error(err)
	}
}

// The state is lost to a panic, at any record: it is lost in the changelog, too, and the partition goes on. What was learnt
// since is kept, also when the commit before was under way.
func TestStateLostIsLostInTheChangelog(t *testing.T) {
	records := traffic(rand.New(rand.NewPCG(8, 8)), 40)
	for i := range records {
		cfg := tiny()
		cfg.Probe = func(l *pipeline.Look) {
			if l.Stage == pipeline.StageEnrich && l.Offset == records[i].Offset {
				panic("half way")
			}
		}
		w := newWorld(t, cfg, true, records, compile(t))
		if died, err := w.member.Live(); died || err != nil {
			t.Fatal(died, err)
		}
		if err := w.same(); err != nil {
			t.Fatalf("panic at record %d: %v", i, err)
		}
		w = newWorld(t, cfg, true, records, compile(t))
		for nth := 1; ; nth++ {
			died, err := w.member.Live(pipelinetest.Strike{Op: pipelinetest.OpEnd, When: []pipelinetest.When{pipelinetest.Before, pipelinetest.After}[nth%2], Nth: 2})
			if err != nil {
				t.Fatal(err)
			}
			if !died {
				break
			}
			if nth > 30 {
				t.Fatal("it dies for ever")
			}
		}
		if err := w.same(); err != nil {
			t.Fatalf("panic at record %d, deaths: %v", i, err)
		}
	}
}

// A record that could not be read has the time of the one before, also when that one is in another life or a panic
// in between threw the state away: partition time and the last record's are the log's, not the state's.
func TestTimeIsTheLogs(t *testing.T) {
	records := traffic(rand.New(rand.NewPCG(9, 9)), 24)
	for i := range records {
		switch i % 4 {
		case 1:
			records[i].Fault, records[i].Timestamp = &event.Error{Reason: event.ReasonCorruptRecord, Detail: "test"}, 0
		case 2:
			if i%8 == 2 {
				records[i].Timestamp = -1 // the log has none
			}
		case 3:
			records[i].Fault, records[i].Timestamp = &event.Error{Reason: event.ReasonCorruptRecord, Detail: "test"}, 0
		}
	}
	cfg := tiny()
	cfg.CommitRecords = 1
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageEnrich && l.Offset == records[12].Offset {
			panic("half way")
		}
	}
	w := newWorld(t, cfg, true, records, compile(t))
	for {
		died, err := w.member.Live(pipelinetest.Strike{Op: pipelinetest.OpEnd, When: pipelinetest.After, Nth: 1})
		if err != nil {
			t.Fatal(err)
		}
		if !died {
			break
		}
	}
	if err := w.same(); err != nil {
		t.Error(err)
	}
}
