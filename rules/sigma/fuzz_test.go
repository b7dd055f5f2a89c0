package sigma_test

import (
	"os"
	"path/filepath"
	"testing"

	"spoor/rules"
	"spoor/rules/policy"
	"spoor/rules/sigma"
)

// FuzzImport holds that no document makes the importer panic, and that what it writes loads, compiles and is
// printed the same again.
func FuzzImport(f *testing.F) {
	files, _ := filepath.Glob(filepath.Join("testdata", "*.yml"))
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data), true)
	}
	for _, condition := range []string{"1 of them", "not all of s*", "((s))", "s and (not s or s)", "s | count() > 1", "all of", "not"} {
		f.Add("title: t\nlogsource: {category: registry_event}\ndetection:\n  s: {TargetObject|contains: 'a\\*b?c'}\n  condition: "+condition+"\n", false)
	}
	for _, line := range []string{"CommandLine|re: '(?i)a.{10}$'", "CommandLine|windash|contains: ' -a /b -c'", "Image|cased: \"\\t`'\\\"\\u202e\"",
		"User|fieldref: ParentUser", "ProcessId|gte: -1", "EventType: [SetValue, x]", "CommandLine|base64offset|contains: é"} {
		f.Add("title: t\nlogsource: {category: process_creation}\ndetection:\n  s:\n    "+line+"\n  condition: s\n", false)
	}
	f.Fuzz(func(t *testing.T, data string, allow bool) {
		im := sigma.Import([]policy.ImportSource{{Name: "x.yml", Path: "x.yml", Data: []byte(data)}}, sigma.Options{AllowWidened: allow})
		if len(im.Policies) == 0 {
			return
		}
		files := printed(im)
		loaded, diags := policy.LoadFS(files)
		if loaded == nil {
			t.Fatalf("what is written does not load: %v\n%s", diags.Err(), files["x.yaml"].Data)
		}
		if again := policy.Print(loaded.Policies[0]); string(again) != string(files["x.yaml"].Data) {
			t.Fatalf("printed\n%s\nand again\n%s", files["x.yaml"].Data, again)
		}
		if set, diags := rules.Compile(loaded); set == nil {
			t.Fatalf("what is written does not compile: %v\n%s", diags.Err(), files["x.yaml"].Data)
		}
	})
}
