package secl

import (
	"slices"
	"strings"
	"time"

	"spoor/rules/policy"
)

// compiler makes the condition of one rule.
type compiler struct {
	im       *importer
	event    string // of the fields that belong to one, "" so far
	register string // the rule's register, "" so far
	terms    int    // that read it
	inside   []string
	expanded int
	nodes    int // of the expression, about
	notes    []string
	stars    int
	// lists and variables of the policy that the rule needs, by name.
	lists     map[string]policy.List
	variables map[string]policy.Variable
}

func newCompiler(im *importer) *compiler {
	return &compiler{im: im, lists: map[string]policy.List{}, variables: map[string]policy.Variable{}}
}

func (c *compiler) note(s string) {
	if !slices.Contains(c.notes, s) {
		c.notes = append(c.notes, s)
	}
}

// compile makes the whole condition of a rule, with the name of its event in front.
func (c *compiler) compile(n *node) (policy.Condition, *fault) {
	body, f := c.condition(n)
	if f != nil {
		return policy.Condition{}, f
	}
	if f := c.tooLarge(n); f != nil {
		return policy.Condition{}, f
	}
	if c.event == "" {
		return policy.Condition{}, n.faultf("no field tells which event the rule is about")
	}
	if body.op == constOp {
		holds := "never holds"
		if body.holds {
			holds = "holds for every event"
		}
		return policy.Condition{}, n.faultf("the condition %s", holds)
	}
	if d := body.depth(); d > maxNested {
		return policy.Condition{}, n.faultf("the condition needs brackets %d deep, since && and || bind alike; at most %d are written", d, maxNested)
	}
	var p placer
	body = p.place(body)
	if c.nodes *= p.splits + 1; p.splits > maxSplits || c.nodes > maxNodes {
		return policy.Condition{}, n.faultf("the terms of [%s] stand among more conditions on the ancestors than the rule language takes in one any(...)", c.register)
	}
	for _, about := range body.unknowns() {
		c.note("negated-unknown: a negation holds also where " + about + " not known")
	}
	return policy.And(policy.Compare("evt.name", "==", policy.Quote(c.event)), body.condition()), nil
}

// The engine refuses expressions of more than maxNodes nodes. A comparison has termCost at most.
const (
	maxNodes = 10_000
	termCost = 8
)

// maxNested is the most brackets within brackets that are written: more are refused by the engine, and nobody
// can read them.
const maxNested = 100

func (c *compiler) tooLarge(n *node) *fault {
	if c.nodes <= maxNodes {
		return nil
	}
	return n.faultf("the condition is larger than the engine takes, %d nodes; split the rule", maxNodes)
}

// useEvent notes the event that a field belongs to.
func (c *compiler) useEvent(n *node, event string) *fault {
	if c.event != "" && c.event != event {
		return n.faultf("`%s` belongs to the event %s, other fields of the rule to %s", n.written(), event, c.event)
	}
	c.event = event
	return nil
}

func (c *compiler) useRegister(n *node, name string) *fault {
	if c.register != "" && c.register != name {
		return n.faultf("the rule has two registers, [%s] and [%s]", c.register, name)
	}
	c.register = name
	if c.terms++; c.terms > 1 && name == "_" {
		return n.faultf("whether two [_] are the same ancestor depends on the version of the agent; name the register")
	}
	return nil
}

// maxExpanded bounds what macros within macros come to.
const maxExpanded = 2_000

// enterMacro gives the body of a macro, with a function to call when it is compiled.
func (c *compiler) enterMacro(n *node, m *macro) (*node, func(), *fault) {
	if m.fault != nil {
		return nil, nil, n.faultf("macro `%s` cannot be read: %s", m.id, m.fault.Error())
	}
	if slices.Contains(c.inside, m.id) {
		return nil, nil, n.faultf("macro `%s` uses itself", m.id)
	}
	if c.expanded++; c.expanded > maxExpanded {
		return nil, nil, n.faultf("the rule uses macros more than %d times", maxExpanded)
	}
	if f := c.tooLarge(n); f != nil {
		return nil, nil, f
	}
	c.inside = append(c.inside, m.id)
	for _, note := range m.notes {
		c.note(note)
	}
	return m.body, func() { c.inside = c.inside[:len(c.inside)-1] }, nil
}

