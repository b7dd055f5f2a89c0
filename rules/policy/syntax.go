package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// expressionKey is the key whose values are expressions, in rules, macros and exceptions alike.
const expressionKey = "expression"

// blockHint is the way out that always works.
const blockHint = "write  expression: |  and the text below it, indented"

// asBlock shows the way out for the expression that starts at a position and ends with its line.
func asBlock(src *source, line, col int) string {
	text := src.line(line)
	if strings.ContainsRune(string(text[:min(col-1, len(text))]), '{') {
		return flowHint
	}
	return "write  expression: |  and below it, indented:  " + clip(strings.TrimSpace(string(text[min(col-1, len(text)):])), 80)
}

// syntaxFault turns an error of the YAML library into one fault. Where the line shows what the author
// most likely meant, the fault names that cause instead of the parser's state.
func syntaxFault(src *source, err error) Diagnostic {
	var placed interface {
		GetMessage() string
		GetToken() *token.Token
	}
	d := Diagnostic{Span: Span{File: src.file}, Level: Error, Code: CodeSyntax, Message: "the file is not YAML"}
	if !errors.As(err, &placed) {
		return d
	}
	line, col := tokenPosition(src, placed.GetToken())
	message := strings.TrimSpace(placed.GetMessage())
	if d, ok := expressionFault(src, line); ok {
		return d
	}
	if d, ok := flowExpressionFault(src, line, col); ok && strings.HasPrefix(message, "',' or '}'") {
		return d
	}
	d.Span = src.span(line, col, line, col+1)
	message = strings.ReplaceAll(message, "\t", `\t`)
	text := string(src.line(line))
	switch {
	case strings.HasPrefix(strings.TrimLeft(text, " "), "\t"):
		tab := strings.IndexByte(text, '\t') + 1
		d.Span = src.span(line, tab, line, tab+1)
		d.Message, d.Hint = "a tab in the indentation", "indent with spaces"
	case strings.Contains(message, "mapping value is not allowed"):
		return misplacedColon(src, line, col)
	case strings.HasPrefix(message, "found unknown escape"):
		d.Span = src.span(line, max(col-1, 1), line, col+1)
		d.Message, d.Hint = badEscape, badEscapeHint
	case strings.HasPrefix(message, "value is not allowed") && blockEndedAbove(src, line, &d):
	default:
		for _, w := range wordings {
			if strings.HasPrefix(message, w.library) {
				d.Message, d.Hint = w.message, w.hint
				return d
			}
		}
		d.Message = strings.TrimSuffix(message, ".")
		if d.Message != "" && !strings.HasPrefix(d.Message, "',") {
			d.Message = strings.ToLower(d.Message[:1]) + d.Message[1:]
		}
	}
	return d
}

// wordings say what the library's messages mean to somebody who writes a policy.
var wordings = []struct{ library, message, hint string }{
	{"value is not allowed in this context", "nothing can stand here", "check its indentation, and the quotes and brackets before it"},
	{"non-map value is specified", "a key and its value are expected here", "write key: value at the column of the other keys, or indent the line to make it part of the value above"},
	{"unexpected key name", "a key needs a blank after its colon", "write key: value"},
	{"sequence end token ']' not found", "this [ has no ]", ""},
	{"could not find flow mapping end token", "this { has no }", ""},
	{"could not find end character of", "this quoted text has no end", ""},
	{"unexpected scalar value type", "a value is missing before this comma", "remove the comma"},
	{"could not find flow map content", "a key is missing before this comma", "remove the comma"},
	{"block sequence entries are not allowed", "a list cannot start on the line of its key", "start it on the next line; quote the text if it is none"},
}

// blockEndedAbove explains a line that was meant to be part of the block scalar above it, if there is one:
// the line is indented too little, or a comment that is has ended the block.
func blockEndedAbove(src *source, line int, d *Diagnostic) bool {
	own := indentOf(src.line(line))
	comment := 0
	for l := line - 1; l > 0; l-- {
		text := src.line(l)
		n := indentOf(text)
		switch {
		case n == len(text) || n >= own:
		case text[n] == '#':
			comment = l
		case !blockHeader.MatchString(string(text)):
			return false
		case comment > 0:
			d.Message = "the comment above has ended the block that this line belongs to"
			d.Hint = "move the comment above the block"
			d.Notes = []Note{{src.span(comment, indentOf(src.line(comment))+1, comment, len(src.line(comment))+1), "the comment"}}
			return true
		default:
			d.Message = "this line is indented less than the block above it"
			d.Hint = "indent it at least as far as the first line of the block"
			return true
		}
	}
	return false
}

func indentOf(line []rune) int {
	n := 0
	for n < len(line) && line[n] == ' ' {
		n++
	}
	return n
}

const (
	badEscape     = "this is no escape of a double-quoted YAML text"
	badEscapeHint = "write the backslash twice, or the text between single quotes"
)

