package rules

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// Render writes the explanation for people: a line for each condition, "yes" or "no", with a star before
// those that decided, and below it the values it read.
func (e *Explanation) Render(w io.Writer, color bool) error {
	p := &printer{color: color}
	p.line(0, "%s  %s", p.mark(e.Verdict, e.Verdict == VerdictMatch), e.Rule)
	if e.Title != "" && e.Title != e.Rule {
		p.line(1, "%s", e.Title)
	}
	if e.Shadow {
		p.line(1, "a shadow rule")
	}
	for _, n := range e.Notes {
		p.line(1, "note: %s", n)
	}
	p.condition(1, e.Condition)
	for _, x := range e.Exceptions {
		decides := ""
		if x.Decides {
			decides = ", which decided"
		}
		p.line(0, "exception %s%s", x.Name, decides)
		p.condition(1, x.Condition)
	}
	_, err := w.Write(p.out.Bytes())
	return err
}

type printer struct {
	out   bytes.Buffer
	color bool
}

func (p *printer) line(depth int, format string, args ...any) {
	p.out.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&p.out, format, args...)
	p.out.WriteByte('\n')
}

func (p *printer) mark(text string, good bool) string {
	if !p.color {
		return text
	}
	code := "31"
	if good {
		code = "32"
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p *printer) head(c *Condition) string {
	star, verdict := " ", "no "
	if c.Decides {
		star = "*"
	}
	if c.Holds {
		verdict = "yes"
	}
	if c.OverBudget {
		verdict = "cut"
	}
	return star + p.mark(verdict, c.Holds)
}

func (p *printer) condition(depth int, c *Condition) {
	switch {
	case c.Op == "condition" || c.Op == "constant":
		p.line(depth, "%s  %s", p.head(c), c.Text)
		for _, v := range c.Values {
			p.value(depth+4, v)
		}
		for _, e := range c.Elements {
			p.line(depth+3, "[%d] %s", e.Index, e.Label)
			p.condition(depth+3, e.Condition)
		}
	default:
		text := c.Op
		if c.Text != "" {
			text = c.Text
		}
		p.line(depth, "%s  %s", p.head(c), text)
		for _, part := range c.Parts {
			p.condition(depth+2, part)
		}
		if c.Omitted > 0 {
			p.line(depth+4, "and %d more elements", c.Omitted)
		}
	}
}

func (p *printer) value(depth int, v Value) {
	switch {
	case v.Missing:
		p.line(depth, "%s is missing", v.Name)
	case v.SeenAs != "":
		p.line(depth, "%s = %s, seen by rules as %s", v.Name, v.Value, v.SeenAs)
	default:
		p.line(depth, "%s = %s", v.Name, v.Value)
	}
}
