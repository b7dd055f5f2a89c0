package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"spoor/rules/policy"
)

// configFault is one fault of the configuration. It is rendered like a policy's diagnostic.
func configFault(file string, tk *token.Token, hint, format string, args ...any) policy.Diagnostic {
	d := policy.Diagnostic{Span: policy.Span{File: file}, Level: policy.Error, Code: "config",
		Message: fmt.Sprintf(format, args...), Hint: hint}
	if tk != nil && tk.Position != nil {
		d.Line, d.Col = tk.Position.Line, tk.Position.Column
		d.EndLine, d.EndCol = d.Line, d.Col+len([]rune(strings.TrimSpace(tk.Origin)))
	}
	return d
}

// LoadConfig reads the file (path "" means none), then the SPOOR_* variables of environ ("KEY=value"), and
// returns every fault of both, with positions where there is a file.
func LoadConfig(path string, environ []string) (Config, policy.Diagnostics) {
	c := DefaultConfig()
	var faults policy.Diagnostics
	l := configLoader{file: path, places: map[string]*token.Token{}}
	if path != "" {
		src, err := os.ReadFile(path)
		if err != nil {
			return c, policy.Diagnostics{configFault(path, nil, "give the file with --config", "cannot read the configuration: %v", errors.Unwrap(err))}
		}
		l.document(src, reflect.ValueOf(&c).Elem())
		faults = append(faults, l.faults...)
	}
	faults = append(faults, overlay(&c, environ)...)
	if len(faults) == 0 {
		for _, p := range c.Validate() {
			faults = append(faults, configFault(path, l.place(p.Error()), "", "%v", p))
		}
	}
	return c, faults.Sort()
}

type configLoader struct {
	file   string
	faults policy.Diagnostics
	places map[string]*token.Token // of the value of each key that the file gives, by dotted path
}

// place is where the key that a message begins with is given, or the section that it is in; nil when neither is.
func (l *configLoader) place(message string) *token.Token {
	end := strings.IndexFunc(message, func(c rune) bool { return c != '.' && c != '_' && (c < 'a' || c > 'z') })
	for key := message[:max(end, 0)]; key != ""; key = key[:max(strings.LastIndexByte(key, '.'), 0)] {
		if tk := l.places[key]; tk != nil {
			return tk
		}
	}
	return nil
}

func (l *configLoader) fault(tk *token.Token, hint, format string, args ...any) {
	l.faults = append(l.faults, configFault(l.file, tk, hint, format, args...))
}

func (l *configLoader) document(src []byte, into reflect.Value) {
	f, err := parser.ParseBytes(src, 0)
	if err != nil {
		var yerr yaml.Error
		if errors.As(err, &yerr) {
			l.fault(yerr.GetToken(), "", "%s", yerr.GetMessage())
		} else {
			l.fault(nil, "", "%v", err)
		}
		return
	}
	seen := false
	for _, d := range f.Docs {
		if d.Body == nil || d.Body.Type() == ast.CommentType {
			continue
		}
		if seen {
			l.fault(d.Body.GetToken(), "put everything into one", "a configuration is one YAML document")
			return
		}
		seen = true
		l.mapping(d.Body, "", into)
	}
}

// mapping fills the struct into from n. prefix is the dotted path of n.
func (l *configLoader) mapping(n ast.Node, prefix string, into reflect.Value) {
	m, ok := n.(ast.MapNode)
	if !ok {
		if n.Type() == ast.NullType {
			return // "kafka:" with every key commented out
		}
		l.fault(n.GetToken(), "", "%s holds keys, not %s", section(prefix), kindOf(n))
		return
	}
	fields := configFields(into.Type())
	seen := map[string]bool{}
	for it := m.MapRange(); it.Next(); {
		tk := it.Key().GetToken()
		name := tk.Value
		i := slices.IndexFunc(fields, func(f configField) bool { return f.name == name })
		if i < 0 {
			names := make([]string, len(fields))
			for j, f := range fields {
				names[j] = f.name
			}
			hint := "one of " + strings.Join(names, ", ")
			if s := policy.Suggest(name, names); s != "" {
				hint = fmt.Sprintf("did you mean %q?", s)
			}
			l.fault(tk, hint, "unknown key %q in %s", name, section(prefix))
			continue
		}
		if seen[name] {
			l.fault(tk, "remove one", "%s is given twice", prefix+name)
			continue
		}
		seen[name] = true
		l.places[prefix+name] = tk
		l.value(it.Value(), prefix+name, fields[i], into.Field(fields[i].index))
	}
}

func section(prefix string) string {
	if prefix == "" {
		return "the configuration"
	}
	return strings.TrimSuffix(prefix, ".")
}

func kindOf(n ast.Node) string {
	switch n.Type() {
	case ast.MappingType, ast.MappingValueType:
		return "a mapping"
	case ast.SequenceType:
		return "a list"
	default:
		return "a value"
	}
}

func (l *configLoader) value(n ast.Node, key string, f configField, into reflect.Value) {
	switch {
	case into.Kind() == reflect.Struct:
		l.mapping(n, key+".", into)
	case into.Kind() == reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			l.fault(n.GetToken(), "write ["+n.GetToken().Value+"]", "%s is a list, not %s", key, kindOf(n))
			return
		}
		list := make([]string, 0, len(seq.Values))
		for _, v := range seq.Values {
			s, ok := scalarText(v)
			if !ok {
				l.fault(v.GetToken(), "", "%s is a list of texts, not of %ss", key, strings.TrimPrefix(kindOf(v), "a "))
				continue
			}
			list = append(list, s)
		}
		into.Set(reflect.ValueOf(list))
	default:
		s, ok := scalarText(n)
		if !ok {
			l.fault(n.GetToken(), "", "%s is %s, not %s", key, f.kind(), kindOf(n))
			return
		}
		if err := f.set(into, s); err != nil {
			l.fault(n.GetToken(), "", "%s: %v", key, err)
		}
	}
}

