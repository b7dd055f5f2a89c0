package secl

import (
	"strconv"

	"spoor/rules/policy"
)

// membership compiles l in r, l not in r and l allin r.
func (c *compiler) membership(n *node) (*cond, *fault) {
	l, f := c.value(n.args[0])
	if f != nil {
		return nil, f
	}
	if l.kind == boolKind {
		return nil, n.args[0].faultf("`%s` is a condition; `!` and `not` belong to the operand behind them alone", n.args[0].written())
	}
	right := n.args[1]
	switch right.kind {
	case listNode:
		return c.inList(n, l, right, nil)
	case addressNode:
		return nil, right.faultf("no event of Windows carries an address")
	case identNode:
		if m := c.im.macros[right.text]; m != nil {
			body, leave, f := c.enterMacro(right, m)
			if f != nil {
				return nil, f
			}
			defer leave()
			if body.kind != listNode {
				return nil, right.faultf("macro `%s` is no list", m.id)
			}
			return c.inList(n, l, body, m)
		}
	}
	r, f := c.value(right)
	if f != nil {
		return nil, f
	}
	if r.over == "" {
		return nil, right.faultf("`%s` is no list", right.written())
	}
	if n.op == "allin" {
		return nil, n.faultf("allin with a list of the event on its right cannot be written in the rule language")
	}
	if r.over != ancestorsField && !(l.constant && l.node.kind == patternNode) && !(l.constant && l.node.kind == regexpNode) {
		return c.inVariable(n, l, r)
	}
	op := "=="
	if n.op == "not in" {
		op = "!="
	}
	return c.compare(n, r, op, l)
}

// inVariable is l in a variable that holds a list.
func (c *compiler) inVariable(n *node, l, r value) (*cond, *fault) {
	if l.kind != r.kind {
		return nil, n.faultf("`%s` stands between %s and a list of %ss", n.op, l.kind, r.kind.noun())
	}
	left := l.expr
	if l.constant && l.kind == textKind {
		left = policy.Quote(l.node.text)
	}
	b := leafOf(policy.Compare(left, "in", r.over))
	r.over = ""
	return quantify(b, l, r, n.op == "not in"), nil
}

func (k valueKind) noun() string {
	if k == intKind {
		return "number"
	}
	return "text"
}

// inList is l in a list of constants, that of macro m unless it is nil.
func (c *compiler) inList(n *node, l value, list *node, m *macro) (*cond, *fault) {
	var b *cond
	var f *fault
	switch {
	case l.kind == addressKind:
		return nil, n.faultf("no event of Windows carries an address")
	case l.constant:
		return nil, n.faultf("`%s` has constants on both sides", n.written())
	case l.kind == textKind:
		b, f = c.inTexts(l, list, m)
	case l.kind == intKind, l.kind == causeKind:
		b, f = c.inNumbers(n, l, list, m)
	default:
		return nil, n.faultf("`%s` stands between %s and a list", n.op, l.kind)
	}
	if f != nil {
		return nil, f
	}
	if n.op == "allin" && l.over != "" {
		if b.op == constOp {
			return nil, n.faultf("`%s` asks nothing", n.written())
		}
		return &cond{op: leafOp, leaf: closure("all", l.over, b.condition()), list: true, about: l.about, vacuous: true}, nil
	}
	return quantify(b, l, value{}, n.op == "not in"), nil
}

func (c *compiler) inTexts(l value, list *node, m *macro) (*cond, *fault) {
	var all []comparand
	for _, member := range list.args {
		switch member.kind {
		case stringNode, patternNode, regexpNode:
		default:
			return nil, member.faultf("`%s` stands in a list that a text is compared with", member.written())
		}
		c.noteStar(member, false)
		cs, f := comparandsOf(member, l.form, member.kind == patternNode)
		if f != nil {
			return nil, f
		}
		all = append(all, cs...)
	}
	c.nodes += cost(all)
	var named func(matcher, []string) string
	if m != nil {
		named = func(by matcher, texts []string) string { return c.textList(m, by, texts, l.form) }
	}
	return leafOf(anyOf(l.expr, all, l.element(), named)), nil
}

// textList is the name of the list that part of a macro becomes, "" when the name is another list's already:
// the same macro reads differently as paths and as texts.
func (c *compiler) textList(m *macro, by matcher, texts []string, form fieldForm) string {
	list := policy.List{Members: make([]policy.Text, len(texts))}
	for i, t := range texts {
		list.Members[i].Value = t
	}
	return c.list(listName(m.id, listSuffix[by]), list)
}

// list makes a list of the policy, and gives its name when it is free or the list is the same.
func (c *compiler) list(name string, list policy.List) string {
	list.Name.Value = name
	for _, known := range []map[string]policy.List{c.im.current.lists, c.lists} {
		if other, ok := known[name]; ok && !sameList(other, list) {
			return ""
		}
	}
	if c.im.current.hasVariable(name) {
		return ""
	}
	c.lists[name] = list
	return name
}

func sameList(a, b policy.List) bool {
	if a.Ints != b.Ints || len(a.Members) != len(b.Members) {
		return false
	}
	for i := range a.Members {
		if a.Members[i].Value != b.Members[i].Value {
			return false
		}
	}
	return true
}

func (c *compiler) inNumbers(n *node, l value, list *node, m *macro) (*cond, *fault) {
	var members []string
	seen := map[int64]bool{}
	for _, member := range list.args {
		v, f := c.value(member)
		if f != nil {
			return nil, f
		}
		if v.kind != intKind || !v.constant {
			return nil, member.faultf("`%s` stands in a list that a number is compared with", member.written())
		}
		if seen[v.number] {
			continue
		}
		seen[v.number] = true
		switch {
		case l.kind == intKind:
			members = append(members, strconv.FormatInt(v.number, 10))
		case v.number < 0 || v.number >= int64(len(causes)):
			return nil, member.faultf("%d is no exit cause", v.number)
		default:
			members = append(members, policy.Quote(causes[v.number]))
		}
	}
	c.nodes += termCost + len(members)
	if len(members) == 1 {
		return leafOf(policy.Compare(l.expr, "==", members[0])), nil
	}
	if m != nil && l.kind == intKind {
		ints := policy.List{Ints: true}
		for _, t := range members {
			ints.Members = append(ints.Members, policy.Text{Value: t})
		}
		if name := c.list(listName(m.id, ""), ints); name != "" {
			return leafOf(policy.Compare(l.expr, "in", name)), nil
		}
	}
	return leafOf(policy.InList(l.expr, members)), nil
}
