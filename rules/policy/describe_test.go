package policy

import (
	"fmt"
	"strings"
)

// describe writes what a policy says, without places: two policies that describe alike are the same.
func describe(p *Policy) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("policy %q version %q description %q extra %q", p.Name.Value, p.Version.Value, p.Description.Value, values(p.ExtraEventNames))
	list := func(kind string, ls []List) {
		for _, l := range ls {
			line("%s %s ints=%v %q", kind, l.Name.Value, l.Ints, values(l.Members))
		}
	}
	macro := func(kind string, ms []Macro) {
		for _, m := range ms {
			line("%s %s%q: %q", kind, m.ID.Value, values(m.Params), m.Expression.Text)
		}
	}
	list("list", p.Lists)
	macro("macro", p.Macros)
	list("shared list", p.SharedLists)
	macro("shared macro", p.SharedMacros)
	for _, v := range p.Variables {
		line("variable %s %s %s default %q %q", v.Name.Value, v.Scope.Value, v.Type.Value, v.Default.Value, values(v.DefaultList))
	}
	for _, r := range p.Rules {
		line("rule %s version %q title %q", r.ID.Value, r.Version, r.Title)
		line("  description %q", r.Description)
		line("  expression %q", r.Expression.Text)
		line("  %s priority=%d shadow=%v disabled=%v tags=%q", r.Severity, r.Priority, r.Shadow, r.Disabled, r.Tags)
		line("  references=%q authors=%q false_positives=%q", r.References, r.Authors, r.FalsePositives)
		line("  status=%q license=%q date=%q modified=%q source=%q metadata=%q", r.Status, r.License, r.Date, r.Modified, r.Source, r.Metadata)
		for _, e := range r.Exceptions {
			line("  exception %q: %q", e.Name.Value, e.Expression.Text)
		}
		line("  every=%q limiter_token=%q", r.Every.Value, values(r.LimiterToken))
		for _, a := range r.Actions {
			line("  action %s", a.JSON)
		}
	}
	for _, t := range p.Tests {
		line("test %q", t.Name.Value)
		for _, e := range t.Events {
			line("  event host=%q after=%q %s", e.Host, e.After, e.JSON)
		}
		for _, x := range t.Expect {
			line("  expect %s %v", x.Rule.Value, x.Events)
		}
		for _, x := range t.ExpectException {
			line("  expect exception %s %q", x.Rule.Value, x.Exception.Value)
		}
	}
	return b.String()
}
