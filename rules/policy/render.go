package policy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// snippetWidth is how many characters of a line are shown.
const snippetWidth = 120

// Render writes ds for a terminal: each with the line it is about, a caret under the place, its hint and
// its notes. source gives the bytes of a file, nil when it has none; it is called once for each file.
func (ds Diagnostics) Render(w io.Writer, source func(file string) []byte) error {
	b := bufio.NewWriter(w)
	files := map[string][][]byte{}
	line := func(s Span) (string, bool) {
		if s.Line == 0 || source == nil {
			return "", false
		}
		lines, ok := files[s.File]
		if !ok {
			lines = splitLines(source(s.File))
			files[s.File] = lines
		}
		if s.Line > len(lines) {
			return "", false
		}
		return string(lines[s.Line-1]), true
	}
	for _, d := range ds {
		fmt.Fprintln(b, d)
		if text, ok := line(d.Span); ok {
			snippet(b, text, d.Span)
		}
		if d.Hint != "" {
			fmt.Fprintf(b, "   hint: %s\n", d.Hint)
		}
		for _, n := range d.Notes {
			if n.Span.File == "" {
				fmt.Fprintf(b, "   note: %s\n", n.Message)
				continue
			}
			fmt.Fprintf(b, "   note: %s: %s\n", n.Span, n.Message)
			if text, ok := line(n.Span); ok {
				snippet(b, text, n.Span)
			}
		}
	}
	return b.Flush()
}

// splitLines cuts a file as the loader does: LF, CRLF or CR, no byte order mark.
func splitLines(data []byte) [][]byte {
	data = bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF"))
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	data = bytes.ReplaceAll(data, []byte("\r"), []byte("\n"))
	return bytes.Split(data, []byte("\n"))
}

// snippet writes the line with carets under the place. Of a long line the part around the place is shown;
// tabs are kept in both lines, so that a terminal puts the carets right.
func snippet(w io.Writer, text string, s Span) {
	line := []rune(printable(text))
	from, to := min(max(s.Col-1, 0), len(line)), len(line)
	if s.EndLine == s.Line {
		to = min(max(s.EndCol-1, from), len(line))
	}
	start, end := 0, len(line)
	before, after := "", ""
	if len(line) > snippetWidth {
		if from > snippetWidth/2 {
			start, before = from-snippetWidth/2, "..."
		}
		if end-start > snippetWidth {
			end, after = start+snippetWidth, "..."
		}
		to = min(to, end)
	}
	number := fmt.Sprintf("%5d", s.Line)
	fmt.Fprintf(w, "%s | %s%s%s\n", number, before, string(line[start:end]), after)
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return '\t'
		}
		return ' '
	}, before+string(line[start:from]))
	fmt.Fprintf(w, "%s | %s%s\n", strings.Repeat(" ", len(number)), pad, strings.Repeat("^", max(to-from, 1)))
}

// printable replaces what would act on a terminal: a policy is somebody else's text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && (refusedRune(r) || r == utf8.RuneError || r == 0x85) {
			return '?'
		}
		return r
	}, s)
}
