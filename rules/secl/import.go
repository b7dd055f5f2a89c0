package secl

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"spoor/rules/policy"
)

// Options of an import.
type Options struct {
	// AllowWidened imports rules whose filters depend on the host, as if they were for every host, instead of
	// refusing them.
	AllowWidened bool
}

// Import makes policies of SECL policies: one for each file that has rules for Windows, with the file's name.
// The sources are one set, in their order: macros, variables and overrides of one are seen by the others. The
// result holds an entry for every rule.
func Import(sources []policy.ImportSource, o Options) policy.Import {
	im := &importer{allowWidened: o.AllowWidened, macros: map[string]*macro{}, variables: map[string]*setVariable{},
		rules: map[string]*definition{}, paths: map[string]bool{}}
	for _, src := range sources {
		im.read(src)
	}
	for _, f := range im.files {
		for _, d := range f.rules {
			// Whether its filters can be read is said where the rule is imported.
			if holds, _, _ := filters(d.node.Get("filters")); holds != never {
				im.readVariables(d.node)
			}
		}
	}
	for _, f := range im.files {
		im.write(f)
	}
	im.out.Faults = im.out.Faults.Sort()
	im.out.SortPolicies()
	return im.out
}

// importer is one call of Import.
type importer struct {
	allowWidened bool
	files        []*file
	current      *target
	macros       map[string]*macro
	variables    map[string]*setVariable // by their names with scopes
	rules        map[string]*definition  // those that do not override another, by id
	paths        map[string]bool         // of policies
	out          policy.Import
}

// target is a policy of ours that is being written.
type target struct {
	policy *policy.Policy
	size   int // bytes of its rules, about
	// lists and variables are those that the rules written so far need.
	lists     map[string]policy.List
	variables map[string]policy.Variable
}

// maxTarget is where a large source goes on in another policy: the engine reads files of 1 MiB at most, and
// the lists come on top.
const maxTarget = 400 << 10

func (t *target) hasVariable(name string) bool { _, ok := t.variables[name]; return ok }

// clashes says that the policy has another list or variable of the name already.
func (t *target) clashes(v policy.Variable) bool {
	other, known := t.variables[v.Name.Value]
	_, list := t.lists[v.Name.Value]
	return list || known && (other.Scope.Value != v.Scope.Value || other.Type.Value != v.Type.Value)
}

// write makes the policy of a file, several when it is large, and an entry of the report for each of its rules.
func (im *importer) write(f *file) {
	im.start(f)
	for _, d := range f.rules {
		im.out.Rules = append(im.out.Rules, im.rule(d))
		if im.current.size > maxTarget {
			im.finish(f)
			im.start(f)
		}
	}
	im.finish(f)
}

func (im *importer) start(f *file) {
	im.current = &target{policy: &policy.Policy{Version: policy.Text{Value: f.version}},
		lists: map[string]policy.List{}, variables: map[string]policy.Variable{}}
}

func (im *importer) finish(f *file) {
	p := im.current.policy
	if len(p.Rules)+len(p.Overrides) == 0 {
		return
	}
	base := strings.TrimSuffix(f.src.Path, path.Ext(f.src.Path))
	name := base
	for n := 2; im.paths[strings.ToLower(name)]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	im.paths[strings.ToLower(name)] = true
	p.Path = name + ".yaml"
	p.Name.Value = path.Base(name)
	p.Lists = inOrder(im.current.lists)
	p.Variables = inOrder(im.current.variables)
	im.out.Policies = append(im.out.Policies, p)
}

// inOrder is the values of m by their keys.
func inOrder[V any](m map[string]V) []V {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []V
	for _, name := range names {
		out = append(out, m[name])
	}
	return out
}

// rule imports a definition and says what became of it.
func (im *importer) rule(d *definition) policy.ImportedRule {
	entry := policy.ImportedRule{ID: d.id, Source: d.node.Span, Status: policy.StatusRefused}
	if id := d.node.Get("id"); id != nil {
		entry.Source = id.Span
	}
	refuse := func(f *fault) policy.ImportedRule {
		entry.Status, entry.Place, entry.Reason = policy.StatusRefused, f.place, f.message
		return entry
	}
	if d.refused != nil {
		return refuse(d.refused)
	}
	holds, written, f := filters(d.node.Get("filters"))
	switch {
	case f != nil:
		return refuse(f)
	case holds == never:
		return refuse(&fault{d.node.Get("filters").Span, "its filter holds for no Windows host: " + written})
	case holds == unsure:
		entry.Dropped = []string{d.node.Get("filters").Span.String() + ": filter " + written}
		if !im.allowWidened {
			return refuse(&fault{d.node.Get("filters").Span, "its filter depends on the host, and without it the rule would match on more of them: " + written})
		}
	}
	b := &builder{im: im, compiler: newCompiler(im), node: d.node}
	if d.base != nil {
		f = b.override(d)
	} else {
		f = b.rule(d)
	}
	if f != nil {
		return refuse(f)
	}
	for name, l := range b.lists {
		if _, known := im.current.lists[name]; known {
			continue
		}
		im.current.lists[name] = l
		for _, m := range l.Members {
			im.current.size += len(m.Value)
		}
	}
	for name, v := range b.variables {
		im.current.variables[name] = v
	}
	entry.Notes = b.notes
	entry.Status = policy.StatusImported
	if holds == unsure {
		entry.Status, entry.Reason, entry.Place = policy.StatusWidened, "its filter depends on the host and was left out", d.node.Get("filters").Span
	}
	return entry
}