// misplacedColon places "mapping value is not allowed", which the library reports where the value before
// the colon starts: the colon may stand in that line, or end a key below that is indented too far.
func misplacedColon(src *source, line, col int) Diagnostic {
	d := Diagnostic{Level: Error, Code: CodeSyntax, Message: "': ' inside a plain value", Hint: "quote the value"}
	for l := line; l <= len(src.lines); l++ {
		text := src.line(l)
		start := 1
		if l == line {
			start = col
		}
		for c := start; c <= len(text); c++ {
			if next := src.at(l, c+1); text[c-1] != ':' || next != ' ' && next != '\t' && next != '\n' {
				continue
			}
			if l == line {
				d.Span = src.span(l, c, l, c+1)
				return d
			}
			first := indentOf(text) + 1
			d.Span = src.span(l, first, l, c)
			d.Message = "this key is indented deeper than the one before, whose value it would continue"
			d.Hint = "line the keys up"
			return d
		}
	}
	d.Span = src.span(line, col, line, col+1)
	return d
}

// flowExpressionFault looks for an unquoted expression between { } that reaches to where the library
// stopped.
func flowExpressionFault(src *source, line, col int) (Diagnostic, bool) {
	text := src.line(line)
	text = text[:min(col-1, len(text))]
	prefix := []rune(expressionKey + ": ")
	for i := len(text) - len(prefix); i > 0; i-- {
		if string(text[i:i+len(prefix)]) != string(prefix) || !strings.ContainsRune(" {,", text[i-1]) {
			continue
		}
		from := i + len(prefix) + 1
		for src.at(line, from) == ' ' {
			from++
		}
		if strings.ContainsRune("\"'|>\n", src.at(line, from)) {
			return Diagnostic{}, false
		}
		return Diagnostic{Span: src.span(line, from, line, max(col, from+1)), Level: Error, Code: CodeExpressionFlow,
			Message: flowMessage, Hint: flowHint}, true
	}
	return Diagnostic{}, false
}

const (
	flowMessage = "an expression between { } must be quoted: YAML cuts it at a comma or bracket"
	flowHint    = "quote it: { expression: '...' }"
)

// expressionFault looks for an unquoted expression that line holds and for what YAML makes of it.
func expressionFault(src *source, line int) (Diagnostic, bool) {
	text := src.line(line)
	col := 1
	for src.at(line, col) == ' ' || src.at(line, col) == '-' && src.at(line, col+1) == ' ' {
		col++
	}
	prefix := []rune(expressionKey + ":")
	rest := text[min(col-1, len(text)):]
	if len(rest) < len(prefix) || string(rest[:len(prefix)]) != string(prefix) {
		return Diagnostic{}, false
	}
	col += len(prefix)
	for src.at(line, col) == ' ' || src.at(line, col) == '\t' {
		col++
	}
	fault := func(at, length int, code, message, hint string) (Diagnostic, bool) {
		return Diagnostic{Span: src.span(line, at, line, at+length), Level: Error, Code: code, Message: message, Hint: hint}, true
	}
	switch first := src.at(line, col); first {
	case '\n', '|', '>', '#':
		return Diagnostic{}, false
	case '!', '&', '*', '@', '`', '%', '[', ']', '{', '}', ',':
		return sigilFault(src, line, col), true
	case '"', '\'':
		sc, bad := src.readInline(line, col, first, "")
		if bad == nil && sc.span.EndLine == line && strings.TrimSpace(string(text[sc.span.EndCol-1:])) != "" {
			return fault(sc.span.EndCol, 1, CodeExpressionQuote,
				"the expression starts with a quoted text, which YAML takes for the whole value", asBlock(src, line, col))
		}
		return Diagnostic{}, false
	}
	for i := col; src.at(line, i) != '\n'; i++ {
		next := src.at(line, i+1)
		if src.at(line, i) == ':' && (next == ' ' || next == '\t' || next == '\n') {
			return fault(i, 1, CodeExpressionColon, "YAML takes ': ' inside an unquoted expression for the end of a key", asBlock(src, line, col))
		}
	}
	return Diagnostic{}, false
}

// sigilFault is an unquoted expression that starts with a character YAML keeps for itself.
func sigilFault(src *source, line, col int) Diagnostic {
	first := src.at(line, col)
	d := Diagnostic{Span: src.span(line, col, line, col+1), Level: Error, Code: CodeExpressionSigil, Hint: asBlock(src, line, col)}
	meaning := map[rune]string{'&': "an anchor", '*': "an alias", '%': "a directive", '[': "a list", ']': "the end of a list",
		'{': "a mapping", '}': "the end of a mapping", ',': "a separator"}[first]
	switch {
	case first == '!':
		d.Code = CodeExpressionTag
		d.Message = "YAML takes '!' at the start of an unquoted value for a tag and drops it"
	case meaning != "":
		d.Message = fmt.Sprintf("YAML takes %q at the start of an unquoted value for %s", first, meaning)
	default:
		d.Message = fmt.Sprintf("YAML keeps %q at the start of an unquoted value for itself", first)
	}
	return d
}
