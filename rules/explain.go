package rules

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"spoor/pipeline/event"
)

// Explanation says why a rule did or did not match an event: every condition of the rule without short
// circuit, in the author's words, with the values it saw.
type Explanation struct {
	Rule    string `json:"rule"`
	Title   string `json:"title,omitempty"`
	Shadow  bool   `json:"shadow,omitempty"`
	Verdict string `json:"verdict"` // match, exception, no match, over budget
	// Notes say what is easily overlooked, such as an older event name.
	Notes      []string             `json:"notes,omitempty"`
	Condition  *Condition           `json:"condition"`
	Exceptions []ExplainedException `json:"exceptions,omitempty"`
}

// The verdicts.
const (
	VerdictMatch      = "match"
	VerdictNoMatch    = "no match"
	VerdictException  = "exception"
	VerdictOverBudget = "over budget"
)

// ExplainedException is an exception of the rule; they are explained whether or not the rule holds.
type ExplainedException struct {
	Name      string     `json:"name"`
	Decides   bool       `json:"decides,omitempty"` // it took the match out
	Condition *Condition `json:"condition"`
}

// Condition is a part of an expression.
type Condition struct {
	Op    string `json:"op"` // and, or, not, constant, condition
	Holds bool   `json:"holds"`
	// Decides marks the conditions that made the whole what it is.
	Decides bool `json:"decides,omitempty"`
	// Text is the author's, of a condition and of an and or or that stands for any(list, ...).
	Text     string       `json:"text,omitempty"`
	File     string       `json:"file,omitempty"`
	Line     int          `json:"line,omitempty"`
	Col      int          `json:"col,omitempty"`
	Values   []Value      `json:"values,omitempty"`
	Elements []Element    `json:"elements,omitempty"` // of a closure
	Parts    []*Condition `json:"parts,omitempty"`
	// OverBudget says that the condition alone takes more than the budget of a rule: what it holds is not
	// known.
	OverBudget bool `json:"over_budget,omitempty"`
	// Omitted is how many parts of any(list, ...) did not decide and are left out.
	Omitted int `json:"omitted,omitempty"`
}

// Value is what a condition read.
type Value struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Missing bool   `json:"missing,omitempty"` // the event does not have it: it reads as empty
	SeenAs  string `json:"seen_as,omitempty"` // how rules see it when that is not how it came
}

// Element is an element of a closure's list.
type Element struct {
	Index     int        `json:"index"`
	Label     string     `json:"label"`
	Condition *Condition `json:"condition"`
}

// Explain says why the rule of that id did or did not match an enriched event. It is slow; the error is an
// unknown rule.
func (s *Set) Explain(e *event.Event, id string) (*Explanation, error) {
	i, ok := s.byID[id]
	if !ok {
		return nil, fmt.Errorf("no enabled rule has the id %q", id)
	}
	var r Result
	r.view.reset(e)
	r.machine.env = &r.view
	s.matchRule(i, &r)
	c := &s.compiled[i]
	out := &Explanation{Rule: id, Title: c.rule.Title, Shadow: c.rule.Shadow, Verdict: VerdictNoMatch}
	switch {
	case len(r.OverBudget) > 0:
		out.Verdict = VerdictOverBudget
	case len(r.Exceptions) > 0:
		out.Verdict = VerdictException
	case len(r.Live)+len(r.Shadow) > 0:
		out.Verdict = VerdictMatch
	}
	if e.Evt != nil && event.IsAlias(e.Evt.Name) {
		out.Notes = append(out.Notes, fmt.Sprintf("the event is named %q, an older name; rules see %q", e.Evt.Name, eventName(e)))
	}
	left := 20 * ruleBudget
	x := &explainer{s: s, view: &r.view, left: &left}
	x.machine.env = x.view
	x.frame = frame{ev: x.view}
	out.Condition = x.explain(c.code.cond)
	out.Condition.decide()
	for n := range c.exceptions {
		ex := ExplainedException{Name: c.rule.Source.Exceptions[n].Name.Value, Condition: x.explain(c.exceptions[n].cond)}
		ex.Decides = len(r.Exceptions) > 0 && r.Exceptions[0].Exception == n
		ex.Condition.decide()
		out.Exceptions = append(out.Exceptions, ex)
	}
	return out, nil
}

