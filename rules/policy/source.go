package policy

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxFileSize bounds one policy file. The largest policy anybody writes by hand is a few hundred KiB; an
// importer splits by rule. The YAML library needs about 200 times the file in memory.
const maxFileSize = 1 << 20

// source is the text of one file by lines, without their ends. A line and a column, both from 1 and the
// column in characters, index it directly. Constant after newSource.
type source struct {
	file  string
	lines [][]rune
}

// newSource decodes a file: UTF-8 with or without a byte order mark; lines end in LF, CRLF or CR. What a
// YAML file cannot hold at all is reported here, so that nothing later meets it.
func newSource(file string, data []byte) (*source, Diagnostics) {
	whole := func(code, message, hint string) (*source, Diagnostics) {
		return nil, Diagnostics{{Span: Span{File: file}, Level: Error, Code: code, Message: message, Hint: hint}}
	}
	if len(data) > maxFileSize {
		return nil, Diagnostics{tooLarge(file, int64(len(data)))}
	}
	if len(data) >= 2 && (data[0] == 0xFF && data[1] == 0xFE || data[0] == 0xFE && data[1] == 0xFF) {
		return whole(CodeEncoding, "the file is UTF-16", "save it as UTF-8")
	}
	if len(data) >= 3 && data[0] == 0xEF && data[1] == 0xBB && data[2] == 0xBF {
		data = data[3:]
	}
	s := &source{file: file}
	var diags Diagnostics
	var line []rune
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		here := Span{File: file, Line: len(s.lines) + 1, Col: len(line) + 1, EndLine: len(s.lines) + 1, EndCol: len(line) + 2}
		switch {
		case r == utf8.RuneError && size == 1:
			return s, append(diags, Diagnostic{Span: here, Level: Error, Code: CodeEncoding,
				Message: fmt.Sprintf("byte 0x%02x is not UTF-8", data[i]), Hint: "save the file as UTF-8"})
		case r == '\r' && i+1 < len(data) && data[i+1] == '\n':
			// The LF that follows ends the line.
		case r == '\n' || r == '\r':
			s.lines = append(s.lines, line)
			line = nil
		case refusedRune(r):
			diags = append(diags, Diagnostic{Span: here, Level: Error, Code: CodeControlCharacter,
				Message: fmt.Sprintf("character U+%04X is not allowed in a policy", r),
				Hint:    `write it as an escape in a double-quoted text, for instance "\u0007"`})
			line = append(line, ' ')
		default:
			line = append(line, r)
		}
		i += size
	}
	s.lines = append(s.lines, line)
	return s, diags
}

func tooLarge(file string, size int64) Diagnostic {
	return Diagnostic{Span: Span{File: file}, Level: Error, Code: CodeFileTooLarge,
		Message: fmt.Sprintf("the file has %d bytes, a policy at most %d", size, maxFileSize),
		Hint:    "split it into several policies of one folder"}
}

// refusedRune tells the characters that YAML does not allow, and those that make a text look like
// another: a byte order mark inside it and the directional overrides.
func refusedRune(r rune) bool {
	switch {
	case r == '\t' || r == 0x85:
		return false
	case r < 0x20 || r >= 0x7F && r < 0xA0:
		return true
	case r == 0xFEFF || r >= 0xFDD0 && r <= 0xFDEF || r&0xFFFE == 0xFFFE:
		return true
	}
	return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069
}

// line gives line n, empty outside the file.
func (s *source) line(n int) []rune {
	if n < 1 || n > len(s.lines) {
		return nil
	}
	return s.lines[n-1]
}

// at gives the character at a position, '\n' at the end of a line and beyond it.
func (s *source) at(line, col int) rune {
	l := s.line(line)
	if col < 1 || col > len(l) {
		return '\n'
	}
	return l[col-1]
}

// span is the place from one position to another, the end exclusive.
func (s *source) span(line, col, endLine, endCol int) Span {
	return Span{File: s.file, Line: line, Col: col, EndLine: endLine, EndCol: endCol}
}

// tabMask and spaceMask stand for blanks of a block scalar: characters that no text has (refusedRune).
const (
	tabMask   = '\uFDD0'
	spaceMask = '\uFDD1'
)

// masked is the text that the YAML library reads: lines end in LF, and blanks are such that the library
// takes them as YAML does. Lines and columns are those of the source, and what a scalar says is read from
// the source, so that the mask is never seen.
//
//   - A tab behind the indentation is a space: the library drops tabs from plain scalars and does not count
//     them as columns. A tab in the indentation stays, for the library to refuse where YAML refuses it;
//     before a comment it is a space.
//   - In a block scalar tabs are tabMask: the library takes one after the indentation for more of it.
//   - Blanks at the end of a line are left out, except in a block scalar and behind a backslash, which they
//     may belong to: the library counts them into the column where a value starts.
//   - An indentation indicator is taken out of a block's header, and the first blank behind the
//     indentation it asks for is spaceMask: with an indicator the library refuses empty lines and comments.
func (s *source) masked() string {
	n := 0
	for _, l := range s.lines {
		n += len(l) + 1
	}
	out := make([]rune, 0, n)
	block := -1  // the least indentation of the block scalar we are in, -1 outside
	indent := -1 // the indentation that its indicator asks for, -1 without
	for i, l := range s.lines {
		if i > 0 {
			out = append(out, '\n')
		}
		spaces := indentOf(l)
		if block >= 0 && spaces < len(l) && spaces < block {
			block, indent = -1, -1
		}
		if end := trimmedEnd(l); block < 0 && (end == 0 || l[end-1] != '\\') {
			l = l[:end]
		}
		start := len(out)
		comment := strings.HasPrefix(strings.TrimLeft(string(l), " \t"), "#")
		leading := true
		for c, r := range l {
			switch {
			case r == '\t' && block >= 0:
				r = tabMask
			case r == ' ' && c == indent && spaces < len(l):
				r = spaceMask
			case r == '\t' && (!leading || comment):
				r = ' '
			}
			leading = leading && (r == ' ' || r == '\t')
			out = append(out, r)
		}
		if block >= 0 {
			continue
		}
		if m := blockHeader.FindStringSubmatch(string(l)); m != nil {
			parent := len([]rune(m[1])) // blanks before the key, or before the last dash
			if m[2] == "" {
				parent = max(strings.LastIndexByte(m[1], '-'), 0)
			}
			block = parent + 1
			if digit := strings.Trim(m[3], "+-"); digit != "" {
				indent = parent + int(digit[0]-'0')
				header := out[start+len([]rune(m[1]+m[2]))+1:]
				chomp := strings.Trim(m[3], "123456789")
				for j := range []rune(m[3]) {
					header[j] = ' '
					if j < len(chomp) {
						header[j] = rune(chomp[j])
					}
				}
			}
		}
	}
	return string(out)
}

// trimmedEnd is the length of a line without the blanks at its end.
func trimmedEnd(line []rune) int {
	end := len(line)
	for end > 0 && (line[end-1] == ' ' || line[end-1] == '\t') {
		end--
	}
	return end
}

// blockHeader matches a line whose value starts a block scalar below it: dashes, key, indicators. A line
// that only looks like one, in the middle of a quoted text, costs nothing but the words in which a tab in
// the indentation below it is refused.
var blockHeader = regexp.MustCompile(`^( *(?:- +)*)((?:[^#'"]+:|'[^']*':|"[^"]*":)?[ \t]*)[|>]([-+]?[1-9]?|[1-9][-+])[ \t]*([ \t]#.*)?$`)
