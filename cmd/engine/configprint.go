package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// PrintConfig writes c as the YAML file that would give it, each key with its description, secrets masked.
func PrintConfig(w io.Writer, c Config) error {
	var b strings.Builder
	printSection(&b, reflect.ValueOf(c), "")
	_, err := io.WriteString(w, b.String())
	return err
}

func printSection(b *strings.Builder, v reflect.Value, indent string) {
	for _, f := range configFields(v.Type()) {
		fv := v.Field(f.index)
		if fv.Kind() == reflect.Struct {
			fmt.Fprintf(b, "%s%s:\n", indent, f.name)
			printSection(b, fv, indent+"  ")
			continue
		}
		doc := f.doc
		if f.enum != nil {
			doc += " (" + f.kind() + ")"
		}
		fmt.Fprintf(b, "%s# %s\n%s%s: %s\n", indent, doc, indent, f.name, configText(f, fv))
	}
}

// configText is a value as it is written in the file.
func configText(f configField, v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Duration:
		return shortDuration(x)
	case Bytes:
		return x.String()
	case bool:
		if x {
			return "on"
		}
		return "off"
	case []string:
		quoted := make([]string, len(x))
		for i, s := range x {
			quoted[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case string:
		if f.secret && x != "" {
			return `"***"`
		}
		if f.enum != nil && x != "" {
			return x
		}
		return strconv.Quote(x)
	default:
		return fmt.Sprint(x)
	}
}

// shortDuration writes 10m0s as 10m and 1h0m0s as 1h.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// ConfigSchema is the JSON Schema of the configuration file, for editors.
func ConfigSchema() []byte {
	s := sectionSchema(reflect.ValueOf(DefaultConfig()))
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Spoor engine configuration"
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // maps of strings always marshal
	}
	return append(b, '\n')
}

func sectionSchema(v reflect.Value) map[string]any {
	props := map[string]any{}
	for _, f := range configFields(v.Type()) {
		fv := v.Field(f.index)
		if fv.Kind() == reflect.Struct {
			props[f.name] = sectionSchema(fv)
			continue
		}
		p := map[string]any{"description": f.doc}
		switch {
		case f.enum != nil:
			p["enum"] = f.enum
			p["default"] = fv.String()
		case f.typ == durationType:
			p["type"], p["default"] = "string", shortDuration(time.Duration(fv.Int()))
		case f.typ == bytesType:
			p["type"], p["default"] = []string{"string", "integer"}, Bytes(fv.Int()).String()
		case fv.Kind() == reflect.Bool:
			p["enum"], p["default"] = []any{true, false, "on", "off"}, fv.Bool()
		case fv.Kind() == reflect.Int:
			p["type"], p["default"] = "integer", fv.Int()
		case fv.Kind() == reflect.Slice:
			p["type"], p["items"] = "array", map[string]any{"type": "string"}
			if fv.Len() > 0 {
				p["default"] = fv.Interface()
			}
		default:
			p["type"] = "string"
			if s := fv.String(); s != "" {
				p["default"] = s
			}
		}
		props[f.name] = p
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": props}
}
