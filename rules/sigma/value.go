package sigma

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"spoor/rules/policy"
)

// alternatives are the ways in which one value of a line may be met: the variants of windash, for instance.
type alternatives []test

// compare gives the condition of a line on a field that events carry, and completes its item.
func (l *line) compare(it *item, values []*policy.ImportNode) (*node, *refusal) {
	if l.mods.has("fieldref") {
		return l.references(it, values)
	}
	if l.mods.has("exists") {
		return l.exists(it, values)
	}
	if l.field.int {
		return l.numbers(it, values)
	}
	if m, ok := l.mods.find("lt", "lte", "gt", "gte"); ok {
		return nil, refuse(m.at, "%s: %s compares numbers, and %s is a text", l.key.Text, m.name, l.name)
	}
	l.folded = l.mods.has("re") && l.insensitive(values)
	var groups []alternatives
	for _, v := range values {
		group, r := l.value(v)
		if r != nil {
			return nil, r
		}
		groups = append(groups, group)
	}
	for _, g := range groups {
		for _, t := range g {
			it.byLength = it.byLength || t.operator == "length"
		}
	}
	left := l.field.path
	cased := l.mods.has("cased") || l.mods.has("re") && !l.folded
	if strings.HasPrefix(left, "registry.target") || strings.HasPrefix(left, "registry.key_path") {
		for _, g := range groups {
			for i := range g {
				g[i] = registryTest(g[i], cased)
			}
		}
	}
	it.onEmpty = l.onEmpty(groups)
	for _, g := range groups {
		for _, t := range g {
			it.asksEmpty = it.asksEmpty || t.constant == "" && (t.operator == "==" || t.operator == "!=")
		}
	}
	if cased {
		left = "exact(" + left + ")"
	}
	it.weight = weight(left, groups)
	it.cond = written(left, groups, l.mods.has("all"), cased)
	return leaf(it), nil
}

// onEmpty is what the tests say of an empty text.
func (l *line) onEmpty(groups []alternatives) truth {
	every, some := true, false
	for _, g := range groups {
		holds := false
		for _, t := range g {
			holds = holds || t.onEmpty()
		}
		every, some = every && holds, some || holds
	}
	if l.mods.has("all") {
		return truthOf(every)
	}
	return truthOf(some)
}

func (t test) onEmpty() bool {
	switch t.operator {
	case "!=":
		return false
	case "length":
		return t.constant == "0"
	case "like":
		return strings.Trim(t.constant, "*") == ""
	case "matches":
		re, err := regexp.Compile(t.constant)
		return err == nil && re.MatchString("")
	}
	return t.constant == ""
}

// value gives the alternatives of one value of a text field.
func (l *line) value(v *policy.ImportNode) (alternatives, *refusal) {
	if v.IsNull() {
		if m, ok := l.mods.find("contains", "startswith", "endswith", "re", "cidr", "windash", "base64", "base64offset", "expand"); ok {
			return nil, refuse(v.Span, "%s: null takes no %s", l.key.Text, m.name)
		}
		return alternatives{{"==", ""}}, nil
	}
	switch {
	case l.mods.has("re"):
		return l.regex(v)
	case l.mods.has("cidr"):
		return l.network(v)
	}
	texts := []text{parseText(v.Text)}
	if l.mods.has("expand") {
		var r *refusal
		if texts, r = l.expand(v); r != nil {
			return nil, r
		}
	}
	for _, m := range l.mods.list {
		var out []text
		switch m.name {
		case "windash":
			for _, t := range texts {
				out = append(out, t.windash()...)
			}
		case "wide", "utf16le", "utf16be", "utf16", "base64", "base64offset":
			for _, t := range texts {
				s, plain := t.plain()
				if !plain {
					return nil, refuse(v.Span, "%s: a value with wildcards cannot be encoded by %s", l.key.Text, m.name)
				}
				for _, encoded := range encode(m.name, s) {
					out = append(out, text(nil).add(piece{text: encoded}))
				}
			}
		default:
			continue
		}
		texts = out
	}
	var out alternatives
	for _, t := range texts {
		out = append(out, t.around(l.mods).test(l.mods.has("cased")))
	}
	return out, nil
}

// expand puts the values of placeholders in: %name%, unless a backslash takes that from the %.
func (l *line) expand(v *policy.ImportNode) ([]text, *refusal) {
	out := []text{nil}
	add := func(t text) {
		for i := range out {
			out[i] = text(nil).join(out[i], t)
		}
	}
	at := 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(v.Text, -1) {
		if m[2] < 0 { // an escaped backslash or percent sign: no placeholder begins there
			continue
		}
		name := v.Text[m[2]:m[3]]
		values, ok := l.placeholders[name]
		if !ok {
			from := utf8.RuneCountInString(v.Text[:m[0]])
			return nil, refuse(v.At(from, from+utf8.RuneCountInString(name)+2),
				"%s: the placeholder %%%s%% has no values; give them with --placeholders", l.key.Text, name)
		}
		add(parseText(unescapePercent(v.Text[at:m[0]])))
		at = m[1]
		var longer []text
		for _, o := range out {
			for _, value := range values {
				longer = append(longer, text(nil).join(o, parseText(value)))
			}
		}
		if out = longer; len(out) > maxExpanded {
			return nil, refuse(v.Span, "%s: its placeholders stand for more than %d values", l.key.Text, maxExpanded)
		}
	}
	add(parseText(unescapePercent(v.Text[at:])))
	return out, nil
}

// placeholder finds %name%, and what is escaped, so that it is passed over.
var placeholder = regexp.MustCompile(`\\\\|\\%|%([\pL\pN_.-]+)%`)

