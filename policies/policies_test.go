package policies_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"spoor/pipeline"
	"spoor/policies"
	"spoor/rules"
	"spoor/rules/policy"
	"spoor/rules/ruletest"
)

var update = flag.Bool("update", false, "write policy.schema.json and the table in README.md")

// load compiles the bundled policies and holds that nothing at all is found in them.
func load(t *testing.T) (*policy.Set, *rules.Set) {
	t.Helper()
	src, found := policy.LoadFS(policies.FS)
	var set *rules.Set
	if src != nil {
		var more policy.Diagnostics
		set, more = rules.Compile(src)
		found = append(found, more...)
	}
	for _, d := range found {
		t.Errorf("%s:%d:%d: %s [%s] %s", d.File, d.Line, d.Col, d.Message, d.Code, d.Hint)
	}
	if set == nil {
		t.FailNow()
	}
	return src, set
}

func TestEveryTestOfThePoliciesPasses(t *testing.T) {
	_, set := load(t)
	outcomes := ruletest.Run(set, pipeline.DefaultConfig())
	if len(outcomes) == 0 {
		t.Fatal("no tests ran")
	}
	for _, o := range outcomes {
		for _, f := range o.Failures {
			t.Errorf("%s:%d:%d: test %q: %s\n%s", f.File, f.Line, f.Col, o.Name, f.Message, f.Explanation)
		}
	}
}

// TestEveryRuleIsTestedBothWays holds that each rule has a test in its own policy in which an event matches, and
// that some event of those tests is one that it leaves alone. Exceptions are shown deciding.
func TestEveryRuleIsTestedBothWays(t *testing.T) {
	src, set := load(t)
	matched, spared, excepted := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, p := range src.Policies {
		for _, test := range p.Tests {
			for _, x := range test.Expect {
				if len(x.Events) > 0 {
					matched[x.Rule.Value] = true
					spared[x.Rule.Value] = spared[x.Rule.Value] || len(x.Events) < len(test.Events)
				}
			}
			for _, x := range test.ExpectException {
				excepted[x.Rule.Value+"/"+x.Exception.Value] = true
			}
		}
	}
	for _, r := range set.Rules() {
		if !matched[r.ID] {
			t.Errorf("rule %s: no test has an event that it matches", r.ID)
		}
		if !spared[r.ID] {
			t.Errorf("rule %s: no test has an event that it leaves alone", r.ID)
		}
		for _, x := range r.Source.Exceptions {
			if !excepted[r.ID+"/"+x.Name.Value] {
				t.Errorf("rule %s: no test has exception %q decide", r.ID, x.Name.Value)
			}
		}
	}
}

func TestEveryRuleIsReadyToShip(t *testing.T) {
	_, set := load(t)
	tactics, lineage := map[string]bool{}, 0
	roots := map[string]int{"process": 0, "file": 0, "registry": 0, "permission_change": 0}
	for _, r := range set.Rules() {
		tactic, technique := "", []string{}
		for _, tag := range r.Tags {
			k, v, _ := strings.Cut(tag, ":")
			switch k {
			case "tactic":
				tactic = v
			case "technique":
				technique = append(technique, v)
			}
		}
		tactics[tactic] = true
		src := r.Source
		if tactic == "" || len(technique) == 0 || src.Title == "" || src.Title == src.ID.Value || len(src.FalsePositives) == 0 {
			t.Errorf("rule %s: lacks a tactic, a technique, a title or false positives", r.ID)
		}
		if len(src.Description) < 60 || !strings.HasSuffix(strings.TrimSpace(src.Description), ".") {
			t.Errorf("rule %s: its description does not say why it matters", r.ID)
		}
		if len(src.References) == 0 {
			t.Errorf("rule %s: no reference", r.ID)
		}
		for _, ref := range src.References {
			id, ok := strings.CutPrefix(ref, "https://attack.mitre.org/techniques/")
			id = strings.ReplaceAll(strings.TrimSuffix(id, "/"), "/", ".")
			if !ok || !slices.Contains(technique, id) {
				t.Errorf("rule %s: reference %s is not a technique that its tags name", r.ID, ref)
			}
		}
		for root := range roots {
			if strings.Contains(src.Expression.Text, root+".") {
				roots[root]++
			}
		}
		for _, word := range []string{"process.parent.", "process.ancestors", "is_interpreter(process.parent)", "below_office(", "below_web_server("} {
			if strings.Contains(src.Expression.Text, word) {
				lineage++
				break
			}
		}
	}
	if n := len(set.Rules()); n < 60 {
		t.Errorf("%d rules, want at least 60", n)
	}
	if len(tactics) < 10 {
		t.Errorf("%d tactics, want at least 10", len(tactics))
	}
	if lineage < 20 {
		t.Errorf("%d rules use the parent or ancestors, want at least 20", lineage)
	}
	for root, n := range roots {
		if n < 3 {
			t.Errorf("%d rules on %s, want at least 3", n, root)
		}
	}
	t.Logf("%d rules, %d tactics, %d with lineage, %v", len(set.Rules()), len(tactics), lineage, roots)
}

