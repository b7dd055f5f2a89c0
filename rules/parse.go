package rules

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/parser/lexer"
)

// Bounds of an expression. The text's bound keeps expr's recursive parser from deep recursion.
const (
	maxText  = 256 << 10 // bytes
	maxNodes = 10_000    // after inlining
	maxDepth = 250       // of brackets, and of signs and nots one after the other
)

// parse parses the expression of src. Its nodes have locations of the set (see positions). It returns nil
// after reporting the one syntax fault.
func (c *compiler) parse(src *source) ast.Node {
	if len(src.expr.Text) > maxText {
		c.report(src.whole(), codeTooLarge, fmt.Sprintf("the expression is longer than %d KiB", maxText>>10), "split it into macros or several rules")
		return nil
	}
	if at, deep := src.tooDeep(); deep {
		c.report(at, codeTooLarge, fmt.Sprintf("the expression is nested deeper than %d", maxDepth), "split it into macros or several rules")
		return nil
	}
	tree, err := parser.ParseWithConfig(src.expr.Text, c.parseConfig)
	if err != nil {
		loc := file.Location{From: src.base, To: src.base + 1}
		message := err.Error()
		var e *file.Error
		if errors.As(err, &e) {
			loc = file.Location{From: e.From + src.base, To: e.To + src.base}
			message = e.Message
		}
		if message == "literal not terminated" {
			if at, ok := src.openQuote(); ok {
				loc = file.Location{From: at + src.base, To: at + 1 + src.base}
			}
		}
		code, message, hint := syntaxFault(message, src, loc)
		c.report(loc, code, message, hint)
		return nil
	}
	ast.Walk(&tree.Node, shifter{base: src.base})
	return tree.Node
}

// tooDeep finds what would take expr's parser deep into recursion.
func (s *source) tooDeep() (at file.Location, deep bool) {
	// Few expressions have that many brackets and signs at all, wherever they stand; the others need not be cut into
	// tokens for it.
	if s.count("([{") <= maxDepth && s.count("!-+?")+strings.Count(s.expr.Text, "not") <= maxDepth {
		return at, false
	}
	brackets, signs := 0, 0
	for _, t := range s.lex() {
		brackets += bracket(t)
		switch {
		case t.Kind == lexer.Operator && (t.Value == "not" || t.Value == "!" || t.Value == "-" || t.Value == "+" || t.Value == "?"):
			signs++
		case t.Kind != lexer.Bracket && t.Value != ":":
			signs = 0
		}
		if brackets > maxDepth || signs > maxDepth {
			return file.Location{From: t.From + s.base, To: t.To + s.base}, true
		}
	}
	return at, false
}

// count is how many bytes of the text are one of some.
func (s *source) count(some string) int {
	n := 0
	for i := range len(s.expr.Text) {
		if strings.IndexByte(some, s.expr.Text[i]) >= 0 {
			n++
		}
	}
	return n
}

// openQuote finds the quote of the text that is not closed: the first that the lexer cannot get past.
func (s *source) openQuote() (at int, ok bool) {
	text := []rune(s.expr.Text)
	for i := 0; i < len(text); i++ {
		switch q := text[i]; {
		case q == '/' && i+1 < len(text) && text[i+1] == '/':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case q == '/' && i+1 < len(text) && text[i+1] == '*':
			for i += 2; i+1 < len(text) && (text[i] != '*' || text[i+1] != '/'); {
				i++
			}
			i++
		case q == '`':
			open := i
			for i++; i < len(text); i++ {
				if text[i] != '`' {
					continue
				}
				if i+1 == len(text) || text[i+1] != '`' {
					break
				}
				i++ // two stand for one
			}
			if i >= len(text) {
				return open, true
			}
		case q == '"' || q == '\'':
			open := i
			for i++; i < len(text) && text[i] != q && text[i] != '\n'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			if i >= len(text) || text[i] != q {
				return open, true
			}
		}
	}
	return 0, false
}

func newParseConfig() *conf.Config {
	config := conf.New(struct{}{})
	config.MaxNodes = maxNodes
	return config
}

func (s *source) whole() file.Location {
	return file.Location{From: s.base, To: s.base + max(s.length, 1)}
}

// shifter moves the nodes of a tree to their places in the set. A node can hang in a tree twice (a < b < c shares
// b); one that was moved stands at or behind the base, which no other does.
type shifter struct{ base int }

func (s shifter) Visit(node *ast.Node) {
	n := *node
	if n == nil {
		return
	}
	if loc := n.Location(); loc.From < s.base {
		n.SetLocation(file.Location{From: loc.From + s.base, To: loc.To + s.base})
	}
}

var tokenInMessage = regexp.MustCompile(`^unexpected token (\w+)\("(.*)"\)$`)

// syntaxFault says what expr's parser found in the author's terms.
func syntaxFault(message string, src *source, loc file.Location) (code, text, hint string) {
	switch {
	case strings.Contains(message, "maximum allowed nodes"):
		return codeTooLarge, "the expression has more than 10,000 nodes", "split it into several rules"
	case message == "unexpected token EOF", message == "unexpected end of expression":
		return codeSyntax, "the expression ends too early", "something is missing at the end: a value, a closing bracket"
	case message == "invalid char escape":
		return codeSyntax, "invalid escape in a quoted text", "write texts with backslashes in backquotes: `C:\\Windows`"
	case message == "literal not terminated":
		return codeSyntax, "the text is not closed", "a quote or backquote is missing; a quoted text is on one line"
	case strings.HasPrefix(message, "invalid integer literal") && strings.HasSuffix(message, "out of range"):
		return codeSyntax, "the number does not fit in 64 bits", ""
	case message == "expected name":
		return codeSyntax, "a field's name is missing after the dot", ""
	case strings.Contains(message, "coalesce expressions (??)"):
		return codeRefused, "`??` is not part of the language", refused["??"]
	case strings.HasPrefix(message, "wrap predicate"):
		return codeSyntax, "unexpected `;`", "write a condition of several parts with `and`"
	}
	if m := tokenInMessage.FindStringSubmatch(message); m != nil {
		kind, value := m[1], m[2]
		if kind == "String" {
			return codeSyntax, "unexpected text \"" + value + "\"", "an operator or a comma is missing before it"
		}
		switch value {
		case "=":
			hint = "compare with `==`"
		case "&", "|":
			hint = "write `and` or `or`"
		case "#", ".":
			hint = "an element stands only inside any(list, ...) and the like"
		case "if", "else":
			hint = "write condition ? a : b"
		case "let":
			hint = "let stands at the beginning: let name = value; condition"
		}
		if hint == "" && (kind == "Identifier" || kind == "Number") {
			hint = "an operator or a comma is missing before it"
		}
		return codeSyntax, "unexpected `" + value + "`", hint
	}
	return codeSyntax, message, ""
}
