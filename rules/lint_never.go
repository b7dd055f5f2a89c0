package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"spoor/rules/policy"
)

// A condition can never hold when what it claims contradicts itself. To find out, what must hold together
// is gathered: each `and` adds to it, each `or` must have a branch that can join it. Two claims contradict
// each other when they are about the same text or number and no value serves both. Claims it does not
// understand are taken to be fulfilled, so a contradiction found is one; not every one is found.

// The work of lint on generated rules is bounded: so many claims on one subject are compared with each
// other, and so many values are tried on a regex.
const (
	maxCompared = 200
	maxMatched  = 8
)

// claim is a term that must hold, or must not.
type claim struct {
	*term
	not bool
	// negation is the negation that the term stands directly under, when it must not hold for that reason.
	negation *term
}

// conflict is why claims cannot be met: one alone, two together, or, with rest, one that has several ways
// to be met and none beside the others.
type conflict struct {
	a, b *claim
	rest bool
	// said is set when there is a warning about it anyway.
	said bool
}

// claims is what must hold together. It is used as a stack: a branch of an or is tried and taken back.
type claims struct {
	l        *linter
	subjects map[string]*subject
	trail    []restore
}

type restore struct {
	key    string
	before *subject
}

// subject is what is claimed of one subject. Immutable.
type subject struct {
	// of are the values that are left, when few is set.
	of  []any
	few bool
	all []fact
}

type fact struct {
	claim
	*constantTest
	plain bool // a comparison; else a bool, and constantTest is zero
}

// neverMatches reports a rule that cannot match, and exceptions that cannot hold when it does.
func (l *linter) neverMatches(r *lintRule) bool {
	base := newClaims(l)
	if c := base.meet([]claim{{term: r.condition}}, true); c != nil {
		l.reportConflict(c, codeNeverMatches, fmt.Sprintf("rule `%s` can never match", r.rule.ID.Value))
		return true
	}
	for _, x := range r.exceptions {
		about := fmt.Sprintf("exception `%s` can never hold", x.exception.Name.Value)
		if c := newClaims(l).meet([]claim{{term: x.condition}}, false); c != nil {
			l.reportConflict(c, codeExceptionNever, about)
		} else if c := base.meet([]claim{{term: x.condition}}, false); c != nil {
			l.reportConflict(c, codeExceptionNever, about+" when its rule does")
		}
	}
	return false
}

func (l *linter) reportConflict(c *conflict, code, about string) {
	if c.said {
		return
	}
	if c.rest {
		why := "no branch of `%s` can hold beside the other conditions"
		if c.a.not {
			why = "`%s` always holds beside the other conditions"
		}
		l.warnOf(c.a.term, code, fmt.Sprintf("%s: "+why, about, l.text(c.a.term)), "")
		return
	}
	if c.b == nil {
		l.warnOf(c.a.place(), code, fmt.Sprintf("%s: `%s` %s", about, l.text(c.a.place()), c.a.says("never holds", "always holds")), "")
		return
	}
	at, other := c.b.place(), c.a.place()
	l.warnOf(at, code, fmt.Sprintf("%s: `%s` %s where `%s` %s", about, l.text(at), c.b.says("never holds", "always holds"),
		l.text(other), c.a.says("holds", "does not hold")), "",
		policy.Note{Span: l.span(other), Message: "the other condition"})
}

// place is the term to show: x != y rather than the x == y that must not hold.
func (d *claim) place() *term {
	if d.negation != nil {
		return d.negation
	}
	return d.term
}

// says is what is said of the term shown: yes, or no when it is one that must not hold.
func (d *claim) says(yes, no string) string {
	if d.not && d.negation == nil {
		return no
	}
	return yes
}

func newClaims(l *linter) *claims { return &claims{l: l, subjects: map[string]*subject{}} }

// meet adds ds and says why they cannot be met, nil when they can as far as it sees. What was added stays
// only when keep is set.
func (f *claims) meet(ds []claim, keep bool) *conflict {
	mark := len(f.trail)
	var choices []claim
	for len(ds) > 0 {
		d := ds[0]
		ds = ds[1:]
		switch d.op {
		case opNot:
			negated := claim{term: d.args[0], not: !d.not}
			if negated.not {
				negated.negation = d.term
			}
			ds = append(ds, negated)
		case opAnd, opOr:
			if (d.op == opAnd) == d.not {
				choices = append(choices, d)
				continue
			}
			for _, a := range d.args {
				ds = append(ds, claim{term: a, not: d.not})
			}
		case opCond:
			choices = append(choices, d)
		default:
			if c := f.add(d); c != nil {
				f.back(mark)
				return c
			}
		}
	}
	for i := range choices {
		d := &choices[i]
		var only *conflict
		open := false
		branches := branchesOf(*d)
		for _, branch := range branches {
			if only = f.meet(branch, false); only == nil {
				open = true
				break
			}
		}
		if !open {
			f.back(mark)
			if len(branches) == 1 {
				return only
			}
			return &conflict{a: d, rest: true}
		}
	}
	if !keep {
		f.back(mark)
	}
	return nil
}

// branchesOf lists what meets a claim that can be met in several ways.
func branchesOf(d claim) [][]claim {
	if d.op == opCond {
		return [][]claim{
			{{term: d.args[0]}, {term: d.args[1], not: d.not}},
			{{term: d.args[0], not: true}, {term: d.args[2], not: d.not}},
		}
	}
	out := make([][]claim, len(d.args))
	for i, a := range d.args {
		out[i] = []claim{{term: a, not: d.not}}
	}
	return out
}

