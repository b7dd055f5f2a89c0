package policy

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("policy.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchemaAcceptsGood validates every good policy; together they use every key.
func TestSchemaAcceptsGood(t *testing.T) {
	s := compileSchema(t)
	var all strings.Builder
	paths, _ := filepath.Glob("testdata/good/*.yaml")
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(s, data); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		all.Write(data)
	}
	keys := slices.Concat(policyObject.keys(), defaultsObject.keys(), sharedObject.keys(), macroObject.keys(), variableObject.keys(), ruleObject.keys(),
		sourceObject.keys(), exceptionObject.keys(), overrideObject.keys(), addObject.keys(), testObject.keys(), testEventObject.keys())
	for _, key := range keys {
		if !regexp.MustCompile(`(?m)(^|[ {"'])` + key + `["']?:`).MatchString(all.String()) {
			t.Errorf("no good policy has the key %q", key)
		}
	}
}

func validate(s *jsonschema.Schema, data []byte) error {
	src, _ := newSource("p.yaml", data)
	raw, err := yaml.YAMLToJSON([]byte(src.masked()))
	if err != nil {
		return err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

// TestSchemaRefuses shows that the schema sees what editors should underline.
func TestSchemaRefuses(t *testing.T) {
	s := compileSchema(t)
	for _, doc := range []string{
		"nme: a\n",
		"rules: {}\n",
		"rules: [{id: a}]\n",
		"rules: [{id: a, expression: 'x', severty: low}]\n",
		"rules: [{id: a, expression: 'x', severity: hgh}]\n",
		"rules: [{id: 'a b', expression: 'x'}]\n",
		"rules: [{id: a, expression: 'x', priority: high}]\n",
		"rules: [{id: a, expression: 'x', tags: [a]}]\n",
		"rules: [{id: a, expression: 'x', exceptions: [{name: n}]}]\n",
		"lists: {Bad-Name: [a]}\n",
		"tests: [{name: t}]\n",
		"overrides: [{rule: a, add: {severity: low}}]\n",
		"variables: {v: {scope: host, type: string}}\n",
	} {
		if validate(s, []byte(doc)) == nil {
			t.Errorf("the schema accepts %q", doc)
		}
		if _, diags := loadOne(doc); !diags.HasErrors() {
			t.Errorf("the loader accepts %q", doc)
		}
	}
}

// TestSchemaKeys holds the keys of the schema equal to those the loader accepts, mapping by mapping: each
// key of the schema is known to the loader, and a key that is in none of them is not.
func TestSchemaKeys(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	defs := doc.(map[string]any)["$defs"].(map[string]any)
	keysOf := func(def any) []string {
		var keys []string
		for k, p := range def.(map[string]any)["properties"].(map[string]any) {
			keys = append(keys, k)
			if p.(map[string]any)["description"] == "" {
				t.Errorf("key %q has no description", k)
			}
		}
		sort.Strings(keys)
		return keys
	}
	// %s stands for the keys, each with a value of a wrong kind at worst.
	places := map[string]string{
		"": "%s", "defaults": "defaults:\n  %s", "shared": "shared:\n  %s", "macro": "macros:\n- %s", "variable": "variables:\n v:\n  %s",
		"rule": "rules:\n- %s", "source": "rules:\n- source:\n    %s", "exception": "rules:\n- exceptions:\n  - %s",
		"override": "overrides:\n- %s", "add": "overrides:\n- rule: a\n  add:\n    %s", "test": "tests:\n- %s",
	}
	for name, place := range places {
		def := any(doc)
		if name != "" {
			def = defs[name]
		}
		for _, key := range append(keysOf(def), "no_such_key") {
			_, diags := loadOne(strings.Replace(place, "%s", key+": x\n", 1))
			unknown := false
			for _, d := range diags {
				unknown = unknown || d.Code == CodeUnknownKey && strings.Contains(d.Message, `"`+key+`"`)
			}
			if want := key == "no_such_key"; unknown != want {
				t.Errorf("%s: key %q: unknown to the loader: %v, want %v (%v)", name, key, unknown, want, diags)
			}
		}
	}
	for name := range defs {
		if _, ok := places[name]; !ok && name != "lists" && name != "event" {
			t.Errorf("definition %q is not checked here", name)
		}
	}
}
