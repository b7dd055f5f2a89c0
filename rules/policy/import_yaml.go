package policy

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
)

// ImportKind is the kind of an ImportNode.
type ImportKind int

// The kinds. A written null or ~ is ImportText with Plain set: see IsNull.
const (
	ImportNull ImportKind = iota // no value at all
	ImportText
	ImportMap
	ImportList
)

func (k ImportKind) String() string {
	return [...]string{"nothing", "a text", "a mapping", "a list"}[k]
}

// ImportNode is one value of a YAML document that an importer reads, with its exact place.
type ImportNode struct {
	Kind    ImportKind
	Text    string // of a text
	Plain   bool   // the text stands without quotes, so that null, true and 10 are not texts
	Span    Span
	Entries []ImportEntry // of a mapping, as they stand; a key may come twice
	Items   []*ImportNode // of a list

	segments []segment
}

// ImportEntry is one entry of a mapping.
type ImportEntry struct{ Key, Value *ImportNode }

// Get is the value of the first entry with the key, nil when there is none. n may be nil.
func (n *ImportNode) Get(key string) *ImportNode {
	if n == nil {
		return nil
	}
	for _, e := range n.Entries {
		if e.Key.Text == key {
			return e.Value
		}
	}
	return nil
}

// IsNull says that n is no value, or a written null. n may be nil.
func (n *ImportNode) IsNull() bool {
	if n == nil || n.Kind == ImportNull {
		return true
	}
	if n.Kind == ImportText && n.Plain {
		switch n.Text {
		case "~", "null", "Null", "NULL":
			return true
		}
	}
	return false
}

// At is the place of the characters of n.Text from one offset to another, counted in characters. A text
// that YAML folded has only the place of the whole.
func (n *ImportNode) At(from, to int) Span {
	if len(n.segments) == 0 {
		return n.Span
	}
	// A fault of something missing stands right behind the last character.
	from = min(from, utf8.RuneCountInString(strings.TrimRight(n.Text, " \n")))
	return Expr{Text: n.Text, Span: n.Span, segments: n.segments}.SpanOf(from, to)
}

// ImportDocument is one YAML document of a source.
type ImportDocument struct {
	Span   Span        // where it starts
	Root   *ImportNode // nil when it cannot be read
	Faults Diagnostics // why
}

// ReadImportDocuments parses the documents of a source, each on its own: a broken one does not hide the
// others. Documents without content are left out. Anchors, aliases and merge keys are resolved.
func ReadImportDocuments(src ImportSource) []ImportDocument {
	var out []ImportDocument
	for _, chunk := range splitDocuments(src.Data) {
		s, diags := newSource(src.Name, hideMarks(chunk.data))
		doc := ImportDocument{Span: shifted(Span{File: src.Name, Line: 1, Col: 1, EndLine: 1, EndCol: 2}, chunk.line)}
		if !diags.HasErrors() {
			b := &builder{src: s, anchors: map[string]anchor{}}
			root := b.importDocument()
			diags = append(diags, b.diags...)
			if root == nil && !diags.HasErrors() {
				continue
			}
			if !diags.HasErrors() {
				doc.Root = importNode(root, chunk.line)
				doc.Span = doc.Root.Span
			}
		}
		for i := range diags {
			diags[i].Span = shifted(diags[i].Span, chunk.line)
			for j := range diags[i].Notes {
				diags[i].Notes[j].Span = shifted(diags[i].Notes[j].Span, chunk.line)
			}
		}
		doc.Faults = diags.Sort()
		out = append(out, doc)
	}
	return out
}

// importDocument builds the only document of the source, nil when it has no content.
func (b *builder) importDocument() *node {
	_, docs := b.parse()
	for _, d := range docs {
		switch d.Body.(type) {
		case nil, *ast.DirectiveNode, *ast.CommentGroupNode:
			continue
		}
		n := b.build(d.Body, "", 0, false)
		if n.kind == nullNode {
			return nil
		}
		return n
	}
	return nil
}

type documentChunk struct {
	line int // of the file, from 0, where it starts
	data []byte
}

// splitDocuments cuts a file at the lines that YAML ends a document with, wherever they stand. The line
// that starts a document belongs to it.
func splitDocuments(data []byte) []documentChunk {
	var out []documentChunk
	start, startLine, line := 0, 0, 0
	cut := func(at, atLine int) {
		if !blankDocument(data[start:at]) {
			out = append(out, documentChunk{startLine, data[start:at]})
		}
		start, startLine = at, atLine
	}
	for at := 0; at < len(data); {
		end := bytes.IndexByte(data[at:], '\n')
		next := at + end + 1
		if end < 0 {
			next = len(data)
		}
		text := strings.TrimPrefix(string(data[at:min(at+8, next)]), "\ufeff")
		switch {
		case strings.HasPrefix(text, "---") && (len(text) == 3 || strings.ContainsRune(" \t\r\n", rune(text[3]))):
			cut(at, line)
		case strings.TrimRight(text, " \t\r\n") == "...":
			cut(at, line)
			start, startLine = next, line+1
		}
		at = next
		line++
	}
	cut(len(data), line)
	return out
}

