package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// ImportSource is one file that an importer reads.
type ImportSource struct {
	Name string // as the user named it, with slashes
	Path string // below the folder that the user named, its base name when it was named itself
	Data []byte
}

// maxImportFile bounds one source file; collections of a few thousand rules in one file are a few MiB.
const maxImportFile = 64 << 20

// ReadImportSources reads files, folders (every file below them with one of the extensions, dot included;
// names that start with a dot are left out) and globs, each file once, in the order of the arguments and
// sorted within each. What cannot be read is a diagnostic.
func ReadImportSources(args []string, extensions ...string) ([]ImportSource, Diagnostics) {
	g := importGatherer{extensions: extensions, seen: map[string]bool{}}
	for _, arg := range args {
		before := g.found + len(g.diags)
		g.argument(arg)
		if g.found+len(g.diags) == before {
			g.diags = append(g.diags, Diagnostic{Span: Span{File: filepath.ToSlash(arg)}, Level: Error, Code: CodeNoPolicies,
				Message: "no *" + strings.Join(extensions, ", *") + " file here"})
		}
	}
	return g.sources, g.diags.Sort()
}

// importGatherer collects the sources of one import.
type importGatherer struct {
	extensions []string
	seen       map[string]bool
	found      int // files, those that were read before among them
	sources    []ImportSource
	diags      Diagnostics
}

// argument takes a file, a folder or a glob.
func (g *importGatherer) argument(arg string) {
	info, err := os.Stat(arg)
	if err == nil {
		g.add(arg, info, true)
		return
	}
	matches, globErr := filepath.Glob(arg)
	if globErr != nil || len(matches) == 0 {
		if strings.ContainsAny(arg, "*?[") && (globErr != nil || errors.Is(err, fs.ErrNotExist)) {
			err = fmt.Errorf("no file matches")
		}
		g.unreadable(arg, err)
		return
	}
	// rules/*.txt asks for such files, rules/* for what a folder would give.
	extension := filepath.Ext(arg)
	named := extension != "" && !strings.ContainsAny(extension, "*?[")
	for _, m := range matches {
		if strings.HasPrefix(filepath.Base(m), ".") {
			continue
		}
		if info, err := os.Stat(m); err != nil {
			g.unreadable(m, err)
		} else {
			g.add(m, info, named)
		}
	}
}

func (g *importGatherer) unreadable(name string, err error) {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err // the name is said already
	}
	g.diags = append(g.diags, Diagnostic{Span: Span{File: filepath.ToSlash(name)}, Level: Error, Code: CodeUnreadable,
		Message: "cannot be read: " + err.Error()})
}

// add takes a file, whatever its extension when it was named itself, or the files of a folder.
func (g *importGatherer) add(name string, info fs.FileInfo, named bool) {
	if !info.IsDir() {
		if named || slices.Contains(g.extensions, strings.ToLower(path.Ext(filepath.ToSlash(name)))) {
			g.read(name, filepath.Base(name), info)
		}
		return
	}
	// os.DirFS follows a link that the folder itself is.
	err := fs.WalkDir(os.DirFS(name), ".", func(below string, d fs.DirEntry, err error) error {
		p := filepath.Join(name, filepath.FromSlash(below))
		switch hidden := strings.HasPrefix(path.Base(below), ".") && below != "."; {
		case err != nil:
			g.unreadable(p, err)
		case hidden && d.IsDir():
			return fs.SkipDir
		case hidden || d.IsDir() || !slices.Contains(g.extensions, strings.ToLower(path.Ext(d.Name()))):
		default:
			info, err := os.Stat(p) // follows links
			if err != nil {
				g.unreadable(p, err)
			} else if !info.IsDir() {
				g.read(p, below, info)
			}
		}
		return nil
	})
	if err != nil {
		g.unreadable(name, err)
	}
}

func (g *importGatherer) read(name, below string, info fs.FileInfo) {
	clean := filepath.Clean(name)
	g.found++
	if g.seen[clean] {
		return
	}
	g.seen[clean] = true
	if info.Size() > maxImportFile {
		g.unreadable(name, fmt.Errorf("the file has %d bytes, at most %d are read", info.Size(), maxImportFile))
		return
	}
	data, err := os.ReadFile(name)
	if err != nil {
		g.unreadable(name, err)
		return
	}
	g.sources = append(g.sources, ImportSource{Name: filepath.ToSlash(clean), Path: below, Data: data})
}
