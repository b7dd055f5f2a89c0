package policy

import (
	"slices"
	"testing"
	"testing/fstest"
)

func loadFiles(t *testing.T, files map[string]string) *Set {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	set, diags := LoadFS(fsys)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	return set
}

const overrideTarget = `name: base
version: 3
defaults: {tags: {team: detect}}
lists: {known: [a.exe], none: []}
shared: {lists: {everywhere: [s.exe]}}
rules:
  - id: r
    expression: target
    severity: low
    references: [one]
    tags: {k: v}
    exceptions:
      - {name: own, expression: 'x'}
`

const overrider = `name: site
macros: [{id: m, expression: 'true'}]
overrides:
  - rule: r
    severity: critical
    expression: m
    title: Ours
    disabled: true
    add:
      tags: {k: w, team: soc}
      references: [two]
      authors: [me]
      false_positives: [fp]
      exceptions:
        - {name: added, expression: 'm'}
  - list: base/known
    add: [b.exe]
  - list: base/none
    add: [1]
  - list: everywhere
    members: [x.exe]
    add: [y.exe]
`

// TestOverrides applies one override of everything, with the overriding file before and after its target.
func TestOverrides(t *testing.T) {
	for _, files := range []map[string]string{
		{"a.yaml": overrideTarget, "b.yaml": overrider},
		{"b.yaml": overrideTarget, "a.yaml": overrider},
	} {
		set := loadFiles(t, files)
		var base, site *Policy
		for _, p := range set.Policies {
			if p.Name.Value == "base" {
				base = p
			} else {
				site = p
			}
		}
		r := base.Rules[0]
		if r.Policy != base || r.Version != "3" || r.Severity != Critical || r.Title != "Ours" || !r.Disabled {
			t.Errorf("rule %+v", r)
		}
		if r.Expression.Text != "m" || r.Expression.Scope != site {
			t.Errorf("expression %q resolves in %v", r.Expression.Text, r.Expression.Scope.Name)
		}
		if want := []string{"k:v", "k:w", "severity:critical", "team:detect", "team:soc"}; !slices.Equal(r.Tags, want) {
			t.Errorf("tags %q, want %q", r.Tags, want)
		}
		if !slices.Equal(r.References, []string{"one", "two"}) || !slices.Equal(r.Authors, []string{"me"}) || !slices.Equal(r.FalsePositives, []string{"fp"}) {
			t.Errorf("references %q authors %q false positives %q", r.References, r.Authors, r.FalsePositives)
		}
		if len(r.Exceptions) != 2 || r.Exceptions[0].Expression.Scope != base || r.Exceptions[1].Name.Value != "added" || r.Exceptions[1].Expression.Scope != site {
			t.Errorf("exceptions %+v", r.Exceptions)
		}
		if got := values(base.Lists[0].Members); !slices.Equal(got, []string{"a.exe", "b.exe"}) {
			t.Errorf("known %q", got)
		}
		if l := base.Lists[1]; !l.Ints || len(l.Members) != 1 {
			t.Errorf("none %+v", l)
		}
		if got := values(base.SharedLists[0].Members); !slices.Equal(got, []string{"x.exe", "y.exe"}) {
			t.Errorf("everywhere %q", got)
		}
		if len(site.Overrides) != 4 || site.Overrides[0].Rule.Value != "r" || site.Overrides[3].List.Value != "everywhere" {
			t.Errorf("overrides %+v", site.Overrides)
		}
	}
}

// TestOverrideReplacesTags leaves the default of a key that is not replaced in force.
func TestOverrideReplacesTags(t *testing.T) {
	set := loadFiles(t, map[string]string{"a.yaml": overrideTarget, "b.yaml": "overrides: [{rule: r, tags: {z: z}}]\n"})
	if want := []string{"severity:low", "team:detect", "z:z"}; !slices.Equal(set.Policies[0].Rules[0].Tags, want) {
		t.Errorf("tags %q, want %q", set.Policies[0].Rules[0].Tags, want)
	}
}

// TestExceptionNamesAfterOverride finds a name that an override gives twice.
func TestExceptionNamesAfterOverride(t *testing.T) {
	_, diags := LoadFS(fstest.MapFS{
		"a.yaml": {Data: []byte(overrideTarget)},
		"b.yaml": {Data: []byte("overrides: [{rule: r, add: {exceptions: [{name: own, expression: 'y'}]}}]\n")},
	})
	if len(diags) != 1 || diags[0].String() != `b.yaml:1:49: error: two exceptions of rule "r" are named "own" [duplicate-name]` {
		t.Errorf("got %v", diags)
	}
}
