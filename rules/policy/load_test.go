package policy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func paths(s *Set) []string {
	var out []string
	for _, p := range s.Policies {
		out = append(out, p.Path)
	}
	return out
}

// TestLoadFolder reads a folder in the order of its paths, *.yaml and *.yml only, hidden names left out.
func TestLoadFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.yaml", "a/z.yml", "a.yaml", "c/d/e.yaml"} {
		write(t, filepath.Join(dir, name), "version: 1\n")
	}
	for _, name := range []string{".hidden.yaml", ".git/x.yaml", "readme.md", "x.yaml.bak"} {
		write(t, filepath.Join(dir, name), ": not a policy")
	}
	set, diags := Load(dir)
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	want := []string{dir + "/a.yaml", dir + "/a/z.yml", dir + "/b.yaml", dir + "/c/d/e.yaml"}
	if !slices.Equal(paths(set), want) {
		t.Errorf("got %q, want %q", paths(set), want)
	}
	if name := set.Policies[1].Name.Value; name != "z" {
		t.Errorf("the default name is %q, want z", name)
	}
	// Files may be named with any extension, and a file named twice counts once.
	write(t, filepath.Join(dir, "policy.txt"), "name: text\n")
	set, diags = Load(filepath.Join(dir, "policy.txt"), filepath.Join(dir, "a"), filepath.Join(dir, "a", "z.yml"))
	if err := diags.Err(); err != nil {
		t.Fatal(err)
	}
	if want := []string{dir + "/a/z.yml", dir + "/policy.txt"}; !slices.Equal(paths(set), want) {
		t.Errorf("got %q, want %q", paths(set), want)
	}
}

// TestLoadConfigMap reads a folder as Kubernetes mounts it: links through a hidden folder.
func TestLoadConfigMap(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "..2026_01_01", "p.yaml"), "rules: [{id: a, expression: 'x'}]\n")
	for link, to := range map[string]string{"..data": "..2026_01_01", "p.yaml": "..data/p.yaml"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip("no links here:", err)
		}
	}
	link := filepath.Join(t.TempDir(), "policies")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, link} {
		set, diags := Load(path)
		if err := diags.Err(); err != nil {
			t.Fatal(err)
		}
		if want := []string{path + "/p.yaml"}; !slices.Equal(paths(set), want) {
			t.Errorf("got %q, want %q", paths(set), want)
		}
	}
}

// TestLoadNothing says why there is no set.
func TestLoadNothing(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "huge.yaml"), strings.Repeat("# \n", maxFileSize/3+1))
	empty := t.TempDir()
	tests := []struct {
		paths []string
		want  []string
	}{
		{[]string{empty}, []string{empty + ": error: no *.yaml or *.yml file here [no-policies]"}},
		{nil, []string{": error: no *.yaml or *.yml file here [no-policies]"}},
		{[]string{empty + "/none", empty + "/other.yaml"}, []string{empty + "/none: error: cannot be read: no such file or directory [unreadable]",
			empty + "/other.yaml: error: cannot be read: no such file or directory [unreadable]"}},
		{[]string{filepath.Join(dir, "huge.yaml")}, []string{dir + "/huge.yaml: error: the file has 1048578 bytes, a policy at most 1048576 [file-too-large]"}},
	}
	for _, test := range tests {
		set, diags := Load(test.paths...)
		var got []string
		for _, d := range diags {
			got = append(got, d.String())
		}
		if set.Hash != "" || !slices.Equal(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.paths, got, test.want)
		}
	}
}

// TestLoadLinks reads folders that are linked into each other and into themselves, each once. The time limit of the
// test run holds that it does not read them along every path.
func TestLoadLinks(t *testing.T) {
	dir := t.TempDir()
	names := []string{"a", "b", "c", "d", "e"}
	for _, name := range names {
		write(t, filepath.Join(dir, name, name+".yaml"), "rules: [{id: "+name+", expression: 'x'}]\n")
	}
	for _, in := range append(names, ".") {
		for _, to := range append(names, ".") {
			if err := os.Symlink(filepath.Join(dir, to), filepath.Join(dir, in, "to-"+strings.Trim(to, "."))); err != nil {
				t.Skip("no links here:", err)
			}
		}
	}
	for _, paths := range [][]string{{dir}, {dir, dir}, {dir, filepath.Join(dir, "to-b")}} {
		set, diags := Load(paths...)
		if err := diags.Err(); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range set.Policies {
			got = append(got, p.Name.Value)
		}
		slices.Sort(got)
		if !slices.Equal(got, names) {
			t.Errorf("%q: got %q, want %q", paths, got, names)
		}
	}
}

// TestBombs loads what is small and costly elsewhere. The time limit of the test run holds it.
func TestBombs(t *testing.T) {
	n := 1 << 16
	for name, text := range map[string]string{
		"sequences":   "a: " + strings.Repeat("[", n),
		"mappings":    "a: " + strings.Repeat("{", n),
		"dashes":      strings.Repeat("- ", n),
		"keys":        strings.Repeat("a: ", n),
		"deep keys":   deepKeys(400),
		"questions":   strings.Repeat("? ", n),
		"anchors":     "a: " + strings.Repeat("&a ", n),
		"tags":        "a: " + strings.Repeat("!a ", n),
		"quote":       "a: '" + strings.Repeat("x\n\n", n/3),
		"block":       "a: |\n" + strings.Repeat("  x y z\n", n/8),
		"blank block": "a: |+\n" + strings.Repeat("\n", n),
		"spaces":      "a: |\n " + strings.Repeat(" ", n) + "x",
		"plain":       "a: " + strings.Repeat("x ", n/2),
		"plain lines": "a: x\n" + strings.Repeat("  y\n", n/4),
		"comments":    strings.Repeat("#\n", n/2),
		"many keys":   manyKeys(20000),
		"many rules":  "rules:\n" + strings.Repeat("- id: a\n  expression: b\n", 8000),
		"flow":        "lists: {a: [" + strings.Repeat("x, ", n/3) + "]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, diags := loadOne(text); !diags.HasErrors() && name != "flow" {
				t.Error("no error")
			}
		})
	}
}

func deepKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("k" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + ": 1\n")
	}
	return b.String()
}

// Texts with a colon between [ ] inside { } are texts: YAML wants a blank behind the colon of a key.
func TestTornTexts(t *testing.T) {
	src := "rules:\n  - {id: one, references: [https://x.example/z, a:b, c:d:e], expression: 'evt.name == \"exec\"'}\n"
	set, ds := LoadFS(fstest.MapFS{"p.yaml": {Data: []byte(src)}})
	if len(ds) > 0 {
		t.Fatal(ds)
	}
	if got := strings.Join(set.Policies[0].Rules[0].References, " "); got != "https://x.example/z a:b c:d:e" {
		t.Error(got)
	}
}
