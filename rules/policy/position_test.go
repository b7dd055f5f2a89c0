package policy

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"testing/fstest"
)

// TestExpressionPositions writes random expressions in every style that the format allows, at random
// depth, and holds the place of each of their characters against the file.
func TestExpressionPositions(t *testing.T) {
	for seed := range int64(2000) {
		rng := rand.New(rand.NewSource(seed))
		text := randomText(rng)
		file, ok := writeExpression(rng, text)
		if !ok {
			continue
		}
		set, diags := loadOne(file)
		if err := diags.Err(); err != nil {
			t.Fatalf("seed %d: %v\n%q", seed, err, file)
		}
		x := set.Policies[0].Rules[0].Expression
		if x.Text != text {
			t.Fatalf("seed %d: got %q, want %q\n%s", seed, x.Text, text, file)
		}
		checkPositions(t, file, x)
		if t.Failed() {
			t.Fatalf("seed %d\n%s", seed, file)
		}
	}
}

// loadOne loads a set of one file.
func loadOne(file string) (*Set, Diagnostics) {
	return LoadFS(fstest.MapFS{"p.yaml": &fstest.MapFile{Data: []byte(file)}})
}

// checkPositions holds each place of x against the text of its file: the character itself stands there, or
// the start of its escape.
func checkPositions(t *testing.T, file string, x Expr) {
	t.Helper()
	lines := splitLines([]byte(file))
	text := []rune(x.Text)
	lastLine, lastCol := 0, 0
	for i := 0; i <= len(text); i++ {
		line, col := x.Position(i)
		if line < lastLine || line == lastLine && col <= lastCol {
			t.Errorf("%q[%d] stands at %d:%d, not behind %d:%d", x.Text, i, line, col, lastLine, lastCol)
			return
		}
		lastLine, lastCol = line, col
		if line < 1 || line > len(lines) {
			t.Errorf("%q[%d] stands in line %d of %d", x.Text, i, line, len(lines))
			return
		}
		there := '\n'
		if src := []rune(string(lines[line-1])); col <= len(src) {
			there = src[col-1]
		}
		if i < len(text) && there != text[i] && there != '\\' {
			t.Errorf("%q[%d] is %q, at %d:%d stands %q", x.Text, i, text[i], line, col, there)
			return
		}
	}
}

// randomText is an expression as the loader keeps it: no blanks around it. What it means does not matter.
func randomText(rng *rand.Rand) string {
	pieces := []string{"a", "==", " ", "  ", "\"x\"", "'", "''", "\\", "ü", "日本", "🎉", "(", ")", "`C:\\a`", "and", "# ", "\t", "{", "[1]", ",",
		"?", ": ", "!", "|", ">", "-", "\n", "\n\n", "\n   ", "\n\t", "%", "@", "\u00a0"}
	var b strings.Builder
	for range 1 + rng.Intn(12) {
		b.WriteString(pieces[rng.Intn(len(pieces))])
	}
	text := strings.Trim(b.String(), " \t\n")
	// A line of blanks only is not kept by every writer.
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.Trim(l, " \t") == "" {
			lines[i] = ""
		}
	}
	if text = strings.Join(lines, "\n"); text == "" {
		return "x"
	}
	return text
}