func (f *claims) back(mark int) {
	for i := len(f.trail) - 1; i >= mark; i-- {
		if u := f.trail[i]; u.before == nil {
			delete(f.subjects, u.key)
		} else {
			f.subjects[u.key] = u.before
		}
	}
	f.trail = f.trail[:mark]
}

// add adds a claim that is no and, or, not.
func (f *claims) add(d claim) *conflict {
	if v, ok := d.konst.(bool); ok && d.op == opConst {
		if v == d.not {
			return &conflict{a: &d}
		}
		return nil
	}
	if d.op == opClosure && d.name == "any" && !d.not && len(d.args) == 2 {
		if c := newClaims(f.l).meet([]claim{{term: d.args[1]}}, false); c != nil {
			return &conflict{a: &d, said: c.said}
		}
	}
	c := f.l.constantTest(d.term)
	k := fact{claim: d, constantTest: cmp.Or(c, &constantTest{}), plain: c != nil}
	var key string
	if c != nil {
		if !d.not && f.l.impossibleWhy(*c) != "" {
			return &conflict{a: &d, said: true}
		}
		key = fmt.Sprint(c.subject.key(), c.exact)
	} else {
		key = d.key()
	}
	before := f.subjects[key]
	after, against := before.with(k)
	if against != nil {
		return &conflict{a: &against.claim, b: &d}
	}
	f.trail = append(f.trail, restore{key, before})
	f.subjects[key] = after
	return nil
}

// with adds a claim about the same subject, or gives an earlier one that contradicts it.
func (k *subject) with(n fact) (after *subject, against *fact) {
	after = &subject{}
	if k != nil {
		*after = *k
	}
	if len(after.all) >= maxCompared {
		return after, nil
	}
	for i := range after.all {
		if contradict(&after.all[i], &n) {
			return nil, &after.all[i]
		}
	}
	if n.plain {
		var fewer []any
		switch {
		case n.equality() && !n.not && !after.few:
			values, ok := n.candidates()
			if !ok {
				break
			}
			after.few = true
			for _, v := range values {
				if !slices.ContainsFunc(after.all, func(o fact) bool { return (o.op != "matches" || len(values) <= maxMatched) && o.refuses(v) }) {
					fewer = append(fewer, v)
				}
			}
			after.of = fewer
		case after.few && n.op == "matches" && len(after.of) > maxMatched:
		case after.few:
			for _, v := range after.of {
				if !n.refuses(v) {
					fewer = append(fewer, v)
				}
			}
			after.of = fewer
		}
		if after.few && len(after.of) == 0 {
			for i := range after.all { // the one that explains it best: an equality
				if o := &after.all[i]; against == nil || o.plain && o.equality() && !o.not {
					against = o
				}
			}
			if against != nil {
				return nil, against
			}
		}
	}
	after.all = append(slices.Clip(after.all), n)
	return after, nil
}

// candidates are the values that an equality leaves.
func (k *fact) candidates() ([]any, bool) {
	if len(k.values) > maxCompared {
		return nil, false
	}
	var out []any
	for _, v := range k.values {
		switch v := v.(type) {
		case string:
			s, more := k.seen(v)
			if more {
				return nil, false
			}
			out = append(out, s)
		case int:
			out = append(out, v)
		default:
			return nil, false
		}
	}
	return out, true
}

// refuses says that the claim cannot be met by the value. Regexes, which take long to compile, are asked
// about short lists only (see with).
func (k *fact) refuses(v any) bool {
	if !k.plain {
		return false
	}
	holds, known := k.holdsOn(v)
	return known && holds == k.not
}

// contradict says that no value meets both claims.
func contradict(a, b *fact) bool {
	if a.not != b.not && a.claim.key() == b.claim.key() {
		return true
	}
	if !a.plain || !b.plain {
		return false
	}
	if a.not {
		a, b = b, a
	}
	if a.not || len(a.values) != 1 || len(b.values) != 1 {
		return false
	}
	if x, ok := a.values[0].(int); ok {
		y, ok := b.values[0].(int)
		return ok && !b.not && apart(a.op, x, b.op, y)
	}
	if len(a.texts) != 1 || len(b.texts) != 1 {
		return false
	}
	s, more := a.seen(a.texts[0])
	t, more2 := b.seen(b.texts[0])
	if more || more2 {
		return false
	}
	if b.not { // what a claims implies what b forbids
		switch b.op {
		case "contains":
			return (a.op == "contains" || a.op == "startsWith" || a.op == "endsWith") && strings.Contains(s, t)
		case "startsWith":
			return a.op == "startsWith" && strings.HasPrefix(s, t)
		case "endsWith":
			return a.op == "endsWith" && strings.HasSuffix(s, t)
		}
		return false
	}
	if a.op != b.op {
		return false
	}
	switch a.op {
	case "startsWith":
		return !strings.HasPrefix(s, t) && !strings.HasPrefix(t, s)
	case "endsWith":
		return !strings.HasSuffix(s, t) && !strings.HasSuffix(t, s)
	}
	return false
}

// apart says that no integer is both `op x` and `op2 y`.
func apart(op string, x int, op2 string, y int) bool {
	switch {
	case op[0] == '>' && op2[0] == '<':
		op, x, op2, y = op2, y, op, x
		fallthrough
	case op[0] == '<' && op2[0] == '>':
		return y > x || y == x && (op == "<" || op2 == ">") || op == "<" && op2 == ">" && y+1 >= x
	}
	return false
}
