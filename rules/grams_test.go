package rules

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"spoor/pipeline/event"
)

// textOf is n characters of a few, so that texts occur in texts, some of them beyond ASCII.
func textOf(r *rand.Rand, n int, letters []rune) string {
	var b strings.Builder
	for range n {
		b.WriteRune(letters[r.IntN(len(letters))])
	}
	return b.String()
}

// TestFinder holds the finder against package strings, for texts of every length at every place.
func TestFinder(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	ops := []textOp{opContains, opStarts, opEnds}
	found := 0
	for range 3000 {
		letters := []rune(`ab\.`)
		if r.IntN(3) == 0 {
			letters = []rune(`aé‑\`)
		}
		var texts []gramText
		for id := range 1 + r.IntN(12) {
			text := textOf(r, minDemand+r.IntN(9), letters)
			texts = append(texts, gramText{text: text, id: int32(id), op: ops[r.IntN(len(ops))]})
		}
		f := newFinder(slices.Clone(texts))
		for range 10 {
			s := textOf(r, r.IntN(40), letters)
			if r.IntN(2) == 0 {
				s += texts[r.IntN(len(texts))].text + textOf(r, r.IntN(2), letters)
			}
			want := map[int32]bool{}
			for _, x := range texts {
				switch {
				case x.op == opContains && strings.Contains(s, x.text),
					x.op == opStarts && strings.HasPrefix(s, x.text),
					x.op == opEnds && strings.HasSuffix(s, x.text):
					want[x.id] = true
				}
			}
			got := map[int32]bool{}
			for _, g := range f.in(s) {
				for i := g.next(s, 0); i >= 0; i = g.next(s, i+g.stride) {
					for _, x := range g.at(s, i) {
						if x.stands(s, i) {
							got[x.id] = true
						}
					}
				}
			}
			for _, x := range texts {
				if got[x.id] != want[x.id] {
					t.Fatalf("%q in %q, op %d: found %v", x.text, s, x.op, got[x.id])
				}
			}
			if f.any(s) != (len(want) > 0) {
				t.Fatalf("any of %v in %q: %v", texts, s, f.any(s))
			}
			found += len(want)
		}
	}
	if found == 0 {
		t.Error("nothing was found")
	}
}

// TestAffixes holds affixes against package strings.
func TestAffixes(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	letters := []rune(`abé`)
	found := 0
	for range 3000 {
		op, has := opStarts, strings.HasPrefix
		if r.IntN(2) == 0 {
			op, has = opEnds, strings.HasSuffix
		}
		size := 1 + r.IntN(4)
		var texts []gramText
		for range 1 + r.IntN(10) {
			texts = append(texts, gramText{text: textOf(r, size+r.IntN(4), letters)})
		}
		a := newAffixes(op, size, texts)
		s := textOf(r, r.IntN(8), letters)
		want := slices.ContainsFunc(texts, func(x gramText) bool { return has(s, x.text) })
		if got := a.any(s); got != want {
			t.Fatalf("%q, one of %v: %v", s, texts, got)
		}
		if want {
			found++
		}
	}
	if found == 0 {
		t.Error("nothing was found")
	}
}

// TestViewFolds holds the folds of an event's texts against fold and canonicalKey, which make new ones.
func TestViewFolds(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	letters := []rune(`aZ\1éÉKſ`)
	roots := []string{"", `HKLM`, `hku\S-1-5`, `\REGISTRY\MACHINE`, `\registry\user\x`, `HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001`, `HKCR`, `HKLM\system\controlset002\x`}
	target := fieldByPath["registry.target"]
	path := fieldByPath["registry.key_path"]
	file := fieldByPath["file.path"]
	var v view
	for range 5000 {
		registry := &event.Registry{KeyPath: roots[r.IntN(len(roots))] + textOf(r, r.IntN(20), letters)}
		if r.IntN(2) == 0 {
			registry.ValueName = textOf(r, r.IntN(12), letters)
		}
		e := &event.Event{Registry: registry, File: &event.FileEvent{Path: textOf(r, r.IntN(30), letters)}}
		v.reset(e)
		for _, f := range []*field{target, path, file} {
			want := fold(f.text(e))
			if f.registry {
				want = canonicalKey(want)
			}
			if got := v.foldedText(f); got != want {
				t.Fatalf("%s of %q: %q, want %q", f.Path, f.text(e), got, want)
			}
		}
	}
}
