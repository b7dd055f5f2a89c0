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
	expr   policy.Expr
	owner  string // "rule X", "exception N of rule X", "macro M"
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
	s := &source{base: p.next, length: utf8.RuneCountInString(x.Text), expr: x, owner: owner}
	p.next += s.length + 1 // the end of the text has an offset of its own
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
	out.Line, out.Col = s.expr.Position(from)
	// The end is that of the last character, so that it is on the same line as what it ends.
	out.EndLine, out.EndCol = s.expr.Position(max(to-1, from))
	out.EndCol++
	return out
}

// text is the author's text at loc.
func (p *positions) text(loc file.Location) string {
	s := p.find(loc.From)
	return runes(s.expr.Text, loc.From-s.base, loc.To-s.base)
}

// runes is the part of text from character from up to character to.
func runes(text string, from, to int) string {
	start, n := -1, 0
	for i := range text {
		if n == from {
			start = i
		}
		if n == to {
			if start < 0 {
				return ""
			}
			return text[start:i]
		}
		n++
	}
	if start < 0 {
		return ""
	}
	return text[start:]
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

func locOf(from, to int) file.Location { return file.Location{From: from, To: to} }