// explainer evaluates conditions one by one, each with the budget of a rule, and all with that of twenty.
type explainer struct {
	s       *Set
	view    *view
	machine machine
	frame   frame
	left    *int
}

// run evaluates a condition alone.
func (x *explainer) run(p *vm.Program) (held, over bool) {
	budget := min(ruleBudget, *x.left)
	x.view.work = budget
	x.machine.over = false
	held = x.machine.run(p)
	*x.left -= budget - max(x.view.work, 0)
	return held, x.machine.over
}

func (x *explainer) explain(c *Cond) *Condition {
	switch c.op {
	case condConst:
		return &Condition{Op: "constant", Holds: c.value, Text: strconv.FormatBool(c.value)}
	case condLeaf:
		return x.leaf(c.leaf)
	case condNot:
		// x != y and x not in y are negations in the author's words already.
		if l := c.args[0].leaf; l != nil && c.term.op == opNot {
			if at := x.s.pos.widen(l.term.ext); at.From < c.term.loc.From && c.term.loc.To < at.To {
				out := x.leaf(l)
				out.Holds = !out.Holds
				return out
			}
		}
	}
	out := &Condition{Op: "and"}
	for _, a := range c.args {
		out.Parts = append(out.Parts, x.explain(a))
	}
	switch c.op {
	case condNot:
		out.Op = "not"
		out.Holds = !out.Parts[0].Holds
		return out
	case condOr:
		out.Op = "or"
	}
	out.Holds = c.op == condAnd
	for _, p := range out.Parts {
		if p.Holds != out.Holds {
			out.Holds = !out.Holds
			break
		}
	}
	if c.each {
		x.place(out, c.term.ext)
		x.omit(out)
	}
	return out
}

// omit keeps the parts that decide of what a long list was expanded to; when all do, the first.
func (x *explainer) omit(out *Condition) {
	const keep = 3
	var parts []*Condition
	allDecide := out.Holds == (out.Op == "and")
	for i, p := range out.Parts {
		if allDecide && i < keep || !allDecide && p.Holds == out.Holds {
			parts = append(parts, p)
		}
	}
	out.Omitted = len(out.Parts) - len(parts)
	out.Parts = parts
}

// place says where the author wrote what takes up at.
func (x *explainer) place(out *Condition, at file.Location) {
	loc := x.s.pos.widen(at)
	span := x.s.pos.span(loc)
	out.Text = strings.Join(strings.Fields(x.s.pos.text(loc)), " ")
	out.File, out.Line, out.Col = span.File, span.Line, span.Col
}

func (x *explainer) leaf(l *leaf) *Condition {
	out := &Condition{Op: "condition"}
	x.place(out, l.term.ext)
	program, of, err := l.programs()
	if err != nil {
		x.machine.failed(err)
		out.OverBudget = true
		return out
	}
	out.Holds, out.OverBudget = x.run(program)
	for _, f := range readBy(l.term) {
		out.Values = append(out.Values, x.value(f))
	}
	if l.body == nil {
		return out
	}
	x.view.work = ruleBudget
	list, err := x.machine.vm.Run(of, x.machine.env)
	elements, _ := list.([]any)
	if err != nil {
		return out
	}
	for i, e := range elements {
		inner := &explainer{s: x.s, view: x.view, left: x.left, frame: frame{ev: x.view, elem: e}}
		inner.machine.env = &binding{view: x.view, elem: e}
		c := inner.explain(l.body)
		c.decide()
		out.Elements = append(out.Elements, Element{Index: i, Label: label(e), Condition: c})
	}
	return out
}

