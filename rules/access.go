package rules

import (
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
)

// lookup is something that an index looks for in an event: a folded text that is, begins, ends or stands in the
// text of a source.
type lookup struct {
	source *textSource
	op     textOp
	text   string
}

// minDemand is the length, in bytes, of the shortest text that it pays to look for in another.
const minDemand = 2

// access is what a formula cannot hold without: one of lookups. chance is how likely an event has one.
type access struct {
	lookups []lookup
	chance  float64
	why     string // lookups is nil: why there is nothing
}

func (d access) ok() bool { return d.lookups != nil }

// accessor chooses what to look up for formulas. Used by one goroutine.
type accessor struct {
	plan *plan
	odds map[lookup]float64
	// avoid are sources where nothing is to be looked up.
	avoid map[*textSource]bool
}

// access is the least likely of what f cannot hold without.
func (m *accessor) access(f *formula) access {
	switch f.op {
	case condLeaf:
		return m.ofCondition(m.plan.conditions[f.cond])
	case condNot:
		if a := f.args[0]; a.op == condAnd || a.op == condOr {
			// not (a and b) is not a or not b.
			op := condOr
			if a.op == condOr {
				op = condAnd
			}
			args := make([]*formula, len(a.args))
			for i := range a.args {
				args[i] = a.args[i].not()
			}
			return m.access(&formula{op: op, args: args})
		}
		return access{why: "a negation"}
	case condAnd:
		best := access{}
		for _, a := range f.args {
			d := m.access(a)
			switch {
			case d.ok() && (!best.ok() || d.chance < best.chance):
				best = d
			case !d.ok() && !best.ok() && (best.why == "" || best.why == "a negation"):
				best = d
			}
		}
		return best
	case condOr:
		var out access
		for _, a := range f.args {
			d := m.access(a)
			if !d.ok() {
				return access{why: d.why}
			}
			out.lookups = append(out.lookups, d.lookups...)
			out.chance += d.chance
		}
		return out
	}
	if f.value {
		return access{why: "it always holds"}
	}
	return access{lookups: []lookup{}}
}

func (m *accessor) ofCondition(c *condition) access {
	if c.demands != nil {
		return m.access(c.demands)
	}
	if c.kind != testTexts {
		return access{why: c.why}
	}
	source, op := c.source, c.op
	if source.form == formWritten {
		if source.field.registry {
			return access{why: "a registry path as written"}
		}
		source = m.plan.foldedSource(source)
	}
	if m.avoid[source] {
		return access{why: "a source that few rules need"}
	}
	var out access
	for _, t := range c.texts {
		if c.source.form == formWritten {
			t = fold(t)
		}
		switch {
		case t == "":
			return access{why: "an empty text"}
		case op != opEquals && len(t) < minDemand:
			return access{why: "a text of one character"}
		}
		l := lookup{source, op, t}
		p, ok := m.odds[l]
		if !ok {
			p = likelihood(source, op, t)
			m.odds[l] = p
		}
		out.lookups = append(out.lookups, l)
		out.chance += p
	}
	return out
}

// maxDemanded is how many texts a regex may demand one of.
const maxDemanded = 48

// minRank is that of six texts of two bytes.
const minRank = 0.7

// regexDemands are texts, in characters that ignore case if the regex does, of which every match has one; nil
// when there are none that are long enough to look for, or too many.
func regexDemands(re *regexp.Regexp) []string {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return nil
	}
	some := demanded(tree.Simplify())
	if demandRank(some.best) < minRank {
		return nil
	}
	return some.best
}

// textChoice is what a part of a regex says of the texts it matches: all of them, if they are few (exact, else
// nil), and the best of the sets of which each has one (nil without one).
type textChoice struct{ exact, best []string }

// demandRank prefers long texts and few of them.
func demandRank(texts []string) float64 {
	if len(texts) == 0 {
		return -1
	}
	least := math.MaxInt
	for _, t := range texts {
		least = min(least, len(t))
	}
	if least < minDemand {
		return -1
	}
	return float64(least) - math.Log2(float64(len(texts)))/2
}

