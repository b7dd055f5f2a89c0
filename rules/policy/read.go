package policy

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// reader turns the nodes of one file into a Policy and collects what is wrong with them. It is used by one
// goroutine, for one file.
type reader struct {
	src    *source
	policy *Policy
	diags  Diagnostics
	// drafts and patches are what the file's rules and overrides say, before defaults and overrides apply.
	drafts   []*draft
	patches  []*patch
	defaults defaults
	missing  missing
}

// defines runs read, which reads from n what expressions may name.
func (r *reader) defines(n *node, read func()) {
	before := len(r.diags)
	read()
	if r.diags[before:].HasErrors() {
		r.missing.node(n)
	}
}

// field is one key of a mapping: the one table that the loader, the JSON Schema and the tests read.
type field[T any] struct {
	key      string
	doc      string // one sentence, for editors
	shape    shape
	required bool
	read     func(r *reader, n *node, into *T)
}

// object is one kind of mapping.
type object[T any] struct {
	what   string // "a rule", for messages
	fields []field[T]
}

func (o *object[T]) keys() []string {
	out := make([]string, len(o.fields))
	for i, f := range o.fields {
		out[i] = f.key
	}
	return out
}

func (r *reader) fault(at Span, code, hint, format string, args ...any) {
	r.diags = append(r.diags, Diagnostic{Span: at, Level: Error, Code: code, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// noted is fault with a second place.
func (r *reader) noted(at Span, code, hint string, note Note, format string, args ...any) {
	r.fault(at, code, hint, format, args...)
	r.diags[len(r.diags)-1].Notes = []Note{note}
}

// readObject reads a mapping key by key and gives the place of each key that is there. What is wrong with
// one key does not keep the others from being read.
func readObject[T any](r *reader, n *node, o *object[T], into *T) map[string]Span {
	given := map[string]Span{}
	if !r.want(n, mapNode, o.what) {
		return nil
	}
	meant := map[string]bool{} // required keys that an unknown one stands for
	cut := false               // an unquoted expression in { } was cut here: keys without values are its shreds
	byKey := make(map[string]*field[T], len(o.fields))
	for i := range o.fields {
		byKey[o.fields[i].key] = &o.fields[i]
	}
	for _, e := range r.entries(n, o.what) {
		key := e.key.scalar.text
		f := byKey[key]
		if f == nil {
			if !(cut && e.value.kind == nullNode) {
				r.unknownKey(e.key.span, key, o.what, o.keys())
				meant[Suggest(key, o.keys())] = true
				if _, top := any(into).(*Policy); top {
					r.missing.node(e.value) // a misspelt section
				}
			}
			continue
		}
		given[key] = e.key.span
		cut = cut || key == expressionKey && n.flow && e.value.kind == scalarNode && e.value.scalar.style == plain
		if e.value.kind == nullNode {
			r.fault(e.key.span, CodeEmptyValue, "give it a value or remove the key", "key %q has no value", key)
			continue
		}
		f.read(r, e.value, into)
	}
	for _, f := range o.fields {
		if _, ok := given[f.key]; f.required && !ok && !meant[f.key] && !r.anyFaultyKey(n) {
			at := n.span
			if len(n.entries) > 0 && !n.flow { // the first key says which mapping is meant
				at = n.entries[0].key.span
			}
			r.fault(at, CodeMissingKey, "", "%s needs the key %q", o.what, f.key)
		}
	}
	return given
}

func (r *reader) anyFaultyKey(n *node) bool {
	for _, e := range n.entries {
		if e.key.kind == faultyNode {
			return true
		}
	}
	return false
}

func (r *reader) unknownKey(at Span, key, what string, known []string) {
	hint := ""
	if s := Suggest(key, known); s != "" {
		hint = fmt.Sprintf("did you mean %q?", s)
	} else if len(known) > 0 && len(known) <= 30 {
		hint = "known keys: " + strings.Join(known, ", ")
	}
	r.fault(at, CodeUnknownKey, hint, "%s has no key %q", what, key)
}

// entries gives the entries of a mapping whose keys are sound, each key once.
func (r *reader) entries(n *node, what string) []entry {
	out := make([]entry, 0, len(n.entries))
	first := make(map[string]Span, len(n.entries))
	for _, e := range n.entries {
		if e.key.kind != scalarNode {
			continue
		}
		key := e.key.scalar.text
		if at, twice := first[key]; twice {
			r.noted(e.key.span, CodeDuplicateKey, "", Note{at, "first here"}, "key %q stands twice in %s", key, what)
			continue
		}
		first[key] = e.key.span
		out = append(out, e)
	}
	return out
}

// want reports a node of another kind.
func (r *reader) want(n *node, k kind, what string) bool {
	if n.kind == k {
		return true
	}
	switch {
	case n.kind == faultyNode:
	case n.kind == nullNode:
		r.fault(n.span, CodeEmptyValue, "", "%s is missing here", what)
	default:
		r.fault(headOf(n), CodeWrongType, "", "%s is %s, not %s", what, k, n.kind)
	}
	return false
}

// headOf is the first line of a node's place: a caret under a whole mapping helps nobody.
func headOf(n *node) Span {
	s := n.span
	if n.kind == mapNode && !n.flow && len(n.entries) > 0 {
		return n.entries[0].key.span
	}
	if s.EndLine > s.Line {
		s.EndLine, s.EndCol = s.Line, s.Col+1
	}
	return s
}

// text reads a scalar as written, whatever YAML would type it as. The line ends behind the text of a block
// are not part of it.
func (r *reader) text(n *node, what string) (Text, bool) {
	if !r.want(n, scalarNode, what) {
		return Text{}, false
	}
	t := Text{n.scalar.text, n.span}
	if n.scalar.style == literal || n.scalar.style == folded {
		t.Value = strings.TrimRight(t.Value, "\n")
	}
	return t, true
}

// filled is text that must not be empty.
func (r *reader) filled(n *node, what string) (Text, bool) {
	t, ok := r.text(n, what)
	if ok && strings.TrimSpace(t.Value) == "" {
		r.fault(t.Span, CodeEmptyValue, "", "%s is empty", what)
		return t, false
	}
	return t, ok
}

// texts reads a list of scalars.
func (r *reader) texts(n *node, what string) []Text {
	if n.kind == scalarNode {
		r.fault(n.span, CodeWrongType, fmt.Sprintf("write [%s]", clip(n.scalar.text, 40)), "%s is a list, not a text", what)
		return nil
	}
	if !r.want(n, seqNode, what) {
		return nil
	}
	out := make([]Text, 0, len(n.items))
	for _, item := range n.items {
		if t, ok := r.filled(item, "a member of "+what); ok {
			out = append(out, t)
		}
	}
	return out
}

func values(ts []Text) []string {
	if len(ts) == 0 {
		return nil
	}
	out := make([]string, len(ts))
	for i, t := range ts {
		out[i] = t.Value
	}
	return out
}

// clip shortens a text for a message.
func clip(s string, n int) string {
	s = strings.ReplaceAll(s, "\n", " ")
	if rs := []rune(s); len(rs) > n {
		return string(rs[:n]) + "..."
	}
	return s
}

func (r *reader) integer(n *node, what string) (int, bool) {
	t, ok := r.text(n, what)
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseInt(t.Value, 10, 32)
	if err != nil || n.scalar.style != plain {
		r.fault(t.Span, CodeBadInteger, "", "%s is an integer in 32 bits without quotes, not %q", what, clip(t.Value, 40))
		return 0, false
	}
	return int(v), true
}

func (r *reader) boolean(n *node, what string) bool {
	t, ok := r.text(n, what)
	if ok && (n.scalar.style != plain || t.Value != "true" && t.Value != "false") {
		r.fault(t.Span, CodeBadValue, "", "%s is true or false, not %q", what, clip(t.Value, 40))
	}
	return t.Value == "true"
}

// choice reads one of a few words and gives its index, -1 when it is none of them.
func (r *reader) choice(n *node, what string, words []string) int {
	t, ok := r.text(n, what)
	if !ok {
		return -1
	}
	for i, w := range words {
		if t.Value == w {
			return i
		}
	}
	hint := "one of: " + strings.Join(words, ", ")
	if s := Suggest(t.Value, words); s != "" {
		hint = fmt.Sprintf("did you mean %q?", s)
	}
	r.fault(t.Span, CodeBadValue, hint, "%q is no %s", clip(t.Value, 40), what)
	return -1
}

// duration reads a duration of at least least.
func (r *reader) duration(n *node, what string, least time.Duration) Text {
	t, ok := r.text(n, what)
	if !ok {
		return Text{}
	}
	if d, err := time.ParseDuration(t.Value); err != nil || d < least {
		r.fault(t.Span, CodeBadDuration, "write for instance 30s, 10m, 1h30m or 24h", "%s is a positive duration, not %q", what, clip(t.Value, 40))
		return Text{}
	}
	return t
}

var (
	namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	idPattern   = regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`)
	// fieldPattern is a path of names; which of them exist is for package rules to say.
	fieldPattern = regexp.MustCompile(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*$`)
	intPattern   = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*)$`)
	hexPattern   = regexp.MustCompile(`^[-+]?0x[0-9a-fA-F]+$`)
)

// name checks the name of a list, macro, parameter or variable.
func (r *reader) name(t Text, what string) bool {
	if namePattern.MatchString(t.Value) {
		return true
	}
	hint := "names are a lower-case letter followed by lower-case letters, digits and '_'"
	if fixed := spelling(t.Value); namePattern.MatchString(fixed) {
		hint = fmt.Sprintf("write %q", fixed)
	}
	r.fault(t.Span, CodeBadName, hint, "%q cannot name %s", clip(t.Value, 40), what)
	return false
}

// expression reads an expression with the place of each of its characters. What YAML would make of it
// other than the text that stands there is refused.
func (r *reader) expression(n *node) Expr {
	switch n.kind {
	case scalarNode:
	case faultyNode:
		return Expr{}
	case nullNode:
		r.fault(n.span, CodeExpressionEmpty, "", "the expression is empty")
		return Expr{}
	default:
		if n.flow {
			r.diags = append(r.diags, sigilFault(r.src, n.span.Line, n.span.Col))
		} else {
			r.fault(headOf(n), CodeWrongType, blockHint, "the expression is a text, not %s", n.kind)
		}
		return Expr{}
	}
	sc := n.scalar
	head := headOf(n)
	switch {
	case sc.style == folded:
		r.fault(head, CodeExpressionFolded, "write '|' instead of '>'", "YAML joins the lines of a '>' block")
	case sc.style == plain && n.flow:
		r.fault(head, CodeExpressionFlow, flowHint, flowMessage)
	case sc.style != literal && sc.span.Line != sc.span.EndLine:
		r.fault(head, CodeExpressionMultiline, blockHint, "YAML joins the lines of this expression")
	case sc.style == plain && strings.ContainsRune("!&*@`%,]}", r.src.at(sc.span.Line, sc.span.Col)):
		// YAML forbids these too; the library lets some pass.
		r.diags = append(r.diags, sigilFault(r.src, sc.span.Line, sc.span.Col))
	case sc.style == plain && r.commentAfter(sc.span):
	default:
		return r.located(sc)
	}
	return Expr{}
}

