package policy

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Condition is an expression that an importer builds, to be written as a person would. It is immutable.
// The constructors flatten `and` in `and`, `or` in `or`, and take a double negation away.
type Condition struct {
	op   conditionOp
	args []Condition // of and, or, not
	text string      // of a leaf: what stands before its list
	list []string    // of a leaf with a list: the members as written
	tail string      // of a leaf: what follows the list
	// negated is how the leaf is written under a negation, "" when `not` before it is the only way. It takes
	// the place of text; list and tail stay.
	negated string
	// loose leaves need brackets beside `and`, `or` and under `not`.
	loose bool
}

type conditionOp int

const (
	leafOp conditionOp = iota
	notOp
	andOp
	orOp
)

// Compare is `left operator right`, operators as in expr: ==, contains, in ... Under a negation it is written
// with != or `not contains`.
func Compare(left, operator, right string) Condition {
	c := Condition{text: left + " " + operator + " " + right}
	switch operator {
	case "==":
		c.negated = left + " != " + right
	case "!=":
		c.negated = left + " == " + right
	case "contains", "startsWith", "endsWith", "matches", "in":
		c.negated = left + " not " + operator + " " + right
	default:
		// not (a < b) is a >= b for numbers, but not where a missing time makes both false.
		c.loose = true
	}
	return c
}

// InList is `left in [members]`; members are written as given.
func InList(left string, members []string) Condition {
	return Condition{text: left + " in ", negated: left + " not in ", list: members}
}

// OverList is `closure([members], body)`, for instance any([...], f contains #). closure is any, all or none.
func OverList(closure string, members []string, body string) Condition {
	return Condition{text: closure + "(", list: members, tail: ", " + body + ")"}
}

// CallList is `function(subject, [members])`, for instance like(f, [...]).
func CallList(function, subject string, members []string) Condition {
	return Condition{text: function + "(" + subject + ", ", list: members, tail: ")"}
}

// Call is a condition that needs no brackets anywhere: a call, a boolean field.
func Call(text string) Condition { return Condition{text: text} }

// Not is the negation of c.
func Not(c Condition) Condition {
	if c.op == notOp {
		return c.args[0]
	}
	return Condition{op: notOp, args: []Condition{c}}
}

// And holds when every one of cs does; cs has at least one.
func And(cs ...Condition) Condition { return join(andOp, cs) }

// Or holds when at least one of cs does; cs has at least one.
func Or(cs ...Condition) Condition { return join(orOp, cs) }

func join(op conditionOp, cs []Condition) Condition {
	var args []Condition
	for _, c := range cs {
		if c.op == op {
			args = append(args, c.args...)
		} else {
			args = append(args, c)
		}
	}
	if len(args) == 1 {
		return args[0]
	}
	return Condition{op: op, args: args}
}

// expressionWidth is where a condition goes to a new line, in characters behind the indentation of the
// block: 120 in the file of a rule.
const expressionWidth = 114

// Text writes the condition, over several lines where one is too long:
//
//	evt.name == "exec"
//	  and (process.executable.name == "a.exe"
//	    or any([
//	      "one",
//	      "two"
//	    ], process.cmdline contains #))
func (c Condition) Text() string {
	var w conditionWriter
	w.write(c, 0, 0)
	return w.b.String()
}

// conditionWriter writes one condition.
type conditionWriter struct {
	b strings.Builder
}

func (w *conditionWriter) newline(indent int) {
	w.b.WriteByte('\n')
	w.b.WriteString(strings.Repeat(" ", indent))
}

// used is how many characters the current line has.
func (w *conditionWriter) used() int {
	s := w.b.String()
	return utf8.RuneCountInString(s[strings.LastIndexByte(s, '\n')+1:])
}

