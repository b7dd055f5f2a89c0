package rules

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"unicode"
)

// madeEvents makes n events for each rule of set from the texts that the rule compares with, so that most rules
// match some: in letters of either case, beyond ASCII too, with other text in between.
func madeEvents(set *Set, n int) []string {
	m := &maker{Rand: rand.New(rand.NewPCG(7, 7)), plan: newPlan()}
	var out []string
	for i := range set.compiled {
		c := &set.compiled[i]
		f := m.plan.formula(c.code.cond)
		for range n {
			m.parts = map[*textSource]*madeText{}
			m.fulfil(f, true)
			if len(c.exceptions) > 0 && m.IntN(2) == 0 {
				m.fulfil(m.plan.formula(c.exceptions[0].cond), true)
			}
			out = append(out, m.document(c.rule))
		}
	}
	return out
}

// maker makes events.
type maker struct {
	*rand.Rand
	plan  *plan
	parts map[*textSource]*madeText
}

// madeText is what a text has to be like.
type madeText struct {
	whole, front, back string
	inside             []string
}

// fulfil notes what makes f hold, as far as texts do.
func (m *maker) fulfil(f *formula, hold bool) {
	switch f.op {
	case condNot:
		m.fulfil(f.args[0], !hold)
	case condAnd, condOr:
		if (f.op == condAnd) == hold {
			for _, a := range f.args {
				m.fulfil(a, hold)
			}
			return
		}
		m.fulfil(f.args[m.IntN(len(f.args))], hold)
	case condLeaf:
		c := m.plan.conditions[f.cond]
		if c.demands != nil && hold {
			m.fulfil(c.demands, true)
		}
		if c.kind != testTexts || !hold && m.IntN(4) > 0 {
			return
		}
		p := m.parts[c.source]
		if p == nil {
			p = &madeText{}
			m.parts[c.source] = p
		}
		t := c.texts[m.IntN(len(c.texts))]
		switch c.op {
		case opEquals:
			p.whole = t
		case opStarts:
			p.front = t
		case opEnds:
			p.back = t
		default:
			p.inside = append(p.inside, t)
		}
	}
}

// text is a text as p says, in letters of any case.
func (m *maker) text(p *madeText) string {
	s := p.whole
	if s == "" {
		s = p.front
		for _, t := range p.inside {
			s += []string{"", " ", "x", "É", `\`, "a.b"}[m.IntN(6)] + t
		}
		s += []string{"", " ", `\`, "ß"}[m.IntN(4)] + p.back
	}
	strange := m.IntN(6) == 0
	return strings.Map(func(r rune) rune {
		switch {
		case strange && r == 's':
			return 'ſ'
		case strange && r == 'k':
			return '\u212a'
		case m.IntN(3) == 0:
			return unicode.ToUpper(r)
		}
		return r
	}, s)
}

// document is an event for a rule, as JSON.
func (m *maker) document(r *Rule) string {
	root := map[string]any{}
	set := func(at map[string]any, path, text string) {
		names := strings.Split(path, ".")
		for _, n := range names[:len(names)-1] {
			below, _ := at[n].(map[string]any)
			if below == nil {
				below = map[string]any{}
				at[n] = below
			}
			at = below
		}
		at[names[len(names)-1]] = text
	}
	ancestor := map[string]any{"pid": 7}
	for source, p := range m.parts {
		f := source.field
		switch {
		case source.form == formNumber:
		case f.owner == ofAncestor:
			set(ancestor, f.Path, m.text(p))
		case f.Path == "registry.target":
			set(root, "registry.key_path", m.text(p))
		case !f.Derived:
			set(root, f.Path, m.text(p))
		}
	}
	if len(r.Events) > 0 && m.IntN(20) > 0 {
		set(root, "evt.name", r.Events[m.IntN(len(r.Events))])
	}
	set(root, "process.user", "someone")
	root["process"].(map[string]any)["ancestors"] = []any{map[string]any{"pid": 3}, ancestor}
	text, _ := json.Marshal(root)
	return string(text)
}
