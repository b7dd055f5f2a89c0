// Package sigma imports Sigma rules: it reads detection rules, filters and correlations of the Sigma
// specification, version 2, and writes policies. It says of every rule whether its meaning was kept, and
// what was left out when it was not. It owns the field map (mapping.yaml). It knows policies, as text, and
// nothing of how they are evaluated: it imports rules/policy only.
package sigma

import (
	"fmt"
	"path"
	"strings"

	"spoor/rules/policy"
)

// Options of an import.
type Options struct {
	// AllowWidened imports rules without exclusions that cannot be expressed, instead of refusing them.
	AllowWidened bool
	// License is that of rules that name none.
	License string
	// Mapping extends the field map; nil for none.
	Mapping *policy.ImportSource
	// Placeholders has the values of %placeholders%: a mapping of names to a text or a list. nil for none.
	Placeholders *policy.ImportSource
}

// Import makes policies of Sigma sources: one policy for each file, with the file's path. The result holds
// an entry for every rule, correlation and filter, in the order of the sources.
func Import(sources []policy.ImportSource, o Options) policy.Import {
	im := &importer{license: o.License, allowWidened: o.AllowWidened, ids: map[string]policy.Span{}, paths: map[string]bool{}}
	var faults policy.Diagnostics
	im.mapping, faults = loadMapping(o.Mapping)
	im.out.Faults = append(im.out.Faults, faults...)
	im.placeholders, faults = loadPlaceholders(o.Placeholders)
	im.out.Faults = append(im.out.Faults, faults...)
	if len(im.out.Faults) > 0 {
		return im.out
	}
	for _, src := range sources {
		im.read(src)
	}
	im.bindFilters()
	im.bindCorrelations()
	for i := range im.files {
		im.writeFile(&im.files[i])
	}
	im.out.Faults = im.out.Faults.Sort()
	im.out.SortPolicies()
	return im.out
}

// importer is one call of Import.
type importer struct {
	mapping      *mapping
	placeholders map[string][]string
	license      string
	allowWidened bool

	files []file
	ids   map[string]policy.Span // of rules in the policies, with their sources
	paths map[string]bool        // of policies
	out   policy.Import
}

// file is one source with its documents.
type file struct {
	src  policy.ImportSource
	docs []*document
}

// read takes the documents of a source.
func (im *importer) read(src policy.ImportSource) {
	f := file{src: src}
	docs := policy.ReadImportDocuments(src)
	if len(docs) == 0 {
		whole := policy.Span{File: src.Name}
		f.docs = append(f.docs, &document{kind: brokenDocument, span: whole, refusal: refuse(whole, "the file is empty")})
	}
	var globals actions
	for _, d := range docs {
		if d.Root == nil {
			im.out.Faults = append(im.out.Faults, d.Faults...)
			at, reason := d.Span, "cannot be read"
			if len(d.Faults) > 0 {
				at, reason = d.Faults[0].Span, d.Faults[0].Message
			}
			f.docs = append(f.docs, &document{kind: brokenDocument, span: d.Span, refusal: refuse(at, "%s", reason)})
			continue
		}
		root, repeated := globals.apply(d.Root)
		if root == nil {
			continue
		}
		doc := newDocument(root, d.Span)
		doc.repeated = repeated
		f.docs = append(f.docs, doc)
	}
	im.files = append(im.files, f)
}

// maxPolicy is from where on a source becomes several policies: one is at most 1 MiB.
const maxPolicy = 256 << 10

// writeFile makes policies of the rules of a file, one if they are not very many, and an entry of the report
// for every document.
func (im *importer) writeFile(f *file) {
	var p *policy.Policy
	size := 0
	for _, d := range f.docs {
		switch d.kind {
		case ruleDocument:
			rule, entry := im.rule(d)
			im.out.Rules = append(im.out.Rules, entry)
			if rule == nil {
				continue
			}
			n := len(policy.Print(&policy.Policy{Rules: []policy.Rule{*rule}}))
			if p == nil || size+n > maxPolicy {
				p, size = &policy.Policy{Path: im.policyPath(f.src)}, 0
				p.Name.Value = "sigma-" + slug(d.source.label())
				im.out.Policies = append(im.out.Policies, p)
			}
			size += n
			rule.Policy = p
			p.Rules = append(p.Rules, *rule)
		case filterDocument:
			im.out.Rules = append(im.out.Rules, im.filterEntry(d))
		case correlationDocument:
			im.out.Rules = append(im.out.Rules, im.correlationEntry(d))
		default:
			im.out.Rules = append(im.out.Rules, d.refused(d.refusal))
		}
	}
}

// policyPath is where the policy of a source goes: as the source lies below what the user named.
func (im *importer) policyPath(src policy.ImportSource) string {
	base := strings.TrimSuffix(src.Path, path.Ext(src.Path))
	out := base + ".yaml"
	for n := 2; im.paths[strings.ToLower(out)]; n++ {
		out = fmt.Sprintf("%s-%d.yaml", base, n)
	}
	im.paths[strings.ToLower(out)] = true
	return out
}

// refusal is why a rule is not imported, and where it stands. nil: no reason.
type refusal struct {
	at     policy.Span
	reason string
}

func refuse(at policy.Span, format string, args ...any) *refusal {
	return &refusal{at, fmt.Sprintf(format, args...)}
}