// write writes c, whose further lines are indented by more than indent. behind is how many characters
// follow it on its last line: closing brackets.
func (w *conditionWriter) write(c Condition, indent, behind int) {
	if one := c.oneLine(); !strings.Contains(one, "\n") && w.used()+utf8.RuneCountInString(one)+behind <= expressionWidth {
		w.b.WriteString(one)
		return
	}
	switch c.op {
	case andOp, orOp:
		word := "and "
		if c.op == orOp {
			word = "or "
		}
		for i, a := range c.args {
			after := 0
			if i > 0 {
				w.newline(indent + 2)
				w.b.WriteString(word)
			}
			if i == len(c.args)-1 {
				after = behind
			}
			w.operand(a, c.op, indent+2, after)
		}
	case notOp:
		w.negation(c.args[0], indent, behind)
	default:
		w.leaf(c, c.text, indent)
	}
}

// operand writes a below op.
func (w *conditionWriter) operand(a Condition, op conditionOp, indent, behind int) {
	if a.bracketed(op) {
		w.b.WriteByte('(')
		w.write(a, indent, behind+1)
		w.b.WriteByte(')')
		return
	}
	w.write(a, indent, behind)
}

func (w *conditionWriter) negation(a Condition, indent, behind int) {
	if a.op == leafOp && a.negated != "" {
		w.leaf(a, a.negated, indent)
		return
	}
	w.b.WriteString("not ")
	w.operand(a, notOp, indent, behind)
}

// shortMember is up to where members of a list stand beside each other when the list takes several lines.
const shortMember = 24

// leaf writes a leaf that is too long for its line: a list an entry a line, or in full lines when all members
// are short; anything else as it is.
func (w *conditionWriter) leaf(c Condition, text string, indent int) {
	w.b.WriteString(text)
	if c.list == nil {
		return
	}
	w.b.WriteByte('[')
	fill := !slices.ContainsFunc(c.list, func(m string) bool { return utf8.RuneCountInString(m) > shortMember })
	for i, m := range c.list {
		comma := ""
		if i < len(c.list)-1 {
			comma = ","
		}
		if width := utf8.RuneCountInString(m + comma); fill && i > 0 && w.used()+1+width <= expressionWidth {
			w.b.WriteByte(' ')
		} else {
			w.newline(indent + 2)
		}
		w.b.WriteString(m + comma)
	}
	w.newline(indent)
	w.b.WriteByte(']')
	w.b.WriteString(c.tail)
}

// bracketed says that c needs brackets as an operand of op. expr knows that `and` binds tighter than `or`;
// readers are not asked to.
func (c Condition) bracketed(op conditionOp) bool {
	switch c.op {
	case andOp, orOp:
		return c.op != op
	case notOp:
		return op == notOp
	}
	return c.loose && op == notOp
}

// oneLine is the condition on one line.
func (c Condition) oneLine() string {
	switch c.op {
	case andOp, orOp:
		word := " and "
		if c.op == orOp {
			word = " or "
		}
		parts := make([]string, len(c.args))
		for i, a := range c.args {
			parts[i] = a.oneLineBelow(c.op)
		}
		return strings.Join(parts, word)
	case notOp:
		a := c.args[0]
		if a.op == leafOp && a.negated != "" {
			return a.oneLineLeaf(a.negated)
		}
		return "not " + a.oneLineBelow(notOp)
	}
	return c.oneLineLeaf(c.text)
}

func (c Condition) oneLineBelow(op conditionOp) string {
	if c.bracketed(op) {
		return "(" + c.oneLine() + ")"
	}
	return c.oneLine()
}

func (c Condition) oneLineLeaf(text string) string {
	if c.list == nil {
		return text
	}
	return text + "[" + strings.Join(c.list, ", ") + "]" + c.tail
}

// Quote writes a text as a constant of the language, the way its authors do: in double quotes, and in
// backquotes when it has a backslash, a double quote or a control character, none of which need an escape
// there. A backquote inside them is doubled.
func Quote(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r == '\\' || r == '"' || r < 0x20 || r == 0x7f }) {
		return "`" + strings.ReplaceAll(s, "`", "``") + "`"
	}
	return `"` + s + `"`
}

// QuoteAll quotes each of texts.
func QuoteAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = Quote(t)
	}
	return out
}