func TestEveryFileNamesItsSchema(t *testing.T) {
	entries, err := policies.FS.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := policies.FS.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(b), "\n")
		if want := "# yaml-language-server: $schema=policy.schema.json"; first != want {
			t.Errorf("%s begins with %q, want %q", e.Name(), first, want)
		}
	}
	if *update {
		if err := os.WriteFile("policy.schema.json", policy.Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := os.ReadFile("policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(schema, policy.Schema()) {
		t.Error("policy.schema.json is not what engine schema policy prints: go test ./policies -update")
	}
}

// TestTheTableIsCurrent holds the list of rules in README.md.
func TestTheTableIsCurrent(t *testing.T) {
	src, _ := load(t)
	var table strings.Builder
	for _, p := range src.Policies {
		if len(p.Rules) == 0 {
			continue
		}
		fmt.Fprintf(&table, "\n### %s\n\n%s\n\n| Rule | Severity | Finds | Techniques |\n|---|---|---|---|\n", p.Path, strings.TrimSpace(p.Description.Value))
		for i := range p.Rules {
			r := &p.Rules[i]
			var techniques []string
			for _, tag := range r.Tags {
				if id, ok := strings.CutPrefix(tag, "technique:"); ok {
					techniques = append(techniques, id)
				}
			}
			fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", r.ID.Value, r.Severity, r.Title, strings.Join(techniques, " "))
		}
	}
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	const mark = "<!-- rules: written by go test ./policies -update -->\n"
	before, got, ok := strings.Cut(string(b), mark)
	if !ok {
		t.Fatalf("README.md lacks %s", mark)
	}
	if got == table.String() {
		return
	}
	if !*update {
		t.Error("the table in README.md is not what the policies say: go test ./policies -update")
		return
	}
	if err := os.WriteFile("README.md", []byte(before+mark+table.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestTheExampleWorks holds that the policy that README.md shows changes the bundled ones without a fault.
func TestTheExampleWorks(t *testing.T) {
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatal("README.md shows no policy")
	}
	all := fstest.MapFS{"our-company.yaml": {Data: []byte(example)}}
	entries, err := policies.FS.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := policies.FS.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = &fstest.MapFile{Data: b}
	}
	_, before := load(t)
	src, found := policy.LoadFS(all)
	if src == nil || len(found) > 0 {
		t.Fatal(found)
	}
	after, found := rules.Compile(src)
	if after == nil || len(found) > 0 {
		t.Fatal(found)
	}
	if len(after.Rules()) != len(before.Rules())-1 {
		t.Errorf("%d rules, want one less than %d", len(after.Rules()), len(before.Rules()))
	}
	for _, r := range after.Rules() {
		if r.ID == "psexec_service_started" && r.Severity != policy.Low {
			t.Errorf("%s is %s", r.ID, r.Severity)
		}
	}
}