// writeExpression writes a policy whose first rule has the expression, false when the style drawn cannot
// hold it.
func writeExpression(rng *rand.Rand, text string) (string, bool) {
	depth := strings.Repeat(" ", 2+rng.Intn(5))
	end := []string{"\n", "\r\n", "\r"}[rng.Intn(3)]
	before := "rules:\n"
	if rng.Intn(3) == 0 {
		before = "# ü\n\nlists:\n  ü日: []\n" + before
		before = strings.ReplaceAll(before, "  ü日: []\n", "  l: ['ü日', \"\\u00fc\"] # 🎉\n")
	}
	var value string
	gap := []string{" ", " ", " ", "   ", "\t", " \t ", "\n" + depth + "    ", "  # a comment\n" + depth + "    ", "\n\n" + depth + "    # ü\n" + depth + "        "}[rng.Intn(9)]
	switch rng.Intn(5) {
	case 0: // plain
		if strings.ContainsAny(text, "\n") || strings.Contains(text, ": ") || strings.HasSuffix(text, ":") || strings.Contains(text, " #") || strings.Contains(text, "\t#") ||
			strings.ContainsAny(text[:1], "\"'`#{}[],!|>%@-?&*:") {
			return "", false
		}
		value = gap + text + blanks(rng)
	case 1: // single quotes
		if strings.Contains(text, "\n") {
			return "", false
		}
		value = gap + "'" + blanks(rng) + strings.ReplaceAll(text, "'", "''") + blanks(rng) + "'"
	case 2, 3: // double quotes, with or without a flow mapping around it
		value = gap + `"` + blanks(rng) + escaped(rng, text) + blanks(rng) + `"` + []string{"", "  # ü"}[rng.Intn(2)]
		if rng.Intn(2) == 0 {
			file := before + depth + "- {title: 'ü日🎉', expression:" + value + "\n" + depth + "   , id: a}\n"
			return strings.ReplaceAll(file, "\n", end), true
		}
	default:
		content := strings.Repeat(" ", 1+rng.Intn(4))
		indicator := ""
		if rng.Intn(3) == 0 {
			indicator = fmt.Sprint(len(content))
		}
		chomp := []string{"", "-", "+"}[rng.Intn(3)]
		header := " |" + indicator + chomp
		if rng.Intn(2) == 0 {
			header = " |" + chomp + indicator
		}
		if rng.Intn(4) == 0 {
			header += "  # a block"
		}
		var b strings.Builder
		b.WriteString(header + "\n")
		b.WriteString(strings.Repeat("\n", rng.Intn(2)))
		for _, l := range strings.Split(text, "\n") {
			if l != "" {
				b.WriteString(depth + "  " + content + l)
			}
			b.WriteString("\n")
		}
		b.WriteString(strings.Repeat("\n", rng.Intn(3)))
		value = strings.TrimSuffix(b.String(), "\n")
	}
	rest := depth + "  title: t\n"
	if rng.Intn(3) == 0 {
		rest = ""
	}
	rest = strings.ReplaceAll(rest, "title: t", []string{"title: t", "title:\tt \t", "k : 1", "title: t  # |"}[rng.Intn(4)])
	rest = strings.ReplaceAll(rest, "k : 1", "license: 'x'  ")
	file := before + depth + "- id: a\n" + depth + "  expression:" + value + "\n" + rest
	if rng.Intn(3) == 0 { // the expression on the line of the dash
		file = before + depth + "- expression:" + value + "\n" + rest + depth + "  id:\ta\n" + depth + "- {id: b, expression: 'b'}\n"
	}
	if rng.Intn(4) == 0 && !strings.Contains(value, "\n") {
		file = strings.TrimSuffix(file, "\n")
	}
	return strings.ReplaceAll(file, "\n", end), true
}

func blanks(rng *rand.Rand) string { return strings.Repeat(" ", rng.Intn(3)/2) }

// escaped writes text for double quotes, with escapes where they must be and where chance wants them.
func escaped(rng *rand.Rand, text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\t' && rng.Intn(2) == 0:
			b.WriteString(`\t`)
		case r > 0xFFFF && rng.Intn(3) == 0:
			b.WriteString(fmt.Sprintf(`\U%08x`, r))
		case r > 0xFFFF && rng.Intn(2) == 0:
			b.WriteString(fmt.Sprintf(`\u%04x\u%04X`, 0xD800+(r-0x10000)>>10, 0xDC00+(r-0x10000)&0x3FF))
		case r <= 0xFF && rng.Intn(5) == 0:
			b.WriteString(fmt.Sprintf(`\x%02X`, r))
		case r <= 0xFFFF && rng.Intn(5) == 0:
			b.WriteString(fmt.Sprintf(`\u%04x`, r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
