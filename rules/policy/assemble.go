package policy

import (
	"fmt"
	"slices"
	"sort"
)

// assembly makes a set of the files that were read: what only the whole set can say. One goroutine, one
// Load.
type assembly struct {
	readers []*reader // sorted by path
	rules   map[string]*draft
	ids     []string
	diags   Diagnostics
	missing missing
}

func (s *assembly) fault(at Span, code, hint, format string, args ...any) {
	s.diags = append(s.diags, Diagnostic{Span: at, Level: Error, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (s *assembly) noted(at Span, code, hint string, note Note, format string, args ...any) {
	s.fault(at, code, hint, format, args...)
	s.diags[len(s.diags)-1].Notes = []Note{note}
}

// assemble reads every file and puts the set together. Files must be sorted by path. lost says that there
// are files whose bytes could not be had.
func assemble(files []sourceFile, lost bool) (*Set, Diagnostics) {
	s := &assembly{rules: map[string]*draft{}, missing: missing{all: lost}}
	for _, f := range files {
		r, diags := readFile(f)
		s.diags = append(s.diags, diags...)
		if r == nil {
			s.missing.file(f.data)
			continue
		}
		for name := range r.missing.names {
			s.missing.add(name)
		}
		s.readers = append(s.readers, r)
	}
	s.collectRules()
	s.checkNames()
	s.applyOverrides()
	s.finishRules()
	s.checkTests()
	set := &Set{missing: s.missing}
	for _, r := range s.readers {
		set.Policies = append(set.Policies, r.policy)
	}
	if !s.diags.HasErrors() {
		set.Hash = hash(set)
	}
	return set, s.diags
}

// collectRules indexes the rules of the set by id.
func (s *assembly) collectRules() {
	for _, r := range s.readers {
		for _, d := range r.drafts {
			id := d.rule.ID
			if id.Value == "" {
				continue
			}
			if first, twice := s.rules[id.Value]; twice {
				s.noted(id.Span, CodeDuplicateRule, "", Note{first.rule.ID.Span, "first here"}, "two rules have the id %q", id.Value)
				continue
			}
			s.rules[id.Value] = d
			s.ids = append(s.ids, id.Value)
		}
	}
}

func (s *assembly) suggestRule(id string) string { return suggestion(id, s.ids) }

// checkNames holds the names of lists, macros and variables unique within every scope: a policy sees its
// own, and the shared ones of the whole set.
func (s *assembly) checkNames() {
	shared := map[string]Span{}
	claim := func(seen map[string]Span, t Text, what string) {
		if first, twice := seen[t.Value]; twice {
			s.noted(t.Span, CodeDuplicateName, "", Note{first, "first here"}, "%s %q: the name is taken", what, t.Value)
			return
		}
		seen[t.Value] = t.Span
	}
	for _, r := range s.readers {
		for _, l := range r.policy.SharedLists {
			claim(shared, l.Name, "shared list")
		}
		for _, m := range r.policy.SharedMacros {
			claim(shared, m.ID, "shared macro")
		}
	}
	for _, r := range s.readers {
		own := make(map[string]Span, len(shared))
		for name, at := range shared {
			own[name] = at
		}
		for _, l := range r.policy.Lists {
			claim(own, l.Name, "list")
		}
		for _, m := range r.policy.Macros {
			claim(own, m.ID, "macro")
		}
		for _, v := range r.policy.Variables {
			claim(own, v.Name, "variable")
		}
	}
}

// finishRules applies defaults to every rule and hands it to its policy.
func (s *assembly) finishRules() {
	for _, r := range s.readers {
		for _, d := range r.drafts {
			rule := d.rule
			if _, given := d.given["severity"]; !given {
				rule.Severity = r.defaults.severity
			}
			if _, given := d.given["mode"]; !given {
				rule.Shadow = r.defaults.shadow
			}
			if rule.Version == "" {
				rule.Version = r.policy.Version.Value
			}
			if rule.Title == "" {
				rule.Title = firstOf(rule.Description, rule.ID.Value)
			}
			rule.Tags = joinTags(d.tags, r.defaults.tags, d.added, rule.Severity)
			names := map[string]Span{}
			for _, e := range rule.Exceptions {
				if first, twice := names[e.Name.Value]; twice {
					s.noted(e.Name.Span, CodeDuplicateName, "", Note{first, "first here"}, "two exceptions of rule %q are named %q", rule.ID.Value, e.Name.Value)
					continue
				}
				names[e.Name.Value] = e.Name.Span
			}
			r.policy.Rules = append(r.policy.Rules, rule)
		}
	}
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// joinTags gives sorted "key:value" texts, each once. A default stands in for a key the rule does not give;
// what overrides add comes on top of either.
func joinTags(own, byDefault, added []tag, severity Severity) []string {
	out := []string{"severity:" + severity.String()}
	given := map[string]bool{}
	for _, t := range added {
		for _, v := range t.values {
			out = append(out, t.key+":"+v)
		}
	}
	for _, t := range own {
		given[t.key] = true
		for _, v := range t.values {
			out = append(out, t.key+":"+v)
		}
	}
	for _, t := range byDefault {
		for _, v := range t.values {
			if !given[t.key] {
				out = append(out, t.key+":"+v)
			}
		}
	}
	sort.Strings(out)
	return slices.Compact(out)
}

// checkTests holds the rules and exceptions that tests name against the set.
func (s *assembly) checkTests() {
	for _, r := range s.readers {
		for _, t := range r.policy.Tests {
			for _, x := range t.Expect {
				if s.rules[x.Rule.Value] == nil && !s.missing.has(x.Rule.Value) {
					s.fault(x.Rule.Span, CodeTestRule, s.suggestRule(x.Rule.Value), "the set has no rule %q", clip(x.Rule.Value, 60))
				}
			}
			for _, x := range t.ExpectException {
				d := s.rules[x.Rule.Value]
				if d == nil {
					if !s.missing.has(x.Rule.Value) {
						s.fault(x.Rule.Span, CodeTestRule, s.suggestRule(x.Rule.Value), "the set has no rule %q", clip(x.Rule.Value, 60))
					}
					continue
				}
				var names []string
				for _, e := range d.rule.Exceptions {
					names = append(names, e.Name.Value)
				}
				if !slices.Contains(names, x.Exception.Value) && !d.faulty {
					s.fault(x.Exception.Span, CodeTestException, suggestion(x.Exception.Value, names),
						"rule %q has no exception %q", x.Rule.Value, clip(x.Exception.Value, 60))
				}
			}
		}
	}
}
