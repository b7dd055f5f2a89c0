package rules

import (
	"fmt"
	"strconv"
)

// textSource is where the text of a condition comes from: a field of the event, of its process, its parent or
// an ancestor, in one of three forms. Constant, and one for each set: equal sources are equal pointers.
type textSource struct {
	id    int    // its place among the sources of the set
	name  string // equal for no two
	path  string // as authors write it; [*] is any ancestor
	field *field
	form  textForm
	// at is which ancestor, for a field of one: as in process.ancestors[at].
	at int
	// every stands for the texts of all ancestors. Only an index looks there.
	every bool
}

type textForm uint8

const (
	formFolded  textForm = iota
	formUser             // of a registry path: as its user sees it, see userKey
	formWritten          // as it came
	formNumber           // of a number: its digits
)

// source is the source that t reads; nil when t is no field of a text or a number at a known place.
func (p *plan) source(t *term, written bool) *textSource {
	if t.op != opField || t.typ != typText && t.typ != typInt {
		return nil
	}
	s := textSource{name: t.field.Path, field: t.field}
	if t.field.owner == ofAncestor {
		of := t.args[0]
		switch {
		case of.op == opElem:
			if !p.element {
				return nil
			}
			s.every = true
			s.name = "process.ancestors[*]." + s.name
		case of.op == opIndex && isAncestors(of.args[0]) && of.args[1].op == opConst:
			s.at = of.args[1].konst.(int)
		case of.op == opCall && (of.name == "first" || of.name == "last") && isAncestors(of.args[0]):
			if of.name == "last" {
				s.at = -1
			}
		default:
			return nil
		}
		if !s.every {
			s.name = fmt.Sprintf("process.ancestors[%d].%s", s.at, s.name)
		}
	}
	switch {
	case t.typ == typInt:
		s.form = formNumber
	case written:
		s.form = formWritten
	}
	return p.internSource(s)
}

// foldedSource is the fold of what s is as written.
func (p *plan) foldedSource(s *textSource) *textSource {
	folded := *s
	folded.name, folded.form = s.path, formFolded
	return p.internSource(folded)
}

// userSource is a registry path as its user sees it.
func (p *plan) userSource(s *textSource) *textSource {
	return p.internSource(textSource{name: s.path, field: s.field, form: formUser})
}

// sourceKey is what tells sources apart.
type sourceKey struct {
	path string
	form textForm
}

func (p *plan) internSource(s textSource) *textSource {
	key := sourceKey{s.name, s.form}
	if p.sources[key] == nil {
		one := s
		one.id = len(p.sources)
		one.path, one.name = s.name, fmt.Sprintf("%s/%d", s.name, s.form)
		p.sources[key] = &one
	}
	return p.sources[key]
}

func isAncestors(t *term) bool { return t.op == opField && t.field.Path == "process.ancestors" }

// get is the text of s. It is valid until v is pointed at another event.
func (s *textSource) get(v *view) string {
	f := s.field
	if f.owner == ofEvent {
		switch s.form {
		case formNumber:
			return v.digits(f.number(v.event))
		case formFolded:
			return v.foldedText(f)
		case formUser:
			return v.userText(f)
		}
		return v.written(f)
	}
	var p *processView
	switch f.owner {
	case ofProcess:
		p = &v.process
	case ofParent:
		p = &v.parent
	default:
		p = v.ancestor(s.at)
	}
	return s.of(v, p)
}

// of is the text of s of a process.
func (s *textSource) of(v *view, p *processView) string {
	switch s.form {
	case formNumber:
		return v.digits(s.field.process.number(p.p))
	case formWritten:
		return s.field.process.text(p.p)
	}
	return p.foldedText(v, s.field.process)
}

// digits is a number as text.
func (v *view) digits(n int64) string {
	from := len(v.buffer)
	v.buffer = strconv.AppendInt(v.buffer, n, 10)
	return v.buffered(from)
}