// condition compiles what is true or false.
func (c *compiler) condition(n *node) (*cond, *fault) {
	switch {
	case n.kind == logicalNode:
		args := make([]*cond, len(n.args))
		for i, a := range n.args {
			b, f := c.condition(a)
			if f != nil {
				return nil, f
			}
			args[i] = b
		}
		if n.op == "&&" {
			return join(andOp, args), nil
		}
		return join(orOp, args), nil
	case n.kind == unaryNode && n.op == "!":
		b, f := c.condition(n.args[0])
		if f != nil {
			return nil, f
		}
		return not(b), nil
	case n.kind == binaryNode && slices.Contains([]string{"in", "not in", "allin"}, n.op):
		return c.membership(n)
	case n.kind == binaryNode && slices.Contains(comparisons, n.op):
		l, f := c.value(n.args[0])
		if f != nil {
			return nil, f
		}
		r, f := c.value(n.args[1])
		if f != nil {
			return nil, f
		}
		return c.compare(n, l, n.op, r)
	}
	v, f := c.value(n)
	if f != nil {
		return nil, f
	}
	if v.kind != boolKind || v.over != "" {
		return nil, n.faultf("`%s` is %s, not a condition; `!` and `not` belong to the operand behind them alone", n.written(), v.kind)
	}
	return v.cond, nil
}

