package rules

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

func characters(s string) int { return utf8.RuneCountInString(s) }

// text is a text folded, or as written.
func (b *native) text(t *term, folded bool) func(frame) string {
	switch t.op {
	case opConst:
		v := t.konst.(string)
		if folded {
			v = fold(v)
		}
		return func(frame) string { return v }
	case opField:
		return b.fieldText(t, folded)
	case opCond:
		return choose(b, t, func(a *term) func(frame) string { return b.text(a, folded) })
	case opArith:
		x, y := b.text(t.args[0], folded), b.text(t.args[1], folded)
		return func(fr frame) string {
			l, r := x(fr), y(fr)
			fr.ev.spend(1 + (len(l)+len(r))/copyUnit)
			return l + r
		}
	case opCall:
		if t.name != "first" && t.name != "last" {
			return b.textCall(t, folded)
		}
	}
	get := as[string](b.element(t))
	return func(fr frame) string {
		s := get(fr)
		fr.ev.spend(1 + len(s)/textUnit)
		if folded {
			s = fr.ev.foldOnce(s)
		}
		return s
	}
}

func (b *native) fieldText(t *term, folded bool) func(frame) string {
	f := t.field
	if f.owner == ofEvent {
		if folded {
			return func(fr frame) string {
				s := fr.ev.foldedText(f)
				fr.ev.spend(1 + len(s)/textUnit)
				return s
			}
		}
		return func(fr frame) string {
			s := fr.ev.written(f)
			fr.ev.spend(1 + len(s)/textUnit)
			return s
		}
	}
	owner, p := b.owner(t), f.process
	if folded {
		return func(fr frame) string {
			s := owner(fr).foldedText(fr.ev, p)
			fr.ev.spend(1 + len(s)/textUnit)
			return s
		}
	}
	return func(fr frame) string {
		s := p.text(owner(fr).p)
		fr.ev.spend(1 + len(s)/textUnit)
		return s
	}
}

// textCall is a function of texts. Those that take a path apart see the folded path where case does not
// count: they find the same parts in it.
func (b *native) textCall(t *term, folded bool) func(frame) string {
	a := t.args[0]
	if t.name == "string" {
		return b.formatted(a, folded)
	}
	part := map[string]func(string) string{
		"trim": strings.TrimSpace, "basename": basename, "dirname": dirname, "extension": extension,
	}[t.name]
	if part != nil {
		get := b.text(a, folded)
		return func(fr frame) string { return part(get(fr)) }
	}
	change := strings.ToLower
	if t.name == "upper" {
		change = strings.ToUpper
	}
	get := b.text(a, folded)
	return func(fr frame) string {
		s := get(fr)
		fr.ev.spend(len(s) / copyUnit)
		s = change(s)
		if folded {
			s = fold(s)
		}
		return s
	}
}

func (b *native) formatted(a *term, folded bool) func(frame) string {
	var get func(frame) string
	switch a.typ.kind {
	case kindText:
		return b.text(a, folded)
	case kindInt:
		v := b.int(a)
		return func(fr frame) string { return strconv.Itoa(v(fr)) }
	case kindFloat:
		v := b.float(a)
		get = func(fr frame) string { return strconv.FormatFloat(v(fr), 'g', -1, 64) }
	default:
		v := b.bool(a)
		return func(fr frame) string { return strconv.FormatBool(v(fr)) }
	}
	if !folded {
		return get
	}
	return func(fr frame) string { return fold(get(fr)) }
}
