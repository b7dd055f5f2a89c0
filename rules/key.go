package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// key is the canonical text of a term: two conditions with one key are the same condition. Constants that
// are compared without case are folded, lists sorted, registry roots long.
func (t *term) key() string {
	var b strings.Builder
	t.writeKey(&b)
	return b.String()
}

func (t *term) writeKey(b *strings.Builder) {
	list := func(open string, args []*term, closing string) {
		b.WriteString(open)
		for i, a := range args {
			if i > 0 {
				b.WriteString(", ")
			}
			a.writeKey(b)
		}
		b.WriteString(closing)
	}
	switch t.op {
	case opConst:
		b.WriteString(constantKey(t.konst))
	case opField, opObject:
		if len(t.args) > 0 {
			list("", t.args, ".")
		}
		path := t.path
		if t.op == opField {
			path = t.field.Path
		}
		b.WriteString(path)
	case opElem:
		b.WriteByte('#')
	case opVariable:
		fmt.Fprintf(b, "$%s.%s:%s=%s", t.vari.Scope.Value, t.vari.Name.Value, t.vari.typ, constantKey(t.vari.initial))
	case opNot:
		list("not(", t.args, ")")
	case opAnd:
		list("and(", t.args, ")")
	case opOr:
		list("or(", t.args, ")")
	case opCond:
		list("if(", t.args, ")")
	case opCompare:
		b.WriteString(t.name)
		if t.exact {
			b.WriteString("!exact")
		}
		b.WriteByte('(')
		t.writeOperand(b, t.args[0], t.args[1])
		b.WriteString(", ")
		t.writeOperand(b, t.args[1], t.args[0])
		b.WriteByte(')')
	case opCall:
		if t.name == "glob" || t.name == "like" {
			b.WriteString(t.name + "(")
			t.args[0].writeKey(b)
			b.WriteString(", ")
			t.writeOperand(b, t.args[1], t.args[0])
			b.WriteByte(')')
			return
		}
		list(t.name+"(", t.args, ")")
	case opArith, opNegate, opClosure:
		list(t.name+"(", t.args, ")")
	case opIndex:
		list("index(", t.args, ")")
	case opList:
		list("[", t.args, "]")
	}
}

// writeOperand writes an operand of comparison t whose other operand is other.
func (t *term) writeOperand(b *strings.Builder, operand, other *term) {
	if operand.op != opConst || t.exact || t.name == "matches" {
		operand.writeKey(b)
		return
	}
	text := func(s string) string {
		if registryOf(other) == nil {
			return strconv.Quote(fold(s))
		}
		s, user := canonicalConstant(s, constantKindOf(t.name))
		if user {
			return "user" + strconv.Quote(s)
		}
		return "key" + strconv.Quote(s)
	}
	switch v := operand.konst.(type) {
	case string:
		b.WriteString(text(v))
	case []any:
		members := make([]string, 0, len(v))
		for _, e := range v {
			if s, ok := e.(string); ok {
				members = append(members, text(s))
			} else {
				members = append(members, constantKey(e))
			}
		}
		slices.Sort(members)
		b.WriteString("[" + strings.Join(slices.Compact(members), ", ") + "]")
	case int:
		if isExitCode(other) && t.name == "==" {
			b.WriteString(strconv.Itoa(exitCode(v)))
			return
		}
		operand.writeKey(b)
	default:
		operand.writeKey(b)
	}
}

func constantKey(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(v)
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64) + "f"
	case time.Time:
		return v.UTC().Format("t" + time.RFC3339Nano)
	case time.Duration:
		return "d" + v.String()
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = constantKey(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v)
}
