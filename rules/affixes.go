package rules

import (
	"slices"
	"strings"
)

// affixes finds which of many texts a string begins with, or ends with, by one look at its first or last bytes.
// Constant after construction.
type affixes struct {
	op   textOp // opStarts or opEnds
	size int    // of what is looked up, in bytes; no text is shorter
	by   map[string][]gramText
	// outer are the first bytes of the texts, or the last ones: most strings need no look into the map.
	outer [4]uint64
}

// The sizes for the ends that an index looks up: of most extensions, with their dot, and of what says more than
// the extension of every executable.
const (
	shortEnd = 4
	longEnd  = 8
)

// newEnds is what looks ends up, each of shortEnd bytes at least.
func newEnds(texts []gramText) (all []*affixes) {
	long := func(t gramText) bool { return len(t.text) >= longEnd }
	short := slices.DeleteFunc(slices.Clone(texts), long)
	for _, a := range []*affixes{
		newAffixes(opEnds, shortEnd, short),
		newAffixes(opEnds, longEnd, slices.DeleteFunc(texts, func(t gramText) bool { return !long(t) })),
	} {
		if a != nil {
			all = append(all, a)
		}
	}
	return all
}

// newAffixes returns nil without texts.
func newAffixes(op textOp, size int, texts []gramText) *affixes {
	if len(texts) == 0 {
		return nil
	}
	a := &affixes{op: op, size: size, by: map[string][]gramText{}}
	for _, t := range texts {
		key := a.key(t.text)
		a.by[key] = append(a.by[key], t)
		c := a.edge(t.text)
		a.outer[c>>6] |= 1 << (c & 63)
	}
	return a
}

func (a *affixes) key(s string) string {
	if a.op == opStarts {
		return s[:a.size]
	}
	return s[len(s)-a.size:]
}

func (a *affixes) edge(s string) byte {
	if a.op == opStarts {
		return s[0]
	}
	return s[len(s)-1]
}

// of lists the texts that s may begin or end with.
func (a *affixes) of(s string) []gramText {
	if len(s) < a.size {
		return nil
	}
	if c := a.edge(s); a.outer[c>>6]>>(c&63)&1 == 0 {
		return nil
	}
	return a.by[a.key(s)]
}

// is says that s, of which t was found, begins or ends with it.
func (a *affixes) is(s string, t *gramText) bool {
	if a.op == opStarts {
		return strings.HasPrefix(s, t.text)
	}
	return strings.HasSuffix(s, t.text)
}

// any says that s begins or ends with one of the texts.
func (a *affixes) any(s string) bool {
	texts := a.of(s)
	for i := range texts {
		if a.is(s, &texts[i]) {
			return true
		}
	}
	return false
}

// bytes is about what a takes.
func (a *affixes) bytes() int {
	if a == nil {
		return 0
	}
	n := 0
	for _, texts := range a.by {
		n += 48
		for i := range texts {
			n += 40 + len(texts[i].text)
		}
	}
	return n
}