// maxExpanded bounds the values that one value with placeholders becomes.
const maxExpanded = 1000

// escapedPercent finds escaped percent signs, and escaped backslashes, which stay.
var escapedPercent = regexp.MustCompile(`\\([\\%])`)

func unescapePercent(s string) string {
	return escapedPercent.ReplaceAllStringFunc(s, func(found string) string {
		if found == `\%` {
			return "%"
		}
		return found
	})
}

// exists is `Field|exists: true` or false. An event carries a field that is not empty.
func (l *line) exists(it *item, values []*policy.ImportNode) (*node, *refusal) {
	if len(values) != 1 {
		return nil, l.fail("exists takes one value, true or false")
	}
	operator := ""
	switch strings.ToLower(values[0].Text) {
	case "true", "yes":
		operator = "!="
	case "false", "no":
		operator = "=="
	default:
		return nil, refuse(values[0].Span, "%s: exists takes true or false", l.key.Text)
	}
	it.cond = policy.Compare(l.field.path, operator, l.field.empty())
	it.onEmpty, it.asksEmpty = truthOf(operator == "=="), true
	return leaf(it), nil
}

// references is `Field|fieldref: OtherField`: both fields are there and compare.
func (l *line) references(it *item, values []*policy.ImportNode) (*node, *refusal) {
	operator := "=="
	for m, op := range map[string]string{"contains": "contains", "startswith": "startsWith", "endswith": "endsWith"} {
		if l.mods.has(m) {
			operator = op
		}
	}
	side := func(f field) string {
		if l.mods.has("cased") && !f.int {
			return "exact(" + f.path + ")"
		}
		return f.path
	}
	var args []policy.Condition
	for _, v := range values {
		other, ok := l.scope.field(strings.TrimSpace(v.Text))
		if !ok {
			it.kind, it.field, it.missing = missingItem, it.field+" "+v.Text, v.Text
			return leaf(it), nil
		}
		if other.int != l.field.int || l.field.int && operator != "==" {
			return nil, refuse(v.Span, "%s: %s and %s cannot be compared like this", l.key.Text, l.name, v.Text)
		}
		it.reads = append(it.reads, other.path)
		// An empty text is part of every text: what has to be there is the one that is looked for.
		there := l.field
		if operator != "==" {
			there = other
		}
		args = append(args, policy.And(policy.Compare(there.path, "!=", there.empty()),
			policy.Compare(side(l.field), operator, side(other))))
	}
	it.onEmpty = no
	if l.mods.has("all") {
		it.cond = policy.And(args...)
	} else {
		it.cond = policy.Or(args...)
	}
	return leaf(it), nil
}

// numbers is a line on a field that is a number.
func (l *line) numbers(it *item, values []*policy.ImportNode) (*node, *refusal) {
	operator := "=="
	for _, m := range l.mods.list {
		op, ok := map[string]string{"lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "neq": "==", "all": "=="}[m.name]
		if !ok {
			return nil, refuse(m.at, "%s: %s is a number, which takes no %s", l.key.Text, l.name, m.name)
		}
		if op != "==" {
			operator = op
		}
	}
	if len(values) > 1 && (operator != "==" || l.mods.has("all")) {
		return nil, l.fail("one number is expected")
	}
	var constants []string
	for _, v := range values {
		n := int64(0)
		if v.IsNull() && operator != "==" {
			return nil, refuse(v.Span, "%s: null is no number", l.key.Text)
		}
		if !v.IsNull() && (v.Text != "" || operator != "==") {
			var err error
			if n, err = strconv.ParseInt(strings.TrimSpace(v.Text), 0, 64); err != nil {
				return nil, refuse(v.Span, "%s: %q is no integer, and %s is one", l.key.Text, v.Text, l.name)
			}
		}
		constants = append(constants, strconv.FormatInt(n, 10))
		it.asksEmpty = it.asksEmpty || n == 0
		if holds := map[string]bool{"==": n == 0, "<": n > 0, "<=": n >= 0, ">": n < 0, ">=": n <= 0}[operator]; holds {
			it.onEmpty = yes
		}
	}
	if it.onEmpty == open {
		it.onEmpty = no
	}
	if len(constants) > 1 {
		it.cond = policy.InList(l.field.path, constants)
	} else {
		it.cond = policy.Compare(l.field.path, operator, constants[0])
	}
	return leaf(it), nil
}

// network is `Field|cidr: 10.0.0.0/8` on a text: the texts that addresses of the network begin with.
func (l *line) network(v *policy.ImportNode) (alternatives, *refusal) {
	prefix, err := netip.ParsePrefix(strings.TrimSpace(v.Text))
	if err != nil {
		return nil, refuse(v.Span, "%s: %q is no network", l.key.Text, v.Text)
	}
	if !prefix.Addr().Is4() {
		return nil, refuse(v.Span, "%s: an IPv6 address is written in many ways; a text cannot be compared with a network of them", l.key.Text)
	}
	bits := prefix.Bits()
	if bits == 0 {
		return alternatives{{"!=", ""}}, nil
	}
	octets := prefix.Masked().Addr().As4()
	whole := (bits - 1) / 8 // octets that are given as they are; of the next some bits are
	var head strings.Builder
	for _, o := range octets[:whole] {
		head.WriteString(strconv.Itoa(int(o)) + ".")
	}
	var out alternatives
	first := int(octets[whole])
	for o := first; o < first+1<<(8*(whole+1)-bits); o++ {
		if whole == 3 {
			out = append(out, test{"==", head.String() + strconv.Itoa(o)})
		} else {
			out = append(out, test{"startsWith", head.String() + strconv.Itoa(o) + "."})
		}
	}
	return out, nil
}
