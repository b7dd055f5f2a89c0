package rules

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"spoor/pipeline/event"
)

// indexAgrees holds Match against the reference on e. The budget's counts may differ for rules that Match does
// not look at.
func indexAgrees(t *testing.T, s *Set, e *event.Event, r *Result) {
	t.Helper()
	var plain Result
	s.MatchPlain(e, &plain)
	s.Match(e, r)
	if !slices.Equal(r.Live, plain.Live) || !slices.Equal(r.Shadow, plain.Shadow) || !slices.Equal(r.Exceptions, plain.Exceptions) {
		t.Errorf("the index says live %s, shadow %s, exceptions %v; the reference says %s, %s, %v",
			ids(s, r.Live), ids(s, r.Shadow), r.Exceptions, ids(s, plain.Live), ids(s, plain.Shadow), plain.Exceptions)
	}
	for _, i := range r.OverBudget {
		if !slices.Contains(plain.OverBudget, i) {
			t.Errorf("%s is over budget, but not for the reference", s.rules[i].ID)
		}
	}
}

// boundHolds holds that no rule costs the reference more on e than its bound says.
func boundHolds(t *testing.T, s *Set, e *event.Event, r *Result) {
	t.Helper()
	r.view.reset(e)
	r.machine.env = &r.view
	longest := longestText(e)
	for _, a := range r.view.ancestors {
		longest = max(longest, longestOfProcess(a.p))
	}
	b := bounder{float64(longest + registryGrowth), float64(len(r.view.ancestors))}
	for i := range s.compiled {
		for _, c := range append([]code{s.compiled[i].code}, s.compiled[i].exceptions...) {
			r.view.work = 1 << 40
			r.machine.run(c.program)
			if spent, bound := 1<<40-r.view.work, b.of(c.cond.term, extent{}).work; float64(spent) > bound+8 {
				t.Errorf("%s costs %d, at most %.0f by its bound", s.rules[i].ID, spent, bound)
			}
		}
	}
}

// TestIndexAgrees holds the index against the reference on random rules, with exceptions, and random events.
func TestIndexAgrees(t *testing.T) {
	for _, seed := range seeds(t, 4) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			g := &generator{Rand: rand.New(rand.NewPCG(seed, 3))}
			var text strings.Builder
			text.WriteString(generatedNames + "rules:\n")
			for i := range 80 {
				name := g.pick("", "evt.name == `exec` and ", "evt.name in [`exec`, `create`] and ", "evt.name != `exec` and ")
				fmt.Fprintf(&text, "  - id: r%03d\n    mode: %s\n    expression: |\n      %s(%s)\n", i, g.pick("live", "shadow"), name, g.condition(g.IntN(4)))
				if g.IntN(3) == 0 {
					fmt.Fprintf(&text, "    exceptions:\n      - name: x\n        expression: |\n          %s\n", g.condition(2))
				}
			}
			set := mustCompile(t, "a.yaml", text.String())
			var r Result
			for range 100 {
				document := g.event()
				indexAgrees(t, set, decode(t, document), &r)
				boundHolds(t, set, decode(t, document), &r)
				if t.Failed() {
					for _, rule := range set.Rules() {
						t.Logf("%s %s", rule.ID, rule.Source.Expression.Text)
					}
					t.Fatalf("on %s", document)
				}
			}
		})
	}
}
