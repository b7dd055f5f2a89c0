package secl

import (
	"net/netip"
	"regexp"
	"strings"
	"unicode/utf8"
)

type tokenKind int

const (
	endToken tokenKind = iota
	identToken
	intToken
	durationToken
	stringToken  // "...": escapes are taken out
	patternToken // ~"..."
	regexpToken  // r"..."
	variableToken
	referenceToken // %{field}
	addressToken   // an IP or CIDR
	punctToken
)

// token is one word of an expression. from and to count characters.
type token struct {
	kind     tokenKind
	text     string // the name, the content between quotes, the operator
	from, to int
}

// The limits keep what is not a rule from costing more than one.
const (
	maxExpression = 256 << 10 // bytes
	maxTokens     = 50_000
)

var (
	identWord     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.\[\]]*`)
	intWord       = regexp.MustCompile(`^[0-9]+`)
	durationWord  = regexp.MustCompile(`^[0-9]+(?:ms|s|m|h|d)`)
	variableWord  = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_.]*\}`)
	referenceWord = regexp.MustCompile(`^%\{[A-Za-z_][A-Za-z0-9_.\[\]]*\}`)
	ipv4Word      = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+(?:/[0-9]+)?`)
	ipv6Word      = regexp.MustCompile(`^[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:/[0-9]+)?`)
)

// operators are the longest first.
var operators = []string{"&&", "||", "==", "!=", "<=", ">=", "=~", "!~", "<", ">", "!", "&", "|", "^", "+", "-", "(", ")", "[", "]", ","}

// lexer cuts an expression into tokens.
type lexer struct {
	src    *text
	rest   string
	at     int // characters before rest
	tokens []token
}

// lex cuts an expression into tokens; the last is endToken.
func lex(src *text) ([]token, *fault) {
	l := lexer{src: src, rest: src.value}
	if len(l.rest) > maxExpression {
		return nil, src.faultf(0, 1, "the expression has %d bytes, at most %d are read", len(l.rest), maxExpression)
	}
	for {
		l.blanks()
		if l.rest == "" {
			l.tokens = append(l.tokens, token{endToken, "", l.at, l.at})
			return l.tokens, nil
		}
		if len(l.tokens) >= maxTokens {
			return nil, src.faultf(l.at, l.at+1, "the expression has more than %d words", maxTokens)
		}
		if f := l.next(); f != nil {
			return nil, f
		}
	}
}

// blanks skips white space and comments.
func (l *lexer) blanks() {
	for {
		n := len(l.rest) - len(strings.TrimLeft(l.rest, " \t\r\n"))
		if n == 0 && (strings.HasPrefix(l.rest, "#") || strings.HasPrefix(l.rest, "//")) {
			if n = strings.IndexByte(l.rest, '\n'); n < 0 {
				n = len(l.rest)
			}
		}
		if n == 0 {
			return
		}
		l.skip(n)
	}
}

// skip goes over n bytes.
func (l *lexer) skip(n int) {
	l.at += utf8.RuneCountInString(l.rest[:n])
	l.rest = l.rest[n:]
}

func (l *lexer) add(kind tokenKind, word, content string) {
	from := l.at
	l.skip(len(word))
	l.tokens = append(l.tokens, token{kind, content, from, l.at})
}

func (l *lexer) next() *fault {
	switch c := l.rest[0]; {
	case c == '"':
		return l.quoted(stringToken, 0, unescape)
	case strings.HasPrefix(l.rest, `~"`):
		return l.quoted(patternToken, 1, unescapeQuotes)
	case strings.HasPrefix(l.rest, `r"`):
		return l.quoted(regexpToken, 1, strings.Clone)
	case strings.HasPrefix(l.rest, "${"):
		return l.braced(variableToken, variableWord, "a variable is written ${name} or ${scope.name}")
	case strings.HasPrefix(l.rest, "%{"):
		return l.braced(referenceToken, referenceWord, "a field in a text is written %{field}")
	}
	if w := ipv4Word.FindString(l.rest); w != "" {
		return l.address(w)
	}
	if w := ipv6Word.FindString(l.rest); w != "" {
		return l.address(w)
	}
	if w := identWord.FindString(l.rest); w != "" {
		w = balanced(w)
		l.add(identToken, w, w)
		return nil
	}
	if w := intWord.FindString(l.rest); w != "" {
		kind := intToken
		if d := durationWord.FindString(l.rest); d != "" {
			kind, w = durationToken, d
		}
		if after := l.rest[len(w):]; identWord.MatchString(after) {
			return l.src.faultf(l.at, l.at+len(w)+1, "%q is neither a number nor a duration such as 500ms, 30s, 10m, 2h or 1d", w+after[:1])
		}
		l.add(kind, w, w)
		return nil
	}
	for _, op := range operators {
		if strings.HasPrefix(l.rest, op) {
			l.add(punctToken, op, op)
			return nil
		}
	}
	r, _ := utf8.DecodeRuneInString(l.rest)
	return l.src.faultf(l.at, l.at+1, "%q is not part of the language", r)
}

// quoted reads a text between quotes; a backslash keeps the character behind it from ending the text.
func (l *lexer) quoted(kind tokenKind, prefix int, content func(string) string) *fault {
	for i := prefix + 1; i < len(l.rest); i++ {
		switch l.rest[i] {
		case '\\':
			i++
		case '"':
			l.add(kind, l.rest[:i+1], content(l.rest[prefix+1:i]))
			return nil
		}
	}
	return l.src.faultf(l.at, l.at+prefix+1, "the text that starts here has no closing quote")
}

func (l *lexer) braced(kind tokenKind, word *regexp.Regexp, hint string) *fault {
	w := word.FindString(l.rest)
	if w == "" {
		return l.src.faultf(l.at, l.at+2, "%s", hint)
	}
	l.add(kind, w, w[2:len(w)-1])
	return nil
}

func (l *lexer) address(w string) *fault {
	var err error
	if strings.Contains(w, "/") {
		_, err = netip.ParsePrefix(w)
	} else {
		_, err = netip.ParseAddr(w)
	}
	if err != nil {
		return l.src.faultf(l.at, l.at+len(w), "%s is no address", w)
	}
	l.add(addressToken, w, w)
	return nil
}

// balanced cuts a name before a ] that it did not open: the end of a list.
func balanced(w string) string {
	open := 0
	for i, c := range w {
		switch c {
		case '[':
			open++
		case ']':
			if open--; open < 0 {
				return w[:i]
			}
		}
	}
	return w
}

// unescape takes the escapes of a plain text out: a doubled backslash and a quote. Any other backslash stands
// for itself, as authors write "C:\Temp".
func unescape(s string) string {
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(s)
}

// unescapeQuotes is for patterns, where a backslash before a quote only keeps the text from ending.
func unescapeQuotes(s string) string {
	if !strings.Contains(s, `\"`) {
		return s
	}
	return strings.NewReplacer(`\\`, `\\`, `\"`, `"`).Replace(s)
}
