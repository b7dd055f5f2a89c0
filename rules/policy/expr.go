package policy

import (
	"sort"
	"unicode/utf8"
)

// Expr is the text of an expression, the place of each of its characters, and the policy whose lists,
// macros and variables its names resolve in. Blanks around the text are not part of it. A zero Expr
// (Scope nil) is an absent one.
type Expr struct {
	Text  string
	Span  Span // the scalar
	Scope *Policy
	// segments say where the text stands: from each offset on, counted in characters (runes) of Text,
	// consecutive characters stand in consecutive columns of a line. Sorted by offset; see Position.
	segments []segment
}

type segment struct{ offset, line, col int }

// Position says where character (rune) offset of x.Text stands; an offset past the end, where a fault of
// something missing is, stands right behind the last character. An Expr that was not read from a file has
// no places: line and col are those of its Span.
func (x Expr) Position(offset int) (line, col int) {
	return x.At(max(0, min(offset, utf8.RuneCountInString(x.Text))))
}

// At is Position for an offset from 0 to the number of characters, which it need not count.
func (x Expr) At(offset int) (line, col int) {
	if len(x.segments) == 0 {
		return x.Span.Line, x.Span.Col
	}
	i := sort.Search(len(x.segments), func(i int) bool { return x.segments[i].offset > offset }) - 1
	if i < 0 {
		i = 0
	}
	s := x.segments[i]
	return s.line, s.col + offset - s.offset
}

// SpanOf is the place of the characters from one offset to another, the end exclusive.
func (x Expr) SpanOf(from, to int) Span {
	s := Span{File: x.Span.File}
	s.Line, s.Col = x.Position(from)
	if to <= from {
		s.EndLine, s.EndCol = s.Line, s.Col+1
		return s
	}
	s.EndLine, s.EndCol = x.Position(to - 1)
	s.EndCol++
	return s
}
