package policy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Span is a place in a file. Lines and columns count from 1, columns in characters (runes); the end is
// exclusive. A zero Line means the file as a whole.
type Span struct {
	File            string
	Line, Col       int
	EndLine, EndCol int
}

// String is file:line:col, or the file alone.
func (s Span) String() string {
	if s.Line == 0 {
		return s.File
	}
	return fmt.Sprintf("%s:%d:%d", s.File, s.Line, s.Col)
}

// Level of a diagnostic.
type Level int

// Only errors keep a set from loading.
const (
	Warning Level = iota
	Error
)

// String is "warning" or "error".
func (l Level) String() string {
	if l == Error {
		return "error"
	}
	return "warning"
}

// MarshalText writes a level as String does.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Diagnostic is one fault of a policy, in words for its author.
type Diagnostic struct {
	Span
	Level   Level
	Code    string // stable, kebab-case; each has a line in rules/README.md
	Message string // lower case, no period: what is wrong
	Hint    string // what to do, may be empty
	Notes   []Note // e.g. "expanded in rule X"
}

// Note is a second place that belongs to a diagnostic.
type Note struct {
	Span
	Message string
}

// String is the one-line form: file:line:col: error: message [code].
func (d Diagnostic) String() string {
	return fmt.Sprintf("%s: %s: %s [%s]", d.Span, d.Level, d.Message, d.Code)
}

// jsonPlace is a Span in JSON: a whole file has no line.
type jsonPlace struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Col     int    `json:"col,omitempty"`
	EndLine int    `json:"end_line,omitempty"`
	EndCol  int    `json:"end_col,omitempty"`
}

type jsonNote struct {
	jsonPlace
	Message string `json:"message"`
}

// MarshalJSON gives {file, line, col, end_line, end_col, severity, code, message, hint, notes}; absent
// ones are left out.
func (d Diagnostic) MarshalJSON() ([]byte, error) {
	notes := make([]jsonNote, 0, len(d.Notes))
	for _, n := range d.Notes {
		notes = append(notes, jsonNote{jsonPlace(n.Span), n.Message})
	}
	return json.Marshal(struct {
		jsonPlace
		Severity Level      `json:"severity"`
		Code     string     `json:"code"`
		Message  string     `json:"message"`
		Hint     string     `json:"hint,omitempty"`
		Notes    []jsonNote `json:"notes,omitempty"`
	}{jsonPlace(d.Span), d.Level, d.Code, d.Message, d.Hint, notes})
}

// Diagnostics are sorted by file, line, column, then code.
type Diagnostics []Diagnostic

// Sort puts ds in their order and drops exact repetitions. Everything that returns Diagnostics to a user
// calls it.
func (ds Diagnostics) Sort() Diagnostics {
	slices.SortStableFunc(ds, compareDiagnostics)
	return slices.CompactFunc(ds, func(a, b Diagnostic) bool {
		return a.Span == b.Span && a.Level == b.Level && a.Code == b.Code && a.Message == b.Message
	})
}

func compareDiagnostics(a, b Diagnostic) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col),
		cmp.Compare(a.Code, b.Code), cmp.Compare(a.Message, b.Message),
		cmp.Compare(a.EndLine, b.EndLine), cmp.Compare(a.EndCol, b.EndCol), cmp.Compare(b.Level, a.Level))
}

// HasErrors says that one of ds is an error.
func (ds Diagnostics) HasErrors() bool {
	return slices.ContainsFunc(ds, func(d Diagnostic) bool { return d.Level == Error })
}

// Err is nil when ds holds no error, else an error whose text is every error of ds, one a line.
func (ds Diagnostics) Err() error {
	var lines []string
	for _, d := range ds {
		if d.Level == Error {
			lines = append(lines, d.String())
		}
	}
	if lines == nil {
		return nil
	}
	return errors.New(strings.Join(lines, "\n"))
}
