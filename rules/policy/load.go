package policy

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// Load reads the policies under paths: files, and folders whose *.yaml and *.yml files below them are read.
// Names that start with a dot are left out, so that a mounted ConfigMap counts once. Links are followed, and a folder
// that several lead to, or one that stands in it, is read once. The files are one set, sorted by path. Load applies overrides and returns the set with every fault found, sorted. A set with an error
// holds what could be read, for rules.Compile to find the faults of its expressions in the same run; it is
// Broken, and nothing may be matched with it.
func Load(paths ...string) (*Set, Diagnostics) {
	g := gatherer{}
	for _, p := range paths {
		name := filepath.ToSlash(p)
		info, err := os.Stat(p)
		switch {
		case err != nil:
			g.unreadable(name, err)
		case info.IsDir():
			g.folder(os.DirFS(p), ".", name, info)
		default:
			g.file(os.DirFS(filepath.Dir(p)), filepath.Base(p), name)
		}
	}
	return g.set(strings.Join(paths, ", "))
}

// LoadFS is Load over a file system: every policy in it.
func LoadFS(fsys fs.FS) (*Set, Diagnostics) {
	g := gatherer{}
	if info, err := fs.Stat(fsys, "."); err != nil {
		g.unreadable("", err)
	} else {
		g.folder(fsys, ".", "", info)
	}
	return g.set("the file system")
}

// gatherer collects the files of a set.
type gatherer struct {
	files   []sourceFile
	seen    map[string]bool
	folders []fs.FileInfo // those that were read
	diags   Diagnostics
}

type sourceFile struct {
	path string // as named to the user, with slashes
	data []byte
}

func (g *gatherer) unreadable(name string, err error) {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err // the name is said already
	}
	g.diags = append(g.diags, Diagnostic{Span: Span{File: name}, Level: Error, Code: CodeUnreadable, Message: "cannot be read: " + err.Error()})
}

// folder reads the folder that info is of.
func (g *gatherer) folder(fsys fs.FS, dir, shown string, info fs.FileInfo) {
	if slices.ContainsFunc(g.folders, func(read fs.FileInfo) bool { return os.SameFile(read, info) }) {
		return
	}
	g.folders = append(g.folders, info)
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		g.unreadable(shown, err)
		return
	}
	for _, e := range entries {
		name, display := path.Join(dir, e.Name()), path.Join(shown, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := fs.Stat(fsys, name) // follows links
		yaml := strings.HasSuffix(e.Name(), ".yaml") || strings.HasSuffix(e.Name(), ".yml")
		switch {
		case err == nil && info.IsDir():
			g.folder(fsys, name, display, info)
		case !yaml:
		case err != nil:
			g.unreadable(display, err)
		default:
			g.file(fsys, name, display)
		}
	}
}

func (g *gatherer) file(fsys fs.FS, name, display string) {
	clean := path.Clean(display)
	if g.seen[clean] {
		return
	}
	if g.seen == nil {
		g.seen = map[string]bool{}
	}
	g.seen[clean] = true
	f, err := fsys.Open(name)
	if err != nil {
		g.unreadable(display, err)
		return
	}
	defer f.Close()
	// One byte more than is allowed: newSource says that the file is too large.
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		g.unreadable(display, err)
		return
	}
	if info, err := f.Stat(); err == nil && info.Size() > maxFileSize && len(data) > maxFileSize {
		g.diags = append(g.diags, tooLarge(display, info.Size()))
		return
	}
	g.files = append(g.files, sourceFile{display, data})
}

// set reads the files that were gathered.
func (g *gatherer) set(where string) (*Set, Diagnostics) {
	if len(g.files) == 0 && len(g.diags) == 0 {
		g.diags = append(g.diags, Diagnostic{Span: Span{File: where}, Level: Error, Code: CodeNoPolicies, Message: "no *.yaml or *.yml file here"})
	}
	sort.Slice(g.files, func(i, j int) bool { return g.files[i].path < g.files[j].path })
	set, diags := assemble(g.files, g.diags.HasErrors())
	diags = append(g.diags, diags...).Sort()
	if set.Broken = diags.HasErrors(); set.Broken {
		set.Hash = ""
	}
	return set, diags
}

// readFile reads one file, nil when nothing of it can be read.
func readFile(f sourceFile) (*reader, Diagnostics) {
	src, diags := newSource(f.path, f.data)
	if diags.HasErrors() && (src == nil || diags[len(diags)-1].Code == CodeEncoding) {
		return nil, diags
	}
	root, faults := tree(src)
	diags = append(diags, faults...)
	if root == nil {
		return nil, diags
	}
	p := &Policy{Path: f.path}
	base := path.Base(f.path)
	p.Name = Text{strings.TrimSuffix(base, path.Ext(base)), Span{File: f.path}}
	r := &reader{src: src, policy: p, diags: diags, defaults: defaults{severity: Medium}}
	readObject(r, root, &policyObject, p)
	return r, r.diags
}
