package policy

import "strings"

// style is how a scalar is written.
type style int

const (
	plain style = iota
	singleQuoted
	doubleQuoted
	literal // |
	folded  // >
)

// scalar is the text of a scalar and where it stands. Segments are there for the styles that an
// expression may have: one line, or a literal block.
type scalar struct {
	style    style
	text     string
	span     Span
	segments []segment
}

// readInline reads a scalar that starts at line and col, plain when quote is 0. Its text and places come
// from the source; value, which the YAML library read, is taken where a scalar goes over several lines, and
// says how far a plain one goes.
func (s *source) readInline(line, col int, quote rune, value string) (scalar, *Diagnostic) {
	if quote == 0 {
		return s.readPlain(line, col, value)
	}
	for away := 0; away <= maxAway; away++ {
		for _, c := range [...]int{col - away, col + away} {
			if s.at(line, c) == quote {
				return s.readQuoted(line, c, quote, value)
			}
		}
	}
	return scalar{}, s.unplaced(line, col)
}

// maxAway is by how many columns the library may place a scalar wrong. It does so behind a tag and before
// blanks at the end of a line; the nearest column where the scalar can stand is taken.
const maxAway = 64

func (s *source) unplaced(line, col int) *Diagnostic {
	return &Diagnostic{Span: s.span(line, col, line, col+1), Level: Error, Code: CodeSyntax,
		Message: "this text cannot be read as one YAML value", Hint: "quote it, or write it on a line of its own"}
}

// readPlain reads a plain scalar.
func (s *source) readPlain(line, col int, value string) (scalar, *Diagnostic) {
	width := len(s.line(line))
	for away := 0; away <= maxAway; away++ {
		for _, c := range [...]int{col - away, col + away} {
			if c < 1 || c > width || c > 1 && !strings.ContainsRune(" \t:-?,[{", s.at(line, c-1)) {
				continue
			}
			if l, end, ok := s.follow(line, c, value); ok {
				out := scalar{style: plain, text: value, span: s.span(line, c, l, end)}
				if l == line {
					out.text = string(s.line(line)[c-1 : end-1])
					out.segments = []segment{{0, line, c}}
				}
				return out, nil
			}
		}
	}
	return scalar{}, s.unplaced(line, col)
}

// follow reads value from a position on and says where it ends: blanks of any kind and number are one, as
// YAML folds them.
func (s *source) follow(line, col int, value string) (endLine, endCol int, ok bool) {
	blank := false
	for _, r := range value {
		if r == ' ' || r == '\n' || r == '\t' {
			blank = true
			continue
		}
		if blank {
			line, col = s.skipBlanks(line, col)
			blank = false
		}
		if s.at(line, col) != r {
			return 0, 0, false
		}
		col++
	}
	return line, col, true
}

func (s *source) skipBlanks(line, col int) (int, int) {
	for {
		switch r := s.at(line, col); {
		case r == ' ' || r == '\t':
			col++
		case r == '\n' && line < len(s.lines):
			line, col = line+1, 1
		default:
			return line, col
		}
	}
}

// readQuoted reads a quoted scalar. One that goes over several lines has no segments.
func (s *source) readQuoted(line, col int, quote rune, value string) (scalar, *Diagnostic) {
	out := scalar{style: singleQuoted, text: value}
	if quote == '"' {
		out.style = doubleQuoted
	}
	var text []rune
	l, c := line, col+1
	joined := false // consecutive characters of text stand in consecutive columns
	for {
		r := s.at(l, c)
		at := c
		switch {
		case r == '\n':
			if l++; l > len(s.lines) { // the library has seen an end: it is wrong, or we are
				return out, &Diagnostic{Span: s.span(line, col, line, col+1), Level: Error, Code: CodeSyntax,
					Message: "this quoted text has no end"}
			}
			c = 1
			continue
		case r == quote && quote == '\'' && s.at(l, c+1) == '\'':
			c += 2
		case r == quote:
			out.span = s.span(line, col, l, c+1)
			if l == line {
				out.text = string(text)
				if len(out.segments) == 0 {
					out.segments = []segment{{0, line, col + 1}}
				}
			} else {
				out.segments = nil
			}
			return out, nil
		case r == '\\' && quote == '"':
			decoded, size, ok := s.escape(l, c)
			if !ok {
				return out, &Diagnostic{Span: s.span(l, c, l, c+size), Level: Error, Code: CodeSyntax,
					Message: badEscape, Hint: badEscapeHint}
			}
			r, c = decoded, c+size
			if size == 1 { // an escaped line end
				continue
			}
		default:
			c++
		}
		if !joined {
			out.segments = append(out.segments, segment{len(text), l, at})
		}
		joined = c == at+1
		text = append(text, r)
	}
}

