package secl

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"spoor/rules"
	"spoor/rules/policy"
)

// everyField lists the fields that are mapped, by their SECL names.
func everyField() []string {
	var out []string
	for name := range singleFields {
		out = append(out, name)
	}
	for _, p := range prefixes {
		for name := range p.fields {
			out = append(out, p.secl+name)
		}
	}
	for _, p := range []string{"process.", "exec.", "exit."} {
		for name := range actingFields {
			out = append(out, p+name)
		}
	}
	return append(out, "process.ancestors.length", "process.ancestors[0].file.name", "process.ancestors[A].file.extension")
}

// TestFields: each field is one that rules can read, of the kind that the map says, alone and with its length.
func TestFields(t *testing.T) {
	ask := map[valueKind]string{textKind: ` == "x"`, intKind: " == 1", timeKind: " < 10s", causeKind: " == SIGNALED"}
	for _, name := range everyField() {
		ref, found, why := resolve(name)
		if !found || why != "" {
			t.Errorf("%s: %t %s", name, found, why)
			continue
		}
		conditions := []string{name + ask[ref.kind]}
		if name == "event.timestamp" {
			conditions = []string{"event.timestamp > 1"}
		}
		if ref.kind == textKind {
			conditions = append(conditions, name+".length > 3", name+` in ["a", ~"*b*c*", ~"d*", r"e+"]`)
		}
		for _, c := range conditions {
			if ref.event == "" {
				c += " && exec.pid > 0"
			}
			im := Import([]policy.ImportSource{{Name: "a", Path: "a", Data: []byte("rules:\n  - id: r\n    expression: |\n      " + c + "\n")}}, Options{})
			if r := im.Rules[0]; r.Status != policy.StatusImported {
				t.Errorf("%s: %s", c, r.Reason)
				continue
			}
			text := policy.Print(im.Policies[0])
			loaded, faults := policy.LoadFS(fstest.MapFS{"a.yaml": {Data: text}})
			if set, more := rules.Compile(loaded); set == nil {
				t.Errorf("%s: %v\n%s", c, append(faults, more...), text)
			} else if got := set.Rules()[0].Events; ref.event != "" && (len(got) != 1 || got[0] != ref.event) {
				t.Errorf("%s: a rule of %s", c, got)
			}
		}
	}
	for _, a := range absent {
		name := strings.TrimPrefix(a.end, ".")
		if !strings.Contains(name, ".") || strings.HasPrefix(name, "parent") || strings.HasPrefix(name, "ancestors") {
			name = "process." + name
		}
		if _, found, why := resolve(name); !found || why != a.why {
			t.Errorf("%s: %t %q", name, found, why)
		}
	}
}

// TestReadme: the field map of the README names every object and field.
func TestReadme(t *testing.T) {
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(data)
	for _, table := range []map[string]field{processFields, actingFields, fileFields, registryFields} {
		for name, f := range table {
			last := name[strings.LastIndexByte(name, '.')+1:]
			if !strings.Contains(readme, last) || !strings.Contains(readme, strings.TrimPrefix(strings.TrimSuffix(f.path, ")"), "extension(")) {
				t.Errorf("the README does not name %s or %s", name, f.path)
			}
		}
	}
	for _, a := range absent {
		if end := a.end[strings.LastIndexByte(a.end, '.')+1:]; !strings.Contains(readme, end) {
			t.Errorf("the README does not name %s", a.end)
		}
	}
}
