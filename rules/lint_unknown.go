package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A missing field is empty, and a negation holds on the empty value: `parent.executable.name != "x.exe"` is
// true of every process whose parent is not known. The author seldom means that. A rule is asked, for each
// thing that may be unknown, what it answers when that is empty: if it can still match, and a negation about
// it is one of the reasons, there is a warning. So one condition beside it that needs the thing to be there
// is enough, and so is `.known`.

// maybeUnknown is something that events often lack.
type maybeUnknown struct {
	what string
	has  func(path string) bool
	asks []string // fields that ask for it: an author who reads one has thought of it
	hint string
}

var maybeUnknowns = []maybeUnknown{
	{"the parent is", func(p string) bool { return strings.HasPrefix(p, "process.parent.") && p != "process.parent.known" },
		[]string{"process.parent.known"}, "add `process.parent.known`"},
	{"the ancestors are", func(p string) bool { return p == "process.ancestors" },
		[]string{"process.parent.known", "process.ancestors_complete"}, "add `process.ancestors_complete`, or `process.parent.known` when the nearest ones are enough"},
	{"the command line is", func(p string) bool { return p == "process.cmdline" }, nil, "add `process.cmdline != \"\"`"},
	{"the user is", func(p string) bool { return p == "process.user" }, nil, "add `process.user != \"\"`"},
	{"the user is", func(p string) bool { return strings.HasPrefix(p, "usr.") }, nil, "add `usr.name != \"\"`"},
}

// unknown reports the negations of a rule, and of its exceptions, that hold on what is not known.
func (l *linter) unknown(r *lintRule) {
	for i := range maybeUnknowns {
		e := emptied{&maybeUnknowns[i], l}
		reads := e.reads(r.condition)
		readers := slices.DeleteFunc(slices.Clone(r.exceptions), func(x lintException) bool { return !e.reads(x.condition) })
		if !reads && len(readers) == 0 {
			continue
		}
		asked := e.asked(r.condition)
		if reads && !asked {
			l.blamed = map[blamed]bool{}
			l.blame(e, r.condition, false, nil)
		}
		if len(readers) == 0 || asked || e.truth(r.condition) == truthNo {
			continue // exceptions are asked only where the rule matched
		}
		for _, x := range readers {
			if !e.asked(x.condition) {
				l.blamed = map[blamed]bool{}
				l.blame(e, x.condition, false, nil)
			}
		}
	}
}

// blame reports the negations below t that help it to hold (or, with not, to fail) on what e lacks. negation
// is the one that t stands directly under, if any.
func (l *linter) blame(e emptied, t *term, not bool, negation *term) {
	at := blamed{t, not}
	if l.blamed[at] { // the condition of ?: helps in two ways
		return
	}
	l.blamed[at] = true
	if e.truth(t) == truthOf(not) { // it cannot come to that
		return
	}
	switch t.op {
	case opNot:
		l.blame(e, t.args[0], !not, t)
	case opAnd, opOr:
		for _, a := range t.args {
			l.blame(e, a, not, nil)
		}
	case opCond:
		l.blame(e, t.args[0], false, nil)
		l.blame(e, t.args[0], true, nil)
		l.blame(e, t.args[1], not, nil)
		l.blame(e, t.args[2], not, nil)
	default:
		vacuous := t.op == opClosure && (t.name == "all" || t.name == "none") && !not
		if !vacuous && !not || e.truth(t) != truthOf(!not) || !e.reads(t) || e.asksForEmpty(t) {
			return
		}
		which, how := t, "`%s` holds"
		switch {
		case vacuous:
		case negation != nil:
			which = negation
		default:
			how = "the negation of `%s` holds"
		}
		l.warnOf(which, codeNegatedUnknown,
			fmt.Sprintf(how+" also when %s not known, and nothing beside it needs it to be", l.text(which), e.what), e.hint)
	}
}

// blamed is a condition that was looked at, and whether it is to fail.
type blamed struct {
	t   *term
	not bool
}

// truth is what is known of a condition.
type truth uint8

const (
	truthOpen truth = iota
	truthYes
	truthNo
)

func truthOf(b bool) truth {
	if b {
		return truthYes
	}
	return truthNo
}

// emptied evaluates terms on an event that lacks one thing and of which nothing else is known.
type emptied struct {
	*maybeUnknown
	l *linter
}

