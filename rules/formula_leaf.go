package rules

import (
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// How the leaves of rules become conditions: a comparison of a text field with constants says which texts are looked
// for, and where; everything else is a function of the event, or a program of expr's VM.

// leaf builds the formula of a leaf.
func (p *plan) leaf(l *leaf) *formula {
	if f := p.textual(l.term); f != nil {
		return f
	}
	if p.element {
		return p.intern("# other", func() *condition {
			return &condition{kind: testAny, why: "a condition that is no comparison of a text field with constants"}
		})
	}
	return p.intern("leaf "+l.term.key(), func() *condition {
		c := &condition{kind: testAny, test: predicate(l.term), cost: predicateCost(l.term), why: whyNot(l.term)}
		if c.test == nil {
			program, _, err := l.programs()
			if err != nil { // the whole expression was compiled
				panic(err)
			}
			c.kind, c.program, c.cost = testProgram, program, 20*c.cost
		}
		if l.body != nil && (l.term.name == "any" || l.term.name == "one") && isAncestors(l.term.args[0]) {
			p.element = true
			c.demands = p.formula(l.body)
			p.element = false
		}
		return c
	})
}

// whyNot says why nothing can be looked up for a leaf that is no comparison of texts.
func whyNot(t *term) string {
	switch {
	case t.op == opClosure:
		return t.name + "(...) demands no text"
	case t.op == opCompare:
		return "a comparison, but not of a text field with constants"
	}
	return "a condition that is no comparison"
}

// textual is the formula of a comparison of a text field with constants; nil when t is none.
func (p *plan) textual(t *term) *formula {
	switch {
	case t.op == opCompare && len(t.args) == 2:
		left, right := t.args[0], t.args[1]
		if t.name == "==" && left.op == opConst {
			left, right = right, left
		}
		if right.op == opConst && left.typ == typInt && (t.name == "==" || t.name == "in") {
			return p.number(left, right.konst)
		}
		if left.typ != typText || right.op != opConst {
			return nil
		}
		source := p.source(left, t.exact)
		if source == nil {
			return nil
		}
		switch t.name {
		case "==", "in":
			return p.comparison(t, source, opEquals, right.konst)
		case "contains":
			return p.comparison(t, source, opContains, right.konst)
		case "startsWith":
			return p.comparison(t, source, opStarts, right.konst)
		case "endsWith":
			return p.comparison(t, source, opEnds, right.konst)
		case "matches":
			return p.regex(left, source, t.regex.re, t.exact)
		}
	case t.op == opCall && (t.name == "glob" || t.name == "like") && len(t.args) == 2 && t.args[1].op == opConst:
		if source := p.source(t.args[0], false); source != nil {
			return p.patterns(t, source)
		}
	}
	return nil
}

// number is a field of a number that is one of some; nil when it is no field, or they are not whole numbers.
func (p *plan) number(field *term, constant any) *formula {
	source := p.source(field, false)
	if source == nil {
		return nil
	}
	all, ok := constant.([]any)
	if !ok {
		all = []any{constant}
	}
	digits := make([]string, len(all))
	for i, v := range all {
		n, ok := v.(int)
		if !ok {
			return nil
		}
		if isExitCode(field) {
			n = exitCode(n)
		}
		digits[i] = strconv.Itoa(n)
	}
	return p.texts(source, opEquals, digits)
}

// comparison is source op constant, or one of a list of constants.
func (p *plan) comparison(t *term, source *textSource, op textOp, constant any) *formula {
	var plain, user []string
	for _, text := range texts(constant) {
		switch {
		case t.exact:
			plain = append(plain, text)
		case source.field.registry:
			c, ofUser := canonicalConstant(text, constantKindOf(t.name))
			plain = append(plain, c)
			if ofUser {
				user = append(user, c)
			}
		default:
			plain = append(plain, fold(text))
		}
	}
	f := p.texts(source, op, plain)
	if len(user) == 0 {
		return f
	}
	return p.or(f, p.texts(p.userSource(source), op, user))
}

// regex is source matches pattern, behind the texts of which a match has one.
func (p *plan) regex(field *term, source *textSource, re *regexp.Regexp, exact bool) *formula {
	match := p.intern(fmt.Sprintf("%s matches %q", source.name, re), func() *condition {
		c := &condition{kind: testPattern, source: source, match: re.MatchString, cost: 400, why: "a regex without a text that every match has"}
		if x := newRegex(re); x != nil {
			x.id = p.regexes
			p.regexes++
			c.kind, c.regex, c.cost = testRegex, x, 150
		}
		return c
	})
	demanded := regexDemands(re)
	if len(demanded) == 0 {
		return match
	}
	if exact {
		// What is demanded of a text is demanded, folded, of its fold; but not of the canonical form of a
		// registry path.
		if source.field.registry {
			return match
		}
		source = p.source(field, false)
	}
	for i := range demanded {
		demanded[i] = fold(demanded[i])
	}
	return p.and(p.texts(source, opContains, demanded), match)
}

// patterns is glob(source, constants) or like(source, constants).
func (p *plan) patterns(t *term, source *textSource) *formula {
	var any []*formula
	for _, pattern := range texts(t.args[1].konst) {
		ofUser := false
		if source.field.registry {
			pattern, ofUser = canonicalConstant(pattern, constantKindOf(t.name))
		} else {
			pattern = fold(pattern)
		}
		any = append(any, p.pattern(t.name, source, pattern))
		if ofUser {
			any = append(any, p.pattern(t.name, p.userSource(source), pattern))
		}
	}
	return p.or(any...)
}

func (p *plan) pattern(name string, source *textSource, pattern string) *formula {
	var match func(string) bool
	if name == "like" {
		if f := p.simpleLike(source, pattern); f != nil {
			return f
		}
		match = compileLike(pattern).match
	} else {
		g, err := compileGlob(pattern)
		if err != nil { // the checker has compiled it
			return never
		}
		match = g.match
	}
	f := p.intern(fmt.Sprintf("%s %s %q", source.name, name, pattern), func() *condition {
		return &condition{kind: testPattern, source: source, match: match, cost: 60, why: "a pattern without a text that every match has"}
	})
	// A piece between wildcards, and of a glob between separators, stands in every text that matches.
	longest := ""
	for _, piece := range strings.FieldsFunc(pattern, func(r rune) bool {
		return r == '*' || r == '?' || name == "glob" && (r == '\\' || r == '/')
	}) {
		if len(piece) > len(longest) {
			longest = piece
		}
	}
	if len(longest) < minDemand {
		return f
	}
	return p.and(p.texts(source, opContains, []string{longest}), f)
}

// simpleLike is a pattern of like that is a comparison; nil when it is none.
func (p *plan) simpleLike(source *textSource, pattern string) *formula {
	if strings.Contains(pattern, "?") {
		return nil
	}
	body := strings.Trim(pattern, "*")
	if strings.Contains(body, "*") {
		return nil
	}
	op := opEquals
	switch front, back := strings.HasPrefix(pattern, "*"), strings.HasSuffix(pattern, "*"); {
	case front && back:
		op = opContains
	case front:
		op = opEnds
	case back:
		op = opStarts
	}
	return p.texts(source, op, []string{body})
}

// texts is the condition that a source is, begins with, ends with or contains one of the texts, which are
// folded, unless the source is as written.
func (p *plan) texts(source *textSource, op textOp, texts []string) *formula {
	if len(texts) > 1 {
		texts = slices.Clone(texts)
		slices.Sort(texts)
		texts = slices.Compact(texts)
	}
	if len(texts) > 0 && texts[0] == "" && op != opEquals {
		return always
	}
	if op != opEquals {
		texts = withoutImplied(op, texts)
	}
	if len(texts) == 0 {
		return never
	}
	return &formula{op: condLeaf, cond: -1, open: &textTest{source, op, texts}}
}

// appendKey appends what tells t from every other condition.
func (t *textTest) appendKey(b []byte) []byte {
	b = append(b, "texts "...)
	b = append(b, t.source.name...)
	b = append(b, ' ', byte(t.op))
	for _, s := range t.texts {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// maxImplied bounds the search for texts that another one implies, which takes quadratic time.
const maxImplied = 200

// withoutImplied leaves out texts that hold only when another one does: contains "abc" beside contains "b".
func withoutImplied(op textOp, texts []string) []string {
	if len(texts) < 2 || len(texts) > maxImplied {
		return texts
	}
	implies := strings.Contains
	switch op {
	case opStarts:
		implies = strings.HasPrefix
	case opEnds:
		implies = strings.HasSuffix
	}
	var out []string
	for i, t := range texts {
		if !slices.ContainsFunc(texts, func(other string) bool { return other != texts[i] && implies(t, other) }) {
			out = append(out, t)
		}
	}
	return out
}
