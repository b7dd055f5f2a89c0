package policy

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Structure deeper than this is refused before the recursive parser sees it. Test events nest deepest, at
// about ten.
const (
	maxFlowDepth   = 32  // [ and { inside each other
	maxBlockColumn = 256 // block levels stand at least half a column apart
	// The library recurses from key to key of a block mapping, in time that grows with the square.
	maxKeys = 4000
)

// node is one value of a file, with its exact place: what the rest of the package reads. The YAML library
// is not seen outside this file, but for its errors (syntax.go).
type node struct {
	kind    kind
	span    Span
	flow    bool // inside [ ] or { }, or one of them
	scalar  scalar
	entries []entry // of a mapping, as they stand
	items   []*node // of a sequence
}

type kind int

const (
	nullNode   kind = iota // no value at all; a written null or ~ is a scalar
	scalarNode             // a text: what it means is up to the key
	mapNode
	seqNode
	faultyNode // already reported: readers skip it silently
)

func (k kind) String() string {
	return [...]string{"nothing", "a text", "a mapping", "a list", "a faulty value"}[k]
}

type entry struct {
	key   *node // a scalar
	value *node
}

// tree parses one file. A nil node means that a diagnostic says why, or that the document is empty.
func tree(src *source) (*node, Diagnostics) {
	b := &builder{src: src}
	return b.document(), b.diags
}

type builder struct {
	src   *source
	diags Diagnostics
	// tagged are lines with a tag, which is a fault already: behind it the library's columns are off.
	tagged map[int]bool
	// anchors are the anchors met so far, when they are not refused: importers only.
	anchors map[string]anchor
	aliased int // values that aliases stood for
}

// unreadable reports why a scalar cannot be read.
func (b *builder) unreadable(d *Diagnostic) *node {
	if !b.tagged[d.Line] {
		b.diags = append(b.diags, *d)
	}
	return &node{kind: faultyNode, span: d.Span}
}

func (b *builder) fault(at Span, code, message, hint string) {
	b.diags = append(b.diags, Diagnostic{Span: at, Level: Error, Code: code, Message: message, Hint: hint})
}

func (b *builder) document() *node {
	tokens, docs := b.parse()
	if docs == nil {
		return nil
	}
	var body ast.Node
	for _, d := range docs {
		if d.Body == nil {
			continue
		}
		if dir, ok := d.Body.(*ast.DirectiveNode); ok {
			b.fault(b.place(dir.GetToken(), 1), CodeTag, "YAML directives are not part of the format", "remove the line")
			continue
		}
		if body != nil {
			at := b.place(d.Body.GetToken(), 1)
			if d.Start != nil {
				at = b.place(d.Start, 3)
			}
			b.fault(at, CodeDocuments, "a second YAML document starts here", "write one policy a file")
			break
		}
		body = d.Body
	}
	if body == nil {
		if len(b.diags) == 0 {
			message := "the file is empty"
			if len(tokens) > 0 {
				message = "the file holds no policy"
			}
			b.fault(Span{File: b.src.file}, CodeEmptyValue, message, "a policy needs at least a key, for instance rules:")
		}
		return nil
	}
	return b.build(body, "", 0, false)
}

// parse is the only call of the YAML library. It gives nil documents after it has reported why.
func (b *builder) parse() (tokens token.Tokens, docs []*ast.DocumentNode) {
	defer func() {
		if r := recover(); r != nil { // the library has panicked on malformed input before
			docs = nil
			b.fault(Span{File: b.src.file}, CodeSyntax, "the file is not YAML: the parser gave up", "")
		}
	}()
	tokens = lexer.Tokenize(b.src.masked())
	flow := 0
	var keys [maxBlockColumn + 1]int // of the mapping that is open at each column
	for i, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.MappingKeyType:
			b.fault(b.place(t, 1), CodeComplexKey, "a '?' key is not part of the format", "write key: value; quote the text when it starts with '?'")
			return tokens, nil
		}
		column := 0 // of a block entry, 0 for other tokens
		switch {
		case flow > 0:
		case t.Type == token.SequenceEntryType:
			column = t.Position.Column
		case t.Type == token.MappingValueType && i > 0:
			column = tokens[i-1].Position.Column
		}
		if flow > maxFlowDepth || column > maxBlockColumn {
			b.fault(b.place(t, 1), CodeLimit, "values are nested too deep", "")
			return tokens, nil
		}
		if column > 0 {
			clear(keys[column+1:])
			if t.Type == token.MappingValueType {
				keys[column]++
			}
			if keys[column] > maxKeys {
				b.fault(b.place(tokens[i-1], 1), CodeLimit, fmt.Sprintf("a mapping has more than %d keys", maxKeys), "")
				return tokens, nil
			}
		}
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		b.diags = append(b.diags, syntaxFault(b.src, err))
		return tokens, nil
	}
	return tokens, file.Docs
}

