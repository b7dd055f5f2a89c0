package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress draws how far long work is on a terminal, and nothing in a pipe.
type progress struct {
	w     io.Writer // nil: no terminal
	shown string
}

func newProgress(w io.Writer) *progress {
	if !isTerminal(w) {
		return &progress{}
	}
	return &progress{w: w}
}

const barWidth = 30

// set shows read of total bytes; total -1 is unknown. It is cheap when nothing visible changed.
func (p *progress) set(read, total int64) {
	if p.w == nil {
		return
	}
	text := fmt.Sprintf("%d MiB", read>>20)
	if total > 0 {
		share := float64(min(read, total)) / float64(total)
		full := int(share * barWidth)
		text = fmt.Sprintf("[%s%s] %3.0f %%", strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), 100*share)
	}
	if text != p.shown {
		fmt.Fprintf(p.w, "\r%s", text)
		p.shown = text
	}
}

// clear makes room for a line.
func (p *progress) clear() {
	if p.shown != "" {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", len(p.shown)))
		p.shown = ""
	}
}

func (p *progress) done() { p.clear() }
