package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"

	"spoor/rules/policy"
)

// Lint finds policies that load and yet are hardly what their author meant. It looks at the author's terms
// (macros, lists and lets inlined) and warns only where it can say why: what it cannot decide, it lets pass.
// Each file lint_*.go is one question.

// The codes of lint's warnings.
const (
	codeUnusedList      = "unused-list"
	codeUnusedMacro     = "unused-macro"
	codeDuplicateMember = "duplicate-member"
	codeNoTest          = "no-test"
	codeNeverMatches    = "never-matches"
	codeExceptionNever  = "exception-never-holds"
	codeImpossible      = "impossible-constant"
	codeNegatedUnknown  = "negated-unknown"
	codeSimplerOperator = "simpler-operator"
	codeShortRoot       = "short-registry-root"
	codeExpensive       = "expensive-rule"
)

// lintCodes lists the codes of lint, in the order of the reference.
func lintCodes() []policy.Code {
	return []policy.Code{
		{Name: codeUnusedList, Level: policy.Warning, Help: "No expression of the policy uses the list."},
		{Name: codeUnusedMacro, Level: policy.Warning, Help: "No expression of the policy uses the macro."},
		{Name: codeDuplicateMember, Level: policy.Warning, Help: "A list has the same member twice; case does not tell texts apart."},
		{Name: codeNoTest, Level: policy.Warning, Help: "No test of the set expects the rule to match anything."},
		{Name: codeNeverMatches, Level: policy.Warning, Help: "The conditions of a rule contradict each other, so that it matches no event."},
		{Name: codeExceptionNever, Level: policy.Warning, Help: "An exception contradicts its rule or itself, so that it takes no match out."},
		{Name: codeImpossible, Level: policy.Warning, Help: "A field is compared with a constant that it cannot have."},
		{Name: codeNegatedUnknown, Level: policy.Warning, Help: "A negation holds on a parent, ancestor, command line or user that is not known; ask for something that is known beside it."},
		{Name: codeSimplerOperator, Level: policy.Warning, Help: "A regular expression does what ==, in, contains, startsWith or endsWith does, more cheaply and without escapes."},
		{Name: codeShortRoot, Level: policy.Warning, Help: "A regular expression names a registry root, or it or a text a numbered control set, which paths never have: they have the long name and CurrentControlSet."},
		{Name: codeExpensive, Level: policy.Warning, Help: "Nothing in the rule can be looked up (a field that equals a constant, or a text of two characters or more in one), so it is evaluated for every event of its name; the message says why and guesses what that takes, and engine bench measures it."},
	}
}

// lintRule is an enabled rule without faults.
type lintRule struct {
	rule       *policy.Rule
	condition  *term
	exceptions []lintException
	cond       *Cond
	events     []string // its event names; empty means every name
	never      bool     // it was found to match no event
}

// lintException is one of its exceptions.
type lintException struct {
	exception *policy.Exception
	condition *term
}

// linter collects warnings. It is used by one goroutine.
type linter struct {
	pos  *positions
	rule *policy.Rule // under examination, or nil
	// tests are the comparisons with constants of the rule, and what is none, with nil.
	tests map[*term]*constantTest
	// blamed is what blame has seen of a rule or exception.
	blamed map[blamed]bool
	warn   func(at policy.Span, code, message, hint string, notes ...policy.Note)
}

// newLinter returns a linter of expressions that stand in pos.
func newLinter(pos *positions, report func(policy.Diagnostic)) *linter {
	return &linter{pos: pos, tests: map[*term]*constantTest{}, warn: func(at policy.Span, code, message, hint string, notes ...policy.Note) {
		report(policy.Diagnostic{Span: at, Level: policy.Warning, Code: code, Message: message, Hint: hint, Notes: notes})
	}}
}

