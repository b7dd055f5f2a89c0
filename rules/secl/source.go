package secl

import (
	"fmt"
	"slices"
	"strings"

	"spoor/rules/policy"
)

// file is one source: a policy of SECL.
type file struct {
	src     policy.ImportSource
	version string
	rules   []*definition
}

// definition is an entry under rules, as its file has it.
type definition struct {
	node *policy.ImportNode
	id   string
	// base is the rule of the same id, before this one, that it changes; nil when it stands alone.
	base *definition
	// refused is what is wrong with the entry itself.
	refused *fault
	made    *policy.Rule // once it is imported
}

// textIn is the text of a key, "" when there is none.
func textIn(n *policy.ImportNode, key string) string {
	if v := n.Get(key); !v.IsNull() && v.Kind == policy.ImportText {
		return v.Text
	}
	return ""
}

// read takes the macros and rules of a source.
func (im *importer) read(src policy.ImportSource) {
	f := &file{src: src}
	im.files = append(im.files, f)
	docs := policy.ReadImportDocuments(src)
	if len(docs) == 0 {
		im.broken(policy.Span{File: src.Name}, "the file is empty")
	}
	for _, doc := range docs {
		switch {
		case doc.Root == nil:
			im.out.Faults = append(im.out.Faults, doc.Faults...)
		case doc.Root.Kind != policy.ImportMap || doc.Root.Get("rules") == nil && doc.Root.Get("macros") == nil:
			im.broken(doc.Span, "not a SECL policy: a mapping with rules or macros")
		default:
			im.readDocument(f, doc.Root)
		}
	}
}

func (im *importer) broken(at policy.Span, message string) {
	im.out.Faults = append(im.out.Faults, policy.Diagnostic{Span: at, Level: policy.Error, Code: policy.CodeWrongType, Message: message})
}

func (im *importer) readDocument(f *file, root *policy.ImportNode) {
	if f.version == "" {
		f.version = textIn(root, "version")
	}
	for _, key := range []string{"macros", "rules"} {
		section := root.Get(key)
		if section.IsNull() {
			continue
		}
		if section.Kind != policy.ImportList {
			im.broken(section.Span, key+" is a list")
			continue
		}
		for _, item := range section.Items {
			if key == "macros" {
				im.readMacro(item)
			} else {
				im.readRule(f, item)
			}
		}
	}
}

// readRule takes an entry of rules.
func (im *importer) readRule(f *file, item *policy.ImportNode) {
	d := &definition{node: item, id: textIn(item, "id")}
	f.rules = append(f.rules, d)
	switch {
	case item.Kind != policy.ImportMap:
		d.refused = &fault{item.Span, "a rule is a mapping"}
		return
	case d.id == "":
		d.refused = &fault{item.Span, "the rule has no id"}
		return
	case strings.Trim(d.id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != "":
		d.refused = &fault{item.Get("id").Span, fmt.Sprintf("the id %q has characters other than letters, digits, _, . and -", d.id)}
		return
	}
	if holds, _, f := filters(item.Get("filters")); f != nil || holds == never {
		return // another rule of this id may be for Windows; why this one is not is said where it is imported
	}
	combine := item.Get("combine")
	switch word := textIn(item, "combine"); {
	case word != "" && word != "override":
		d.refused = &fault{combine.Span, "rules know only combine: override"}
		return
	case word == "override":
		if d.base = im.rules[d.id]; d.base == nil {
			d.refused = &fault{combine.Span, "no source defines the rule that this one overrides, before it"}
		}
		return
	}
	if first := im.rules[d.id]; first == nil {
		im.rules[d.id] = d
	} else if item.Get("disabled") != nil {
		d.base = first
	} else {
		d.refused = &fault{item.Get("id").Span, "a rule of this id stands at " + first.node.Span.String() + "; without combine: override this one is ignored"}
	}
}

// macro is what its definitions over all sources come to.
type macro struct {
	id    string
	body  *node // an expression or a list
	fault *fault
	notes []string
}

// readMacro takes an entry of macros. One that is for other systems only does not exist here.
func (im *importer) readMacro(item *policy.ImportNode) {
	id := textIn(item, "id")
	if id == "" {
		im.broken(item.Span, "a macro has an id")
		return
	}
	m := &macro{id: id}
	holds, written, f := filters(item.Get("filters"))
	switch {
	case f != nil:
		m.fault = f
	case holds == never:
		return
	case holds == unsure:
		m.notes = append(m.notes, "macro-filter: macro "+id+" is taken for every host, whatever its filter says: "+written)
	}
	if v := textIn(item, "agent_version"); v != "" {
		m.notes = append(m.notes, "agent-version: macro "+id+" is for agents "+v+", which is not checked")
	}
	if m.fault == nil {
		m.body, m.fault = macroBody(item, id)
	}
	im.mergeMacro(m, item)
}

// macroBody is the expression of a macro, or its values as a list of plain texts.
func macroBody(item *policy.ImportNode, id string) (*node, *fault) {
	expression, values := item.Get("expression"), item.Get("values")
	switch {
	case expression.IsNull() == values.IsNull():
		return nil, &fault{item.Span, "a macro has an expression or values"}
	case !expression.IsNull() && expression.Kind == policy.ImportText:
		src := textOf(expression)
		src.of = "macro `" + id + "`"
		return parse(src)
	case expression.IsNull() && values.Kind == policy.ImportList:
		list := &node{kind: listNode, src: textOf(values)}
		for _, v := range values.Items {
			if v.Kind != policy.ImportText {
				return nil, &fault{v.Span, "a value of a macro is a text"}
			}
			list.args = append(list.args, &node{kind: stringNode, text: v.Text, to: len([]rune(v.Text)), src: textOf(v)})
		}
		if len(list.args) > 0 {
			return list, nil
		}
	}
	return nil, &fault{item.Span, "a macro has an expression, which is a text, or values, which are a list"}
}

// mergeMacro joins m to what other definitions of its name say: merge appends lists, override replaces, and
// without either the first stays.
func (im *importer) mergeMacro(m *macro, item *policy.ImportNode) {
	first := im.macros[m.id]
	combine := textIn(item, "combine")
	switch {
	case combine != "" && combine != "merge" && combine != "override":
		m.fault = &fault{item.Get("combine").Span, "macros know combine: merge and override"}
		im.macros[m.id] = m
	case first == nil || combine == "override":
		im.macros[m.id] = m
	case combine == "":
		first.notes = append(first.notes, "macro-ignored: macro "+m.id+" stands again at "+item.Span.String()+", without combine")
	case first.fault != nil:
	case m.fault != nil:
		first.fault = m.fault
	case first.body.kind != listNode || m.body.kind != listNode:
		first.fault = &fault{item.Span, "combine: merge joins lists, and one of the two is an expression"}
	default:
		merged := *first.body
		merged.args = slices.Concat(first.body.args, m.body.args)
		first.body = &merged
		first.notes = slices.Concat(first.notes, m.notes)
	}
}

// taken are names that mean something in our language.
var taken = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`evt file exit process container registry usr permission_change agent host time
		and or not in contains matches let if else true false nil index acc env
		any all none one count filter map len first find last lower upper trim abs min max int float string duration date
		glob like basename dirname extension exact now split join concat flatten uniq reverse take sort sum mean median keys values
		reduce repeat replace type get ceil floor round timezone bitand bitor bitxor bitnand bitnot bitshl bitshr bitushr`) {
		m[w] = true
	}
	return m
}()
