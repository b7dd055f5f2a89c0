package policy

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// plainText is what may stand without quotes anywhere, between { } too.
var plainText = regexp.MustCompile(`^[A-Za-z_/0-9][A-Za-z0-9_./@+=()-]*( [A-Za-z0-9_./@+=()-]+)*$`)

// typed says that YAML 1.2 would not read s as a text.
func typed(s string) bool {
	switch s {
	case "~", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE":
		return true
	}
	return digits.MatchString(s) || octalPattern.MatchString(s) || hexPattern.MatchString(s) || floatPattern.MatchString(s)
}

// quoteText writes a text on one line, in single quotes when it needs any and has nothing to escape.
func quoteText(s string) string {
	if plainText.MatchString(s) && !typed(s) {
		return s
	}
	if oneLine(s) {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return quoteDouble(s)
}

// oneLine says that s can stand in a file as it is, on one line.
func oneLine(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r == '\n' || r == '\t' || r == 0x85 || r == 0x2028 || r == 0x2029 || refusedRune(r) || r == utf8.RuneError
	})
}

// blockable says that the lines of s can stand in a | block without an indentation indicator.
func blockable(s string) bool {
	body := strings.TrimSuffix(s, "\n")
	if body == "" || strings.HasSuffix(body, "\n") || strings.ContainsAny(body[:1], " \t\n") {
		return false
	}
	for _, l := range strings.Split(body, "\n") {
		if !oneLine(strings.ReplaceAll(l, "\t", "")) || l != "" && strings.TrimSpace(l) == "" {
			return false
		}
	}
	return true
}

// quoteDouble writes any text in double quotes.
func quoteDouble(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case oneLine(string(r)) || r == utf8.RuneError:
			b.WriteRune(r)
		case r > 0xFFFF:
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			fmt.Fprintf(&b, `\u%04X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// texts quotes each of vs where needed; nil stays nil.
func texts(vs []string) []string {
	if vs == nil {
		return nil
	}
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = quoteText(v)
	}
	return out
}
