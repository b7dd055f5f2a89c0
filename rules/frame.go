package rules

import (
	"errors"
	"slices"
	"time"
	"unsafe"

	"spoor/pipeline/event"
)

// frame is what a compiled term is evaluated on: the event, the element of the innermost any(...) it stands
// in (nil outside), and the values that expr's VM computed for it.
type frame struct {
	ev    *view
	elem  any
	first any   // the first of them: most have one, and it costs no slice
	rest  []any // the others
}

// view is one event as rules see it, with what was computed for it once: folded texts, ancestors, parsed
// variables. It is owned by one goroutine, the one that owns the Result it stands in, and reused.
type view struct {
	event     *event.Event
	process   processView
	parent    processView
	ancestors []*processView // taken from pool
	list      any            // ancestors as []any in one interface value, built when first asked for
	pool      []*processView
	elements  []any

	folded [maxEventTexts]string
	have   [maxEventTexts]bool
	user   [maxEventTexts]string // of registry paths: as the current user sees them
	asUser [maxEventTexts]bool
	vars   map[*variable]any
	folds  map[string]string // of texts that are no fields: variables, elements

	// buffer holds the folds and joined texts of the event; the next event's overwrite them.
	buffer []byte
	// target is registry.target as it came, once it was asked for.
	target     string
	haveTarget bool

	work int // what is left of the budget of the rule under evaluation
}

// maxBuffer bounds the buffer that is kept from event to event.
const maxBuffer = 1 << 20

// processView is one process of an event: its own, its parent or an ancestor.
type processView struct {
	p      *event.Process
	folded [maxProcessTexts]string
	have   [maxProcessTexts]bool
}

// noProcess stands for a process that is not there: its fields are missing. Constant.
var noProcess = &event.Process{}

func (p *processView) reset(q *event.Process) {
	if q == nil {
		q = noProcess
	}
	p.p = q
	p.have = [maxProcessTexts]bool{}
}

// reset points v at e. What e points to must not change until the next reset.
func (v *view) reset(e *event.Event) {
	v.event = e
	v.have = [maxEventTexts]bool{}
	v.asUser = [maxEventTexts]bool{}
	v.list = nil
	v.ancestors = v.ancestors[:0]
	v.haveTarget = false
	if cap(v.buffer) > maxBuffer {
		v.buffer = nil
	}
	v.buffer = v.buffer[:0]
	if len(v.vars) > 0 {
		clear(v.vars)
	}
	if len(v.folds) > 0 {
		clear(v.folds)
	}
	if e.Process == nil {
		v.process.reset(nil)
		v.parent.reset(nil)
		return
	}
	v.process.reset(&e.Process.Process)
	v.parent.reset(e.Process.Parent)
	for i, a := range e.Process.Ancestors {
		if i == len(v.pool) {
			v.pool = append(v.pool, new(processView))
		}
		v.pool[i].reset(a)
		v.ancestors = append(v.ancestors, v.pool[i])
	}
}

// release drops what v holds of the event, so that a reused Result does not keep it alive.
func (v *view) release() {
	v.event = nil
	if len(v.vars) > 0 {
		clear(v.vars)
	}
	if len(v.folds) > 0 {
		clear(v.folds)
	}
}

// ancestorList is process.ancestors as expr's VM walks it.
func (v *view) ancestorList() any {
	if v.list == nil {
		v.elements = v.elements[:0]
		for _, a := range v.ancestors {
			v.elements = append(v.elements, a)
		}
		v.list = v.elements
	}
	return v.list
}

// ancestor is element i of process.ancestors, counted from the end when negative; past either end it is a
// process that is not there.
func (v *view) ancestor(i int) *processView {
	if i < 0 {
		i += len(v.ancestors)
	}
	if i < 0 || i >= len(v.ancestors) {
		return missingProcess
	}
	return v.ancestors[i]
}

// missingProcess is the element past the end of a list. All its fields are missing; it is never written,
// because only texts that are not empty are cached.
var missingProcess = &processView{p: noProcess}

func (fr frame) processOf(who owner) *processView {
	switch who {
	case ofProcess:
		return &fr.ev.process
	case ofParent:
		return &fr.ev.parent
	}
	p, _ := fr.elem.(*processView)
	if p == nil {
		return missingProcess
	}
	return p
}

// foldedText is the fold of a text field, computed once for an event. Registry paths are in canonical form.
func (v *view) foldedText(f *field) string {
	if !v.have[f.slot] {
		var s string
		switch r := v.event.Registry; {
		case f == targetField && r != nil:
			s = v.foldedKey(r.KeyPath, r.ValueName)
		case f.registry:
			s = v.foldedKey(f.text(v.event), "")
		default:
			s = v.fold(f.text(v.event))
		}
		v.folded[f.slot], v.have[f.slot] = s, true
	}
	return v.folded[f.slot]
}