// mirrored is the operator with its operands exchanged.
var mirrored = map[string]string{"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

// compare compiles l op r.
func (c *compiler) compare(n *node, l value, op string, r value) (*cond, *fault) {
	if l.constant && !r.constant && mirrored[op] != "" {
		l, r, op = r, l, mirrored[op]
	}
	negated := op == "!=" || op == "!~"
	if l.kind == boolKind || r.kind == boolKind {
		return c.compareBools(n, l, op, r)
	}
	if l.kind == addressKind || r.kind == addressKind {
		return nil, n.faultf("no event of Windows carries an address")
	}
	if !together(l, r) {
		return nil, n.faultf("`%s` compares two lists", n.written())
	}
	switch {
	case l.kind == timeKind:
		c.nodes += 3 * termCost // it may be asked for, too
	case l.kind != textKind || !r.constant:
		c.nodes += termCost
	}
	positive := op
	if negated {
		positive = map[string]string{"!=": "==", "!~": "=~"}[op]
	}
	b, f := c.compareOne(n, l, positive, r)
	if f != nil {
		return nil, f
	}
	return quantify(b, l, r, negated), nil
}

// quantify makes a comparison of one element, of l or of r, one of some element, or of none.
func quantify(b *cond, l, r value, negated bool) *cond {
	over := l.over + r.over
	if over == "" {
		if b.op == leafOp {
			b.register, b.about = l.register || r.register, either(l.about, r.about)
		}
		if negated {
			return not(b)
		}
		return b
	}
	name := "any"
	if negated {
		name = "none"
	}
	if b.op == constOp {
		return constant(b.holds != negated)
	}
	return &cond{op: leafOp, leaf: closure(name, over, b.condition()), list: true, about: either(l.about, r.about), vacuous: negated}
}

// compareOne compiles an operator that is no negation.
func (c *compiler) compareOne(n *node, l value, op string, r value) (*cond, *fault) {
	mismatch := func() (*cond, *fault) {
		return nil, n.faultf("`%s` stands between %s and %s", op, l.kind, r.kind)
	}
	switch {
	case l.kind == textKind && r.kind == textKind:
		return c.compareTexts(n, l, op, r)
	case op == "=~":
		return mismatch()
	case l.kind == causeKind:
		return compareCause(n, op, r)
	case l.kind == timeKind || l.kind == durationKind && !l.constant:
		return compareTimes(n, l, op, r)
	case l.kind == durationKind && r.kind == timeKind:
		return compareTimes(n, r, mirrored[op], l)
	case l.kind == textKind || r.kind == textKind || r.kind == timeKind || r.kind == causeKind:
		return mismatch()
	case l.constant && r.constant:
		return constant(ordered(l.number, op, r.number)), nil
	case l.kind == durationKind || r.kind == durationKind:
		return mismatch()
	}
	return leafOf(policy.Compare(l.expr, op, r.expr)), nil
}

func ordered(l int64, op string, r int64) bool {
	switch op {
	case "==":
		return l == r
	case "<":
		return l < r
	case "<=":
		return l <= r
	case ">":
		return l > r
	}
	return l >= r
}

func (c *compiler) compareBools(n *node, l value, op string, r value) (*cond, *fault) {
	if l.kind != r.kind || l.over+r.over != "" || op != "==" && op != "!=" {
		return nil, n.faultf("`%s` stands between %s and %s", op, l.kind, r.kind)
	}
	if l.cond.op == constOp {
		l, r = r, l
	}
	if r.cond.op != constOp {
		return nil, n.faultf("`%s` compares two conditions", n.written())
	}
	if r.cond.holds == (op == "==") {
		return l.cond, nil
	}
	return not(l.cond), nil
}

func (c *compiler) compareTexts(n *node, l value, op string, r value) (*cond, *fault) {
	switch {
	case op != "==" && op != "=~":
		return nil, n.faultf("`%s` stands between two texts, which have no order in SECL", op)
	case l.constant && r.constant && l.node.kind == stringNode && r.node.kind == stringNode && op == "==":
		return constant(l.node.text == r.node.text), nil
	case l.constant:
		return nil, n.faultf("`%s` has a constant on its left", n.written())
	case r.constant:
		pattern := op == "=~" || r.node.kind == patternNode
		c.noteStar(r.node, pattern)
		cs, f := comparandsOf(r.node, l.form, pattern)
		if f != nil {
			return nil, f
		}
		c.nodes += cost(cs)
		return leafOf(anyOf(l.expr, cs, l.element(), nil)), nil
	case op == "=~":
		return nil, n.faultf("the pattern `%s` is not constant", r.node.written())
	}
	return leafOf(policy.Compare(l.expr, "==", r.expr)), nil
}

// maxStars is how many texts with a * are noted for one rule.
const maxStars = 3

// noteStar notes a * that is no wildcard: authors forget the ~.
func (c *compiler) noteStar(n *node, pattern bool) {
	if n.kind == stringNode && !pattern && strings.Contains(n.text, "*") && c.stars < maxStars {
		c.stars++
		c.note("literal-star: the * of `" + n.text + "` is a character, since no ~ stands before the text")
	}
}

// compareCause compares exit.cause, which events carry by name, with a number.
func compareCause(n *node, op string, r value) (*cond, *fault) {
	if r.kind != intKind || !r.constant {
		return nil, n.faultf("exit.cause is compared with something else than a constant cause")
	}
	var names []string
	for i, name := range causes {
		if ordered(int64(i), op, r.number) {
			names = append(names, policy.Quote(name))
		}
	}
	switch {
	case len(names) == 0 && op == "==":
		return nil, n.faultf("%d is no exit cause", r.number)
	case len(names) == 0:
		return constant(false), nil
	case len(names) == 1:
		return leafOf(policy.Compare("exit.cause", "==", names[0])), nil
	}
	return leafOf(policy.InList("exit.cause", names)), nil
}

// epoch is before every time that an event has; nothing is after it but a time that is known.
const epoch = `date("1970-01-01T00:00:00Z")`

// compareTimes compares a time with a duration, that is the time passed since then; a time with a time; or the
// difference of two times with a duration. In SECL a time that is not known lies far back, so that little
// time has never passed since; here a difference with it is 0s, so the time is asked for.
func compareTimes(n *node, l value, op string, r value) (*cond, *fault) {
	left, times := l.expr, l.times
	switch {
	case l.kind == timeKind && r.kind == timeKind:
		return leafOf(policy.Compare(l.expr, op, r.expr)), nil
	case l.kind == timeKind && r.kind == intKind && r.constant && op != "==":
		at := time.Unix(0, r.number).UTC().Format(time.RFC3339Nano)
		return leafOf(policy.Compare(l.expr, op, `date("`+at+`")`)), nil
	case l.kind == timeKind && l.expr == "time":
		return nil, n.faultf("the time from an event to its evaluation is not part of the event")
	case l.kind == timeKind && r.kind == durationKind && r.constant:
		left, times = "time - "+l.expr, []string{l.expr}
	case l.kind == durationKind && (r.kind == durationKind || r.kind == intKind) && r.constant:
		r = number(r.node, durationKind, r.number)
	default:
		return nil, n.faultf("`%s` stands between %s and %s", op, l.kind, r.kind)
	}
	all := []policy.Condition{policy.Compare(left, op, r.expr)}
	if op == "<" || op == "<=" || op == "==" {
		for _, t := range times {
			if t != "time" {
				all = slices.Insert(all, len(all)-1, policy.Compare(t, ">", epoch))
			}
		}
	}
	return leafOf(policy.And(all...)), nil
}

// listName is a name in our language for a macro, or part of one.
func listName(macro, suffix string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(macro))
	if name = strings.Trim(name, "_"); name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "list_" + name
	}
	if name += suffix; taken[name] {
		name += "_list"
	}
	return name
}
