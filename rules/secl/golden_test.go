package secl_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spoor/rules/policy"
	"spoor/rules/secl"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden compares what testdata/*.policy become: the report, then the policy.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.policy")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(name)
		im := secl.Import([]policy.ImportSource{{Name: base, Path: base, Data: data}}, secl.Options{})
		var got bytes.Buffer
		for _, d := range im.Faults {
			got.WriteString(d.String() + "\n")
		}
		if err := im.WriteReport(&got); err != nil {
			t.Fatal(err)
		}
		got.WriteString(written(im))
		golden := strings.TrimSuffix(name, ".policy") + ".golden"
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != string(want) {
			t.Errorf("%s differs from its golden file; run the test with -update and read the difference\n%s", name, got.String())
		}
		set, faults := load(im)
		if set == nil {
			t.Errorf("%s: %v", name, faults.Err())
		}
		for _, d := range faults {
			if d.Code != "no-test" && d.Code != "not-in-force" && d.Code != "negated-unknown" {
				t.Errorf("%s: %s", name, d)
			}
		}
	}
}
