package sigma

import (
	"slices"
	"strings"

	"spoor/rules/policy"
)

// modifiers are those of a line, in their order.
type modifiers struct{ list []modifier }

type modifier struct {
	name string
	at   policy.Span
}

func (m modifiers) has(name string) bool {
	return slices.ContainsFunc(m.list, func(x modifier) bool { return x.name == name })
}

// find is the first of the modifiers that is one of names.
func (m modifiers) find(names ...string) (modifier, bool) {
	for _, x := range m.list {
		if slices.Contains(names, x.name) {
			return x, true
		}
	}
	return modifier{}, false
}

// group is a set of modifiers of which a line has at most one.
type group int

const (
	noGroup group = iota
	placeGroup
	typeGroup
	wideGroup
	baseGroup
)

// knownModifiers are all of the specification but those on times.
var knownModifiers = map[string]group{
	"contains": placeGroup, "startswith": placeGroup, "endswith": placeGroup,
	"re": typeGroup, "cidr": typeGroup, "fieldref": typeGroup, "exists": typeGroup,
	"lt": typeGroup, "lte": typeGroup, "gt": typeGroup, "gte": typeGroup,
	"wide": wideGroup, "utf16": wideGroup, "utf16le": wideGroup, "utf16be": wideGroup,
	"base64": baseGroup, "base64offset": baseGroup,
	"all": noGroup, "cased": noGroup, "windash": noGroup, "expand": noGroup, "neq": noGroup,
	"i": noGroup, "m": noGroup, "s": noGroup,
}

// aliases of modifiers in older rules and tools.
var modifierAliases = map[string]string{"ignorecase": "i", "multiline": "m", "dotall": "s"}

var timeModifiers = []string{"minute", "hour", "day", "week", "month", "year"}

// modifiers reads what stands behind the field's name, and refuses what does not go together.
func (l *line) modifiers(rest string) (modifiers, *refusal) {
	var out modifiers
	if rest == "" {
		if strings.Contains(l.key.Text, "|") {
			return out, l.fail("a modifier is missing after |")
		}
		return out, nil
	}
	offset := len([]rune(l.key.Text)) - len([]rune(rest))
	for _, name := range strings.Split(rest, "|") {
		width := len([]rune(name))
		m := modifier{strings.ToLower(strings.TrimSpace(name)), l.key.At(offset, offset+max(width, 1))}
		offset += width + 1
		if full, ok := modifierAliases[m.name]; ok {
			m.name = full
		}
		if slices.Contains(timeModifiers, m.name) {
			return out, refuse(m.at, "%s: the modifier %s takes a part of a time, which the rule language cannot", l.key.Text, m.name)
		}
		g, known := knownModifiers[m.name]
		if !known {
			hint := ""
			if near := policy.Suggest(m.name, modifierNames()); near != "" {
				hint = "; did you mean " + near + "?"
			}
			return out, refuse(m.at, "%s: there is no modifier %q%s", l.key.Text, m.name, hint)
		}
		if out.has(m.name) {
			return out, refuse(m.at, "%s: the modifier %s stands twice", l.key.Text, m.name)
		}
		for _, before := range out.list {
			if g != noGroup && knownModifiers[before.name] == g {
				return out, refuse(m.at, "%s: %s and %s exclude each other", l.key.Text, before.name, m.name)
			}
		}
		if (m.name == "i" || m.name == "m" || m.name == "s") && !out.has("re") {
			return out, refuse(m.at, "%s: %s stands behind re only", l.key.Text, m.name)
		}
		out.list = append(out.list, m)
	}
	return out, l.fit(out)
}

func modifierNames() []string {
	var out []string
	for name := range knownModifiers {
		if len(name) > 1 {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// fit refuses modifiers that say nothing together.
func (l *line) fit(m modifiers) *refusal {
	conflict := func(name string, others ...string) *refusal {
		if !m.has(name) {
			return nil
		}
		if other, ok := m.find(others...); ok {
			return refuse(other.at, "%s: %s says nothing beside %s", l.key.Text, other.name, name)
		}
		return nil
	}
	encoders := []string{"wide", "utf16", "utf16le", "utf16be", "base64", "base64offset", "windash"}
	for _, r := range []*refusal{
		conflict("re", append(encoders, "startswith", "endswith")...),
		conflict("cidr", append(encoders, "contains", "startswith", "endswith", "cased", "expand")...),
		conflict("fieldref", append(encoders, "expand")...),
		conflict("exists", append(encoders, "contains", "startswith", "endswith", "cased", "expand", "all", "neq")...),
	} {
		if r != nil {
			return r
		}
	}
	if order, ok := m.find("lt", "lte", "gt", "gte"); ok {
		if r := conflict(order.name, append(encoders, "contains", "startswith", "endswith", "cased", "expand", "all", "neq")...); r != nil {
			return r
		}
	}
	if wide, ok := m.find("wide", "utf16", "utf16le", "utf16be"); ok && !m.has("base64") && !m.has("base64offset") {
		return refuse(wide.at, "%s: %s makes bytes that no text of an event has; base64 or base64offset has to follow", l.key.Text, wide.name)
	}
	return nil
}
