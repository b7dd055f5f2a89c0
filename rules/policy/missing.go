package policy

import (
	"bytes"
	"regexp"
	"strings"
)

// missing are the names that may be defined by what could not be read. A name that cannot be resolved is no
// fault of its own when it is among them: that the file is broken has been reported, and mending it may
// define the name. All other names are faults, whatever else is broken.
type missing struct {
	names map[string]bool // nil: everything was read
	all   bool            // a file of which nothing is known
}

// A name is defined as a key, or as the value of id.
var (
	definedKey = regexp.MustCompile(`([A-Za-z0-9_.-]+)["']?[ \t]*:`)
	definedID  = regexp.MustCompile(`\bid["']?[ \t]*:[ \t]*["']?([^"',}\r\n]+)`)
)

// file adds the names that a broken file may define: what looks like a definition in its text.
func (m *missing) file(data []byte) {
	if len(data) > maxFileSize || bytes.IndexByte(data, 0) >= 0 {
		m.all = true
		return
	}
	for _, pattern := range []*regexp.Regexp{definedKey, definedID} {
		for _, found := range pattern.FindAllSubmatch(data, -1) {
			m.add(strings.TrimSpace(string(found[1])))
		}
	}
}

// node adds every key and text of a definition with faults, but not what its expressions use.
func (m *missing) node(n *node) {
	if n.kind == scalarNode {
		m.add(n.scalar.text)
	}
	for _, e := range n.entries {
		m.node(e.key)
		if e.key.scalar.text != expressionKey {
			m.node(e.value)
		}
	}
	for _, item := range n.items {
		m.node(item)
	}
}

func (m *missing) add(name string) {
	if m.names == nil {
		m.names = map[string]bool{}
	}
	m.names[name] = true
	m.names[spelling(name)] = true
}

func (m *missing) has(name string) bool { return m.all || m.names[name] }

// spelling is the name that a misspelt one was probably meant to be.
func spelling(name string) string {
	return strings.Map(func(c rune) rune {
		if c == '-' || c == ' ' || c == '.' {
			return '_'
		}
		return c
	}, strings.ToLower(name))
}

// MayDefine says that a list, macro or variable of this name may be defined by what could not be read: that it
// cannot be resolved is then no fault of its own.
func (s *Set) MayDefine(name string) bool { return s.missing.has(name) }
