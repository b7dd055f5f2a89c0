package sigma_test

import (
	"fmt"
	"strings"
	"testing"

	"spoor/rules"
	"spoor/rules/policy"
	"spoor/rules/sigma"
)

// TestLongLists holds that a rule that is imported is not too large for the engine, and that one that is too
// large is refused with a place.
func TestLongLists(t *testing.T) {
	for _, c := range []struct {
		line   string
		values int
		want   policy.ImportStatus
	}{
		{"CommandLine|contains", 1600, policy.StatusImported},
		{"CommandLine|contains", 1700, policy.StatusRefused},
		{"CommandLine|endswith|cased", 1400, policy.StatusImported},
		{"CommandLine|endswith|cased", 1500, policy.StatusRefused},
		{"ParentImage|startswith", 970, policy.StatusImported},
		{"ParentImage|startswith", 1100, policy.StatusRefused},
		{"CommandLine", 9000, policy.StatusImported},
		{"CommandLine", 11000, policy.StatusRefused},
		{"CommandLine|windash|contains", 400, policy.StatusRefused},
	} {
		var b strings.Builder
		fmt.Fprintf(&b, "title: t\nlogsource: {category: process_creation}\ndetection:\n  s:\n    %s:\n", c.line)
		for i := range c.values {
			fmt.Fprintf(&b, "    - ' -a%d'\n", i)
		}
		b.WriteString("  condition: s\n")
		im := sigma.Import([]policy.ImportSource{{Name: "x.yml", Path: "x.yml", Data: []byte(b.String())}}, sigma.Options{})
		r := im.Rules[0]
		if r.Status != c.want || r.Status == policy.StatusRefused && r.Place.Line != 5 {
			t.Errorf("%s with %d values: %s %s: %s", c.line, c.values, r.Status, r.Place, r.Reason)
			continue
		}
		if c.want == policy.StatusRefused {
			continue
		}
		loaded, diags := policy.LoadFS(printed(im))
		if loaded == nil {
			t.Fatalf("%s with %d values: %v", c.line, c.values, diags.Err())
		}
		if set, diags := rules.Compile(loaded); set == nil {
			t.Errorf("%s with %d values: %v", c.line, c.values, diags.Err())
		}
	}
}

// TestManyRules holds that a file of many rules becomes policies that are not too large to load.
func TestManyRules(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "---\ntitle: rule %d\nid: r%d\ndescription: %s\nlogsource: {category: process_creation}\ndetection:\n  s: {Image: 'x%d'}\n  condition: s\n",
			i, i, strings.Repeat("long ", 200), i)
	}
	im := sigma.Import([]policy.ImportSource{{Name: "dir/all.yml", Path: "dir/all.yml", Data: []byte(b.String())}}, sigma.Options{})
	rules, previous := 0, ""
	for _, p := range im.Policies {
		if n := len(policy.Print(p)); n > 300<<10 {
			t.Errorf("%s has %d bytes", p.Path, n)
		}
		if p.Path <= previous || !strings.HasPrefix(p.Path, "dir/all") {
			t.Errorf("%s behind %s", p.Path, previous)
		}
		rules, previous = rules+len(p.Rules), p.Path
	}
	if rules != 1000 || len(im.Policies) < 4 {
		t.Errorf("%d rules in %d policies", rules, len(im.Policies))
	}
}
