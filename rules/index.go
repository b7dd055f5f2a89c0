package rules

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// index finds, for an event, the few rules of a set that may match it, and evaluates those. Each rule is
// registered under texts one of which it cannot hold without (see access.go); an event's texts are looked up
// once, whatever the number of rules. Rules are filed by event name first, with what they say of it worked out.
//
// It gives what the reference, Set.matchRule for each rule, gives; a differential test holds it. It is constant
// after Compile and shared; what changes while matching stands in the Result.
type index struct {
	conditions []*condition
	regexes    int
	sources    int
	entries    int // of all buckets
	buckets    map[string]*bucket
	first      []*bucket // some of them: comparing a few names is faster than a look into the map
	other      *bucket   // for event names that no rule names
	why        []string  // of each rule that is always evaluated: why; "" for the others
}

// bucket is what an event of one name can match.
type bucket struct {
	name  string       // folded
	rules []bucketRule // ascending
	code  []instruction
	// always are the rules without anything to look up, as indexes into rules.
	always  []int32
	sources []sourceIndex
	entries []entry
	base    int32 // of its entries among those of all buckets
}

// bucketRule is a rule of a bucket, with where its code begins.
type bucketRule struct {
	rule       int32
	condition  int32
	exceptions []int32 // parallel to those of the rule
	// safe are the tiers of the rule, see safeTiers, and ancestral whether that depends on the ancestors.
	safe      uint32
	ancestral bool
}

// instruction tests a condition and goes on accordingly. Code is straight: not needs no instruction, and and
// and or go where they are decided.
type instruction struct {
	condition int32
	// known says that the index finds the condition when it holds: if it was not found, it does not hold.
	known       bool
	then, other int32 // the next instruction, or one of those below
}

const (
	codeHolds = -1
	codeFails = -2
)

// entry is a text that is looked up: what holds when it is found, and which rules then may.
type entry struct {
	text       string
	conditions []int32
	rules      []int32 // indexes into bucket.rules
}

// sourceIndex is what is looked up in one text of an event. The values are entries.
type sourceIndex struct {
	source *textSource
	equals map[string]int32
	// lengths are the lengths of texts in equals, modulo 64: most texts need no lookup.
	lengths uint64
	// last is by what follows the last backslash of a text that the source ends with, which holds one; lasts are
	// the lengths of those.
	last  map[string][]int32
	lasts uint64
	// ends are the other texts of ends that the source ends with.
	ends  []*affixes
	finds *finder
}

// newIndex builds the index of a set whose rules are in order and filed by name.
func newIndex(s *Set, p *plan) *index {
	x := &index{buckets: map[string]*bucket{}, why: make([]string, len(s.compiled))}
	formulas := make([]ruleFormula, len(s.compiled))
	for i := range s.compiled {
		c := &s.compiled[i]
		f := &formulas[i]
		f.condition = p.formula(c.code.cond)
		terms := []*term{c.code.cond.term}
		for _, e := range c.exceptions {
			f.exceptions = append(f.exceptions, p.formula(e.cond))
			terms = append(terms, e.cond.term)
		}
		f.safe, f.ancestral = safeTiers(terms), readsAncestors(terms)
	}
	b := newIndexer(p)
	b.index, b.formulas = x, formulas
	names := make([]string, 0, len(s.byName))
	for n := range s.byName {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		x.buckets[n] = b.bucket(s.byName[n], n, true)
	}
	for _, n := range names[:min(len(names), fewNames)] {
		x.first = append(x.first, x.buckets[n])
	}
	x.other = b.bucket(s.every, "", false)
	x.conditions = p.conditions
	x.regexes, x.sources = int(p.regexes), len(p.sources)
	return x
}

// fewNames are all that an agent sends.
const fewNames = 16

// of is the bucket of the event that v is pointed at.
func (x *index) of(v *view) *bucket {
	name := nameField.text(v.event)
	for _, b := range x.first {
		if b.name == name {
			return b
		}
	}
	if b := x.buckets[v.foldedText(nameField)]; b != nil {
		return b
	}
	return x.other
}

