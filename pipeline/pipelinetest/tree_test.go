package pipelinetest_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "spoor"

// mayImport is the import table: what each package may import of ours. Imports point one way. A package
// below one that is named here, and not named itself, has no entry: add it.
var mayImport = map[string][]string{
	"pipeline/event":        {},
	"rules/policy":          {},
	"policies":              {},
	"pipeline/state":        {"pipeline/event"},
	"enrich":                {"pipeline/event", "pipeline/state"},
	"rules":                 {"pipeline/event", "pipeline/state", "rules/policy"},
	"rules/sigma":           {"rules/policy"},
	"rules/secl":            {"rules/policy"},
	"pipeline":              {"pipeline/event", "pipeline/state", "enrich", "rules"},
	"pipeline/changelog":    {"pipeline", "pipeline/state"},
	"pipeline/kafka":        {"pipeline", "pipeline/changelog", "pipeline/event", "pipeline/state"},
	"pipeline/file":         {"pipeline", "pipeline/event", "pipeline/state"},
	"pipeline/embedded":     {"pipeline", "pipeline/event", "pipeline/state"},
	"pipeline/pipelinetest": {"pipeline", "pipeline/changelog", "pipeline/event", "pipeline/state"},
	"rules/ruletest":        {"pipeline", "rules", "enrich", "pipeline/event", "pipeline/state"},
	// The command may import everything but the benchmarks, and nothing imports it.
	"cmd/engine": {"*"},
	// The benchmarks and the commands below them may import everything but the command.
	"bench": {"*"},
}

// doors are the packages whose code may import a library, by the library's path. Tests may import it where
// testDoors says so, too.
var doors = map[string][]string{
	"github.com/segmentio/kafka-go":            {"pipeline/kafka"},
	"github.com/twmb/franz-go":                 {"pipeline/embedded"},
	"github.com/expr-lang/expr":                {"rules"},
	"github.com/goccy/go-json":                 {"pipeline/event", "pipeline/state"},
	"github.com/hashicorp/golang-lru/v2":       {"pipeline/state", "enrich"},
	"github.com/goccy/go-yaml":                 {"rules/policy", "rules/sigma", "rules/secl", "cmd/engine"},
	"github.com/klauspost/compress":            {"pipeline/kafka", "pipeline/file", "bench/simulate", "cmd/engine"},
	"github.com/pierrec/lz4/v4":                {"pipeline/kafka"},
	"github.com/prometheus/client_golang":      {"pipeline", "pipeline/kafka", "cmd/engine"},
	"github.com/santhosh-tekuri/jsonschema/v6": {"pipeline/pipelinetest"},
	"github.com/fsnotify/fsnotify":             {"cmd/engine"},
	"github.com/spf13/cobra":                   {"cmd/engine"},
	"github.com/spf13/pflag":                   {"cmd/engine"},
	"golang.org/x/term":                        {"cmd/engine", "pipeline/file"},
	"github.com/prometheus/client_model":       {}, // what metrics hold, for tests
	"golang.org/x/sync":                        {"cmd/engine", "pipeline/kafka"},
}

// testDoors are further packages whose tests may import a library, to hold our code against it.
var testDoors = map[string][]string{
	"github.com/twmb/franz-go":                 {"pipeline/kafka", "bench"}, // another client, to hold ours against
	"github.com/goccy/go-json":                 {"bench"},                   // the bare library, as the measure of decode
	"github.com/santhosh-tekuri/jsonschema/v6": {"*"},
	"github.com/klauspost/compress":            {"*"}, // recorded traffic is compressed
	"github.com/prometheus/client_golang":      {"*"},
	"github.com/prometheus/client_model":       {"*"},
	"github.com/segmentio/kafka-go":            {"pipeline/embedded", "bench"},
	"golang.org/x/sync":                        {"*"},
}

// file is one Go file of the tree.
type file struct {
	pkg     string // folder, with slashes; "" is the root
	name    string
	test    bool
	doc     bool // has a package comment
	imports []string
}

func tree(t *testing.T) []file {
	t.Helper()
	root := filepath.Join("..", "..")
	var files []file
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		src, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), p, src, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		f := file{pkg: path.Dir(filepath.ToSlash(rel)), name: filepath.ToSlash(rel), test: strings.HasSuffix(name, "_test.go"), doc: parsed.Doc != nil}
		for _, i := range parsed.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			f.imports = append(f.imports, imported)
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("%d files: this is not the tree", len(files))
	}
	return files
}

// below says whether p is dir or below it.
func below(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// TestImports holds the import table. Tests are free in what they import.
func TestImports(t *testing.T) {
	for _, f := range tree(t) {
		if f.test {
			continue
		}
		entry := f.pkg
		if below(entry, "bench") {
			entry = "bench"
		}
		allowed, ok := mayImport[entry]
		if !ok {
			t.Errorf("%s: package %s is not in the import table", f.name, f.pkg)
			continue
		}
		for _, i := range f.imports {
			p, ours := strings.CutPrefix(i, module+"/")
			switch {
			case !ours || slices.Contains(allowed, p):
			case p == "cmd/engine" || p == "pipeline/pipelinetest":
				t.Errorf("%s imports %s, which nothing imports", f.name, p)
			case p == "bench" && entry != "bench":
				t.Errorf("%s imports the benchmarks", f.name)
			case slices.Contains(allowed, "*"):
			default:
				t.Errorf("%s: %s must not import %s", f.name, f.pkg, p)
			}
		}
	}
}

// TestDoors holds that each library is imported where the table says and nowhere else, and that each is in
// the table.
func TestDoors(t *testing.T) {
	for _, f := range tree(t) {
		for _, i := range f.imports {
			first, _, _ := strings.Cut(i, "/")
			if !strings.Contains(first, ".") {
				continue // the standard library, or ours
			}
			known := false
			for library, packages := range doors {
				if !below(i, library) {
					continue
				}
				known = true
				open := slices.Contains(packages, f.pkg)
				if f.test {
					for _, p := range testDoors[library] {
						open = open || p == "*" || below(f.pkg, p)
					}
				}
				if !open {
					t.Errorf("%s imports %s; its door is %s", f.name, i, strings.Join(packages, ", "))
				}
			}
			if !known {
				t.Errorf("%s imports %s, which has no door: add it to the table", f.name, i)
			}
		}
	}
}

// TestPackageComments holds that each package has a comment, in exactly one file.
func TestPackageComments(t *testing.T) {
	docs := make(map[string][]string)
	for _, f := range tree(t) {
		if f.test {
			continue
		}
		if _, ok := docs[f.pkg]; !ok {
			docs[f.pkg] = nil
		}
		if f.doc {
			docs[f.pkg] = append(docs[f.pkg], f.name)
		}
	}
	for pkg, names := range docs {
		if len(names) != 1 {
			t.Errorf("package %s has %d package comments %s, should have one", pkg, len(names), names)
		}
	}
}
