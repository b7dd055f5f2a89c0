package policy

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// printWidth is where a flow list or mapping becomes one line an entry.
const printWidth = 110

// Print writes a policy in the house format: keys in the order of the reference, expressions as | blocks,
// quotes where they are needed. Loading what Print wrote gives the same policy. Defaults and overrides are
// in force already: rules are written out with them, and a policy's overrides of others are not written, but
// for those that an importer made.
// An expression that an override brought from another policy is written as its text alone.
func Print(p *Policy) []byte {
	w := &printer{}
	w.text(0, "name", p.Name.Value)
	w.written(0, "version", p.Version.Value)
	w.text(0, "description", p.Description.Value)
	w.flow(0, "extra_event_names", texts(values(p.ExtraEventNames)))
	w.lists(0, p.Lists)
	w.macros(0, p.Macros)
	if len(p.SharedLists)+len(p.SharedMacros) > 0 {
		w.section("shared")
		w.lists(1, p.SharedLists)
		w.macros(1, p.SharedMacros)
	}
	if len(p.Variables) > 0 {
		w.section("variables")
		for _, v := range p.Variables {
			w.variable(v)
		}
	}
	if len(p.Rules) > 0 {
		w.section("rules")
		for i, r := range p.Rules {
			if i > 0 {
				w.b.WriteByte('\n')
			}
			w.rule(p, r)
		}
	}
	w.overrides(p.Overrides)
	if len(p.Tests) > 0 {
		w.section("tests")
		for i, t := range p.Tests {
			if i > 0 {
				w.b.WriteByte('\n')
			}
			w.test(t)
		}
	}
	return w.b.Bytes()
}

type printer struct {
	b bytes.Buffer
	// dash is set when the next line starts an entry of a list.
	dash bool
}

// line writes one line at a level of two spaces each; a pending dash stands in the last two.
func (w *printer) line(level int, format string, args ...any) {
	indent := strings.Repeat("  ", level)
	if w.dash {
		indent = indent[:len(indent)-2] + "- "
		w.dash = false
	}
	w.b.WriteString(indent)
	fmt.Fprintf(&w.b, format, args...)
	w.b.WriteByte('\n')
}

// section starts a key of the policy that has more than a line, after an empty line.
func (w *printer) section(key string) {
	w.gap(0)
	w.line(0, "%s:", key)
}

func (w *printer) gap(level int) {
	if level == 0 && w.b.Len() > 0 {
		w.b.WriteByte('\n')
	}
}

// text writes a key and its text, nothing when it is empty.
func (w *printer) text(level int, key, value string) {
	if value == "" {
		return
	}
	if lines := strings.Split(value, "\n"); len(lines) > 1 && blockable(value) {
		header := "|-"
		if lines[len(lines)-1] == "" {
			header, lines = "|", lines[:len(lines)-1]
		}
		w.block(level, key, header, lines)
		return
	}
	w.line(level, "%s: %s", key, quoteText(value))
}

// written writes a value that reads as a number or a word of YAML without quotes: the loader takes it as
// written.
func (w *printer) written(level int, key, value string) {
	if typed(value) {
		w.line(level, "%s: %s", key, value)
		return
	}
	w.text(level, key, value)
}

func asWritten(value string) string {
	if typed(value) {
		return value
	}
	return quoteText(value)
}

func (w *printer) expression(level int, x Expr) {
	text := strings.TrimSpace(x.Text)
	if text == "" || !blockable(text+"\n") {
		w.line(level, "%s: %s", expressionKey, quoteDouble(text))
		return
	}
	w.block(level, expressionKey, "|", strings.Split(text, "\n"))
}

func (w *printer) block(level int, key, header string, lines []string) {
	w.line(level, "%s: %s", key, header)
	for _, l := range lines {
		if l != "" {
			w.b.WriteString(strings.Repeat("  ", level+1))
			w.b.WriteString(l)
		}
		w.b.WriteByte('\n')
	}
}

// flow writes a list on one line, or an entry a line when that is too long.
func (w *printer) flow(level int, key string, members []string) {
	if members == nil {
		return
	}
	one := "[" + strings.Join(members, ", ") + "]"
	if utf8.RuneCountInString(one)+len(key)+2*level < printWidth {
		w.line(level, "%s: %s", key, one)
		return
	}
	w.line(level, "%s:", key)
	for _, m := range members {
		w.line(level+1, "- %s", m)
	}
}

