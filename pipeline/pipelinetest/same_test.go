package pipelinetest_test

import (
	"fmt"
	"slices"

	"spoor/pipeline"
	"spoor/pipeline/pipelinetest"
	"spoor/rules"
)

// undisturbed is what one member makes of the same history: for each stretch between two acts of an operator the
// records that were committed, each in a batch of its own, with the rule set that set says.
func (s *schedule) undisturbed(set func(stretch []pipelinetest.Happening, offset int64) *rules.Set) (c *pipelinetest.Cluster, state string, err error) {
	c = pipelinetest.NewCluster(s.records...)
	history := s.cluster.History()
	m := &pipelinetest.Member{Cluster: c, Config: s.cfg, Inside: s.inside,
		Engine: func(cfg pipeline.Config) *pipeline.Engine { return pipeline.New(cfg, s.sets[0], nil) }}
	m.Config.CommitRecords = 1
	for len(history) > 0 || m.Process == nil {
		n := slices.IndexFunc(history, func(h pipelinetest.Happening) bool { return h.Moved || h.Lost })
		if n < 0 {
			n = len(history)
		}
		stretch := history[:n]
		m.Reload = func(e *pipeline.Engine, position int64) {
			i, _ := slices.BinarySearchFunc(s.records, position, func(r pipeline.Record, o int64) int { return int(r.Offset - o) })
			if i < len(s.records) {
				if x := set(stretch, s.records[i].Offset); x != nil {
					e.Swap(x)
				}
			}
		}
		if n > 0 || n == len(history) {
			m.Process, m.Until = new(pipelinetest.Process), -1
			if n > 0 {
				m.Until = stretch[n-1].Next
			}
			if died, err := m.Live(); died || err != nil {
				return nil, "", fmt.Errorf("the undisturbed run: %v %w", died, err)
			}
			state = describe(m.Process.Partition())
			m.Process.Close()
		}
		for history = history[n:]; len(history) > 0 && (history[0].Moved || history[0].Lost); history = history[1:] {
			if history[0].Moved {
				c.SetOffset(history[0].Next)
			} else {
				c.LoseChangelog()
			}
			m.Process = nil
		}
	}
	return c, state, nil
}

// describe is Describe without the position, which may be before a gap or behind it.
func describe(p *pipeline.Partition) string { return pipelinetest.Describe(p, 0) }

// sameOutputs holds that two clusters show a read_committed consumer the same.
func sameOutputs(want, got *pipelinetest.Cluster) error {
	for _, c := range kinds(want, got) {
		if len(c.want) != len(c.got) {
			return fmt.Errorf("%d %ss, should be %d", len(c.got), c.kind, len(c.want))
		}
		for i := range c.want {
			if text(c.want[i]) != text(c.got[i]) {
				return fmt.Errorf("%s %d\n%s\nshould be\n%s", c.kind, i, text(c.got[i]), text(c.want[i]))
			}
		}
	}
	return nil
}

// repeatedOutputs holds that everything in want is in got, and nothing that is in none of may.
func repeatedOutputs(want *pipelinetest.Cluster, may []*pipelinetest.Cluster, got *pipelinetest.Cluster) error {
	for i, c := range kinds(want, got) {
		there, allowed := map[string]bool{}, map[string]bool{}
		for _, o := range c.got {
			there[text(o)] = true
		}
		for _, o := range c.want {
			if !there[text(o)] {
				return fmt.Errorf("%s lost: %s", c.kind, text(o))
			}
		}
		for _, m := range may {
			for _, o := range kinds(m, m)[i].want {
				allowed[text(o)] = true
			}
		}
		for _, o := range c.got {
			if !allowed[text(o)] {
				return fmt.Errorf("%s that should not be: %s", c.kind, text(o))
			}
		}
	}
	return nil
}

type pair struct {
	kind      string
	want, got []pipeline.Output
}

func kinds(want, got *pipelinetest.Cluster) []pair {
	return []pair{
		{"signal", want.Signals(), got.Signals()},
		{"shadow signal", want.Shadow(), got.Shadow()},
		{"reject", want.Rejects(), got.Rejects()},
	}
}

// text is everything of an output.
func text(o pipeline.Output) string {
	return fmt.Sprintf("%q %s %q %d %d", o.Key, o.Value, o.Headers, o.Timestamp, o.Offset)
}
