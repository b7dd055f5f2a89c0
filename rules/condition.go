package rules

import (
	"strings"

	"github.com/expr-lang/expr/vm"
)

// condition is a leaf of formulas: one question about an event, shared by all rules that ask it. Constant after
// Compile; what it found for an event stands in the Result.
type condition struct {
	// What an evaluation reads comes first, so that most need one cache line.
	kind   testKind
	op     textOp // of testTexts: the source is, begins with, ends with or contains one of texts
	source *textSource
	long   []sieved // of opContains: those that a sieve tells of
	short  []string // and those that are too short for it

	texts   []string            // sorted
	set     map[string]struct{} // of opEquals with many texts
	affixes *affixes            // of opStarts and opEnds with many texts
	finds   *finder             // of opContains with many texts: those that can be looked for
	rest    []string            // and those that cannot

	regex   *regex            // testRegex
	match   func(string) bool // testPattern
	test    func(frame) bool  // testAny
	program *vm.Program       // testProgram

	key  string
	cost float64 // of finding out, about in nanoseconds
	// demands is a formula about the ancestors, some one of which fulfils it if the condition holds. It is
	// only looked at, see textSource.every.
	demands *formula
	why     string // nothing can be looked up for it
}

type testKind uint8

const (
	testTexts   testKind = iota
	testRegex            // by our DFA
	testPattern          // by a function of the text
	testAny              // by a function of the event
	testProgram          // by expr's VM
)

// textOp is how a text stands in another.
type textOp uint8

const (
	opEquals textOp = iota
	opStarts
	opEnds
	opContains
)

// fewTexts are compared one by one.
const fewTexts = 6

func newTexts(source *textSource, op textOp, texts []string) *condition {
	c := &condition{kind: testTexts, source: source, op: op, texts: texts, cost: 4 + float64(min(len(texts), fewTexts))}
	switch {
	case op == opEquals && len(texts) > fewTexts:
		c.set = make(map[string]struct{}, len(texts))
		for _, t := range texts {
			c.set[t] = struct{}{}
		}
		c.cost = 15
	case op == opContains:
		c.cost = 12 * float64(min(len(texts), fewTexts))
		c.long, c.short = newSieved(texts)
	}
	if op == opEquals || len(texts) <= fewTexts {
		return c
	}
	all := make([]gramText, len(texts))
	shortest := len(texts[0])
	for i, t := range texts {
		all[i] = gramText{text: t, op: op}
		shortest = min(shortest, len(t))
	}
	if op != opContains {
		c.affixes, c.cost = newAffixes(op, shortest, all), 20
		return c
	}
	all = all[:0]
	for _, t := range texts {
		if len(t) < minDemand {
			c.rest = append(c.rest, t)
		} else {
			all = append(all, gramText{text: t, op: op})
		}
	}
	c.finds = newFinder(all)
	c.cost = 100 + 10*float64(len(c.rest))
	return c
}

// holds finds out whether c holds for the event that r is pointed at.
func (c *condition) holds(r *Result) bool {
	switch c.kind {
	case testTexts:
		s := c.source.get(&r.view)
		// Of so many texts that looking at them takes longer than reading s, it is the finder that knows.
		if n := len(c.long); n > 0 && n <= len(s) && len(s) >= sieveText {
			if v := r.scratch.sieve(c.source, s); v != nil {
				return v.contains(c, s)
			}
		}
		return c.stands(s)
	case testRegex:
		return r.scratch.dfa(c.regex).match(c.source.get(&r.view))
	case testPattern:
		return c.match(c.source.get(&r.view))
	case testAny:
		return c.test(frame{ev: &r.view})
	}
	return r.machine.run(c.program)
}

// stands says that one of c's texts stands in s.
func (c *condition) stands(s string) bool {
	if c.op == opEquals {
		if c.set != nil {
			_, ok := c.set[s]
			return ok
		}
		for _, t := range c.texts {
			if s == t {
				return true
			}
		}
		return false
	}
	few := c.texts
	switch {
	case c.affixes != nil:
		return c.affixes.any(s)
	case c.finds != nil:
		if c.finds.any(s) {
			return true
		}
		few = c.rest
	}
	switch c.op {
	case opStarts:
		for _, t := range few {
			if strings.HasPrefix(s, t) {
				return true
			}
		}
	case opEnds:
		for _, t := range few {
			if strings.HasSuffix(s, t) {
				return true
			}
		}
	default:
		for _, t := range few {
			if strings.Contains(s, t) {
				return true
			}
		}
	}
	return false
}

// predicate is a condition as a function of the event, without the VM: its loops over ancestors are loops in
// Go. It is nil when the condition needs the VM, as for a loop whose result is not a bool.
func predicate(t *term) func(frame) bool {
	switch t.op {
	case opNot:
		a := predicate(t.args[0])
		if a == nil {
			return nil
		}
		return func(fr frame) bool { return !a(fr) }
	case opAnd, opOr, opCond:
		parts := make([]func(frame) bool, len(t.args))
		for i, a := range t.args {
			if parts[i] = predicate(a); parts[i] == nil {
				return nil
			}
		}
		if t.op == opCond {
			return func(fr frame) bool {
				if parts[0](fr) {
					return parts[1](fr)
				}
				return parts[2](fr)
			}
		}
		stop := t.op == opOr
		return func(fr frame) bool {
			for _, p := range parts {
				if p(fr) == stop {
					return stop
				}
			}
			return !stop
		}
	case opClosure:
		if isAncestors(t.args[0]) {
			return ancestorLoop(t)
		}
		return nil
	}
	b := &native{lower: newLowering()}
	test := b.bool(t)
	if len(b.inputs) > 0 {
		return nil
	}
	return test
}

// ancestorLoop is any(process.ancestors, ...) and the like.
func ancestorLoop(t *term) func(frame) bool {
	body := predicate(t.args[1])
	if body == nil {
		return nil
	}
	switch t.name {
	case "any", "none":
		found := t.name == "any"
		return func(fr frame) bool {
			for _, a := range fr.ev.ancestors {
				if body(frame{ev: fr.ev, elem: a}) {
					return found
				}
			}
			return !found
		}
	case "all":
		return func(fr frame) bool {
			for _, a := range fr.ev.ancestors {
				if !body(frame{ev: fr.ev, elem: a}) {
					return false
				}
			}
			return true
		}
	case "one":
		return func(fr frame) bool {
			n := 0
			for _, a := range fr.ev.ancestors {
				if body(frame{ev: fr.ev, elem: a}) {
					n++
				}
			}
			return n == 1
		}
	}
	return nil
}

// predicateCost guesses what a condition costs that is no comparison of a text field with constants.
func predicateCost(t *term) float64 {
	cost := 0.0
	t.walk(func(t *term) {
		cost += 5
		if t.op == opClosure {
			cost += 100
		}
	})
	return cost
}
