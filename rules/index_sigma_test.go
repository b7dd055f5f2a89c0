package rules

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"spoor/pipeline/event"
	"spoor/rules/policy"
	"spoor/rules/sigma"
)

// sigmaSet is a set of every rule that can be imported from ../shared, about a thousand.
func sigmaSet(t testing.TB) *Set {
	t.Helper()
	fsys := sigmaPolicies(t)
	loaded, ds := policy.LoadFS(fsys)
	if loaded == nil {
		t.Fatal(ds.Err())
	}
	set, ds := Compile(loaded)
	if set == nil {
		t.Fatal(ds.Err())
	}
	return set
}

func sigmaPolicies(t testing.TB) fstest.MapFS {
	t.Helper()
	folder := filepath.Join("..", "..", "shared", "sigma", "rules")
	if _, err := os.Stat(folder); err != nil {
		t.Skip("no rules in ../shared/sigma")
	}
	sources, ds := policy.ReadImportSources([]string{folder}, ".yml", ".yaml")
	if err := ds.Err(); err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{}
	for _, p := range sigma.Import(sources, sigma.Options{}).Policies {
		fsys[p.Path] = &fstest.MapFile{Data: policy.Print(p)}
	}
	return fsys
}

// TestSigmaAgrees holds the index against the reference with a thousand rules, on recorded events and on events
// made of the rules' own texts, which most rules match.
func TestSigmaAgrees(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join("..", "..", "shared", "traffic", "withparent", "*.ndjson.zst"))
	set := sigmaSet(t)
	limit, execs := 10, 20
	if os.Getenv("SPOOR_ALL_RECORDINGS") != "" {
		limit, execs = 1<<30, 1<<30
	}
	events, matches := 0, 0
	matched := map[int]bool{}
	var r Result
	check := func(e *event.Event, document string) {
		indexAgrees(t, set, e, &r)
		events++
		matches += len(r.Live)
		for _, i := range r.Live {
			matched[i] = true
		}
		if t.Failed() {
			t.Fatalf("on %s", document)
		}
	}
	recorded(t, files, limit, func(e *event.Event, document []byte) {
		if e.Meta.Name == "exec" { // the reference takes milliseconds for one
			if execs--; execs < 0 {
				return
			}
		}
		check(e, string(document))
	})
	t.Logf("%d events, %d matches of %d rules", events, matches, len(matched))
	made := madeEvents(set, 1)
	if limit > 10 {
		made = madeEvents(set, 30)
	}
	for _, document := range made {
		check(decode(t, document), document)
	}
	t.Logf("%d events, %d matches of %d rules of %d", events, matches, len(matched), len(set.rules))
	if matches == 0 {
		t.Error("no rule matches anything")
	}
}