// commentAfter reports a comment behind a plain expression on its line: as a closure's '#' it was meant
// to be part of it.
func (r *reader) commentAfter(at Span) bool {
	col := at.EndCol
	for c := r.src.at(at.EndLine, col); c == ' ' || c == '\t'; c = r.src.at(at.EndLine, col) {
		col++
	}
	if r.src.at(at.EndLine, col) != '#' {
		return false
	}
	end := len(r.src.line(at.EndLine)) + 1
	r.fault(r.src.span(at.EndLine, col, at.EndLine, end), CodeExpressionComment,
		asBlock(r.src, at.Line, at.Col),
		"YAML takes ' #' for the start of a comment and drops the rest of the expression")
	return true
}

// located trims the blanks around an expression and keeps its places right.
func (r *reader) located(sc scalar) Expr {
	text := []rune(sc.text)
	from, to := 0, len(text)
	blank := func(c rune) bool { return c == ' ' || c == '\n' || c == '\t' }
	for from < to && blank(text[from]) {
		from++
	}
	for to > from && blank(text[to-1]) {
		to--
	}
	if from == to {
		r.fault(sc.span, CodeExpressionEmpty, "", "the expression is empty")
		return Expr{}
	}
	x := Expr{Text: string(text[from:to]), Span: sc.span, Scope: r.policy}
	for i, s := range sc.segments {
		if s.offset >= to {
			break
		}
		if i+1 < len(sc.segments) && sc.segments[i+1].offset <= from {
			continue
		}
		if s.offset < from {
			s.col += from - s.offset
			s.offset = from
		}
		s.offset -= from
		x.segments = append(x.segments, s)
	}
	return x
}
