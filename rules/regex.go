package rules

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
)

// compiledRegex is a constant pattern of matches, as compileRegex makes it, with what it costs. Constant.
type compiledRegex struct {
	re      *regexp.Regexp
	perByte int // see regexCost
}

// regexes are the patterns of a set while it is compiled: what has the same pattern shares it. Used by any number of
// goroutines.
type regexes struct {
	mu sync.Mutex
	by map[regexKey]*compiledRegex
}

type regexKey struct {
	pattern string
	exact   bool
}

func (r *regexes) get(pattern string, exact bool) (*compiledRegex, error) {
	key := regexKey{pattern, exact}
	r.mu.Lock()
	x := r.by[key]
	r.mu.Unlock()
	if x != nil {
		return x, nil
	}
	re, err := compileRegex(pattern, exact)
	if err != nil {
		return nil, err
	}
	x = &compiledRegex{re, regexCost(re)}
	r.mu.Lock()
	defer r.mu.Unlock()
	if first := r.by[key]; first != nil { // another goroutine was as fast
		return first, nil
	}
	r.by[key] = x
	return x, nil
}

// regexCost is the work that a regex may do for each byte: it grows with the states that can be alive at
// once.
func regexCost(re *regexp.Regexp) int {
	parsed, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return 1
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 1
	}
	return 1 + len(program.Inst)/16
}

// compileRegex compiles the pattern of matches: RE2 syntax, not anchored, and . is no newline. exact leaves
// it as written, for text as written; otherwise the result ignores case and is for folded text.
//
// Folded text holds one representative of each orbit of letters, so a pattern sees it right when it ignores
// case throughout: all its literals and classes are then closed over orbits, and hold the representative
// exactly when they hold the letter. Hence (?-i) is taken out before parsing (afterwards it would be too
// late: the class [^k] of case-sensitive parsing has K in it). What remains is speed: a literal that ignores
// case is spelled in representatives and compared as it stands, which lets the matcher look for it.
//
// \b goes by the text it sees: the Kelvin sign and the long s, not letters of ASCII, are k and s there.
func compileRegex(pattern string, exact bool) (*regexp.Regexp, error) {
	if exact {
		return regexp.Compile(pattern)
	}
	// Parsed as written first, so that a fault is reported in the author's own text.
	if _, err := syntax.Parse(pattern, syntax.Perl); err != nil {
		return nil, err
	}
	tree, err := syntax.Parse(dropCaseSensitive(pattern), syntax.Perl|syntax.FoldCase)
	if err != nil {
		return nil, err // the size limit: folded classes are larger
	}
	foldLiterals(tree)
	return regexp.Compile(tree.String())
}

// foldLiterals spells the literals of a tree parsed with FoldCase in representatives.
func foldLiterals(re *syntax.Regexp) {
	if re.Op == syntax.OpLiteral {
		for i, r := range re.Rune {
			re.Rune[i] = foldRune(r)
		}
		re.Flags &^= syntax.FoldCase
	}
	for _, sub := range re.Sub {
		foldLiterals(sub)
	}
}

// dropCaseSensitive takes i out of the negative part of every flag group of a valid pattern: (?-i:X) is
// (?:X), (?s-im) is (?s-m).
func dropCaseSensitive(pattern string) string {
	if !strings.Contains(pattern, "(?") {
		return pattern
	}
	var b strings.Builder
	for i := 0; i < len(pattern); {
		n := regexToken(pattern[i:])
		token := pattern[i : i+n]
		i += n
		flags, ok := strings.CutPrefix(token, "(?")
		if !ok || strings.HasPrefix(flags, "P<") || strings.HasPrefix(flags, "<") {
			b.WriteString(token)
			continue
		}
		on, off, _ := strings.Cut(flags[:len(flags)-1], "-")
		if off = strings.ReplaceAll(off, "i", ""); off != "" {
			on += "-" + off
		}
		b.WriteString("(?" + on + flags[len(flags)-1:])
	}
	return b.String()
}

// regexToken returns the length of the first token of a valid pattern as far as flag groups and what may
// look like one are concerned: \Q...\E, an escape, a class, a flag group up to its : or ), one byte.
func regexToken(s string) int {
	switch {
	case strings.HasPrefix(s, `\Q`):
		if i := strings.Index(s, `\E`); i >= 0 {
			return i + 2
		}
		return len(s)
	case s[0] == '\\' && len(s) > 1:
		return 2
	case s[0] == '[':
		return classLength(s)
	case strings.HasPrefix(s, "(?P<"), strings.HasPrefix(s, "(?<"):
		return strings.IndexByte(s, '>') + 1
	case strings.HasPrefix(s, "(?"):
		return strings.IndexAny(s, ":)") + 1
	}
	return 1
}

// classLength returns the length of the class that s begins with, its brackets included.
func classLength(s string) int {
	i := 1
	if i < len(s) && s[i] == '^' {
		i++
	}
	for first := true; i < len(s); first = false {
		switch {
		case s[i] == ']' && !first:
			return i + 1
		case s[i] == '\\':
			i++
		case strings.HasPrefix(s[i:], "[:"):
			if end := strings.Index(s[i+2:], ":]"); end >= 0 {
				i += 2 + end + 1
			}
		}
		i++
	}
	return len(s)
}
