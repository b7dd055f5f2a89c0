package sigma_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"spoor/pipeline/event"
	"spoor/rules"
	"spoor/rules/policy"
	"spoor/rules/sigma"
)

// formula is a condition of Sigma, evaluated here by the rules of logic alone.
type formula struct {
	op   string // and, or, not, or the name of a search identifier
	args []*formula
}

// Fields that events carry, and fields that they do not; each is met by a search identifier of the name.
var (
	carried = map[string]string{"sel_a": "Image", "filter_b": "CommandLine"}
	missing = map[string]string{"sel_m": "Hashes", "filter_n": "Company"}
)

func randomFormula(r *rand.Rand, depth int) *formula {
	if depth == 0 || r.IntN(5) == 0 {
		return &formula{op: []string{"sel_a", "filter_b", "sel_m", "filter_n"}[r.IntN(4)]}
	}
	switch r.IntN(5) {
	case 0, 1:
		return &formula{"and", []*formula{randomFormula(r, depth-1), randomFormula(r, depth-1)}}
	case 2:
		return &formula{"or", []*formula{randomFormula(r, depth-1), randomFormula(r, depth-1)}}
	}
	return &formula{"not", []*formula{randomFormula(r, depth-1)}}
}

func (f *formula) String() string {
	switch f.op {
	case "and", "or":
		return "(" + f.args[0].String() + " " + f.op + " " + f.args[1].String() + ")"
	case "not":
		return "not " + f.args[0].String()
	}
	return f.op
}

// eval gives the answer when the search identifiers do; they are asked with the negations they stand under.
func (f *formula) eval(negated bool, of func(name string, negated bool) bool) bool {
	switch f.op {
	case "and":
		return f.args[0].eval(negated, of) && f.args[1].eval(negated, of)
	case "or":
		return f.args[0].eval(negated, of) || f.args[1].eval(negated, of)
	case "not":
		return !f.args[0].eval(!negated, of)
	}
	return of(f.op, negated)
}

// missing says whether missing fields occur, and whether one does positively.
func (f *formula) missing() (some, positive bool) {
	var walk func(f *formula, negated bool)
	walk = func(f *formula, negated bool) {
		if missing[f.op] != "" {
			some = true
			positive = positive || !negated
		}
		for _, a := range f.args {
			walk(a, negated != (f.op == "not"))
		}
	}
	walk(f, false)
	return some, positive
}

// TestTruthTables holds narrowing and widening to what they promise, over the truth tables of many random
// conditions: whatever the missing fields may be, a narrowed rule matches a subset, and a widened one, but
// for alternatives on missing fields, a superset.
func TestTruthTables(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var formulas []*formula
	var b strings.Builder
	for i := range 600 {
		f := randomFormula(r, 1+i%5)
		formulas = append(formulas, f)
		fmt.Fprintf(&b, "---\ntitle: rule %d\nlogsource: {category: process_creation, product: windows}\ndetection:\n", i)
		for name, field := range carried {
			fmt.Fprintf(&b, "  %s: {%s: 'yes'}\n", name, field)
		}
		for name, field := range missing {
			fmt.Fprintf(&b, "  %s: {%s: 'yes'}\n", name, field)
		}
		fmt.Fprintf(&b, "  condition: %s\n", f)
	}
	source := []policy.ImportSource{{Name: "x.yml", Path: "x.yml", Data: []byte(b.String())}}
	for _, allow := range []bool{false, true} {
		im := sigma.Import(source, sigma.Options{AllowWidened: allow})
		got := evaluated(t, im)
		counts := map[policy.ImportStatus]int{}
		for i, f := range formulas {
			entry := im.Rules[i]
			counts[entry.Status]++
			table := got[entry.ID]
			// What the rule is to be when missing fields have one value positively and one negated.
			as := func(negatedValue bool) (rows [4]bool, can bool) {
				for row := range rows {
					rows[row] = f.eval(false, func(name string, negated bool) bool {
						if missing[name] != "" {
							return negated && negatedValue
						}
						return holds(name, row)
					})
					can = can || rows[row]
				}
				return rows, can
			}
			narrow, can := as(true)
			wide, couldWiden := as(false)
			some, positive := f.missing()
			var want policy.ImportStatus
			switch {
			case can && !some:
				want = policy.StatusImported
			case can:
				want = policy.StatusNarrowed
			case couldWiden && some && allow:
				want = policy.StatusWidened
			default:
				want = policy.StatusRefused
			}
			if entry.Status != want {
				t.Errorf("%s: %s, want %s: %s", f, entry.Status, want, entry.Reason)
				continue
			}
			switch entry.Status {
			case policy.StatusImported, policy.StatusNarrowed:
				if *table != narrow {
					t.Errorf("%s: answers %v, want %v", f, *table, narrow)
				}
			case policy.StatusWidened:
				if *table != wide {
					t.Errorf("%s: answers %v, want %v", f, *table, wide)
				}
			default:
				continue
			}
			for row, answer := range *table {
				for values := range 4 {
					source := f.eval(false, func(name string, _ bool) bool {
						switch name {
						case "sel_m":
							return values&1 != 0
						case "filter_n":
							return values&2 != 0
						}
						return holds(name, row)
					})
					if entry.Status == policy.StatusNarrowed && answer && !source {
						t.Errorf("%s: narrowed, and matches where the source does not", f)
					}
					if entry.Status == policy.StatusWidened && !positive && source && !answer {
						t.Errorf("%s: widened, and does not match where the source does", f)
					}
					if entry.Status == policy.StatusImported && answer != source {
						t.Errorf("%s: imported, and differs from the source", f)
					}
				}
			}
		}
		t.Log(counts)
		for _, s := range []policy.ImportStatus{policy.StatusImported, policy.StatusNarrowed, policy.StatusRefused} {
			if counts[s] < 20 {
				t.Errorf("only %d rules are %s", counts[s], s)
			}
		}
		if allow != (counts[policy.StatusWidened] > 20) {
			t.Errorf("%d rules are widened", counts[policy.StatusWidened])
		}
	}
}

// holds says whether a search identifier on a carried field holds in a row of the table.
func holds(name string, row int) bool {
	if name == "sel_a" {
		return row&1 != 0
	}
	return row&2 != 0
}

// evaluated gives the answers of every imported rule for the four rows.
func evaluated(t *testing.T, im policy.Import) map[string]*[4]bool {
	t.Helper()
	loaded, diags := policy.LoadFS(printed(im))
	if loaded == nil {
		t.Fatal(diags.Err())
	}
	set, diags := rules.Compile(loaded)
	if set == nil {
		t.Fatal(diags.Err())
	}
	out := map[string]*[4]bool{}
	for _, r := range set.Rules() {
		out[r.ID] = &[4]bool{}
	}
	d := event.NewDecoder(event.DecoderConfig{})
	var result rules.Result
	for row := range 4 {
		text := func(on bool) string {
			if on {
				return "yes"
			}
			return "other"
		}
		raw := fmt.Sprintf(`{"evt":{"name":"exec"},"process":{"executable":{"path":%q},"cmdline":%q}}`, text(row&1 != 0), text(row&2 != 0))
		set.Match(decode(t, d, []byte(raw)), &result)
		for _, i := range result.Live {
			out[set.Rules()[i].ID][row] = true
		}
	}
	return out
}