// reads says that t reads what is lacking.
func (e emptied) reads(t *term) bool {
	return anyTerm(t, func(t *term) bool { return t.op == opField && len(t.args) == 0 && e.has(t.field.Path) })
}

// asked says that t asks whether the thing is known, or is empty: its author has thought of it.
func (e emptied) asked(t *term) bool {
	return anyTerm(t, func(t *term) bool {
		return t.op == opField && len(t.args) == 0 && slices.Contains(e.asks, t.field.Path) || e.asksForEmpty(t) && e.reads(t)
	})
}

// asksForEmpty says that t is written for the empty value: x == "", len(x) > 0.
func (e emptied) asksForEmpty(t *term) bool {
	c := e.l.constantTest(t)
	if c == nil {
		return false
	}
	return c.equality() && slices.ContainsFunc(c.values, func(v any) bool { return v == "" || v == 0 }) ||
		c.subject.op == opCall && c.subject.name == "len" || c.subject.op == opClosure && c.subject.name == "count"
}

func (e emptied) truth(t *term) truth {
	switch t.op {
	case opNot:
		switch e.truth(t.args[0]) {
		case truthYes:
			return truthNo
		case truthNo:
			return truthYes
		}
		return truthOpen
	case opAnd, opOr:
		decides := truthOf(t.op == opOr)
		all := true
		for _, a := range t.args {
			switch e.truth(a) {
			case decides:
				return decides
			case truthOpen:
				all = false
			}
		}
		if all {
			return truthOf(t.op == opAnd)
		}
		return truthOpen
	case opCond:
		switch e.truth(t.args[0]) {
		case truthYes:
			return e.truth(t.args[1])
		case truthNo:
			return e.truth(t.args[2])
		}
		if a := e.truth(t.args[1]); a == e.truth(t.args[2]) {
			return a
		}
		return truthOpen
	}
	if b, ok := e.value(t).(bool); ok {
		return truthOf(b)
	}
	// A comparison of what is lacking with something else of the event holds only when that is empty too.
	if t.op == opCompare && e.reads(t) && len(t.args) == 2 && (t.name == "==" || t.name == "in") {
		return truthNo
	}
	return truthOpen
}

// lacking is a list without elements, or an element that is not there.
type lacking struct{}

// value is the value of t, nil when it is not known.
func (e emptied) value(t *term) any {
	switch t.op {
	case opConst:
		return t.konst
	case opField:
		if len(t.args) == 0 && !e.has(t.field.Path) {
			return nil
		}
		if len(t.args) > 0 && e.value(t.args[0]) != (lacking{}) {
			return nil
		}
		return lackingValue(t.typ)
	case opObject:
		if len(t.args) > 0 && e.value(t.args[0]) == (lacking{}) {
			return lacking{}
		}
		return nil
	case opIndex:
		if e.value(t.args[0]) == (lacking{}) {
			return lackingValue(t.typ)
		}
		return nil
	case opClosure:
		if e.value(t.args[0]) != (lacking{}) {
			return nil
		}
		switch t.name {
		case "any", "one":
			return false
		case "all", "none":
			return true
		case "count":
			return 0
		}
		return lackingValue(t.typ)
	case opCall:
		return e.call(t)
	case opCompare:
		return e.compare(t)
	}
	return nil
}

func lackingValue(t typ) any {
	switch t.kind {
	case kindText:
		return ""
	case kindInt:
		return 0
	case kindBool:
		return false
	case kindTime:
		return time.Time{}
	case kindList, kindObject:
		return lacking{}
	}
	return nil
}

func (e emptied) call(t *term) any {
	if len(t.args) == 0 {
		return nil
	}
	switch v := e.value(t.args[0]); t.name {
	case "lower", "upper", "trim", "basename", "dirname", "extension", "exact":
		if v == "" {
			return ""
		}
	case "len":
		if v == "" || v == (lacking{}) {
			return 0
		}
	case "first", "last":
		if v == (lacking{}) {
			return lackingValue(t.typ)
		}
	case "glob", "like":
		return e.compare(t)
	}
	return nil
}

// compare is what a comparison of something empty with constants says.
func (e emptied) compare(t *term) any {
	c := e.l.constantTest(t)
	if c == nil {
		return nil
	}
	switch v := e.value(c.subject).(type) {
	case time.Time:
		if !c.equality() {
			return false // an order with a missing time
		}
	case string, int:
		if holds, known := c.holdsOn(v); known {
			return holds
		}
	}
	return nil
}