// blankDocument says that there are only comments, directives and document marks.
func blankDocument(data []byte) bool {
	for _, l := range bytes.Split(data, []byte("\n")) {
		text := strings.TrimSpace(strings.TrimPrefix(string(l), "\ufeff"))
		if text != "" && text != "---" && text[0] != '#' && text[0] != '%' {
			return false
		}
	}
	return true
}

// Direction marks and byte order marks are refused in policies, because they make a text look like another.
// A rule that looks for them holds them, so they are read in disguise: as characters of a private plane.
const disguise = 0xF0000

func hideMarks(data []byte) []byte {
	bom := []byte("\ufeff")
	rest := bytes.TrimPrefix(data, bom)
	if bytes.IndexFunc(rest, directionMark) < 0 || !utf8.Valid(rest) {
		return data
	}
	return bytes.Map(func(r rune) rune {
		if directionMark(r) {
			return r + disguise
		}
		return r
	}, rest)
}

func directionMark(r rune) bool {
	return r == 0xFEFF || r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069
}

func showMarks(s string) string {
	return strings.Map(func(r rune) rune {
		if directionMark(r - disguise) {
			return r - disguise
		}
		return r
	}, s)
}

func shifted(s Span, lines int) Span {
	if s.Line > 0 {
		s.Line += lines
	}
	if s.EndLine > 0 {
		s.EndLine += lines
	}
	return s
}

func importNode(n *node, lines int) *ImportNode {
	out := &ImportNode{Span: shifted(n.span, lines)}
	switch n.kind {
	case scalarNode:
		out.Kind = ImportText
		out.Text = showMarks(n.scalar.text)
		out.Plain = n.scalar.style == plain
		for _, s := range n.scalar.segments {
			s.line += lines
			out.segments = append(out.segments, s)
		}
	case mapNode:
		out.Kind = ImportMap
		var merged []ImportEntry
		for _, e := range n.entries {
			key, value := importNode(e.key, lines), importNode(e.value, lines)
			if key.Text == mergeKey && key.Plain {
				merged = append(merged, value.mappings()...)
			} else {
				out.Entries = append(out.Entries, ImportEntry{key, value})
			}
		}
		for _, e := range merged {
			if out.Get(e.Key.Text) == nil {
				out.Entries = append(out.Entries, e)
			}
		}
	case seqNode:
		out.Kind = ImportList
		for _, item := range n.items {
			out.Items = append(out.Items, importNode(item, lines))
		}
	}
	return out
}

// mappings are the entries of a mapping, or of every mapping of a list.
func (n *ImportNode) mappings() []ImportEntry {
	out := n.Entries
	for _, item := range n.Items {
		out = append(out, item.Entries...)
	}
	return out
}

// anchor is a value that an alias may stand for.
type anchor struct {
	value  ast.Node
	column int // of the key it stands behind
}

// maxAliased bounds how many values the aliases of a document may stand for.
const maxAliased = 50_000

// resolve builds what an anchor, alias or merge key stands for.
func (b *builder) resolve(n ast.Node, column int, flow bool) *node {
	at := b.place(n.GetToken(), 1)
	faulty := &node{kind: faultyNode, span: at}
	switch n := n.(type) {
	case *ast.AnchorNode:
		out := b.build(n.Value, "", column, flow)
		// Known from here on only: a value that held itself would have no end.
		b.anchors[n.Name.String()] = anchor{n.Value, column}
		return out
	case *ast.AliasNode:
		name := n.Value.String()
		a, ok := b.anchors[name]
		if !ok {
			b.fault(at, CodeAlias, fmt.Sprintf("no anchor &%s stands before this alias", clip(name, 40)), "")
			return faulty
		}
		out := b.build(a.value, "", a.column, flow)
		if b.aliased += size(out); b.aliased > maxAliased {
			b.fault(at, CodeLimit, fmt.Sprintf("the aliases of this document stand for more than %d values", maxAliased), "")
			clear(b.anchors)
			return faulty
		}
		return out
	}
	return &node{kind: scalarNode, span: at, scalar: scalar{text: mergeKey, span: at}}
}

const mergeKey = "<<"

// size is how many values n has, itself included.
func size(n *node) int {
	count := 1
	for _, item := range n.items {
		count += size(item)
	}
	for _, e := range n.entries {
		count += size(e.value)
	}
	return count
}
