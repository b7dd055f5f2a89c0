package policy

// Span is a place in a file. Lines and columns count from 1, columns in characters (runes); the end is
// exclusive. A zero Line means the file as a whole.
type Span struct {
	File            string
	Line, Col       int
	EndLine, EndCol int
}

// Level of a diagnostic.
type Level int

// Only errors keep a set from loading.
const (
	Warning Level = iota
	Error
)

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

// Diagnostics are sorted by file, line, column, then code.
type Diagnostics []Diagnostic
