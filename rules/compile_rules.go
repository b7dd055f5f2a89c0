package rules

import (
	"runtime"
	"sync"
	"sync/atomic"

	"spoor/rules/policy"
)

// A rule is compiled and linted without regard to the others, so several goroutines take rules in turn. What they
// share is constant by then - the names, the macros, the places of all expressions - or made for it (regexes), and
// what one reports is kept with the rule and told in the order of the rules. So the outcome does not depend on who
// did what when.

// maxCompilers is how many goroutines compile at once, at most: a set is compiled beside partitions that work.
const maxCompilers = 8

// ruleJob is one rule to be compiled, and then what became of it. One goroutine takes it.
type ruleJob struct {
	rule       *policy.Rule
	condition  *source   // nil if it could not be read
	exceptions []*source // likewise

	compiled    compiledRule
	ok          bool // compiled is complete
	lint        lintRule
	diagnostics policy.Diagnostics
}

// rules compiles and lints all rules of the set, in policy order.
func (c *compiler) rules() []ruleJob {
	var jobs []ruleJob
	source := func(x policy.Expr, owner string) *source {
		if x.Scope == nil {
			return nil
		}
		return c.pos.add(x, owner)
	}
	for _, p := range c.set.Policies {
		for i := range p.Rules {
			r := &p.Rules[i]
			owner := "rule " + r.ID.Value
			j := ruleJob{rule: r, condition: source(r.Expression, owner)}
			for _, x := range r.Exceptions {
				j.exceptions = append(j.exceptions, source(x.Expression, "exception "+x.Name.Value+" of "+owner))
			}
			jobs = append(jobs, j)
		}
	}
	var next atomic.Int64
	var done sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), maxCompilers, len(jobs)) {
		own := c.own()
		done.Go(func() {
			l := newLinter(&own.pos, own.add)
			for i := next.Add(1) - 1; i < int64(len(jobs)); i = next.Add(1) - 1 {
				jobs[i].run(own, l)
			}
		})
	}
	done.Wait()
	return jobs
}

func (j *ruleJob) run(c *compiler, l *linter) {
	c.guard(j.rule.ID.Span, "rule `"+j.rule.ID.Value+"`", func() {
		j.compile(c)
		if j.linted() {
			l.alone(&j.lint)
		}
	})
	j.diagnostics = c.diagnostics
	c.diagnostics = nil
	clear(c.reported)
}

// linted says that the rule is looked at by lint: it is enabled and has no fault.
func (j *ruleJob) linted() bool {
	return j.ok && !j.rule.Disabled && j.rule.ID.Span.Line > 0 // else its id could not be read, and that is reported
}

// compile compiles the rule. Those that are disabled are checked all the same.
func (j *ruleJob) compile(c *compiler) {
	r := j.rule
	j.compiled.rule, j.lint.rule = newRule(r), r
	ok := true
	t := c.expression(j.condition)
	if t == nil {
		ok = false
	} else {
		j.lint.condition = t
		j.compiled.code, ok = c.code(t)
	}
	for i := range r.Exceptions {
		e := c.expression(j.exceptions[i])
		if e == nil {
			ok = false
			continue
		}
		j.lint.exceptions = append(j.lint.exceptions, lintException{&r.Exceptions[i], e})
		code, good := c.code(e)
		ok = ok && good
		j.compiled.exceptions = append(j.compiled.exceptions, code)
	}
	c.limiterFields(r)
	if !ok {
		return
	}
	j.ok = true
	j.lint.cond = j.compiled.code.cond
	holds, _ := j.compiled.code.cond.eventNames()
	if !holds.but {
		j.lint.events = append([]string{}, sortedKeys(holds.names)...)
		j.compiled.rule.Events = j.lint.events
	} else if len(holds.names) == 0 && !r.Disabled {
		c.add(c.diagnostic(c.pos.widen(t.ext), policy.Warning, codeNoEventName, "nothing restricts the event's name, so rule `"+r.ID.Value+"` is evaluated for every event", "begin with evt.name == \"exec\" or evt.name in [...]"))
	}
}

// limiterFields checks that the fields of limiter_token can be read.
func (c *compiler) limiterFields(r *policy.Rule) {
	for _, name := range r.LimiterToken {
		if f := fieldByPath[name.Value]; f != nil && f.kind != kindList {
			continue
		}
		hint := "name a field such as process.executable.path"
		if near := policy.Suggest(name.Value, sortedKeys(fieldByPath)); near != "" {
			hint = "did you mean `" + near + "`?"
		}
		c.reportSpan(name.Span, codeUnknownField, "`"+name.Value+"` is no field with a value", hint)
	}
}

// expression parses and checks one expression; nil after reporting its faults.
func (c *compiler) expression(src *source) *term {
	if src == nil {
		return nil // it could not be read, and that is reported
	}
	tree := c.parse(src)
	if tree == nil {
		return nil
	}
	return c.check(tree, c.names[src.expr.Scope])
}
