package rules

import (
	"fmt"
	"slices"

	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"

	"spoor/rules/policy"
)

// compiler is the state of one Compile.
type compiler struct {
	set    *policy.Set
	pos    positions
	names  map[*policy.Policy]*names
	macros []*macro

	diagnostics policy.Diagnostics
	reported    map[string]bool
	told        map[policy.Span]bool // places of faults of expressions as they stand, nothing expanded
	errors      int

	parseConfig, authorConfig, programConfig, valueConfig *conf.Config
	regexes                                               *regexes
}

// Compile checks and compiles every rule of set. It returns every fault of every expression, sorted; the
// Set is nil when one of them is an error, or set itself was loaded with one.
func Compile(set *policy.Set) (*Set, policy.Diagnostics) {
	c := &compiler{
		set:           set,
		reported:      map[string]bool{},
		told:          map[policy.Span]bool{},
		parseConfig:   newParseConfig(),
		authorConfig:  newAuthorConfig(),
		programConfig: newProgramConfig(),
		valueConfig:   newValueConfig(),
		regexes:       &regexes{by: map[regexKey]*compiledRegex{}},
	}
	var out *Set
	var start policy.Span
	if len(set.Policies) > 0 {
		start = set.Policies[0].Name.Span
	}
	c.guard(start, "the policies", func() { out = c.compile() })
	return out, c.diagnostics.Sort()
}

// compile gives the Set, nil when there is an error.
func (c *compiler) compile() *Set {
	set := c.set
	c.collectNames()
	for _, m := range c.macros {
		if m.Expression.Scope != nil || m.Expression.Text != "" {
			c.guard(m.ID.Span, "macro `"+m.ID.Value+"`", func() { m.tree = c.parse(m.src) })
		}
		m.bad = m.bad || m.tree == nil
	}
	c.refuseCycles()
	// Macros are checked alone first. A macro that uses a bad one is checked too: it has faults of its own.
	for _, m := range c.macros {
		c.guard(m.ID.Span, "macro `"+m.ID.Value+"`", func() { c.checkMacro(m) })
	}
	s := &Set{hash: set.Hash}
	var lintRules []lintRule
	for _, p := range set.Policies {
		s.tests = append(s.tests, p.Tests...)
		for i := range p.Rules {
			r := &p.Rules[i]
			var compiled compiledRule
			var l lintRule
			ok := false
			c.guard(r.ID.Span, "rule `"+r.ID.Value+"`", func() { compiled, l, ok = c.rule(r) })
			if !ok || r.Disabled {
				continue
			}
			s.compiled = append(s.compiled, compiled)
			if r.ID.Span.Line > 0 { // else its id could not be read, and that is reported
				lintRules = append(lintRules, l)
			}
		}
	}
	plan := newPlan()
	lint(set, lintRules, plan, &c.pos, c.add)
	if c.errors > 0 || set.Broken {
		return nil
	}
	s.pos = c.pos
	s.finish(plan)
	return s
}

// rule compiles one rule. Those that are disabled are checked all the same.
func (c *compiler) rule(r *policy.Rule) (compiledRule, lintRule, bool) {
	out := compiledRule{rule: newRule(r)}
	l := lintRule{rule: r}
	owner := "rule " + r.ID.Value
	ok := true
	t := c.expression(r.Expression, owner)
	if t == nil {
		ok = false
	} else {
		l.condition = t
		out.code, ok = c.code(t)
	}
	for i := range r.Exceptions {
		x := &r.Exceptions[i]
		e := c.expression(x.Expression, "exception "+x.Name.Value+" of "+owner)
		if e == nil {
			ok = false
			continue
		}
		l.exceptions = append(l.exceptions, lintException{x, e})
		code, good := c.code(e)
		ok = ok && good
		out.exceptions = append(out.exceptions, code)
	}
	c.limiterFields(r)
	if !ok {
		return out, l, false
	}
	l.cond = out.code.cond
	holds, _ := out.code.cond.eventNames()
	if !holds.but {
		out.rule.Events = append([]string{}, sortedKeys(holds.names)...)
		l.events = out.rule.Events
	} else if len(holds.names) == 0 && !r.Disabled {
		c.add(c.diagnostic(c.pos.widen(t.ext), policy.Warning, codeNoEventName, "nothing restricts the event's name, so rule `"+r.ID.Value+"` is evaluated for every event", "begin with evt.name == \"exec\" or evt.name in [...]"))
	}
	return out, l, true
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
func (c *compiler) expression(x policy.Expr, owner string) *term {
	if x.Scope == nil {
		return nil // it could not be read, and that is reported
	}
	src := c.pos.add(x, owner)
	in := c.names[x.Scope]
	tree := c.parse(src)
	if tree == nil {
		return nil
	}
	return c.check(src, tree, in)
}

// code compiles a checked condition: the whole of it, which defines the answer, and its leaves.
func (c *compiler) code(t *term) (code, bool) {
	var out code
	err := c.agree(t)
	if err == nil {
		out.program, err = compileProgram(newLowering().condition(t), c.programConfig)
	}
	if err != nil {
		c.report(c.pos.widen(t.ext), codeInternal, "the engine cannot compile this expression: "+err.Error(), "please report it with the expression")
		return out, false
	}
	out.cond = newCond(t, false)
	if expandedSize(out.cond, map[*Cond]int{}) > maxExpanded {
		c.report(c.pos.widen(t.ext), codeTooLarge, "`?:` stands in the condition of `?:` too many times", "write it with and, or, not")
		return out, false
	}
	return out, true
}

func newRule(r *policy.Rule) *Rule {
	out := &Rule{
		ID: r.ID.Value, Version: r.Version, Title: r.Title,
		Severity: r.Severity, Priority: r.Priority, Shadow: r.Shadow, Tags: slices.Clone(r.Tags), Source: r,
	}
	if r.Policy != nil {
		out.PolicyName, out.PolicyVersion = r.Policy.Name.Value, r.Policy.Version.Value
	}
	for _, a := range r.Actions {
		out.Actions = append(out.Actions, a.JSON)
	}
	return out
}

// report adds an error at loc.
func (c *compiler) report(loc file.Location, code, message, hint string) {
	c.add(c.diagnostic(loc, policy.Error, code, message, hint))
}

// reportSpan adds an error at a place outside of expressions.
func (c *compiler) reportSpan(at policy.Span, code, message, hint string) {
	c.add(policy.Diagnostic{Span: at, Level: policy.Error, Code: code, Message: message, Hint: hint})
}

func (c *compiler) diagnostic(loc file.Location, level policy.Level, code, message, hint string) policy.Diagnostic {
	return policy.Diagnostic{Span: c.pos.span(loc), Level: level, Code: code, Message: message, Hint: hint}
}

// add keeps a diagnostic, once for each place: an argument or macro is checked at each of its uses.
func (c *compiler) add(d policy.Diagnostic) {
	if d.Level == policy.Error {
		c.errors++
	}
	key := fmt.Sprintf("%v %s %s", d.Span, d.Code, d.Message)
	if !c.reported[key] {
		c.reported[key] = true
		c.diagnostics = append(c.diagnostics, d)
	}
}
