package secl

import (
	"math"
	"strconv"
	"strings"
	"time"
)

type nodeKind int

const (
	identNode    nodeKind = iota // a field, macro or constant: text
	intNode                      // number
	durationNode                 // number of nanoseconds
	stringNode                   // text
	patternNode
	regexpNode
	variableNode  // text: the name
	referenceNode // text: the field
	addressNode
	listNode    // args
	unaryNode   // op !, - or ^
	binaryNode  // op and two args
	logicalNode // op && or ||, two args or more
)

// node is a part of an expression. It is constant after parse. from and to count characters of src.
type node struct {
	kind     nodeKind
	op       string
	text     string
	number   int64
	args     []*node
	from, to int
	src      *text
}

func (n *node) faultf(format string, args ...any) *fault {
	return n.src.faultf(n.from, n.to, format, args...)
}

// written is n as its author wrote it.
func (n *node) written() string {
	runes := []rune(n.src.value)
	return strings.Join(strings.Fields(string(runes[n.from:n.to])), " ")
}

// maxDepth bounds brackets within brackets. Chains of && and || are as long as they like.
const maxDepth = 200

// parser reads an expression by recursive descent, loosest first:
//
//	expression  comparison, or comparison (&& or ||) expression
//	comparison  sum, or sum (== != < <= > >= =~ !~) comparison, or sum (in, not in, allin) list
//	sum         bits { (+ or -) bits }
//	bits        unary, or unary (& | ^) bits
//	unary       (! not - ^) unary, or an operand
//
// && and || bind alike and to the right: a && b || c is a && (b || c). The not of `not a == b` belongs to a.
type parser struct {
	src    *text
	tokens []token
	i      int
	depth  int
}

// parse reads an expression: a condition, or what a macro may be, a value or a list.
func parse(src *text) (*node, *fault) {
	tokens, f := lex(src)
	if f != nil {
		return nil, f
	}
	p := &parser{src: src, tokens: tokens}
	if p.peek().kind == endToken {
		return nil, src.faultf(0, 1, "the expression is empty")
	}
	var n *node
	if p.is("[") {
		n, f = p.list()
	} else {
		n, f = p.expression()
	}
	if f == nil && p.peek().kind != endToken {
		f = p.unexpected("the end of the expression")
	}
	if f != nil {
		return nil, f
	}
	return n, nil
}

func (p *parser) peek() token { return p.tokens[p.i] }

// is says that the next token is the operator or word.
func (p *parser) is(text string) bool {
	t := p.peek()
	return (t.kind == punctToken || t.kind == identToken) && t.text == text
}

// take goes over the next token when it is the operator or word.
func (p *parser) take(text string) bool {
	if p.is(text) {
		p.i++
		return true
	}
	return false
}

func (p *parser) unexpected(want string) *fault {
	t := p.peek()
	found := "the expression ends"
	if t.kind != endToken {
		found = "`" + string([]rune(p.src.value)[t.from:t.to]) + "` stands"
	}
	return p.src.faultf(t.from, max(t.to, t.from+1), "%s where %s is expected", found, want)
}

func (p *parser) node(kind nodeKind, from int, args ...*node) *node {
	return &node{kind: kind, args: args, from: from, to: p.tokens[max(p.i-1, 0)].to, src: p.src}
}

// enter counts brackets and operators within each other.
func (p *parser) enter() *fault {
	if p.depth++; p.depth > maxDepth {
		t := p.peek()
		return p.src.faultf(t.from, t.to, "the expression is nested more than %d deep", maxDepth)
	}
	return nil
}

func (p *parser) expression() (*node, *fault) {
	if f := p.enter(); f != nil {
		return nil, f
	}
	defer func() { p.depth-- }()
	var terms []*node
	var ops []string
	for {
		term, f := p.comparison()
		if f != nil {
			return nil, f
		}
		terms = append(terms, term)
		switch {
		case p.take("&&") || p.take("and"):
			ops = append(ops, "&&")
			continue
		case p.take("||") || p.take("or"):
			ops = append(ops, "||")
			continue
		}
		break
	}
	// From the right, a run of one operator as one node.
	out := terms[len(terms)-1]
	for i := len(ops) - 1; i >= 0; {
		args := []*node{out}
		op := ops[i]
		for ; i >= 0 && ops[i] == op; i-- {
			args = append(args, terms[i])
		}
		for a, b := 0, len(args)-1; a < b; a, b = a+1, b-1 {
			args[a], args[b] = args[b], args[a]
		}
		out = &node{kind: logicalNode, op: op, args: args, from: args[0].from, to: out.to, src: p.src}
	}
	return out, nil
}

var comparisons = []string{"==", "!=", "<=", ">=", "=~", "!~", "<", ">"}

func (p *parser) comparison() (*node, *fault) {
	left, f := p.sum()
	if f != nil {
		return nil, f
	}
	for _, op := range comparisons {
		if !p.take(op) {
			continue
		}
		if f := p.enter(); f != nil {
			return nil, f
		}
		right, f := p.comparison()
		p.depth--
		return p.binary(op, left, right), f
	}
	op := ""
	switch {
	case p.take("in"):
		op = "in"
	case p.take("allin"):
		op = "allin"
	case p.is("not") && p.tokens[p.i+1].kind == identToken && p.tokens[p.i+1].text == "in":
		p.i += 2
		op = "not in"
	default:
		return left, nil
	}
	right, f := p.list()
	return p.binary(op, left, right), f
}

