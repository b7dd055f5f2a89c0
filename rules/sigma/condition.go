package sigma

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"spoor/rules/policy"
)

// maxConditionDepth bounds brackets and nots of a condition.
const maxConditionDepth = 100

// maxConditionSize bounds the items of a condition: `all of them` may be written many times.
const maxConditionSize = 20_000

// conditionToken is one word or bracket of a condition; offsets count characters.
type conditionToken struct {
	text     string
	from, to int
}

// tokens cuts a condition.
func tokens(s string) []conditionToken {
	var out []conditionToken
	at, start := 0, -1
	var word strings.Builder
	end := func() {
		if start >= 0 {
			out = append(out, conditionToken{word.String(), start, at})
			start = -1
			word.Reset()
		}
	}
	for _, r := range s {
		switch {
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			end()
		case r == '(' || r == ')' || r == '|':
			end()
			out = append(out, conditionToken{string(r), at, at + 1})
		default:
			if start < 0 {
				start = at
			}
			word.WriteRune(r)
		}
		at++
	}
	end()
	return out
}

// conditionParser reads one condition over the search identifiers of a detection.
type conditionParser struct {
	node     *policy.ImportNode
	tokens   []conditionToken
	pos      int
	depth    int
	size     *int
	names    []string // search identifiers in the order of the rule
	identify func(name string) (*node, *refusal)
	refusal  *refusal
}

// parseCondition reads one condition. size counts over all conditions of a rule.
func parseCondition(n *policy.ImportNode, names []string, size *int, identify func(string) (*node, *refusal)) (*node, *refusal) {
	p := &conditionParser{node: n, tokens: tokens(n.Text), size: size, names: names, identify: identify}
	if len(p.tokens) == 0 {
		return nil, refuse(n.Span, "the condition is empty")
	}
	out := p.or()
	if p.refusal == nil && p.pos < len(p.tokens) {
		t := p.tokens[p.pos]
		switch t.text {
		case "|":
			p.fail(t, "an aggregation belongs to a correlation, which is not imported yet")
		case ")":
			p.fail(t, "a closing bracket without an opening one")
		default:
			p.fail(t, "%q where `and` or `or` is expected", t.text)
		}
	}
	return out, p.refusal
}

func (p *conditionParser) fail(t conditionToken, format string, args ...any) *node {
	if p.refusal == nil {
		p.refusal = refuse(p.node.At(t.from, t.to), "condition: "+format, args...)
	}
	return constant(false)
}

// next takes the next token; at the end it gives one of its own, with empty text.
func (p *conditionParser) next() conditionToken {
	if p.pos >= len(p.tokens) {
		end := utf8.RuneCountInString(strings.TrimRight(p.node.Text, " \t\r\n"))
		return conditionToken{"", end, end}
	}
	p.pos++
	return p.tokens[p.pos-1]
}

func (p *conditionParser) word(w string) bool {
	if p.pos < len(p.tokens) && strings.EqualFold(p.tokens[p.pos].text, w) {
		p.pos++
		return true
	}
	return false
}

func (p *conditionParser) or() *node {
	args := []*node{p.and()}
	for p.refusal == nil && p.word("or") {
		args = append(args, p.and())
	}
	return either(args...)
}

func (p *conditionParser) and() *node {
	args := []*node{p.not()}
	for p.refusal == nil && p.word("and") {
		args = append(args, p.not())
	}
	return all(args...)
}

func (p *conditionParser) not() *node {
	p.depth++
	defer func() { p.depth-- }()
	t := p.next()
	switch {
	case p.depth > maxConditionDepth:
		return p.fail(t, "nested deeper than %d", maxConditionDepth)
	case t.text == "":
		return p.fail(t, "it ends too early")
	case strings.EqualFold(t.text, "not"):
		return negation(p.not())
	case t.text == "(":
		n := p.or()
		if p.refusal == nil && !p.word(")") {
			return p.fail(t, "this bracket is not closed")
		}
		return n
	case t.text == ")" || t.text == "|" || strings.EqualFold(t.text, "and") || strings.EqualFold(t.text, "or"):
		return p.fail(t, "%q where a search identifier is expected", t.text)
	}
	if p.pos < len(p.tokens) && strings.EqualFold(p.tokens[p.pos].text, "of") {
		return p.some(t)
	}
	return p.identifier(t)
}

// some reads `1 of x*`, `any of them`, `all of x*` behind the first word.
func (p *conditionParser) some(quantity conditionToken) *node {
	p.pos++ // of
	pattern := p.next()
	if pattern.text == "" || pattern.text == "(" || pattern.text == ")" {
		return p.fail(pattern, "a pattern is expected after `of`")
	}
	every := strings.EqualFold(quantity.text, "all")
	if !every && quantity.text != "1" && !strings.EqualFold(quantity.text, "any") {
		return p.fail(quantity, "only 1 of, any of and all of are known, not %s of", quantity.text)
	}
	var args []*node
	for _, name := range p.names {
		if strings.HasPrefix(name, "_") || pattern.text != "them" && !matchesPattern(name, pattern.text) {
			continue
		}
		args = append(args, p.reference(name, pattern))
	}
	if len(args) == 0 {
		return p.fail(pattern, "no search identifier is named %s", pattern.text)
	}
	var out *node
	if every {
		out = all(args...)
	} else {
		out = either(args...)
	}
	if len(args) > 1 && out.op != constNode {
		named := *out
		named.name = quantity.text + " of " + pattern.text
		out = &named
	}
	return out
}

// matchesPattern says that name is like pattern, where * is any run of characters.
func matchesPattern(name, pattern string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return name == pattern
	}
	name, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, parts[len(parts)-1])
}

func (p *conditionParser) identifier(t conditionToken) *node {
	if !slices.Contains(p.names, t.text) {
		hint := ""
		if near := policy.Suggest(t.text, p.names); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		return p.fail(t, "there is no search identifier %q%s", t.text, hint)
	}
	return p.reference(t.text, t)
}

func (p *conditionParser) reference(name string, t conditionToken) *node {
	if p.refusal != nil {
		return constant(false)
	}
	n, r := p.identify(name)
	if r != nil {
		p.refusal = r
		return constant(false)
	}
	n.items(func(*item, bool) { *p.size++ })
	if *p.size > maxConditionSize {
		return p.fail(t, "it stands for more than %d conditions on fields", maxConditionSize)
	}
	return n
}
