package rules

import (
	"testing"

	"spoor/policies"
	"spoor/rules/policy"
)

func benchmarkSet(b *testing.B) *Set {
	loaded, ds := policy.LoadFS(policies.FS)
	if loaded == nil {
		b.Fatal(ds.Err())
	}
	set, ds := Compile(loaded)
	if set == nil {
		b.Fatal(ds.Err())
	}
	return set
}

// BenchmarkMatch matches an exec event with the bundled rules.
func BenchmarkMatch(b *testing.B) {
	set := benchmarkSet(b)
	e := decode(b, richEvent)
	var r Result
	set.Match(e, &r)
	b.ReportMetric(float64(len(set.byName["exec"])), "rules")
	b.ReportAllocs()
	for b.Loop() {
		set.Match(e, &r)
	}
}

// BenchmarkCompile compiles the bundled rules.
func BenchmarkCompile(b *testing.B) {
	loaded, ds := policy.LoadFS(policies.FS)
	if loaded == nil {
		b.Fatal(ds.Err())
	}
	b.ReportAllocs()
	for b.Loop() {
		if set, ds := Compile(loaded); set == nil {
			b.Fatal(ds.Err())
		}
	}
}
