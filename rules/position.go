package rules

import (
	"sort"
	"sync/atomic"
	"unicode/utf8"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser/lexer"

	"spoor/rules/policy"
)

// Positions work as in go/token: every expression of the set has a base offset, which is added to the
// locations of its nodes once, after it is parsed. From then on a location says by itself where it stands,
// through any amount of inlining: one table maps an offset to the expression and the character in it.
// Offsets count characters (runes), as expr does.

// source is one expression of the set.
type source struct {
	base   int
	length int // in characters
	// marks are where every markEvery-th character begins, in bytes; nil when each character is one byte.
	marks []int
	expr  policy.Expr
	owner string // "rule X", "exception N of rule X", "macro M"
	// tokens are cut when first asked for, by explanations too, hence by any goroutine.
	tokens atomic.Pointer[[]lexer.Token]
}

// positions is the table of all expressions, by base.
type positions struct {
	sources []*source
	next    int
}

// add gives x its base.
func (p *positions) add(x policy.Expr, owner string) *source {
	length := utf8.RuneCountInString(x.Text)
	// No location that expr's parser gives a node is as large as the base: see shifter.
	s := &source{base: max(p.next, length+1), length: length, expr: x, owner: owner}
	if s.length < len(x.Text) {
		s.mark()
	}
	p.next = s.base + length + 1 // the end of the text has an offset of its own
	p.sources = append(p.sources, s)
	return s
}

// find returns the expression that offset stands in.
func (p *positions) find(offset int) *source {
	i := sort.Search(len(p.sources), func(i int) bool { return p.sources[i].base > offset })
	return p.sources[max(i-1, 0)]
}

// span is the place of characters from..to in the files.
func (p *positions) span(loc file.Location) policy.Span {
	s := p.find(loc.From)
	from := min(max(loc.From-s.base, 0), s.length)
	to := min(max(loc.To-s.base, from+1), s.length)
	out := policy.Span{File: s.expr.Span.File}
	out.Line, out.Col = s.expr.At(from)
	// The end is that of the last character, so that it is on the same line as what it ends.
	out.EndLine, out.EndCol = s.expr.At(max(to-1, from))
	out.EndCol++
	return out
}

// text is the author's text at loc.
func (p *positions) text(loc file.Location) string {
	s := p.find(loc.From)
	return s.characters(loc.From-s.base, loc.To-s.base)
}

// markEvery is how many characters are walked at most to find one.
const markEvery = 64

func (s *source) mark() {
	n := 0
	for i := range s.expr.Text {
		if n%markEvery == 0 {
			s.marks = append(s.marks, i)
		}
		n++
	}
}

// characters is the text from character from up to character to, as far as there are such. Each literal of an
// expression is asked for, so it must not take the whole text's time.
func (s *source) characters(from, to int) string {
	to = min(to, s.length)
	if from < 0 || from >= to {
		return ""
	}
	return s.expr.Text[s.offset(from):s.offset(to)]
}

// offset is where character n begins, in bytes; n is at most s.length.
func (s *source) offset(n int) int {
	if s.marks == nil {
		return n
	}
	if n/markEvery >= len(s.marks) {
		return len(s.expr.Text)
	}
	at := s.marks[n/markEvery]
	for n %= markEvery; n > 0; n-- {
		_, size := utf8.DecodeRuneInString(s.expr.Text[at:])
		at += size
	}
	return at
}

// widen grows loc, which spans the tokens of a term, to the whole term: brackets that open in it are closed,
// and those that close in it opened. expr's nodes know the place of their operator or name only.
func (p *positions) widen(loc file.Location) file.Location {
	s := p.find(loc.From)
	tokens := s.lex()
	first := sort.Search(len(tokens), func(i int) bool { return tokens[i].To+s.base > loc.From })
	last := sort.Search(len(tokens), func(i int) bool { return tokens[i].To+s.base >= loc.To })
	if first >= len(tokens) || last >= len(tokens) || last < first {
		return loc
	}
	depth, least := 0, 0
	for i := first; i <= last; i++ {
		depth += bracket(tokens[i])
		least = min(least, depth)
	}
	for open := least; open < 0 && first > 0; {
		first--
		open += bracket(tokens[first])
	}
	for closed := depth - least; closed > 0 && last+1 < len(tokens); {
		last++
		closed += bracket(tokens[last])
	}
	return file.Location{From: tokens[first].From + s.base, To: tokens[last].To + s.base}
}

func (s *source) lex() []lexer.Token {
	if tokens := s.tokens.Load(); tokens != nil {
		return *tokens
	}
	tokens, err := lexer.Lex(file.NewSource(s.expr.Text))
	if err != nil || len(tokens) == 0 {
		return nil
	}
	tokens = tokens[:len(tokens)-1] // without the end
	s.tokens.Store(&tokens)
	return tokens
}

func bracket(t lexer.Token) int {
	if t.Kind != lexer.Bracket {
		return 0
	}
	switch t.Value {
	case "(", "[", "{":
		return 1
	}
	return -1
}
