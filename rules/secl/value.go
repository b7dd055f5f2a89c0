package secl

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"spoor/rules/policy"
)

// value is an operand: a constant, or something that an event has.
type value struct {
	node *node
	kind valueKind
	// expr is the operand in our language; of a constant text it is unset, since a pattern has no such form.
	expr     string
	form     fieldForm
	about    string // see cond.about
	constant bool
	number   int64 // of a constant that is no text
	cond     *cond // of boolKind
	// over is the list that the value is of each element of: process.ancestors or a variable. expr is then
	// relative to the element.
	over     string
	register bool // of the ancestor that the rule's register stands for
	sum      bool // expr needs brackets behind a minus
	// times are the instants that a difference is made of.
	times []string
}

// element says that expr is relative to an element of a list.
func (v value) element() bool { return v.over != "" || v.register }

// together says that l and r can stand in one comparison: at most one of them is of each element of a list, or
// both are of the ancestor of the register.
func together(l, r value) bool {
	return !l.element() || !r.element() || l.register && r.register
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// constants are the names that stand for a number on Windows.
var constants = map[string]int64{"EXITED": 0, "COREDUMPED": 1, "SIGNALED": 2}

// causes are the names of exit causes in events, by their number.
var causes = []string{"EXITED", "COREDUMPED", "SIGNALED"}

// value compiles an operand.
func (c *compiler) value(n *node) (value, *fault) {
	switch n.kind {
	case stringNode:
		return c.interpolated(n)
	case patternNode, regexpNode:
		return value{node: n, kind: textKind, constant: true}, nil
	case intNode:
		return number(n, intKind, n.number), nil
	case durationNode:
		return number(n, durationKind, n.number), nil
	case addressNode:
		return value{node: n, kind: addressKind, constant: true}, nil
	case identNode:
		return c.named(n)
	case referenceNode:
		return c.field(n, n.text)
	case variableNode:
		return c.variable(n, n.text)
	case unaryNode, binaryNode, logicalNode:
		return c.operation(n)
	}
	return value{}, n.faultf("a list stands only behind in, not in and allin")
}

func number(n *node, kind valueKind, x int64) value {
	v := value{node: n, kind: kind, constant: true, number: x, expr: strconv.FormatInt(x, 10)}
	if kind == durationKind {
		v.expr = `duration("` + durationText(x) + `")`
	}
	return v
}

// durationText is a duration as a person writes it, with one unit where one is enough.
func durationText(ns int64) string {
	d := time.Duration(ns)
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if d != 0 && d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return d.String()
}

// operation is an operand with an operator.
func (c *compiler) operation(n *node) (value, *fault) {
	arithmetic := n.kind == unaryNode && n.op != "!" || n.kind == binaryNode && strings.Contains("+-&|^", n.op)
	if !arithmetic {
		b, f := c.condition(n)
		return value{node: n, kind: boolKind, cond: b}, f
	}
	args := make([]value, len(n.args))
	for i, a := range n.args {
		v, f := c.value(a)
		if f != nil {
			return value{}, f
		}
		args[i] = v
	}
	if n.kind == unaryNode {
		args = append([]value{number(n, intKind, 0)}, args...)
	}
	return c.arithmetic(n, args[0], args[1])
}

// arithmetic joins two numbers, or two times by a minus. What is constant is computed.
func (c *compiler) arithmetic(n *node, l, r value) (value, *fault) {
	if n.op == "-" && l.kind == timeKind && r.kind == timeKind {
		if !together(l, r) {
			return value{}, n.faultf("`%s` is made of fields of two ancestors", n.written())
		}
		return value{node: n, kind: durationKind, expr: l.expr + " - " + r.expr, sum: true, times: []string{l.expr, r.expr},
			over: l.over + r.over, register: l.register || r.register, about: either(l.about, r.about)}, nil
	}
	for _, v := range []value{l, r} {
		if v.kind != intKind && v.kind != durationKind {
			return value{}, v.node.faultf("`%s` is %s, and `%s` takes numbers", v.node.written(), v.kind, n.op)
		}
	}
	if l.constant && r.constant {
		kind := l.kind
		if r.kind == durationKind {
			kind = durationKind
		}
		x, ok := computed(n, l.number, r.number)
		if !ok {
			return value{}, n.faultf("the number is too large")
		}
		return number(n, kind, x), nil
	}
	if n.op != "+" && n.op != "-" {
		return value{}, n.faultf("the rule language has no operator on bits: `%s` cannot be computed from an event", n.written())
	}
	if l.kind != intKind || r.kind != intKind {
		return value{}, n.faultf("`%s` adds to a duration that is not constant", n.written())
	}
	if !together(l, r) {
		return value{}, n.faultf("`%s` is made of fields of two ancestors", n.written())
	}
	right := r.expr
	if r.sum && n.op == "-" || strings.HasPrefix(right, "-") {
		right = "(" + right + ")"
	}
	return value{node: n, kind: intKind, expr: l.expr + " " + n.op + " " + right, sum: true, over: l.over + r.over, register: l.register || r.register, about: either(l.about, r.about)}, nil
}

// computed applies an operator to constants; a unary one has 0 on its left. ok is false on overflow.
func computed(n *node, l, r int64) (x int64, ok bool) {
	switch {
	case n.kind == unaryNode && n.op == "^":
		return ^r, true
	case n.op == "&":
		return l & r, true
	case n.op == "|":
		return l | r, true
	case n.op == "^":
		return l ^ r, true
	case n.op == "+":
		x = l + r
		return x, (x > l) == (r > 0)
	}
	x = l - r
	return x, (x < l) == (r > 0)
}

// named is a name: a constant, a macro or a field.
func (c *compiler) named(n *node) (value, *fault) {
	switch n.text {
	case "true", "false":
		return value{node: n, kind: boolKind, cond: constant(n.text == "true"), constant: true}, nil
	}
	if x, ok := constants[n.text]; ok {
		return number(n, intKind, x), nil
	}
	if m := c.im.macros[n.text]; m != nil {
		body, leave, f := c.enterMacro(n, m)
		if f != nil {
			return value{}, f
		}
		defer leave()
		if body.kind == listNode {
			return value{}, n.faultf("macro `%s` is a list, which stands only behind in, not in and allin", n.text)
		}
		return c.value(body)
	}
	return c.field(n, n.text)
}

// field is a field of the event.
func (c *compiler) field(n *node, name string) (value, *fault) {
	ref, found, why := resolve(name)
	switch {
	case !found && isConstantName(name):
		return value{}, n.faultf("`%s` is no macro of the sources and no constant of Windows", name)
	case !found:
		return value{}, n.faultf("Windows has no field `%s`", name)
	case why != "":
		return value{}, n.faultf("field `%s`: %s", name, why)
	}
	v := value{node: n, kind: ref.kind, expr: ref.path, form: ref.form, about: aboutField(ref)}
	if ref.length {
		v.about = ""
	}
	if ref.array {
		v.over = ancestorsField
	}
	if ref.register != "" {
		if f := c.useRegister(n, ref.register); f != nil {
			return value{}, f
		}
		v.register = true
	}
	if ref.event != "" {
		if f := c.useEvent(n, ref.event); f != nil {
			return value{}, f
		}
	}
	if ref.cased && !ref.length {
		c.note("folded-case: SECL compares `" + name + "` with case, here case is ignored")
	}
	return v, nil
}

// isConstantName says that a name reads as a macro or constant rather than a field.
func isConstantName(name string) bool {
	return name == strings.ToUpper(name) && !strings.Contains(name, ".")
}

// aboutField names what the field is about, with its verb, when events often lack it.
func aboutField(ref reference) string {
	switch {
	case ref.array || ref.register != "" || strings.HasPrefix(ref.path, ancestorsField):
		return "the ancestors are"
	case strings.Contains(ref.path, "process.parent."):
		return "the parent is"
	case ref.path == "process.cmdline":
		return "the command line is"
	case ref.path == "process.user" || strings.HasPrefix(ref.path, "usr."):
		return "the user is"
	}
	return ""
}

var inText = regexp.MustCompile(`[$%]\{[A-Za-z_][A-Za-z0-9_.\[\]]*\}`)

// interpolated is a plain text, in which ${variable} and %{field} stand for what they name. What only looks
// like one is text.
func (c *compiler) interpolated(n *node) (value, *fault) {
	places := inText.FindAllStringIndex(n.text, -1)
	if places == nil {
		return value{node: n, kind: textKind, constant: true}, nil
	}
	out := value{node: n, kind: textKind}
	var parts []string
	at := 0
	for _, p := range append(places, []int{len(n.text), len(n.text)}) {
		if at < p[0] {
			parts = append(parts, policy.Quote(n.text[at:p[0]]))
		}
		if at = p[1]; p[0] == p[1] {
			break
		}
		name := n.text[p[0]+2 : p[1]-1]
		var v value
		var f *fault
		if n.text[p[0]] == '$' {
			v, f = c.variable(n, name)
		} else {
			v, f = c.field(n, name)
		}
		switch {
		case f != nil:
			return value{}, f
		case v.element():
			return value{}, n.faultf("`%s` is a list, which has no place in a text", name)
		case v.kind == intKind || v.kind == boolKind:
			v.expr = "string(" + v.expr + ")"
		case v.kind != textKind:
			return value{}, n.faultf("`%s` is %s, which the rule language does not write into a text", name, v.kind)
		}
		parts = append(parts, v.expr)
	}
	out.expr = strings.Join(parts, " + ")
	return out, nil
}