type ruleFormula struct {
	condition  *formula
	exceptions []*formula
	safe       uint32 // see bucketRule
	ancestral  bool
}

// indexer builds the buckets. Used by one goroutine.
type indexer struct {
	plan     *plan
	index    *index
	access   *accessor
	formulas []ruleFormula
}

func newIndexer(p *plan) *indexer {
	return &indexer{plan: p, access: &accessor{plan: p, odds: map[lookup]float64{}}}
}

// unindexed says why a rule that is for events of those names, or of all, is evaluated for every one of a name, and
// what that may take, in nanoseconds, by the guesses that conditions are ordered by; "" when it never is.
func (b *indexer) unindexed(c *Cond, names []string) (why string, cost float64) {
	f := b.plan.formula(c)
	if len(names) == 0 {
		return b.reason(f), b.cost(f)
	}
	for _, n := range names {
		f := b.named(f, fold(n))
		if why := b.reason(f); why != "" {
			return why, b.cost(f)
		}
	}
	return "", 0
}

// cost is what evaluating all of f may take; making it a candidate takes a little as well.
func (b *indexer) cost(f *formula) float64 {
	return 5 + (&coder{plan: b.plan}).cost(f)
}

func (b *indexer) reason(f *formula) string {
	d := b.access.access(f)
	if d.ok() {
		return ""
	}
	return cmp.Or(d.why, "nothing to look up")
}

// bucket files rules, for events of a name or, if not named, for those of names that no rule names.
func (b *indexer) bucket(rules []int, name string, named bool) *bucket {
	out := &bucket{name: name, base: int32(b.index.entries)}
	at := map[lookup]int32{}
	var formulas []ruleFormula // parallel to out.rules
	var accesses []access      // likewise
	for _, i := range rules {
		f := b.formulas[i]
		if named {
			f = b.specialise(f, name)
		}
		if f.condition == never {
			continue
		}
		formulas = append(formulas, f)
		accesses = append(accesses, b.access.access(f.condition))
		out.rules = append(out.rules, bucketRule{rule: int32(i), safe: f.safe, ancestral: f.ancestral})
	}
	b.access.gather(formulas, accesses)
	for i, d := range accesses {
		n := int32(i)
		if !d.ok() {
			out.always = append(out.always, n)
			b.index.why[out.rules[n].rule] = cmp.Or(d.why, "nothing to look up")
		}
		for _, l := range d.lookups {
			e, ok := at[l]
			if !ok {
				e = int32(len(out.entries))
				at[l] = e
				out.entries = append(out.entries, entry{text: l.text})
			}
			if rules := out.entries[e].rules; len(rules) == 0 || rules[len(rules)-1] != n {
				out.entries[e].rules = append(rules, n)
			}
		}
	}
	b.index.entries += len(out.entries)
	known := b.known(out, at, formulas)
	for n, f := range formulas {
		r := &out.rules[n]
		g := coder{plan: b.plan, known: known, code: out.code}
		r.condition = g.generate(f.condition, codeHolds, codeFails)
		for _, e := range f.exceptions {
			r.exceptions = append(r.exceptions, g.generate(e, codeHolds, codeFails))
		}
		out.code = g.code
	}
	out.sources = newSources(at)
	return out
}

