package rules

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/expr-lang/expr/vm"

	"spoor/pipeline/event"
	"spoor/rules/policy"
)

// Set is an immutable, compiled policy set. It may be shared by any number of goroutines.
type Set struct {
	hash     string
	tests    []policy.Test
	pos      positions
	rules    []*Rule
	compiled []compiledRule // parallel to rules
	byID     map[string]int
	// byName lists the rules that an event of a name can match, ascending, by folded name; every those that
	// an event of any other name can match.
	byName map[string][]int
	every  []int
	index  *index
}

// compiledRule is a rule with its code.
type compiledRule struct {
	rule       *Rule
	code       code
	exceptions []code // parallel to rule.Source.Exceptions
}

// code is a compiled condition. The program defines its value.
type code struct {
	program *vm.Program
	cond    *Cond
}

// Rule is what a signal says of a rule. Constant after Compile.
type Rule struct {
	ID            string
	Version       string
	Title         string
	PolicyName    string
	PolicyVersion string
	Severity      policy.Severity
	Priority      int
	Shadow        bool
	Tags          []string // sorted "key:value"
	Actions       []json.RawMessage
	// Events are the canonical event names the rule can match; nil means every name, and a list without names
	// none, for a rule that contradicts itself.
	Events []string
	Source *policy.Rule
}

// finish orders the rules, files them by event name and builds their index, from the conditions of p. They come in
// policy order.
func (s *Set) finish(p *plan) {
	slices.SortStableFunc(s.compiled, func(a, b compiledRule) int {
		return cmp.Or(cmp.Compare(b.rule.Severity, a.rule.Severity), cmp.Compare(b.rule.Priority, a.rule.Priority))
	})
	for _, source := range s.pos.sources {
		source.tokens.Store(nil) // places are known by now
	}
	s.byID = map[string]int{}
	s.byName = map[string][]int{}
	for i := range s.compiled {
		r := s.compiled[i].rule
		s.rules = append(s.rules, r)
		s.byID[r.ID] = i
		for _, n := range r.Events {
			s.byName[fold(n)] = nil
		}
	}
	for i, r := range s.rules {
		if r.Events != nil {
			for _, n := range r.Events {
				s.byName[fold(n)] = append(s.byName[fold(n)], i)
			}
			continue
		}
		s.every = append(s.every, i)
		for n := range s.byName {
			s.byName[n] = append(s.byName[n], i)
		}
	}
	s.index = newIndex(s, p)
}

// Hash identifies the set (see policy.Set.Hash).
func (s *Set) Hash() string { return s.hash }

// Rules lists the enabled rules by severity, then priority, then policy order (sorted path, then
// position): the order in which a signal names them. The index into it is what Result holds.
func (s *Set) Rules() []*Rule { return s.rules }

// Tests lists the tests that the set's policies carry, in policy order.
func (s *Set) Tests() []policy.Test { return s.tests }

// Result is the answer of Match and the scratch it needs. It is owned by one goroutine and reused: each
// Match overwrites it. The zero value is ready.
type Result struct {
	// Live and Shadow are indexes into Set.Rules, ascending.
	Live, Shadow []int
	// Exceptions are the exceptions that took a match out, one a rule at most.
	Exceptions []ExceptionHit
	// OverBudget are the rules whose evaluation was cut off by the budget; they did not match.
	OverBudget []int
	// Profile, if there is one, collects what the rules cost. It is made for the set that is matched.
	Profile *Profile

	machine machine
	view    view
	scratch scratch
}

// ExceptionHit says that the exception of that name and index took out rule Rule (an index into Set.Rules).
type ExceptionHit struct {
	Rule      int
	Exception int // index into Set.Rules()[Rule].Source.Exceptions
}

var nameField = fieldByPath["evt.name"]

// Match evaluates every rule on an enriched event. It never fails.
func (s *Set) Match(e *event.Event, r *Result) {
	r.Live, r.Shadow, r.Exceptions, r.OverBudget = r.Live[:0], r.Shadow[:0], r.Exceptions[:0], r.OverBudget[:0]
	r.view.reset(e)
	r.machine.env = &r.view
	s.match(r)
	r.view.release()
}

// MatchPlain is Match by the reference: expr's VM runs the program of every rule, one after the other. It defines
// the answer, and stays for tests and measurements; it is hundreds of times slower.
func (s *Set) MatchPlain(e *event.Event, r *Result) {
	r.Live, r.Shadow, r.Exceptions, r.OverBudget = r.Live[:0], r.Shadow[:0], r.Exceptions[:0], r.OverBudget[:0]
	r.view.reset(e)
	r.machine.env = &r.view
	for i := range s.compiled {
		s.matchRule(i, r)
	}
	r.view.release()
}

// matchRule evaluates rule i, and its exceptions in order when it holds. They share one budget.
func (s *Set) matchRule(i int, r *Result) {
	c := &s.compiled[i]
	r.view.work = ruleBudget
	r.machine.over = false
	held := r.machine.run(c.code.program)
	exception := -1
	for x := 0; held && exception < 0 && x < len(c.exceptions); x++ {
		if r.machine.run(c.exceptions[x].program) {
			exception = x
		}
		held = !r.machine.over
	}
	switch {
	case r.machine.over:
		r.OverBudget = append(r.OverBudget, i)
	case exception >= 0:
		r.Exceptions = append(r.Exceptions, ExceptionHit{Rule: i, Exception: exception})
	case held && c.rule.Shadow:
		r.Shadow = append(r.Shadow, i)
	case held:
		r.Live = append(r.Live, i)
	}
}
