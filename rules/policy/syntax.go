package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// expressionKey is the key whose values are expressions, in rules, macros and exceptions alike.
const expressionKey = "expression"

// blockHint shows the way out that always works.
const blockHint = "write it as a block:  expression: |  and the text indented on the next line"

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
	if d, ok := expressionFault(src, line); ok {
		return d
	}
	d.Span = src.span(line, col, line, col+1)
	message := strings.TrimSpace(placed.GetMessage())
	message = strings.ReplaceAll(message, "\t", `\t`)
	text := string(src.line(line))
	switch {
	case strings.HasPrefix(strings.TrimLeft(text, " "), "\t"):
		tab := strings.IndexByte(text, '\t') + 1
		d.Span = src.span(line, tab, line, tab+1)
		d.Message, d.Hint = "a tab in the indentation", "indent with spaces"
	case strings.Contains(message, "mapping value is not allowed"):
		d.Message = "': ' inside a plain value, or a key indented differently from its neighbours"
		d.Hint = "quote the value, or line the keys up"
	default:
		d.Message = strings.TrimSuffix(message, ".")
		if d.Message != "" && !strings.HasPrefix(d.Message, "',") {
			d.Message = strings.ToLower(d.Message[:1]) + d.Message[1:]
		}
	}
	return d
}

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
		kind := token.SingleQuoteType
		if first == '"' {
			kind = token.DoubleQuoteType
		}
		sc, bad := src.readInline(line, col, kind, "")
		if bad == nil && sc.span.EndLine == line && strings.TrimSpace(string(text[sc.span.EndCol-1:])) != "" {
			return fault(sc.span.EndCol, 1, CodeExpressionQuote,
				"the expression starts with a quoted text, which YAML takes for the whole value", blockHint)
		}
		return Diagnostic{}, false
	}
	for i := col; src.at(line, i) != '\n'; i++ {
		next := src.at(line, i+1)
		if src.at(line, i) == ':' && (next == ' ' || next == '\t' || next == '\n') {
			return fault(i, 1, CodeExpressionColon, "YAML takes ': ' inside an unquoted expression for the end of a key", blockHint)
		}
	}
	return Diagnostic{}, false
}

// sigilFault is an unquoted expression that starts with a character YAML keeps for itself.
func sigilFault(src *source, line, col int) Diagnostic {
	first := src.at(line, col)
	d := Diagnostic{Span: src.span(line, col, line, col+1), Level: Error, Code: CodeExpressionSigil, Hint: blockHint}
	meaning := map[rune]string{'&': "an anchor", '*': "an alias", '%': "a directive", '[': "a list", ']': "the end of a list",
		'{': "a mapping", '}': "the end of a mapping", ',': "a separator"}[first]
	switch {
	case first == '!':
		d.Code = CodeExpressionTag
		d.Message = "YAML takes '!' at the start of an unquoted value for a tag and drops it"
		d.Hint = "write not, or " + blockHint
	case meaning != "":
		d.Message = fmt.Sprintf("YAML takes %q at the start of an unquoted value for %s", first, meaning)
	default:
		d.Message = fmt.Sprintf("YAML keeps %q at the start of an unquoted value for itself", first)
	}
	return d
}