func (p *parser) binary(op string, left, right *node) *node {
	n := p.node(binaryNode, left.from, left, right)
	n.op = op
	return n
}

func (p *parser) sum() (*node, *fault) {
	left, f := p.bits()
	for terms := 0; f == nil; terms++ {
		op := ""
		switch {
		case p.take("+"):
			op = "+"
		case p.take("-"):
			op = "-"
		default:
			return left, nil
		}
		if terms > maxDepth {
			return nil, p.src.faultf(left.from, left.to, "the sum has more than %d terms", maxDepth)
		}
		var right *node
		if right, f = p.bits(); f == nil {
			left = p.binary(op, left, right)
		}
	}
	return nil, f
}

func (p *parser) bits() (*node, *fault) {
	left, f := p.unary()
	if f != nil {
		return nil, f
	}
	for _, op := range []string{"&", "|", "^"} {
		if p.take(op) {
			if f := p.enter(); f != nil {
				return nil, f
			}
			right, f := p.bits()
			p.depth--
			return p.binary(op, left, right), f
		}
	}
	return left, nil
}

func (p *parser) unary() (*node, *fault) {
	from := p.peek().from
	for _, op := range []string{"!", "not", "-", "^"} {
		if !p.take(op) {
			continue
		}
		if f := p.enter(); f != nil {
			return nil, f
		}
		arg, f := p.unary()
		p.depth--
		if op == "not" {
			op = "!"
		}
		n := p.node(unaryNode, from, arg)
		n.op = op
		return n, f
	}
	return p.operand()
}

// keywords cannot be names.
var keywords = map[string]bool{"and": true, "or": true, "not": true, "in": true, "allin": true}

func (p *parser) operand() (*node, *fault) {
	t := p.peek()
	switch {
	case p.take("("):
		n, f := p.expression()
		if f == nil && !p.take(")") {
			f = p.unexpected("`)`")
		}
		if f != nil {
			return nil, f
		}
		inner := *n
		inner.from, inner.to = t.from, p.tokens[p.i-1].to
		return &inner, nil
	case t.kind == identToken && !keywords[t.text]:
		p.i++
		n := p.node(identNode, t.from)
		n.text = t.text
		return n, nil
	case t.kind == variableToken, t.kind == referenceToken, t.kind == addressToken:
		p.i++
		n := p.node(map[tokenKind]nodeKind{variableToken: variableNode, referenceToken: referenceNode, addressToken: addressNode}[t.kind], t.from)
		n.text = t.text
		return n, nil
	}
	return p.literal()
}

func (p *parser) literal() (*node, *fault) {
	t := p.peek()
	kinds := map[tokenKind]nodeKind{stringToken: stringNode, patternToken: patternNode, regexpToken: regexpNode,
		intToken: intNode, durationToken: durationNode}
	kind, ok := kinds[t.kind]
	if !ok {
		return nil, p.unexpected("a field, a value or `(`")
	}
	p.i++
	n := p.node(kind, t.from)
	n.text = t.text
	var err error
	switch kind {
	case intNode:
		n.number, err = strconv.ParseInt(t.text, 10, 64)
	case durationNode:
		n.number, err = nanoseconds(t.text)
	}
	if err != nil {
		return nil, n.faultf("%s is too large", t.text)
	}
	return n, nil
}

// nanoseconds is the length of a duration with one unit.
func nanoseconds(s string) (int64, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 64)
		if err == nil && n > math.MaxInt64/int64(24*time.Hour) {
			err = strconv.ErrRange
		}
		return n * int64(24*time.Hour), err
	}
	d, err := time.ParseDuration(s)
	return int64(d), err
}

// list is what stands behind in: a list of values, or the name of one.
func (p *parser) list() (*node, *fault) {
	t := p.peek()
	if !p.take("[") {
		switch {
		case t.kind == identToken && !keywords[t.text], t.kind == variableToken, t.kind == referenceToken, t.kind == addressToken:
			return p.operand()
		}
		return nil, p.unexpected("a list, a macro or an array")
	}
	var members []*node
	for !p.take("]") {
		if len(members) > 0 && !p.take(",") {
			return nil, p.unexpected("`,` or `]`")
		}
		m, f := p.member()
		if f != nil {
			return nil, f
		}
		members = append(members, m)
	}
	n := p.node(listNode, t.from, members...)
	if len(members) == 0 {
		return nil, n.faultf("the list is empty")
	}
	return n, nil
}

// member is an element of a list: a literal, a number with a sign, an address, or the name of a constant.
func (p *parser) member() (*node, *fault) {
	t := p.peek()
	negative := p.take("-")
	if !negative && p.take("+") {
		t = p.peek()
	}
	next := p.peek()
	if !negative && (next.kind == addressToken || next.kind == identToken && !keywords[next.text]) {
		return p.operand()
	}
	n, f := p.literal()
	if f == nil && negative {
		if n.kind != intNode {
			return nil, n.faultf("only a number has a sign")
		}
		n.number, n.from = -n.number, t.from
	}
	return n, f
}