// readBy lists the fields, variables and elements of written-out lists that a leaf reads, in order, each once. In
// the body of a closure those of its element are left out.
func readBy(leaf *term) []*term {
	var out []*term
	seen := map[string]bool{}
	var read func(t *term, body bool)
	read = func(t *term, body bool) {
		switch {
		case t.op == opField || t.op == opVariable || t.op == opElem || t.op == opConst && t.name == "#":
			if k := t.key(); !seen[k] && !(body && t.readsElement()) {
				seen[k] = true
				out = append(out, t)
			}
		case t.op == opClosure:
			read(t.args[0], body)
			read(t.args[1], true)
		default:
			for _, a := range t.args {
				read(a, body)
			}
		}
	}
	read(leaf, false)
	return out
}

// label names an element for people.
func label(e any) string {
	p, ok := e.(*processView)
	if !ok {
		return display(e)
	}
	name := "unknown process"
	if p.p.Executable != nil && p.p.Executable.Name != "" {
		name = p.p.Executable.Name
	}
	if p.p.PID != nil {
		name += fmt.Sprintf(" (pid %d)", *p.p.PID)
	}
	return name
}

// value reads a field or the like as it came.
func (x *explainer) value(t *term) Value {
	x.view.work = math.MaxInt
	b := &native{lower: newLowering()}
	get := b.value(t)
	if t.typ == typText {
		get = boxed(b.text(t, false)) // registry paths too
	}
	if len(b.inputs) > 0 {
		return Value{Name: x.valueName(t), Value: "(computed)"}
	}
	v := get(x.frame)
	out := Value{Name: x.valueName(t), Value: display(v)}
	switch v := v.(type) {
	case string:
		out.Missing = v == "" && t.op == opField
		if t.op == opField && t.field.registry && v != "" {
			if seen := x.view.foldedText(t.field); seen != fold(v) {
				out.SeenAs = strconv.Quote(seen)
			}
		}
	case time.Time:
		out.Missing = v.IsZero()
	case int:
		out.Missing = t.op == opField && x.missing(b, t)
	case []any:
		out.Missing = len(v) == 0
	case nil:
		out.Missing = true
	}
	return out
}

// missing says that the field of a number is not there; its value does not tell, 0 may be one.
func (x *explainer) missing(b *native, t *term) bool {
	if t.field.owner == ofEvent {
		return t.field.missing(x.view.event)
	}
	return t.field.process.missing(b.owner(t)(x.frame).p)
}

func (x *explainer) valueName(t *term) string {
	switch {
	case t.op == opVariable:
		return t.vari.Name.Value
	case t.op == opConst || t.op == opElem:
		return "#"
	case len(t.args) > 0:
		if t.args[0].op == opElem {
			return "." + t.field.Path
		}
		// An element of a list that is written out: as the author wrote it.
		return strings.Join(strings.Fields(x.s.pos.text(x.s.pos.widen(t.args[0].ext))), " ") + "." + t.field.Path
	}
	return t.field.Path
}

// maxDisplay is how much of a text is shown, in bytes.
const maxDisplay = 2000

// display writes a value as an author would.
func display(v any) string {
	switch v := v.(type) {
	case string:
		if len(v) > maxDisplay {
			return strconv.Quote(strings.ToValidUTF8(v[:maxDisplay], "")) + fmt.Sprintf("... (%d characters)", characters(v))
		}
		return strconv.Quote(v)
	case time.Time:
		if v.IsZero() {
			return "no time"
		}
		return v.UTC().Format(time.RFC3339Nano)
	case *processView:
		return label(v)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = display(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v)
}

// decide marks the conditions that made c what it is: of an and that does not hold, those parts that do not.
func (c *Condition) decide() {
	switch c.Op {
	case "condition", "constant":
		c.Decides = true
	case "not":
		c.Parts[0].decide()
	default:
		all := c.Holds == (c.Op == "and")
		for _, p := range c.Parts {
			if all || p.Holds == c.Holds {
				p.decide()
			}
		}
	}
}
