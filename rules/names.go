package rules

import (
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"

	"spoor/rules/policy"
)

// names is what the expressions of one policy can name beside fields: its own lists, macros and variables,
// and what other policies share.
type names struct {
	lists     map[string]*policy.List
	macros    map[string]*macro
	variables map[string]*variable
	events    map[string]bool // extra event names
}

// macro is a macro of the set.
type macro struct {
	*policy.Macro
	src    *source
	tree   ast.Node // nil: it does not parse
	names  *names   // of its policy
	cyclic bool     // it uses itself and is never expanded
}

// variable is a declared variable.
type variable struct {
	*policy.Variable
	typ     typ
	initial any // the default, of typ
}

// collectNames resolves what every policy can name. Names that stand twice were refused with the structure.
func (c *compiler) collectNames() {
	shared := &names{lists: map[string]*policy.List{}, macros: map[string]*macro{}}
	c.names = map[*policy.Policy]*names{}
	for _, p := range c.set.Policies {
		own := &names{lists: map[string]*policy.List{}, macros: map[string]*macro{}, variables: map[string]*variable{}, events: map[string]bool{}}
		c.names[p] = own
		for i := range p.SharedLists {
			if c.checkName(p.SharedLists[i].Name, "list") {
				shared.lists[p.SharedLists[i].Name.Value] = &p.SharedLists[i]
			}
		}
		for i := range p.SharedMacros {
			c.addMacro(shared, &p.SharedMacros[i], own)
		}
		for i := range p.Lists {
			if c.checkName(p.Lists[i].Name, "list") {
				own.lists[p.Lists[i].Name.Value] = &p.Lists[i]
			}
		}
		for i := range p.Macros {
			c.addMacro(own, &p.Macros[i], own)
		}
		for i := range p.Variables {
			if c.checkName(p.Variables[i].Name, "variable") {
				own.variables[p.Variables[i].Name.Value] = c.newVariable(&p.Variables[i])
			}
		}
		for _, e := range p.ExtraEventNames {
			own.events[fold(e.Value)] = true
		}
	}
	for _, own := range c.names {
		for name, l := range shared.lists {
			if own.lists[name] == nil {
				own.lists[name] = l
			}
		}
		for name, m := range shared.macros {
			if own.macros[name] == nil {
				own.macros[name] = m
			}
		}
	}
}

// addMacro adds a macro of the policy with the names own to what can be named.
func (c *compiler) addMacro(to *names, m *policy.Macro, own *names) {
	out := &macro{Macro: m, src: c.pos.add(m.Expression, "macro "+m.ID.Value), names: own}
	if c.checkName(m.ID, "macro") {
		to.macros[m.ID.Value] = out
	}
	seen := map[string]bool{}
	for _, p := range m.Params {
		c.checkName(p, "parameter")
		if seen[p.Value] {
			c.reportSpan(p.Span, codeNameTaken, "parameter `"+p.Value+"` stands twice", "give it another name")
		}
		seen[p.Value] = true
	}
	c.macros = append(c.macros, out)
}

// checkName refuses names that mean something in the language.
func (c *compiler) checkName(name policy.Text, what string) bool {
	var taken string
	switch {
	case slices.Contains(roots, name.Value):
		taken = "a field"
	case slices.Contains(keywords, name.Value):
		taken = "a keyword"
	case functionByName[name.Value] != nil, refused[name.Value] != "":
		taken = "a function"
	default:
		return true
	}
	c.reportSpan(name.Span, codeReservedName, what+" `"+name.Value+"` has the name of "+taken, "give it another name")
	return false
}

// macroUses lists the macros that a tree names, each with a place.
func macroUses(tree ast.Node, in *names) (uses []*macro, at []file.Location) {
	v := nameFinder{}
	if tree != nil {
		ast.Walk(&tree, &v)
	}
	for _, id := range v.names {
		if m := in.macros[id.Value]; m != nil {
			uses = append(uses, m)
			at = append(at, id.Location())
		}
	}
	return uses, at
}

type nameFinder struct{ names []*ast.IdentifierNode }

func (v *nameFinder) Visit(node *ast.Node) {
	if id, ok := (*node).(*ast.IdentifierNode); ok {
		v.names = append(v.names, id)
	}
}

// refuseCycles reports every macro that uses itself, once for a cycle, with the path.
func (c *compiler) refuseCycles() {
	const (
		unseen = iota
		open
		closed
	)
	state := map[*macro]int{}
	var path []*macro
	var visit func(m *macro)
	visit = func(m *macro) {
		state[m] = open
		path = append(path, m)
		uses, at := macroUses(m.tree, m.names)
		for i, u := range uses {
			switch state[u] {
			case unseen:
				visit(u)
			case open:
				start := slices.Index(path, u)
				var ids []string
				for _, p := range path[start:] {
					ids = append(ids, p.ID.Value)
					p.cyclic = true
				}
				ids = append(ids, u.ID.Value)
				c.report(at[i], codeMacroCycle, "macro `"+u.ID.Value+"` uses itself: "+strings.Join(ids, " -> "), "")
			}
		}
		path = path[:len(path)-1]
		state[m] = closed
	}
	for _, m := range c.macros {
		if state[m] == unseen {
			visit(m)
		}
	}
}

// scope is a chain of what an expression binds itself: parameters, lets and elements.
type scope struct {
	up   *scope
	name string // "#" for the element of a closure
	// A parameter or let, or the element of a constant list: the term is elaborated anew at each use, in
	// the scope of what it stands for.
	node ast.Node
	in   *scope
	env  *names
	// The element of a closure that runs for each event.
	closure *closure
	// A parameter of a macro that is checked alone.
	unknown bool
	// constant is an element of a list that is written out; closure is then what the list stands in.
	constant *term
}

func (s *scope) find(name string) *scope {
	for ; s != nil; s = s.up {
		if s.name == name {
			return s
		}
	}
	return nil
}

// closure is an any(...) or the like that runs for each event.
type closure struct {
	elem      kind
	constants bool // its list is constant
	holds     bool // another closure stands in it
}