// place is where a token of the library starts, kept inside the file.
func (b *builder) place(t *token.Token, length int) Span {
	line, col := tokenPosition(b.src, t)
	return b.src.span(line, col, line, col+length)
}

func tokenPosition(src *source, t *token.Token) (line, col int) {
	if t == nil || t.Position == nil {
		return 1, 1
	}
	line = min(max(t.Position.Line, 1), len(src.lines))
	col = min(max(t.Position.Column, 1), len(src.line(line))+1)
	return line, col
}

// build converts a node. key is the key it is the value of and column that key's column: a block scalar's
// indentation may be counted from it.
func (b *builder) build(n ast.Node, key string, column int, flow bool) *node {
	switch n := n.(type) {
	case *ast.MappingNode:
		return b.mapping(n.Values, n.IsFlowStyle, n.Start, n.End)
	case *ast.MappingValueNode:
		return b.mapping([]*ast.MappingValueNode{n}, false, n.Start, nil)
	case *ast.SequenceNode:
		out := &node{kind: seqNode, flow: n.IsFlowStyle, span: b.place(n.Start, 1)}
		for _, v := range n.Values {
			item := b.torn(v)
			if item == nil {
				item = b.build(v, "", n.Start.Position.Column, n.IsFlowStyle)
			}
			out.items = append(out.items, item)
		}
		b.closeSpan(out, n.End)
		return out
	case *ast.LiteralNode:
		return b.block(n, column)
	case *ast.NullNode:
		return b.null(n, flow)
	case *ast.TagNode:
		return b.tag(n, key)
	case *ast.AliasNode, *ast.AnchorNode, *ast.MergeKeyNode:
		if b.anchors != nil {
			return b.resolve(n, column, flow)
		}
		return b.sigil(n, key)
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return b.inline(n, flow)
	}
	at := b.place(n.GetToken(), 1)
	b.fault(at, CodeSyntax, fmt.Sprintf("a value of an unexpected kind (%s)", n.Type()), "")
	return &node{kind: faultyNode, span: at}
}

// torn mends a plain text such as T1059:001, which the library takes for a key and a value between [ ] inside
// { }: YAML wants a blank behind the colon for that. Nil when n is anything else.
func (b *builder) torn(n ast.Node) *node {
	m, ok := n.(*ast.MappingNode)
	if !ok || m.IsFlowStyle || len(m.Values) != 1 {
		return nil
	}
	pair := m.Values[0]
	key, value := pair.Key.GetToken(), pair.Value.GetToken()
	line, col := tokenPosition(b.src, key)
	text := key.Value + ":" + value.Value
	if !strings.HasPrefix(string(b.src.line(line)[col-1:]), text) || strings.HasSuffix(text, ":") {
		return nil
	}
	sc, fault := b.src.readInline(line, col, 0, text)
	if fault != nil {
		return nil
	}
	return &node{kind: scalarNode, span: sc.span, flow: true, scalar: sc}
}

func (b *builder) mapping(values []*ast.MappingValueNode, flow bool, start, end *token.Token) *node {
	out := &node{kind: mapNode, flow: flow}
	if flow {
		out.span = b.place(start, 1)
	}
	for _, v := range values {
		k := b.key(v.Key, flow)
		if out.span.Line == 0 {
			out.span = k.span
		}
		out.entries = append(out.entries, entry{k, b.build(v.Value, k.scalar.text, k.span.Col, flow)})
	}
	b.closeSpan(out, end)
	return out
}

// key converts a key; whatever is not a one-line text is reported and kept as a faulty node.
func (b *builder) key(n ast.MapKeyNode, flow bool) *node {
	if merge, ok := n.(*ast.MergeKeyNode); ok {
		return b.build(merge, "", 0, flow)
	}
	k := b.build(n, "", 0, flow)
	if k.kind == nullNode || k.kind == scalarNode && k.span.Line != k.span.EndLine || k.kind == mapNode || k.kind == seqNode {
		b.fault(k.span, CodeComplexKey, "a key is a text on one line", "")
		k = &node{kind: faultyNode, span: k.span}
	}
	return k
}

