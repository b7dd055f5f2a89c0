package policy

import (
	"bytes"
	"encoding/json"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// YAML 1.2's core schema, for the two places whose values are typed: actions and the events of tests. A
// quoted scalar is a text; on, yes and dates are texts too.
var (
	octalPattern = regexp.MustCompile(`^0o[0-7]+$`)
	floatPattern = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)
	digits       = regexp.MustCompile(`^[-+]?[0-9]+$`)
)

// parseInt reads an integer of a list: decimal or 0x.
func parseInt(s string) (int64, error) { return strconv.ParseInt(s, 0, 64) }

// isOfType says whether s, as written, is a value of a variable's type.
func isOfType(s, typ string) bool {
	var err error
	switch typ {
	case "int":
		_, err = parseInt(s)
	case "float":
		_, err = strconv.ParseFloat(s, 64)
	case "bool":
		return s == "true" || s == "false"
	}
	return err == nil
}

// scalarJSON is the JSON of a scalar.
func (r *reader) scalarJSON(n *node) ([]byte, bool) {
	s := n.scalar.text
	if n.scalar.style != plain {
		return quoteJSON(s), true
	}
	switch s {
	case "~", "null", "Null", "NULL":
		return []byte("null"), true
	case "true", "True", "TRUE":
		return []byte("true"), true
	case "false", "False", "FALSE":
		return []byte("false"), true
	case ".inf", ".Inf", ".INF", "+.inf", "-.inf", ".nan", ".NaN", ".NAN":
		r.fault(n.span, CodeBadValue, "quote it if it is a text", "JSON has no number %s", s)
		return nil, false
	}
	switch {
	case digits.MatchString(s):
		sign := ""
		if s[0] == '-' {
			sign = "-"
		}
		number := strings.TrimLeft(strings.TrimLeft(s, "+-"), "0")
		if number == "" {
			return []byte("0"), true
		}
		return []byte(sign + number), true
	case octalPattern.MatchString(s), hexPattern.MatchString(s):
		v, err := strconv.ParseInt(s, 0, 64)
		if err != nil {
			r.fault(n.span, CodeBadInteger, "quote it if it is a text", "%s does not fit in 64 bits", clip(s, 40))
			return nil, false
		}
		return strconv.AppendInt(nil, v, 10), true
	case floatPattern.MatchString(s):
		if json.Valid([]byte(s)) {
			return []byte(s), true
		}
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			r.fault(n.span, CodeBadValue, "quote it if it is a text", "%s does not fit in a number", clip(s, 40))
			return nil, false
		}
		return strconv.AppendFloat(nil, v, 'g', -1, 64), true
	}
	return quoteJSON(s), true
}

// quoteJSON writes a text as JSON, with < > & as they are.
func quoteJSON(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return bytes.TrimRight(b.Bytes(), "\n")
}

// branch is a JSON object on its way from dotted and nested keys.
type branch struct {
	at       Span
	leaf     []byte // of a value that is no object
	children map[string]*branch
}

// json converts a node as it stands: keys are not unfolded. Members are sorted by key.
func (r *reader) json(n *node) ([]byte, bool) { return r.convert(n, false) }

func (r *reader) convert(n *node, unfold bool) ([]byte, bool) {
	switch n.kind {
	case scalarNode:
		return r.scalarJSON(n)
	case nullNode:
		r.fault(n.span, CodeEmptyValue, "write null, or '' for an empty text", "a member of this list has no value")
		return nil, false
	case seqNode:
		out := []byte{'['}
		good := true
		for i, item := range n.items {
			raw, ok := r.convert(item, unfold)
			good = good && ok
			if i > 0 {
				out = append(out, ',')
			}
			out = append(out, raw...)
		}
		return append(out, ']'), good
	case mapNode:
		root := &branch{at: n.span, children: map[string]*branch{}}
		good := r.grow(root, n, unfold)
		return root.json(nil), good
	}
	return nil, false
}

// grow puts the members of a mapping under b. With unfold, a dotted key is a path.
func (r *reader) grow(b *branch, n *node, unfold bool) bool {
	good := true
	for _, e := range r.entries(n, "this mapping") {
		key := e.key.scalar.text
		path := []string{key}
		if unfold {
			path = strings.Split(key, ".")
		}
		if !r.put(b, path, key, e, unfold) {
			good = false
		}
	}
	return good
}

// put places one value; the same field twice, or a value where an object stands, is a fault.
func (r *reader) put(b *branch, path []string, key string, e entry, unfold bool) bool {
	if e.value.kind == nullNode {
		hint := "write null, or '' for an empty text"
		if e.value.flow {
			hint += "; between { } a comma ends a text that is not quoted"
		}
		r.fault(e.key.span, CodeEmptyValue, hint, "key %q has no value", clip(key, 60))
		return false
	}
	for i, name := range path {
		if name == "" {
			r.fault(e.key.span, CodeTestField, "", "%q is no field: a name between its dots is empty", key)
			return false
		}
		next := b.children[name]
		last := i == len(path)-1
		object := !last || e.value.kind == mapNode
		if next == nil {
			next = &branch{at: e.key.span}
			if object {
				next.children = map[string]*branch{}
			}
			b.children[name] = next
		} else if !object || next.children == nil {
			message := "field %q is given twice"
			if object != (next.children != nil) {
				message = "field %q is given as a value and as an object"
			}
			r.noted(e.key.span, CodeTestField, "", Note{next.at, "first here"}, message, key)
			return false
		}
		b = next
	}
	if e.value.kind == mapNode {
		return r.grow(b, e.value, unfold)
	}
	raw, ok := r.convert(e.value, unfold)
	b.leaf = raw
	return ok
}

func (b *branch) json(out []byte) []byte {
	if b.children == nil {
		if b.leaf == nil {
			return append(out, "null"...) // reported already
		}
		return append(out, b.leaf...)
	}
	names := make([]string, 0, len(b.children))
	for name := range b.children {
		names = append(names, name)
	}
	sort.Strings(names)
	out = append(out, '{')
	for i, name := range names {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, quoteJSON(name)...), ':')
		out = b.children[name].json(out)
	}
	return append(out, '}')
}
