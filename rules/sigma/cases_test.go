package sigma_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"spoor/rules"
	"spoor/rules/policy"
	"spoor/rules/sigma"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestCases imports each testdata/*.yml. The golden file beside it has the report and the policies, which
// have to compile. NAME.mapping and NAME.placeholders beside it are options, and so is a first line
// "# allow-widened".
func TestCases(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".yml")
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			options := sigma.Options{AllowWidened: bytes.HasPrefix(data, []byte("# allow-widened\n"))}
			options.Mapping = optional(t, name+".mapping")
			options.Placeholders = optional(t, name+".placeholders")
			im := sigma.Import([]policy.ImportSource{{Name: name + ".yml", Path: name + ".yml", Data: data}}, options)
			var out bytes.Buffer
			for _, d := range im.Faults {
				out.WriteString(d.String() + "\n")
			}
			if err := im.WriteReport(&out); err != nil {
				t.Fatal(err)
			}
			for _, p := range im.Policies {
				out.WriteString("\n--- " + p.Path + "\n")
				out.Write(policy.Print(p))
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(out.Bytes(), want) {
				t.Errorf("%s differs; got\n%s", golden, out.Bytes())
			}
			if len(im.Policies) == 0 {
				return
			}
			loaded, diags := policy.LoadFS(printed(im))
			if loaded == nil {
				t.Fatal(diags.Err())
			}
			if set, diags := rules.Compile(loaded); set == nil {
				t.Fatal(diags.Err())
			}
		})
	}
}

func optional(t *testing.T, name string) *policy.ImportSource {
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return &policy.ImportSource{Name: name, Path: name, Data: data}
}