// escapes of one letter, as YAML 1.2 has them.
const (
	escapeLetters = "0abtnvfre \"/\\N_LP\t"
	escapeValues  = "\x00\a\b\t\n\v\f\r\x1b \"/\\\u0085\u00a0\u2028\u2029\t"
)

// escape decodes the escape at a position: its character and how many it takes. Size 1 means a backslash
// at the end of its line.
func (s *source) escape(line, col int) (r rune, size int, ok bool) {
	letter := s.at(line, col+1)
	if letter == '\n' {
		return 0, 1, true
	}
	if i := strings.IndexRune(escapeLetters, letter); i >= 0 {
		// Every letter is one byte: the index counts characters.
		return []rune(escapeValues)[i], 2, true
	}
	digits := map[rune]int{'x': 2, 'u': 4, 'U': 8}[letter]
	if digits == 0 {
		return 0, 2, false
	}
	hex := func(from int) (n rune, ok bool) {
		for i := range digits {
			d := strings.IndexRune("0123456789abcdef", s.at(line, from+i)|0x20)
			if d < 0 {
				return 0, false
			}
			n = n<<4 | rune(d)
		}
		return n, true
	}
	r, ok = hex(col + 2)
	size = 2 + digits
	if ok && digits == 4 && r >= 0xD800 && r < 0xDC00 && s.at(line, col+6) == '\\' && s.at(line, col+7) == 'u' {
		if low, lowOK := hex(col + 8); lowOK && low >= 0xDC00 && low < 0xE000 {
			return 0x10000 + (r-0xD800)<<10 + (low - 0xDC00), 12, true
		}
	}
	ok = ok && r >= 0 && r <= 0x10FFFF && (r < 0xD800 || r >= 0xE000)
	return r, size, ok
}

// readBlock reads a | or > block whose header starts at line and col. parent is the column of the key it
// belongs to, from which an indentation indicator counts. The text of a > block is what the library read.
func (s *source) readBlock(line, col, parent int, value string) (scalar, *Diagnostic) {
	out := scalar{style: literal}
	if s.at(line, col) == '>' {
		out.style, out.text = folded, unmask.Replace(value)
	}
	indent, keep, strip := 0, false, false
	c := col + 1
	for ; ; c++ {
		r := s.at(line, c)
		if r >= '1' && r <= '9' && indent == 0 {
			indent = max(parent-1, 0) + int(r-'0')
		} else if r == '+' {
			keep = true
		} else if r == '-' {
			strip = true
		} else {
			break
		}
	}
	out.span = s.span(line, col, line, c)
	var text []rune
	blanks := 0 // empty lines not yet written
	for l := line + 1; l <= len(s.lines); l++ {
		content := s.line(l)
		spaces := indentOf(content)
		if spaces == len(content) && (indent == 0 || spaces <= indent) {
			blanks++
			continue
		}
		if indent == 0 {
			if indent = spaces; indent == 0 {
				break
			}
		}
		if spaces < indent || parent > 0 && spaces < parent {
			break
		}
		for ; blanks > 0; blanks-- {
			text = append(text, '\n')
		}
		out.segments = append(out.segments, segment{len(text), l, indent + 1})
		text = append(append(text, content[indent:]...), '\n')
		out.span.EndLine, out.span.EndCol = l, len(content)+1
	}
	if out.style == folded {
		out.segments = nil
		return out, nil
	}
	if strip && len(text) > 0 {
		text = text[:len(text)-1]
	}
	if keep && blanks > 0 {
		// The last line of the file ends without a line end and is not one of the kept.
		if len(s.lines[len(s.lines)-1]) == 0 && out.span.EndLine+blanks == len(s.lines) {
			blanks--
		}
		text = append(text, []rune(strings.Repeat("\n", blanks))...)
	}
	out.text = string(text)
	if squeeze(out.text) != squeeze(unmask.Replace(value)) {
		return out, &Diagnostic{Span: out.span, Level: Error, Code: CodeSyntax,
			Message: "this block can be read in two ways", Hint: "indent its lines with spaces only, all at least as far as the first"}
	}
	return out, nil
}

// unmask gives a block scalar that the library read its blanks back.
var unmask = strings.NewReplacer(string(tabMask), "\t", string(spaceMask), " ")

// squeeze drops every blank: what two readings of a block must agree on. The library trims blanks that
// YAML keeps.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\n' {
			return -1
		}
		return r
	}, s)
}