// targetField is the one text field that is joined from two.
var targetField = fieldByPath["registry.target"]

// written is a text field of the event as it came.
func (v *view) written(f *field) string {
	r := v.event.Registry
	if f != targetField || r == nil || r.ValueName == "" {
		return f.text(v.event)
	}
	if !v.haveTarget {
		from := len(v.buffer)
		v.buffer = append(append(append(v.buffer, r.KeyPath...), '\\'), r.ValueName...)
		v.target, v.haveTarget = v.buffered(from), true
	}
	return v.target
}

// grow makes room in the buffer for n bytes.
func (v *view) grow(n int) {
	if cap(v.buffer)-len(v.buffer) < n {
		v.buffer = slices.Grow(v.buffer, max(n, 4096))
	}
}

// fold is the fold of s: s itself, or a text in the buffer.
func (v *view) fold(s string) string {
	v.grow(len(s))
	from := len(v.buffer)
	n, same := foldTo(v.buffer[from:from+len(s)], s)
	if same {
		return s
	}
	v.buffer = v.buffer[:from+n]
	return v.buffered(from)
}

// foldedKey is the canonical form, folded, of a registry path, or of one joined from a path and the name of a value.
func (v *view) foldedKey(path, name string) string {
	if path == "" && name == "" {
		return ""
	}
	// The root may become longer: there is room for it before the text.
	v.grow(registryGrowth + len(path) + 1 + len(name))
	from := len(v.buffer) + registryGrowth
	v.buffer = appendFold(v.buffer[:from], path)
	if name != "" {
		v.buffer = appendFold(append(v.buffer, '\\'), name)
	}
	s := v.buffered(from)
	long, middle, set, tail, changed := keyParts(s)
	if !changed {
		return s
	}
	from = len(v.buffer) - len(tail) - len(set) - len(middle) - len(long)
	n := copy(v.buffer[from:], long)
	n += copy(v.buffer[from+n:], middle)
	copy(v.buffer[from+n:], set)
	return v.buffered(from)
}

// buffered is what was written to the buffer since it had length from. When the buffer has to grow it moves, and
// the texts in the old one stay as they are; only reset overwrites what texts stand on. So a text is valid until
// then.
func (v *view) buffered(from int) string {
	if from == len(v.buffer) {
		return ""
	}
	return unsafe.String(&v.buffer[from], len(v.buffer)-from)
}

// foldOnce is the fold of a text that is no field, computed once for an event.
func (v *view) foldOnce(s string) string {
	if foldedPrefix(s) == len(s) {
		return s
	}
	if f, ok := v.folds[s]; ok {
		return f
	}
	if v.folds == nil {
		v.folds = map[string]string{}
	}
	f := fold(s)
	v.folds[s] = f
	return f
}

// userText is what userKey makes of a registry path, computed once for an event.
func (v *view) userText(f *field) string {
	if !v.asUser[f.slot] {
		s := v.foldedText(f)
		from := len(v.buffer)
		v.buffer = appendUserKey(v.buffer, s)
		v.user[f.slot], v.asUser[f.slot] = v.buffered(from), true
	}
	return v.user[f.slot]
}

func (p *processView) foldedText(v *view, f *processField) string {
	if p.have[f.slot] {
		return p.folded[f.slot]
	}
	s := f.text(p.p)
	if s == "" {
		return ""
	}
	p.folded[f.slot], p.have[f.slot] = v.fold(s), true
	return p.folded[f.slot]
}

// instant converts a time of an event: UTC, the zero time when there is none.
func instant(t event.Time) time.Time { return t.Time() }

// The budget of one rule, with its exceptions, on one event. Work is counted, not measured: the same event
// is always cut off at the same place. A unit is about 50 ns of the slowest thing that it pays for, so that
// no rule takes more than 10 ms; TestWorstRules holds it.
const (
	ruleBudget = 200_000
	// A text operation costs a unit, and one more for every textUnit bytes that it may look at.
	textUnit = 48
	// What looks at each byte more than once, or copies it, pays for fewer bytes with a unit.
	copyUnit     = 8
	patternUnit  = 16
	regexUnit    = 1
	variableUnit = 2
)

var errBudget = errors.New("the rule's budget is used up")

// spend takes n units from the budget and ends the evaluation when there are none left.
func (v *view) spend(n int) {
	v.work -= n
	if v.work < 0 {
		panic(errBudget)
	}
}