// scalarText is a scalar as written: a version 1.10 stays 1.10.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.NullNode:
		return "", true
	case *ast.MappingNode:
		// The library tears host:9092 apart between [ ] inside { }. YAML wants a blank behind the colon for that.
		if n.IsFlowStyle || len(n.Values) != 1 {
			return "", false
		}
		k, v := n.Values[0].Key.GetToken(), n.Values[0].Value.GetToken()
		if v.Position.Line == k.Position.Line && v.Position.Column == k.Position.Column+len([]rune(k.Value))+1 {
			return k.Value + ":" + v.Value, true
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// configField is one key of a section, as its struct tags say.
type configField struct {
	name   string
	doc    string
	enum   []string
	secret bool
	index  int
	typ    reflect.Type
}

func configFields(t reflect.Type) []configField {
	fields := make([]configField, t.NumField())
	for i := range fields {
		sf := t.Field(i)
		f := configField{name: sf.Tag.Get("yaml"), doc: sf.Tag.Get("doc"), secret: sf.Tag.Get("secret") != "", index: i, typ: sf.Type}
		if e, ok := sf.Tag.Lookup("enum"); ok {
			f.enum = strings.Split(e, ",")
		}
		fields[i] = f
	}
	return fields
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	bytesType    = reflect.TypeFor[Bytes]()
)

// kind says in words what the key takes.
func (f configField) kind() string {
	switch {
	case f.enum != nil:
		return "one of " + strings.Join(slices.DeleteFunc(slices.Clone(f.enum), func(s string) bool { return s == "" }), ", ")
	case f.typ == durationType:
		return "a duration such as 200ms, 10m or 720h"
	case f.typ == bytesType:
		return "a size such as 65536, 900KiB or 256MiB"
	case f.typ.Kind() == reflect.Bool:
		return "on or off"
	case f.typ.Kind() == reflect.Int:
		return "a whole number"
	case f.typ.Kind() == reflect.Slice:
		return "a list"
	default:
		return "a text"
	}
}

// set parses s into v. The error says what the key takes.
func (f configField) set(v reflect.Value, s string) error {
	wrong := fmt.Errorf("%q is not %s", s, f.kind())
	switch {
	case f.enum != nil:
		if !slices.Contains(f.enum, s) {
			if m := policy.Suggest(s, f.enum); m != "" {
				return fmt.Errorf("%w; did you mean %q?", wrong, m)
			}
			return wrong
		}
		v.SetString(s)
	case f.typ == durationType:
		d, err := time.ParseDuration(s)
		if err != nil {
			return wrong
		}
		v.SetInt(int64(d))
	case f.typ == bytesType:
		size := int64(1)
		digits := s
		for _, u := range byteUnits {
			if rest, ok := strings.CutSuffix(s, u.suffix); ok {
				digits, size = strings.TrimSpace(rest), u.size
				break
			}
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > (1<<62)/size {
			return wrong
		}
		v.SetInt(n * size)
	case f.typ.Kind() == reflect.Bool:
		switch strings.ToLower(s) {
		case "on", "true", "yes":
			v.SetBool(true)
		case "off", "false", "no":
			v.SetBool(false)
		default:
			return wrong
		}
	case f.typ.Kind() == reflect.Int:
		n, err := strconv.Atoi(s)
		if err != nil {
			return wrong
		}
		v.SetInt(int64(n))
	case f.typ.Kind() == reflect.Slice:
		list := []string{}
		for p := range strings.SplitSeq(s, ",") {
			if p = strings.TrimSpace(p); p != "" {
				list = append(list, p)
			}
		}
		v.Set(reflect.ValueOf(list))
	default:
		v.SetString(s)
	}
	return nil
}

// walkConfig calls visit for every key in order of declaration, with its dotted path.
func walkConfig(v reflect.Value, prefix string, visit func(path string, f configField, v reflect.Value)) {
	for _, f := range configFields(v.Type()) {
		if fv := v.Field(f.index); fv.Kind() == reflect.Struct {
			walkConfig(fv, prefix+f.name+".", visit)
		} else {
			visit(prefix+f.name, f, fv)
		}
	}
}

// envName is the variable that overrides a key.
func envName(path string) string {
	return "SPOOR_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// overlay applies SPOOR_* variables. A variable that names no key is a fault, as in the file.
func overlay(c *Config, environ []string) policy.Diagnostics {
	vars := map[string]string{}
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok && strings.HasPrefix(k, "SPOOR_") {
			vars[k] = v
		}
	}
	var faults policy.Diagnostics
	var names []string
	walkConfig(reflect.ValueOf(c).Elem(), "", func(path string, f configField, v reflect.Value) {
		name := envName(path)
		names = append(names, name)
		if s, ok := vars[name]; ok {
			delete(vars, name)
			if err := f.set(v, s); err != nil {
				faults = append(faults, configFault("environment", nil, "", "%s: %v", name, err))
			}
		}
	})
	unknown := make([]string, 0, len(vars))
	for k := range vars {
		unknown = append(unknown, k)
	}
	slices.Sort(unknown)
	for _, k := range unknown {
		hint := "engine schema config lists the keys"
		if s := policy.Suggest(k, names); s != "" {
			hint = fmt.Sprintf("did you mean %s?", s)
		}
		faults = append(faults, configFault("environment", nil, hint, "unknown variable %s", k))
	}
	return faults
}
