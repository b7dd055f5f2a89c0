package sigma

import (
	"slices"
	"strings"

	"spoor/rules/policy"
)

// node is a condition of Sigma as a tree. Nodes are immutable.
type node struct {
	op    nodeOp
	args  []*node // of not, and, or
	item  *item   // of a leaf
	value bool    // of a constant
	name  string  // of the search identifier, or the "1 of ...", that the node stands for
}

type nodeOp int

const (
	constNode nodeOp = iota
	itemNode
	notNode
	andNode
	orNode
)

// item is one condition on one field: what a line `Field|modifier: values` says.
type item struct {
	kind      itemKind
	field     string // as in the rule, with its modifiers
	selection string
	at        policy.Span
	// cond and reads are of a fieldItem: the condition, and the fields of ours that it reads.
	cond  policy.Condition
	reads []string
	// onEmpty is what the condition says of empty fields.
	onEmpty truth
	// asksEmpty says that the condition is about the field being empty or not.
	asksEmpty bool
	// weight is about how many nodes of an expression the condition takes.
	weight int
	// byLength says that a regular expression became a length.
	byLength bool
	// missing is the field that events do not carry, when it is not the item's own.
	missing string
	// events are those for which an eventItem holds; unmapped are values that mean none of the schema.
	events   map[string]bool
	unmapped []string
}

type itemKind int

const (
	fieldItem   itemKind = iota
	missingItem          // on a field that events do not carry
	eventItem            // on EventID or EventType: the event's name decides it
)

// truth is what is known of a condition.
type truth uint8

const (
	open truth = iota
	yes
	no
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func constant(b bool) *node { return &node{op: constNode, value: b} }

func leaf(it *item) *node { return &node{op: itemNode, item: it} }

func negation(n *node) *node {
	switch n.op {
	case constNode:
		return constant(!n.value)
	case notNode:
		return n.args[0]
	}
	return &node{op: notNode, args: []*node{n}}
}

func all(args ...*node) *node    { return join(andNode, args) }
func either(args ...*node) *node { return join(orNode, args) }

// join joins args, without those that are constant.
func join(op nodeOp, args []*node) *node {
	decides := op == orNode
	var kept []*node
	for _, a := range args {
		if a.op == constNode {
			if a.value == decides {
				return a
			}
			continue
		}
		kept = append(kept, a)
	}
	switch len(kept) {
	case 0:
		return constant(!decides)
	case 1:
		return kept[0]
	}
	return &node{op: op, args: kept}
}

// assign gives an item a value, or leaves it: decided is false. negated says that the item stands under an
// odd number of negations.
type assign func(it *item, negated bool) (value, decided bool)

// resolve puts the values that f gives into n and simplifies.
func (n *node) resolve(f assign) *node { return n.resolved(f, false) }

func (n *node) resolved(f assign, negated bool) *node {
	var out *node
	switch n.op {
	case itemNode:
		if v, decided := f(n.item, negated); decided {
			return constant(v)
		}
		return n
	case notNode:
		out = negation(n.args[0].resolved(f, !negated))
	case andNode, orNode:
		args := make([]*node, len(n.args))
		for i, a := range n.args {
			args[i] = a.resolved(f, negated)
		}
		out = join(n.op, args)
	default:
		return n
	}
	if out.op != constNode && n.name != "" && out.name == "" {
		named := *out
		named.name = n.name
		out = &named
	}
	return out
}

// items lists the items below n with how they stand, in order.
func (n *node) items(visit func(it *item, negated bool)) { n.eachItem(visit, false) }

func (n *node) eachItem(visit func(it *item, negated bool), negated bool) {
	if n.op == itemNode {
		visit(n.item, negated)
	}
	for _, a := range n.args {
		a.eachItem(visit, negated != (n.op == notNode))
	}
}

// truth evaluates n where some items are known.
func (n *node) truth(of func(*item) truth) truth {
	switch n.op {
	case constNode:
		return truthOf(n.value)
	case itemNode:
		return of(n.item)
	case notNode:
		switch n.args[0].truth(of) {
		case yes:
			return no
		case no:
			return yes
		}
		return open
	}
	decides := truthOf(n.op == orNode)
	every := true
	for _, a := range n.args {
		switch a.truth(of) {
		case decides:
			return decides
		case open:
			every = false
		}
	}
	if every {
		return truthOf(n.op == andNode)
	}
	return open
}

// The truth table of a condition is tried when it has few items, and does not name them too often.
const (
	maxTable     = 10
	maxTableSize = 500
)

// possible says that n can hold. A condition that is too large to try is taken to.
func (n *node) possible() bool {
	if n.op == constNode {
		return n.value
	}
	index := map[*item]int{}
	size := 0
	n.items(func(it *item, _ bool) {
		size++
		if _, known := index[it]; !known {
			index[it] = len(index)
		}
	})
	if len(index) > maxTable || size > maxTableSize {
		return true
	}
	for row := range 1 << len(index) {
		if n.truth(func(it *item) truth { return truthOf(row>>index[it]&1 != 0) }) == yes {
			return true
		}
	}
	return false
}

// condition writes n as a condition of the language. n has no missing items and is not constant.
func (n *node) condition() policy.Condition {
	switch n.op {
	case itemNode:
		if n.item.kind == eventItem {
			return eventCondition(n.item.names())
		}
		return n.item.cond
	case notNode:
		return policy.Not(n.args[0].condition())
	}
	args := make([]policy.Condition, len(n.args))
	for i, a := range n.args {
		args[i] = a.condition()
	}
	if n.op == andNode {
		return policy.And(args...)
	}
	return policy.Or(args...)
}

func (it *item) names() []string {
	var out []string
	for name, holds := range it.events {
		if holds {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// eventCondition holds for events of the given names.
func eventCondition(names []string) policy.Condition {
	if len(names) == 1 {
		return policy.Compare("evt.name", "==", policy.Quote(names[0]))
	}
	return policy.InList("evt.name", policy.QuoteAll(names))
}

// describe names an item for the report.
func (it *item) describe() string {
	return it.at.String() + ": " + it.field + " in " + it.selection
}

// weight is about how many nodes of an expression n takes.
func (n *node) weight() int {
	out := 0
	n.items(func(it *item, _ bool) { out += it.weight + 1 })
	return out
}

// conjuncts are the parts that n demands all of.
func (n *node) conjuncts() []*node {
	if n.op != andNode {
		return []*node{n}
	}
	var out []*node
	for _, a := range n.args {
		out = append(out, a.conjuncts()...)
	}
	return out
}

// fieldName is the field that an item is about, without modifiers.
func (it *item) fieldName() string {
	if it.missing != "" {
		return it.missing
	}
	name, _, _ := strings.Cut(it.field, "|")
	return name
}
