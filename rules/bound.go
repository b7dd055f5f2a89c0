package rules

import (
	"math"

	"spoor/pipeline/event"
)

// The reference counts the work of a rule and cuts it off at ruleBudget. What evaluates many rules at once
// shares conditions and skips most, so it cannot count the same; instead it knows, for each rule, up to which
// size of event the reference would certainly come to an end: the budget decides nothing there, and counting is
// not needed. A rule that may be cut off on a larger event is evaluated there by the reference itself. So the
// verdicts are equal, and for what is looked at at all the budget's counts are too.

// Sizes of events, in tiers: the longest text, and the number of ancestors.
var (
	textTiers     = [...]int{256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 1 << 20}
	ancestorTiers = [...]int{8, 24, 64}
)

// tooLarge is the tier of an event above all others.
const tooLarge = 31

// tier is the tier of the event that v is pointed at, without its ancestors: that of rules that do not read them,
// which need not wait for the memory where those are.
func (v *view) tier() int { return tierOf(longestText(v.event), 0) }

// tierWithAncestors is the tier of the event, with them.
func (v *view) tierWithAncestors() int {
	longest := longestText(v.event)
	for _, a := range v.ancestors {
		longest = max(longest, longestOfProcess(a.p))
	}
	return tierOf(longest, len(v.ancestors))
}

func tierOf(longest, ancestors int) int {
	for i, n := range textTiers {
		if longest+registryGrowth > n {
			continue
		}
		for j, k := range ancestorTiers {
			if ancestors <= k {
				return i*len(ancestorTiers) + j
			}
		}
	}
	return tooLarge
}

// registryGrowth is how much longer the canonical form of a registry path can be.
const registryGrowth = 64

// longestText is the length of the longest text of e that a rule can read, but for its ancestors.
func longestText(e *event.Event) int {
	n := max(len(e.Meta.Host), len(e.Meta.Name))
	if x := e.Agent; x != nil {
		n = max(n, len(x.Version), len(x.OS), len(x.Arch), len(x.Origin))
	}
	if x := e.Evt; x != nil {
		n = max(n, len(x.Name), len(x.Category), len(x.Outcome))
	}
	if x := e.File; x != nil {
		n = max(n, len(x.Path), len(x.DevicePath), len(x.Name))
		if d := x.Destination; d != nil {
			n = max(n, len(d.Path), len(d.DevicePath), len(d.Name))
		}
	}
	if x := e.Exit; x != nil {
		n = max(n, len(x.Cause))
	}
	if x := e.Process; x != nil {
		n = max(n, longestOfProcess(&x.Process))
		if x.Parent != nil {
			n = max(n, longestOfProcess(x.Parent))
		}
	}
	if x := e.Container; x != nil {
		n = max(n, len(x.ID))
	}
	if x := e.Registry; x != nil {
		n = max(n, len(x.KeyName), len(x.KeyPath)+1+len(x.ValueName))
	}
	if x := e.Usr; x != nil {
		n = max(n, len(x.Name), len(x.SID))
	}
	if x := e.PermissionChange; x != nil {
		n = max(n, len(x.Username), len(x.UserDomain), len(x.Path), len(x.Type), len(x.OldSD), len(x.NewSD))
	}
	return n
}

func longestOfProcess(p *event.Process) int {
	n := max(len(p.Cmdline), len(p.User))
	if x := p.Executable; x != nil {
		n = max(n, len(x.Path), len(x.DevicePath), len(x.Name))
	}
	if x := p.Container; x != nil {
		n = max(n, len(x.ID))
	}
	return n
}

// readsAncestors says that terms read the ancestors: all that is read of one is read of the list of them.
func readsAncestors(terms []*term) bool {
	found := false
	for _, t := range terms {
		t.walk(func(t *term) { found = found || isAncestors(t) })
	}
	return found
}

// bounder bounds the work of terms on events of a size. Larger events never have a smaller bound.
type bounder struct {
	text, ancestors float64
}

// extent is a bound of what a term costs, of the length of its text or of those in its list, and of how many
// elements its list has.
type extent struct{ work, length, items float64 }

// safeTiers are the tiers, as bits, in which the reference ends within the budget for all of terms together. The
// more ancestors an event has, the shorter its texts must be, so one walk down the edge finds them all.
func safeTiers(terms []*term) uint32 {
	var safe uint32
	texts := len(textTiers)
	for j, ancestors := range ancestorTiers {
		for texts > 0 && !endsInBudget(terms, textTiers[texts-1], ancestors) {
			texts--
		}
		for i := range texts {
			safe |= 1 << (i*len(ancestorTiers) + j)
		}
	}
	return safe
}

// endsInBudget says that the reference ends for all of terms together, on events whose texts and ancestors are no
// longer.
func endsInBudget(terms []*term, text, ancestors int) bool {
	b := bounder{float64(text), float64(ancestors)}
	work := 8.0
	for _, t := range terms {
		work += b.of(t, extent{}).work
	}
	return work < ruleBudget
}

// of bounds t, elem being the list that the elements of the closure around it come from.
func (b *bounder) of(t *term, elem extent) extent {
	switch t.op {
	case opConst:
		var e extent
		if list, ok := t.konst.([]any); ok {
			e.items = float64(len(list))
		}
		for _, s := range texts(t.konst) {
			e.length = max(e.length, float64(len(s)))
		}
		return e
	case opVariable: // it may hold anything
		return extent{work: math.Inf(1)}
	case opElem:
		return extent{work: 2 + elem.length/textUnit, length: elem.length}
	case opClosure:
		list := b.of(t.args[0], elem)
		if len(t.args) == 1 {
			return list
		}
		body := b.of(t.args[1], list)
		out := extent{work: 1 + list.work + list.items*(2+body.work), length: list.length, items: list.items}
		if t.name == "map" {
			out.length = body.length
		}
		return out
	}
	out := extent{work: 1}
	sum := 0.0 // of the lengths
	for _, a := range t.args {
		e := b.of(a, elem)
		out.work += e.work
		out.length = max(out.length, e.length)
		out.items = max(out.items, e.items)
		sum += e.length
	}
	switch t.op {
	case opField:
		switch t.typ.kind {
		case kindText:
			out.work += b.text / textUnit
			out.length = b.text
		case kindList:
			out.items = b.ancestors
			out.length = b.text
		}
	case opArith:
		if t.typ.kind == kindText {
			out.work += sum / copyUnit
			out.length = sum
		}
	case opList:
		out.items = float64(len(t.args))
	case opCompare:
		switch t.name {
		case "matches":
			out.work += out.length * float64(t.regex.perByte) / regexUnit
		case "in":
			if t.args[1].op != opConst || t.args[0].typ.kind != kindText {
				out.work += out.items * (1 + out.length/textUnit)
			}
		}
	case opCall:
		switch t.name {
		case "glob", "like":
			n, rest := 0.0, 0.0
			for _, p := range texts(t.args[1].konst) {
				n += 2 // a registry path may be compared twice
				if t.name == "like" && len(p) > 64 {
					rest = max(rest, float64(len(p)))
				}
			}
			out.work += n * (1 + out.length/patternUnit + out.length*rest/copyUnit)
		case "lower", "upper":
			out.work += out.length / copyUnit
			out.length *= 3
		case "string":
			out.length = max(out.length, 400) // of a float at most
		case "len":
			out.work += out.length / copyUnit
		}
	}
	// Reading an element of a list costs its length too.
	out.work += out.length / textUnit
	return out
}