// used are the conditions of formulas, ascending.
func used(formulas []ruleFormula) []int32 {
	all := map[int32]bool{}
	for _, f := range formulas {
		f.condition.conditions(all)
		for _, e := range f.exceptions {
			e.conditions(all)
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// known are the conditions all whose texts are looked up: they hold if and only if one is found, so the entries
// are told.
func (b *indexer) known(out *bucket, at map[lookup]int32, formulas []ruleFormula) map[int32]bool {
	known := map[int32]bool{}
	for _, id := range used(formulas) {
		c := b.plan.conditions[id]
		if c.kind != testTexts || c.source.form == formWritten || c.source.every {
			continue
		}
		all := true
		for _, t := range c.texts {
			if _, all = at[lookup{c.source, c.op, t}]; !all {
				break
			}
		}
		if !all {
			continue
		}
		known[id] = true
		for _, t := range c.texts {
			e := &out.entries[at[lookup{c.source, c.op, t}]]
			e.conditions = append(e.conditions, id)
		}
	}
	return known
}

// specialise works out what f says of the event's name.
func (b *indexer) specialise(f ruleFormula, name string) ruleFormula {
	out := f
	out.condition, out.exceptions = b.named(f.condition, name), nil
	for _, e := range f.exceptions {
		out.exceptions = append(out.exceptions, b.named(e, name))
	}
	return out
}

func (b *indexer) named(f *formula, name string) *formula {
	switch f.op {
	case condLeaf:
		if c := b.plan.conditions[f.cond]; c.kind == testTexts && c.source.field == nameField && c.source.form == formFolded {
			return constantFormula(c.stands(name))
		}
		return f
	case condNot:
		if a := b.named(f.args[0], name); a != f.args[0] {
			return a.not()
		}
		return f
	case condAnd, condOr:
		var args []*formula
		for i, a := range f.args {
			n := b.named(a, name)
			if n != a && args == nil {
				args = slices.Clone(f.args[:i])
			}
			if args != nil || n != a {
				args = append(args, n)
			}
		}
		if args == nil {
			return f
		}
		return b.plan.junction(f.op, args)
	}
	return f
}

// newSources sorts lookups by where and how they look.
func newSources(at map[lookup]int32) []sourceIndex {
	all := make([]lookup, 0, len(at))
	for l := range at {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b lookup) int {
		return cmp.Or(strings.Compare(a.source.name, b.source.name), int(a.op)-int(b.op), strings.Compare(a.text, b.text))
	})
	var out []sourceIndex
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].source == all[0].source {
			n++
		}
		x := sourceIndex{source: all[0].source}
		var find, ends []gramText
		for _, l := range all[:n] {
			e := at[l]
			slash := strings.LastIndexByte(l.text, '\\')
			switch {
			case l.op == opEquals:
				if x.equals == nil {
					x.equals = map[string]int32{}
				}
				x.equals[l.text] = e
				x.lengths |= 1 << (len(l.text) % 64)
			case l.op == opEnds && slash >= 0:
				if x.last == nil {
					x.last = map[string][]int32{}
				}
				x.last[l.text[slash+1:]] = append(x.last[l.text[slash+1:]], e)
				x.lasts |= 1 << ((len(l.text) - slash) % 64)
			case l.op == opEnds && len(l.text) >= shortEnd:
				ends = append(ends, gramText{text: l.text, id: e})
			default:
				find = append(find, gramText{text: l.text, op: l.op, id: e})
			}
		}
		x.ends, x.finds = newEnds(ends), newFinder(find)
		out = append(out, x)
		all = all[n:]
	}
	return out
}

// coder writes code.
type coder struct {
	plan  *plan
	known map[int32]bool
	code  []instruction
}

// generate writes code for f that goes on at then when f holds and at other when not, and returns where it
// begins.
func (g *coder) generate(f *formula, then, other int32) int32 {
	switch f.op {
	case condConst:
		if f.value {
			return then
		}
		return other
	case condNot:
		return g.generate(f.args[0], other, then)
	case condAnd, condOr:
		args := slices.Clone(f.args)
		slices.SortStableFunc(args, func(a, b *formula) int { return cmp.Compare(g.cost(a), g.cost(b)) })
		// The last part is written first, so that each knows where the next begins.
		at := then
		if f.op == condOr {
			at = other
		}
		for _, a := range slices.Backward(args) {
			if f.op == condAnd {
				at = g.generate(a, at, other)
			} else {
				at = g.generate(a, then, at)
			}
		}
		return at
	}
	g.code = append(g.code, instruction{condition: f.cond, known: g.known[f.cond], then: then, other: other})
	return int32(len(g.code) - 1)
}

// cost is what it may cost to evaluate f.
func (g *coder) cost(f *formula) float64 {
	if f.op == condLeaf {
		if g.known[f.cond] {
			return 1
		}
		return g.plan.conditions[f.cond].cost
	}
	cost := 0.0
	for _, a := range f.args {
		cost += g.cost(a)
	}
	return cost
}
