package rules

// A formula is what is evaluated of a rule: and, or, not over conditions, which are interned: equal ones are one
// condition of the set, evaluated at most once for an event. It says what the rule's Cond says, written so that
// it is found and evaluated fast: texts compared with a field alike are one condition, and a regex or pattern
// stands behind a text that it demands. Operands may change places, because none can fail. Constant.
type formula struct {
	op    condOp
	value bool
	args  []*formula
	cond  int32 // of condLeaf: index into plan.conditions
	// open is a comparison of texts, of condLeaf, that is no condition yet: those it stands beside may join it, and
	// the parts would be in the set for nothing. Only while the formula is built.
	open *textTest
}

// textTest says that a source is, begins with, ends with or contains one of texts, which are sorted.
type textTest struct {
	source *textSource
	op     textOp
	texts  []string
}

var (
	always = &formula{op: condConst, value: true}
	never  = &formula{op: condConst}
)

func constantFormula(v bool) *formula {
	if v {
		return always
	}
	return never
}

func (f *formula) not() *formula {
	switch f.op {
	case condConst:
		return constantFormula(!f.value)
	case condNot:
		return f.args[0]
	}
	return &formula{op: condNot, args: []*formula{f}}
}

// conditions adds the conditions of f to all.
func (f *formula) conditions(all map[int32]bool) {
	if f.op == condLeaf {
		all[f.cond] = true
	}
	for _, a := range f.args {
		a.conditions(all)
	}
}

// plan is the conditions of a set, while it is compiled. Used by one goroutine.
type plan struct {
	conditions []*condition
	byKey      map[string]int32
	formulas   map[*Cond]*formula // those that were asked for: lint does, and then the index
	sources    map[sourceKey]*textSource
	regexes    int32
	// element says that what is built stands inside of a closure over the ancestors and reads one of them: it
	// is not evaluated, it only says what to look for.
	element bool
	key     []byte // scratch
}

func newPlan() *plan {
	return &plan{byKey: map[string]int32{}, formulas: map[*Cond]*formula{}, sources: map[sourceKey]*textSource{}}
}

// intern returns the leaf of a condition, the same for equal keys.
func (p *plan) intern(key string, build func() *condition) *formula {
	id, ok := p.byKey[key]
	if !ok {
		id = p.add(key, build())
	}
	return &formula{op: condLeaf, cond: id}
}

func (p *plan) add(key string, c *condition) int32 {
	c.key = key
	id := int32(len(p.conditions))
	p.conditions = append(p.conditions, c)
	p.byKey[key] = id
	return id
}

// formula is the formula of c.
func (p *plan) formula(c *Cond) *formula {
	f, ok := p.formulas[c]
	if !ok {
		f = p.closed(p.build(c))
		p.formulas[c] = f
	}
	return f
}

func (p *plan) build(c *Cond) *formula {
	switch c.op {
	case condConst:
		return constantFormula(c.value)
	case condLeaf:
		return p.leaf(c.leaf)
	case condNot:
		return p.build(c.args[0]).not()
	}
	args := make([]*formula, len(c.args))
	for i, a := range c.args {
		args[i] = p.build(a)
	}
	return p.join(c.op, args)
}

func (p *plan) and(args ...*formula) *formula { return p.join(condAnd, args) }
func (p *plan) or(args ...*formula) *formula  { return p.join(condOr, args) }

// junction is the and, or the or, of args, closed.
func (p *plan) junction(op condOp, args []*formula) *formula { return p.closed(p.join(op, args)) }

// join is the and, or the or, of args: flat, without constants, and with texts that are compared with a field
// alike made one condition.
func (p *plan) join(op condOp, args []*formula) *formula {
	flat := make([]*formula, 0, len(args))
	for _, a := range args {
		switch {
		case a.op == condConst && a.value == (op == condOr):
			return a
		case a.op == condConst:
		case a.op == op:
			flat = append(flat, a.args...)
		default:
			flat = append(flat, a)
		}
	}
	flat = p.gather(op, flat)
	switch len(flat) {
	case 0:
		return constantFormula(op == condAnd)
	case 1:
		return flat[0]
	}
	for i, a := range flat {
		flat[i] = p.closed(a)
	}
	return &formula{op: op, args: flat}
}

// gather makes one condition of those that hold a text source against constants alike: of or, those that stand
// as they are; of and, those that are negated, since not a and not b is not (a or b).
func (p *plan) gather(op condOp, args []*formula) []*formula {
	of := func(a *formula) (textTest, bool) {
		if op == condAnd {
			if a.op != condNot {
				return textTest{}, false
			}
			a = a.args[0]
		}
		return p.textTest(a)
	}
	type like struct {
		source *textSource
		op     textOp
	}
	var groups map[like][]int
	for i, a := range args {
		if t, ok := of(a); ok {
			if groups == nil {
				groups = map[like][]int{}
			}
			k := like{t.source, t.op}
			groups[k] = append(groups[k], i)
		}
	}
	out := args[:0:0]
	for i, a := range args {
		t, ok := of(a)
		members := groups[like{t.source, t.op}]
		switch {
		case !ok || len(members) == 1:
			out = append(out, a)
		case members[0] == i: // else it is in the first one's
			var texts []string
			for _, m := range members {
				t, _ := of(args[m])
				texts = append(texts, t.texts...)
			}
			f := p.texts(t.source, t.op, texts)
			if op == condAnd {
				f = f.not()
			}
			out = append(out, f)
		}
	}
	return out
}

// textTest is the comparison of texts that f is, if it is one.
func (p *plan) textTest(f *formula) (textTest, bool) {
	if f.open != nil {
		return *f.open, true
	}
	if f.op != condLeaf {
		return textTest{}, false
	}
	c := p.conditions[f.cond]
	return textTest{c.source, c.op, c.texts}, c.kind == testTexts
}

// closed is f with its comparison of texts as a condition of the set. The arguments of and and or are closed.
func (p *plan) closed(f *formula) *formula {
	switch {
	case f.op == condNot && f.args[0].open != nil:
		return p.closed(f.args[0]).not()
	case f.open == nil:
		return f
	}
	t := f.open
	p.key = t.appendKey(p.key[:0])
	id, ok := p.byKey[string(p.key)]
	if !ok {
		id = p.add(string(p.key), newTexts(t.source, t.op, t.texts))
	}
	return &formula{op: condLeaf, cond: id}
}