// alone warns about an enabled rule without faults, as far as the rule itself goes.
func (l *linter) alone(r *lintRule) {
	l.rule = r.rule
	clear(l.tests)
	l.terms(r.condition)
	for _, x := range r.exceptions {
		l.terms(x.condition)
	}
	r.never = l.neverMatches(r)
	l.unknown(r)
}

// set warns about what set holds beside its rules, and about its enabled rules without faults, which were looked at
// alone before.
func (l *linter) set(set *policy.Set, rules []lintRule, plan *plan) {
	if !set.Broken { // else what would use or test something may be what could not be read
		l.unused(set)
		l.untested(set, rules)
	}
	l.duplicates(set)
	index := newIndexer(plan)
	for i := range rules {
		if r := &rules[i]; !r.never {
			l.expensive(r, index)
		}
	}
}

// terms asks what can be said of each comparison alone.
func (l *linter) terms(t *term) {
	if c := l.constantTest(t); c != nil {
		l.impossible(*c)
		l.repeated(*c)
		if c.op == "matches" {
			l.simplerRegex(*c)
			l.shortRoot(*c)
		} else {
			l.numberedSet(*c)
		}
	}
	for _, a := range t.args {
		l.terms(a)
	}
}

// warnOf warns of t. When t stands in a macro, a note says for which rule.
func (l *linter) warnOf(t *term, code, message, hint string, notes ...policy.Note) {
	at := l.span(t)
	if s := l.pos.find(t.ext.From); l.rule != nil && strings.HasPrefix(s.owner, "macro ") {
		notes = append(notes, policy.Note{Span: l.rule.ID.Span, Message: fmt.Sprintf("in rule `%s`", l.rule.ID.Value)})
	}
	l.warn(at, code, message, hint, notes...)
}

// span is the place of t as its author wrote it: of a macro's body, there.
func (l *linter) span(t *term) policy.Span { return l.pos.span(l.extent(t)) }

// text is the author's text of t, on one line and cut when it is long.
func (l *linter) text(t *term) string {
	s := strings.Join(strings.Fields(l.pos.text(l.extent(t))), " ")
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "..."
	}
	return s
}

func (l *linter) extent(t *term) file.Location { return l.pos.widen(t.ext) }

// used says which names each policy's expressions use. A name is one token that no dot precedes; nothing in
// scope has the name of something else.
func (l *linter) used() map[*policy.Policy]map[string]bool {
	used := map[*policy.Policy]map[string]bool{}
	for _, s := range l.pos.sources {
		p := s.expr.Scope
		if p == nil || len(p.Lists)+len(p.Macros) == 0 {
			continue // nothing is asked
		}
		names := used[p]
		if names == nil {
			names = map[string]bool{}
			used[p] = names
		}
		tokens := s.lex()
		if tokens == nil { // a fault: whatever looks like a name is one
			for _, word := range strings.FieldsFunc(s.expr.Text, func(r rune) bool {
				return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
			}) {
				names[word] = true
			}
		}
		previous := ""
		for _, t := range tokens {
			if t.Kind == lexer.Identifier && previous != "." {
				names[t.Value] = true
			}
			previous = t.Value
		}
	}
	return used
}

// unused warns of lists and macros that no expression of their policy uses. Shared ones are for others.
func (l *linter) unused(set *policy.Set) {
	used := l.used()
	for _, p := range set.Policies {
		for _, list := range p.Lists {
			if !used[p][list.Name.Value] {
				l.warn(list.Name.Span, codeUnusedList, fmt.Sprintf("no expression of this policy uses list `%s`", list.Name.Value),
					"remove it, or move it under shared: when other policies use it")
			}
		}
		for _, m := range p.Macros {
			if !used[p][m.ID.Value] {
				l.warn(m.ID.Span, codeUnusedMacro, fmt.Sprintf("no expression of this policy uses macro `%s`", m.ID.Value),
					"remove it, or move it under shared: when other policies use it")
			}
		}
	}
}