// closeSpan ends a collection at its bracket, else where its last value ends.
func (b *builder) closeSpan(n *node, end *token.Token) {
	if end != nil && n.flow {
		s := b.place(end, 1)
		n.span.EndLine, n.span.EndCol = s.EndLine, s.EndCol
		return
	}
	last := n.span
	if i := len(n.items); i > 0 {
		last = n.items[i-1].span
	} else if i := len(n.entries); i > 0 {
		last = n.entries[i-1].value.span
	}
	n.span.EndLine, n.span.EndCol = last.EndLine, last.EndCol
}

// inline converts a scalar that is not a block: its text is read from the source.
func (b *builder) inline(n ast.Node, flow bool) *node {
	t := n.GetToken()
	line, col := tokenPosition(b.src, t)
	value := t.Value
	if s, ok := n.(*ast.StringNode); ok {
		value = s.Value
	}
	quote := map[token.Type]rune{token.SingleQuoteType: '\'', token.DoubleQuoteType: '"'}[t.Type]
	sc, fault := b.src.readInline(line, col, quote, value)
	if fault != nil {
		return b.unreadable(fault)
	}
	// YAML has no ': ' in a plain text; between { } the library lets it pass, and a comma that is missing
	// before a key would go unseen.
	if colon := strings.Index(sc.text+" ", ": "); sc.style == plain && flow && colon >= 0 && len(sc.segments) == 1 {
		c := sc.span.Col + len([]rune(sc.text[:colon]))
		b.fault(b.src.span(sc.span.Line, c, sc.span.Line, c+1), CodeSyntax, "': ' inside a plain value",
			"quote the text; if a key starts here, a comma is missing before it")
		return &node{kind: faultyNode, span: sc.span}
	}
	return &node{kind: scalarNode, span: sc.span, flow: flow, scalar: sc}
}

func (b *builder) block(n *ast.LiteralNode, column int) *node {
	line, col := tokenPosition(b.src, n.Start)
	value := ""
	if n.Value != nil {
		value = n.Value.Value
	}
	sc, fault := b.src.readBlock(line, col, column, value)
	if fault != nil {
		return b.unreadable(fault)
	}
	return &node{kind: scalarNode, span: sc.span, scalar: sc}
}

// null tells a written null or ~, which is a text as any other here, from an absent value.
func (b *builder) null(n *ast.NullNode, flow bool) *node {
	line, col := tokenPosition(b.src, n.Token)
	if n.Token.Type == token.NullType {
		for _, word := range []string{"~", "null", "Null", "NULL"} {
			if strings.HasPrefix(string(b.src.line(line)[col-1:]), word) {
				sc, _ := b.src.readInline(line, col, 0, word)
				return &node{kind: scalarNode, span: sc.span, flow: flow, scalar: sc}
			}
		}
	}
	return &node{kind: nullNode, flow: flow, span: b.src.span(line, col, line, col)}
}

// tag refuses a YAML tag. Before an expression it is a negation that YAML would drop.
func (b *builder) tag(n *ast.TagNode, key string) *node {
	at := b.place(n.Start, len([]rune(n.Start.Value)))
	if b.tagged == nil {
		b.tagged = map[int]bool{}
	}
	b.tagged[at.Line] = true
	if key == expressionKey {
		b.diags = append(b.diags, sigilFault(b.src, at.Line, at.Col))
	} else {
		b.fault(at, CodeTag, fmt.Sprintf("YAML takes %q for a tag; tags are not part of the format", n.Start.Value), "quote the text")
	}
	return &node{kind: faultyNode, span: at}
}

// behind builds the value that a refused anchor stands before, so that its faults are found too.
func (b *builder) behind(n ast.Node, at Span) *node {
	if n == nil {
		return &node{kind: faultyNode, span: at}
	}
	if v := b.build(n, "", 0, false); v.kind != nullNode {
		return v
	}
	return &node{kind: faultyNode, span: at}
}

// sigil refuses anchors, aliases and merge keys.
func (b *builder) sigil(n ast.Node, key string) *node {
	at := b.place(n.GetToken(), 1)
	faulty := &node{kind: faultyNode, span: at}
	const hint = "use a list or a macro; quote the text if it only starts with this character"
	if _, merge := n.(*ast.MergeKeyNode); merge {
		b.fault(b.place(n.GetToken(), 2), CodeAlias, "YAML merge keys are not part of the format", "use defaults, or write the keys out")
		return faulty
	}
	if key == expressionKey {
		b.diags = append(b.diags, sigilFault(b.src, at.Line, at.Col))
		return faulty
	}
	if anchor, ok := n.(*ast.AnchorNode); ok {
		b.fault(at, CodeAlias, "YAML anchors are not part of the format", hint)
		return b.behind(anchor.Value, at)
	}
	b.fault(at, CodeAlias, "YAML aliases are not part of the format", hint)
	return faulty
}
