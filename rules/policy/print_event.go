package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

func (w *printer) test(t Test) {
	w.dash = true
	w.text(2, "name", t.Name.Value)
	w.line(2, "events:")
	for _, e := range t.Events {
		members := flatten("", decodeJSON(e.JSON), nil)
		if e.Host != "test" {
			members = append(members, "host: "+quoteText(e.Host))
		}
		if e.After != "" {
			members = append(members, "after: "+e.After)
		}
		one := "{" + strings.Join(members, ", ") + "}"
		if utf8.RuneCountInString(one) < printWidth || len(members) == 0 {
			w.line(3, "- %s", one)
			continue
		}
		for i, m := range members {
			w.dash = i == 0
			w.line(4, "%s", m)
		}
	}
	if t.Expect != nil {
		var entries []string
		for _, x := range t.Expect {
			entries = append(entries, quoteText(x.Rule.Value)+": "+strings.ReplaceAll(fmt.Sprint(x.Events), " ", ", "))
		}
		w.line(2, "expect: {%s}", strings.Join(entries, ", "))
	}
	if t.ExpectException != nil {
		var entries []string
		for _, x := range t.ExpectException {
			entries = append(entries, quoteText(x.Rule.Value)+": "+quoteText(x.Exception.Value))
		}
		w.line(2, "expect_exception: {%s}", strings.Join(entries, ", "))
	}
}

// decodeJSON reads a document that this package or encoding/json wrote.
func decodeJSON(raw []byte) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil
	}
	return v
}

// flatten writes an object as dotted keys, evt.name first.
func flatten(prefix string, v any, out []string) []string {
	object, ok := v.(map[string]any)
	if !ok || len(object) == 0 && prefix != "" {
		return append(out, quoteText(prefix)+": "+flowValue(v, true))
	}
	for _, key := range sortedKeys(object) {
		path := key
		if prefix != "" {
			path = prefix + "." + key
		}
		out = flatten(path, object[key], out)
	}
	if prefix == "" {
		slices.SortStableFunc(out, func(a, b string) int {
			first := func(s string) int {
				if strings.HasPrefix(s, "evt.name:") {
					return 0
				}
				return 1
			}
			return first(a) - first(b)
		})
	}
	return out
}

func flowJSON(raw []byte) string { return flowValue(decodeJSON(raw), false) }

// flowValue writes a JSON value in flow style; with dotted, its objects are flattened.
func flowValue(v any, dotted bool) string {
	var parts []string
	switch v := v.(type) {
	case map[string]any:
		if dotted && len(v) > 0 {
			return "{" + strings.Join(flatten("", v, nil), ", ") + "}"
		}
		for _, key := range sortedKeys(v) {
			parts = append(parts, quoteText(key)+": "+flowValue(v[key], dotted))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		for _, item := range v {
			parts = append(parts, flowValue(item, dotted))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return quoteText(v)
	case json.Number:
		return v.String()
	case nil:
		return "null"
	}
	return fmt.Sprint(v)
}