func better(a, b []string) []string {
	if demandRank(b) > demandRank(a) {
		return b
	}
	return a
}

func exactly(texts ...string) textChoice { return textChoice{texts, texts} }

func demanded(re *syntax.Regexp) textChoice {
	switch re.Op {
	case syntax.OpLiteral:
		return exactly(string(re.Rune))
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpBeginText, syntax.OpEndLine, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return exactly("")
	case syntax.OpCharClass:
		var out []string
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if out = append(out, string(r)); len(out) > 8 {
					return textChoice{}
				}
			}
		}
		return exactly(folded(out)...)
	case syntax.OpCapture:
		return demanded(re.Sub[0])
	case syntax.OpPlus:
		return textChoice{best: demanded(re.Sub[0]).best}
	case syntax.OpRepeat: // Simplify leaves none
		return textChoice{}
	case syntax.OpQuest:
		if some := demanded(re.Sub[0]).exact; some != nil && len(some) < maxDemanded {
			return exactly(append(slices.Clip(some), "")...)
		}
	case syntax.OpConcat:
		// Texts that follow each other make longer ones.
		run := exactly("")
		var best []string
		whole := true
		for _, sub := range re.Sub {
			some := demanded(sub)
			best = better(best, some.best)
			if some.exact != nil && len(run.exact)*len(some.exact) <= maxDemanded {
				var longer []string
				for _, a := range run.exact {
					for _, b := range some.exact {
						longer = append(longer, a+b)
					}
				}
				run = exactly(folded(longer)...)
				continue
			}
			best = better(best, run.best)
			whole = false
			run = exactly("")
			if some.exact != nil {
				run = exactly(some.exact...)
			}
		}
		if whole {
			return textChoice{exact: run.exact, best: better(best, run.best)}
		}
		return textChoice{best: better(best, run.best)}
	case syntax.OpAlternate:
		var out textChoice
		whole := true
		for _, sub := range re.Sub {
			some := demanded(sub)
			if some.best == nil {
				return textChoice{}
			}
			out.best = append(out.best, some.best...)
			if whole = whole && some.exact != nil; whole {
				out.exact = append(out.exact, some.exact...)
			}
		}
		if len(out.best) > maxDemanded {
			return textChoice{}
		}
		out.best = folded(out.best)
		if out.exact = folded(out.exact); !whole {
			out.exact = nil
		}
		return out
	}
	return textChoice{}
}

// folded are the folds of texts, each once: what is looked for is looked for in folded text.
func folded(texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = fold(t)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// A source that only few rules of a bucket are looked up in costs every event its folding and searching. They are
// looked up elsewhere if that makes them candidates only a little more often.
const (
	fewRules    = 3
	muchMore    = 0.03
	smallBucket = 12 // rules; there is little to gain
)

// gather moves the accesses of formulas, one for each rule of a bucket, away from sources that few of them need.
func (m *accessor) gather(formulas []ruleFormula, all []access) {
	if len(all) < smallBucket {
		return
	}
	needed := map[*textSource]int{}
	for _, a := range all {
		for _, s := range a.sources() {
			needed[s]++
		}
	}
	m.avoid = map[*textSource]bool{}
	for s, n := range needed {
		m.avoid[s] = n <= fewRules
	}
	for i, a := range all {
		if !slices.ContainsFunc(a.sources(), func(s *textSource) bool { return m.avoid[s] }) {
			continue
		}
		if other := m.access(formulas[i].condition); other.ok() && other.chance <= a.chance+muchMore {
			all[i] = other
		}
	}
	m.avoid = nil
}

// sources are where the lookups look, each once.
func (d access) sources() []*textSource {
	var out []*textSource
	for _, l := range d.lookups {
		if !slices.Contains(out, l.source) {
			out = append(out, l.source)
		}
	}
	return out
}
