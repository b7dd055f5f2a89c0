package rules

import (
	"slices"

	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"

	"spoor/rules/policy"
)

// compiler is the state of one Compile, or of one goroutine that compiles rules in it: what stands first is shared
// and constant by then, the rest is its own.
type compiler struct {
	set     *policy.Set
	pos     positions
	names   map[*policy.Policy]*names
	macros  []*macro
	regexes *regexes

	diagnostics policy.Diagnostics
	reported    map[reportedKey]bool
	errors      int

	parseConfig, authorConfig, programConfig, valueConfig *conf.Config
}

// reportedKey is what tells diagnostics apart.
type reportedKey struct {
	at            policy.Span
	code, message string
}

// own is c with nothing reported, for another goroutine.
func (c *compiler) own() *compiler {
	out := *c
	out.diagnostics, out.reported, out.errors = nil, map[reportedKey]bool{}, 0
	out.parseConfig, out.authorConfig, out.programConfig, out.valueConfig = newParseConfig(), newAuthorConfig(), newProgramConfig(), newValueConfig()
	return &out
}

// Compile checks and compiles every rule of set. It returns every fault of every expression, sorted; the
// Set is nil when one of them is an error, or set itself was loaded with one.
func Compile(set *policy.Set) (*Set, policy.Diagnostics) {
	c := (&compiler{set: set, regexes: &regexes{by: map[regexKey]*compiledRegex{}}}).own()
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
	}
	c.refuseCycles()
	// Macros are checked alone first, so that what they have of their own is reported without a rule.
	for _, m := range c.macros {
		c.guard(m.ID.Span, "macro `"+m.ID.Value+"`", func() { c.checkMacro(m) })
	}
	s := &Set{hash: set.Hash}
	jobs := c.rules()
	var lintRules []lintRule
	for i := range jobs {
		j := &jobs[i]
		for _, d := range j.diagnostics {
			c.add(d)
		}
		if !j.ok || j.rule.Disabled {
			continue
		}
		s.compiled = append(s.compiled, j.compiled)
		if j.linted() {
			lintRules = append(lintRules, j.lint)
		}
	}
	for _, p := range set.Policies {
		s.tests = append(s.tests, p.Tests...)
	}
	plan := newPlan()
	newLinter(&c.pos, c.add).set(set, lintRules, plan)
	if c.errors > 0 || set.Broken {
		return nil
	}
	s.pos = c.pos
	s.finish(plan)
	return s
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
	key := reportedKey{d.Span, d.Code, d.Message}
	if !c.reported[key] {
		c.reported[key] = true
		c.diagnostics = append(c.diagnostics, d)
	}
}
