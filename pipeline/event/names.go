package event

import (
	"maps"
	"slices"
)

// known are the canonical event names, in the order in which they are listed to people.
var known = []string{"exec", "exit", "create", "rename", "delete", "write", "create_key", "open_key",
	"set_key_value", "delete_key", "change_permission", "utimes", "delete_key_value", "rename_key"}

// aliases are the names that older agents send, and what they are called now.
var aliases = map[string]string{
	"create_file":            "create",
	"rename_file":            "rename",
	"delete_file":            "delete",
	"write_file":             "write",
	"create_registry_key":    "create_key",
	"open_registry_key":      "open_key",
	"set_registry_key_value": "set_key_value",
	"delete_registry_key":    "delete_key",
}

// canonical maps every known name and every alias, in lower case, to the canonical one. Constant.
var canonical = func() map[string]string {
	m := make(map[string]string, len(known)+len(aliases))
	for _, name := range known {
		m[name] = name
	}
	for alias, name := range aliases {
		m[alias] = name
	}
	return m
}()

// Canonical returns the name that rules see for an evt.name: ASCII case is ignored, older names are
// replaced, an unknown name comes back as it is. It does not allocate.
func Canonical(name string) string {
	var lower [32]byte
	if len(name) > len(lower) {
		return name
	}
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	if c, ok := canonical[string(lower[:len(name)])]; ok {
		return c
	}
	return name
}

// Known lists the canonical event names. The caller owns the list.
func Known() []string { return slices.Clone(known) }

// Alias is an older name of an event.
type Alias struct {
	Name      string // the older one
	Canonical string // what it is called now
}

// Aliases lists the older names, sorted. The caller owns the list.
func Aliases() []Alias {
	out := make([]Alias, 0, len(aliases))
	for _, name := range slices.Sorted(maps.Keys(aliases)) {
		out = append(out, Alias{Name: name, Canonical: aliases[name]})
	}
	return out
}

// IsAlias reports whether name is an older spelling: known by another name than itself, case aside.
func IsAlias(name string) bool {
	c := Canonical(name)
	return len(c) != len(name) && slices.Contains(known, c)
}