func (w *printer) lists(level int, ls []List) {
	if len(ls) == 0 {
		return
	}
	w.gap(level)
	w.line(level, "lists:")
	for _, l := range ls {
		members := texts(values(l.Members))
		if l.Ints {
			members = values(l.Members)
		}
		if members == nil {
			members = []string{}
		}
		w.flow(level+1, quoteText(l.Name.Value), members)
	}
}

func (w *printer) macros(level int, ms []Macro) {
	if len(ms) == 0 {
		return
	}
	w.gap(level)
	w.line(level, "macros:")
	for _, m := range ms {
		w.dash = true
		w.text(level+2, "id", m.ID.Value)
		w.flow(level+2, "params", texts(values(m.Params)))
		w.expression(level+2, m.Expression)
	}
}

func (w *printer) variable(v Variable) {
	out := fmt.Sprintf("scope: %s, type: %s", v.Scope.Value, v.Type.Value)
	switch {
	case v.DefaultList != nil:
		members := make([]string, len(v.DefaultList))
		for i, m := range v.DefaultList {
			members[i] = asWritten(m.Value)
		}
		out += ", default: [" + strings.Join(members, ", ") + "]"
	case v.Default.Value != "":
		out += ", default: " + asWritten(v.Default.Value)
	}
	w.line(1, "%s: {%s}", quoteText(v.Name.Value), out)
}

func (w *printer) rule(p *Policy, r Rule) {
	w.dash = true
	w.text(2, "id", r.ID.Value)
	if r.Version != p.Version.Value {
		w.written(2, "version", r.Version)
	}
	if r.Title != firstOf(r.Description, r.ID.Value) {
		w.text(2, "title", r.Title)
	}
	w.text(2, "description", r.Description)
	w.expression(2, r.Expression)
	w.line(2, "severity: %s", r.Severity)
	if r.Priority != 0 {
		w.line(2, "priority: %d", r.Priority)
	}
	if r.Shadow {
		w.line(2, "mode: shadow")
	}
	if r.Disabled {
		w.line(2, "disabled: true")
	}
	w.tags(r.Tags)
	w.flow(2, "references", texts(r.References))
	w.flow(2, "authors", texts(r.Authors))
	w.flow(2, "false_positives", texts(r.FalsePositives))
	w.text(2, "status", r.Status)
	w.text(2, "license", r.License)
	w.written(2, "date", r.Date)
	w.written(2, "modified", r.Modified)
	if r.Source != (Source{}) {
		w.line(2, "source:")
		w.text(3, "kind", r.Source.Kind)
		w.written(3, "id", r.Source.ID)
		w.text(3, "url", r.Source.URL)
	}
	if len(r.Metadata) > 0 {
		w.line(2, "metadata:")
		for _, key := range sortedKeys(r.Metadata) {
			if value := r.Metadata[key]; value == "" {
				w.line(3, "%s: ''", quoteText(key))
			} else {
				w.text(3, quoteText(key), value)
			}
		}
	}
	if len(r.Exceptions) > 0 {
		w.line(2, "exceptions:")
		for _, e := range r.Exceptions {
			w.dash = true
			w.text(4, "name", e.Name.Value)
			w.expression(4, e.Expression)
		}
	}
	w.text(2, "every", r.Every.Value)
	w.flow(2, "limiter_token", texts(values(r.LimiterToken)))
	w.actions(r.Actions)
}

func (w *printer) actions(as []Action) {
	if len(as) == 0 {
		return
	}
	w.line(2, "actions:")
	for _, a := range as {
		w.line(3, "- %s", flowJSON(a.JSON))
	}
}

// tags writes "key:value" texts by key, without the severity.
func (w *printer) tags(tags []string) {
	byKey := map[string][]string{}
	for _, t := range tags {
		if key, value, ok := strings.Cut(t, ":"); ok && key != "severity" {
			byKey[key] = append(byKey[key], value)
		}
	}
	if len(byKey) == 0 {
		return
	}
	w.line(2, "tags:")
	for _, key := range sortedKeys(byKey) {
		if vs := byKey[key]; len(vs) == 1 {
			w.text(3, quoteText(key), vs[0])
		} else {
			w.flow(3, quoteText(key), texts(vs))
		}
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