// duplicates warns of members that a list has twice.
func (l *linter) duplicates(set *policy.Set) {
	for _, p := range set.Policies {
		for _, list := range slices.Concat(p.Lists, p.SharedLists) {
			first := make(map[string]policy.Text, len(list.Members))
			for _, m := range list.Members {
				key := fold(m.Value)
				if list.Ints {
					if n, err := strconv.ParseInt(m.Value, 0, 64); err == nil {
						key = strconv.FormatInt(n, 10)
					}
				}
				if before, twice := first[key]; twice {
					l.warn(m.Span, codeDuplicateMember, fmt.Sprintf("list `%s` has `%s` twice", list.Name.Value, m.Value), "remove one of them",
						policy.Note{Span: before.Span, Message: fmt.Sprintf("`%s` stands here", before.Value)})
				} else {
					first[key] = m
				}
			}
		}
	}
}

// repeated warns of a constant that stands twice in a list that is written in the condition.
func (l *linter) repeated(c constantTest) {
	list := c.term.args[len(c.term.args)-1]
	if list.op != opConst || list.name != "" || len(c.values) < 2 {
		return
	}
	seen := make(map[any]bool, len(c.values))
	for _, v := range c.values {
		key := v
		if s, ok := v.(string); ok {
			key, _ = c.seen(s)
		}
		if seen[key] {
			l.warnOf(list, codeDuplicateMember, fmt.Sprintf("the list has `%v` twice", v), "remove one of them")
			return
		}
		seen[key] = true
	}
}

// untested warns of rules that no test expects to match.
func (l *linter) untested(set *policy.Set, rules []lintRule) {
	tested := map[string]bool{}
	for _, p := range set.Policies {
		for _, t := range p.Tests {
			for _, e := range t.Expect {
				if len(e.Events) > 0 {
					tested[e.Rule.Value] = true
				}
			}
		}
	}
	for _, r := range rules {
		if id := r.rule.ID; !tested[id.Value] {
			l.warn(id.Span, codeNoTest, fmt.Sprintf("no test expects rule `%s` to match", id.Value),
				fmt.Sprintf("add a test with an event that matches: expect: {%s: [0]}", id.Value))
		}
	}
}

// shortRoot warns of a registry root in a regex under a name that the path never has.
func (l *linter) shortRoot(c constantTest) {
	if c.registry() && len(c.texts) == 1 {
		if root := regexShortRoot(c.texts[0]); root != "" {
			l.warnOf(c.term, codeShortRoot, fmt.Sprintf("the regular expression names `%s`, but rules see registry paths with the long name of the root", root),
				`write HKEY_LOCAL_MACHINE, HKEY_USERS\\[^\\]+ or HKEY_CLASSES_ROOT, or use startsWith, contains or glob, which know the short names`)
		}
		if regexNumberedSet(c.texts[0]) {
			l.warnOf(c.term, codeShortRoot, "the regular expression demands a numbered control set, but rules see each of them as CurrentControlSet", "write CurrentControlSet")
		}
	}
}

// numberedSetInText begins a text, or a pattern behind its wildcards, with a control set that is not the current one.
var numberedSetInText = regexp.MustCompile(`^[*?]*(?:\\+controlset|\\*controlset[0-9])`)

// numberedSet warns of texts and patterns that begin with a numbered control set, so that nothing says where it stands:
// the one below SYSTEM, which is meant, has another name there. The one of a hive that is loaded elsewhere has not.
func (l *linter) numberedSet(c constantTest) {
	if !c.registry() || l.impossibleWhy(c) != "" {
		return
	}
	for _, text := range c.texts {
		if s, _ := c.seen(text); numberedSetInText.MatchString(s) {
			l.warnOf(c.term, codeShortRoot, fmt.Sprintf("`%s` begins with a numbered control set, but rules see each of those below SYSTEM as CurrentControlSet", text), "write CurrentControlSet")
			return
		}
	}
}
