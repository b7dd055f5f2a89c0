package secl

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"spoor/rules/policy"
)

// truth is what a filter says of Windows hosts in general: unsure when it depends on the host.
type truth int

const (
	never truth = iota
	unsure
	always
)

// hostFacts are the fields of filters that have one value on every Windows host: agents that are not on Linux
// answer so.
var hostFacts = map[string]any{
	"os": "windows", "os.id": "windows", "os.platform_id": "windows", "os.version_id": "windows",
	"os.is_amazon_linux": false, "os.is_cos": false, "os.is_debian": false, "os.is_oracle": false,
	"os.is_rhel": false, "os.is_rhel7": false, "os.is_rhel8": false,
	"os.is_sles": false, "os.is_sles12": false, "os.is_sles15": false,
	"kernel.core.enabled":  false,
	"kernel.version.major": int64(0), "kernel.version.minor": int64(0), "kernel.version.patch": int64(0),
	"kernel.version.abi": int64(0), "kernel.version.flavor": int64(0),
}

// hostUnknown are the fields of filters that differ between hosts.
var hostUnknown = map[string]bool{"envs": true, "hostname": true, "origin": true}

// filters says whether a rule or macro is for Windows: one of its filters is enough. written is what the author
// wrote, for the report.
func filters(n *policy.ImportNode) (holds truth, written string, f *fault) {
	if n.IsNull() {
		return always, "", nil
	}
	items := n.Items
	if n.Kind == policy.ImportText {
		items = []*policy.ImportNode{n}
	} else if n.Kind != policy.ImportList {
		return never, "", &fault{n.Span, "filters is a list of expressions"}
	}
	if len(items) == 0 {
		return always, "", nil
	}
	var texts []string
	holds = never
	for _, item := range items {
		if item.Kind != policy.ImportText {
			return never, "", &fault{item.Span, "a filter is an expression"}
		}
		tree, f := parse(textOf(item))
		if f != nil {
			return never, "", f
		}
		one, f := filterTruth(tree)
		if f != nil {
			return never, "", f
		}
		holds = max(holds, one)
		texts = append(texts, tree.written())
	}
	return holds, strings.Join(texts, " || "), nil
}

func filterTruth(n *node) (truth, *fault) {
	switch {
	case n.kind == logicalNode:
		out := always
		if n.op == "||" {
			out = never
		}
		for _, a := range n.args {
			t, f := filterTruth(a)
			if f != nil {
				return never, f
			}
			if n.op == "&&" {
				out = min(out, t)
			} else {
				out = max(out, t)
			}
		}
		return out, nil
	case n.kind == unaryNode && n.op == "!":
		t, f := filterTruth(n.args[0])
		return always - t, f
	case n.kind == binaryNode:
		return filterCompare(n)
	}
	v, known, f := filterValue(n)
	b, isBool := v.(bool)
	switch {
	case f != nil:
		return never, f
	case !known:
		return unsure, nil
	case !isBool:
		return never, n.faultf("`%s` is not a condition", n.written())
	case b:
		return always, nil
	}
	return never, nil
}

// filterValue is what a field of filters, or a constant, is on Windows; known is false when hosts differ.
func filterValue(n *node) (v any, known bool, f *fault) {
	switch n.kind {
	case identNode:
		if n.text == "true" || n.text == "false" {
			return n.text == "true", true, nil
		}
		if v, ok := hostFacts[n.text]; ok {
			return v, true, nil
		}
		if hostUnknown[n.text] {
			return nil, false, nil
		}
		return nil, false, n.faultf("`%s` is no field of filters", n.text)
	case stringNode, patternNode, regexpNode:
		return n, true, nil
	case intNode:
		return n.number, true, nil
	}
	return nil, false, n.faultf("`%s` has no place in a filter", n.written())
}

func filterCompare(n *node) (truth, *fault) {
	l, known, f := filterValue(n.args[0])
	if f != nil {
		return never, f
	}
	members := []*node{n.args[1]}
	if n.args[1].kind == listNode {
		members = n.args[1].args
	}
	out := never
	for _, m := range members {
		r, ok, f := filterValue(m)
		if f != nil {
			return never, f
		}
		t := unsure
		if known && ok {
			if t, f = filterHolds(n, l, r); f != nil {
				return never, f
			}
		}
		out = max(out, t)
	}
	if slices.Contains([]string{"!=", "!~", "not in"}, n.op) {
		out = always - out
	}
	return out, nil
}

// filterHolds compares two known values; a negation is the caller's.
func filterHolds(n *node, l, r any) (truth, *fault) {
	if _, constant := l.(*node); constant {
		l, r = r, l
	}
	is := func(b bool) (truth, *fault) {
		if b {
			return always, nil
		}
		return never, nil
	}
	switch l := l.(type) {
	case string:
		if m, ok := r.(*node); ok && slices.Contains([]string{"==", "!=", "=~", "!~", "in", "not in", "allin"}, n.op) {
			return filterText(m, l, n.op == "=~" || n.op == "!~" || m.kind == patternNode)
		}
	case bool:
		if r, ok := r.(bool); ok && (n.op == "==" || n.op == "!=") {
			return is(l == r)
		}
	case int64:
		r, ok := r.(int64)
		order := cmp.Compare(l, r)
		switch {
		case !ok:
		case n.op == "==" || n.op == "!=" || n.op == "in" || n.op == "not in" || n.op == "allin":
			return is(order == 0)
		case n.op == "<":
			return is(order < 0)
		case n.op == "<=":
			return is(order <= 0)
		case n.op == ">":
			return is(order > 0)
		case n.op == ">=":
			return is(order >= 0)
		}
	}
	return never, n.faultf("`%s` compares what cannot be compared", n.written())
}

func filterText(m *node, s string, pattern bool) (truth, *fault) {
	holds := m.text == s
	if m.kind == regexpNode || pattern {
		re := m.text
		if m.kind != regexpNode {
			re = "(?s)^" + wildcards(m.text, ".*") + "$"
		}
		compiled, err := regexp.Compile(re)
		if err != nil {
			return never, m.faultf("%v", err)
		}
		holds = compiled.MatchString(s)
	}
	if holds {
		return always, nil
	}
	return never, nil
}
