package secl

import (
	"strconv"
	"strings"
)

// valueKind is the type of a value.
type valueKind int

const (
	textKind valueKind = iota
	intKind
	timeKind     // in SECL nanoseconds since 1970
	durationKind // in SECL nanoseconds
	causeKind    // exit.cause: a number in SECL, a name in events
	boolKind
	addressKind
)

func (k valueKind) String() string {
	return [...]string{"a text", "a number", "a time", "a duration", "an exit cause", "true or false", "an address"}[k]
}

// field is what a field of SECL is in our events.
type field struct {
	path string // in our language; below an element of process.ancestors it begins with a dot
	kind valueKind
	form fieldForm
	// cased fields compare with case in SECL and without here.
	cased bool
}

// fieldForm says how the patterns of a text field work.
type fieldForm int

const (
	plainForm    fieldForm = iota // * is any text
	pathForm                      // * stays within a folder, / is \
	deviceForm                    // the same, and the path begins with \
	registryForm                  // * is any text, a backslash is never doubled
)

// processFields are the fields below exec, exit, process, process.parent and process.ancestors.
var processFields = map[string]field{
	"cmdline":        {path: "cmdline"},
	"container.id":   {path: "container.id", cased: true},
	"created_at":     {path: "exec_time", kind: timeKind},
	"file.name":      {path: "executable.name"},
	"file.path":      {path: "executable.path", form: pathForm},
	"file.extension": {path: "extension(executable.name)"},
	"pid":            {path: "pid", kind: intKind},
	"ppid":           {path: "ppid", kind: intKind},
	"user":           {path: "user", cased: true},
}

// actingFields are those that events have of the acting process only.
var actingFields = map[string]field{"user_sid": {path: "usr.sid", cased: true}}

// fileFields are the fields of a file, below create.file, delete.file, write.file, rename.file and
// rename.file.destination.
var fileFields = map[string]field{
	"path":        {path: "path", form: pathForm},
	"device_path": {path: "device_path", form: deviceForm},
	"name":        {path: "name"},
	"extension":   {path: "extension(name)"},
}

// registryFields are the fields of a key.
var registryFields = map[string]field{
	"key_name": {path: "registry.key_name", form: registryForm},
	"key_path": {path: "registry.key_path", form: registryForm},
}

// singleFields are the fields that stand alone, with the event they belong to.
var singleFields = map[string]struct {
	event string // "" for every event
	field field
}{
	"exit.cause": {"exit", field{path: "exit.cause", kind: causeKind}},
	"exit.code":  {"exit", field{path: "exit.code", kind: intKind}},

	"set_key_value.registry.value_name": {"set_key_value", field{path: "registry.value_name"}},
	"set.registry.value_name":           {"set_key_value", field{path: "registry.value_name"}},

	"set_registry_key_value.registry.value_name": {"set_key_value", field{path: "registry.value_name"}},

	"set_key_value.value_name": {"set_key_value", field{path: "registry.value_name"}},
	"set.value_name":           {"set_key_value", field{path: "registry.value_name"}},

	"change_permission.path":        {"change_permission", field{path: "permission_change.path", form: pathForm}},
	"change_permission.type":        {"change_permission", field{path: "permission_change.type"}},
	"change_permission.username":    {"change_permission", field{path: "permission_change.username", cased: true}},
	"change_permission.user_domain": {"change_permission", field{path: "permission_change.user_domain", cased: true}},
	"change_permission.old_sd":      {"change_permission", field{path: "permission_change.old_sd"}},
	"change_permission.new_sd":      {"change_permission", field{path: "permission_change.new_sd"}},

	"container.id":         {"", field{path: "container.id", cased: true}},
	"container.created_at": {"", field{path: "container.created_at", kind: timeKind}},
	"event.timestamp":      {"", field{path: "time", kind: timeKind}},
	"event.os":             {"", field{path: "agent.os"}},
	"event.origin":         {"", field{path: "agent.origin"}},
}

// prefixes are the objects that events have several of, the longer before the shorter.
var prefixes = []struct {
	secl   string
	event  string // "" for every event
	ours   string // what stands before the paths of fields
	fields map[string]field
	array  bool
}{
	{secl: "process.ancestors.", ours: ".", fields: processFields, array: true},
	{secl: "process.parent.", ours: "process.parent.", fields: processFields},
	{secl: "process.", ours: "process.", fields: processFields},
	{secl: "exec.", event: "exec", ours: "process.", fields: processFields},
	{secl: "exit.", event: "exit", ours: "process.", fields: processFields},

	{secl: "create.file.", event: "create", ours: "file.", fields: fileFields},
	{secl: "create_file.file.", event: "create", ours: "file.", fields: fileFields},
	{secl: "delete.file.", event: "delete", ours: "file.", fields: fileFields},
	{secl: "delete_file.file.", event: "delete", ours: "file.", fields: fileFields},
	{secl: "write.file.", event: "write", ours: "file.", fields: fileFields},
	{secl: "write_file.file.", event: "write", ours: "file.", fields: fileFields},
	{secl: "rename.file.destination.", event: "rename", ours: "file.destination.", fields: fileFields},
	{secl: "rename_file.file.destination.", event: "rename", ours: "file.destination.", fields: fileFields},
	{secl: "rename.file.", event: "rename", ours: "file.", fields: fileFields},
	{secl: "rename_file.file.", event: "rename", ours: "file.", fields: fileFields},

	{secl: "create_key.registry.", event: "create_key", fields: registryFields},
	{secl: "create_registry_key.registry.", event: "create_key", fields: registryFields},
	{secl: "create.registry.", event: "create_key", fields: registryFields},
	{secl: "open_key.registry.", event: "open_key", fields: registryFields},
	{secl: "open_registry_key.registry.", event: "open_key", fields: registryFields},
	{secl: "open.registry.", event: "open_key", fields: registryFields},
	{secl: "set_key_value.registry.", event: "set_key_value", fields: registryFields},
	{secl: "set_registry_key_value.registry.", event: "set_key_value", fields: registryFields},
	{secl: "set.registry.", event: "set_key_value", fields: registryFields},
	{secl: "delete_key.registry.", event: "delete_key", fields: registryFields},
	{secl: "delete_registry_key.registry.", event: "delete_key", fields: registryFields},
	{secl: "delete.registry.", event: "delete_key", fields: registryFields},
}

// absent are fields of Windows that events do not carry, by their end, with what is missing.
var absent = []struct{ end, why string }{
	{".envp", "events do not carry environment variables"},
	{".envs", "events do not carry environment variables"},
	{"parent.user_sid", "events carry the sid of the acting process only"},
	{"ancestors.user_sid", "events carry the sid of the acting process only"},
	{"container.tags", "events do not carry the tags of containers"},
	{"container.runtime", "events do not carry the runtime of containers"},
	{"event.hostname", "the host is the key of a record, not part of an event"},
	{"event.service", "events do not carry it"},
	{"event.source", "events do not carry it"},
	{"event.rule.tags", "events do not carry it"},
}

// reference is a field as an expression names it.
type reference struct {
	field
	event    string // "" when the field belongs to every event
	array    bool   // of each ancestor; path begins with a dot
	register string // of the ancestor that this register stands for
	whole    bool   // the list of ancestors itself
	length   bool
}

const ancestorsField = "process.ancestors"

// resolve finds a field by its SECL name. found is false when Windows has no such field; why says what is
// wrong with a field of Windows that cannot be read.
func resolve(name string) (ref reference, found bool, why string) {
	base, length := strings.CutSuffix(name, ".length")
	if base == ancestorsField && length {
		return reference{field: field{path: "len(" + ancestorsField + ")", kind: intKind}, whole: true, length: true}, true, ""
	}
	index := ""
	if at := strings.IndexByte(base, '['); at >= 0 {
		end := strings.IndexByte(base, ']')
		if end < at || base[:at] != ancestorsField || strings.ContainsAny(base[end+1:], "[]") || !strings.HasPrefix(base[end+1:], ".") {
			return reference{}, true, "only process.ancestors has elements, written process.ancestors[0].pid or process.ancestors[A].pid"
		}
		index, base = base[at+1:end], base[:at]+base[end+1:]
		if index == "" {
			return reference{}, true, "the brackets hold no index"
		}
	}
	if ref, found, why = resolvePlain(base); !found || why != "" {
		return ref, found, why
	}
	if index != "" {
		if n, err := strconv.ParseUint(index, 10, 16); err == nil {
			ref.array = false
			ref.path = within(ref.path, ancestorsField+"["+strconv.FormatUint(n, 10)+"]")
		} else if strings.Trim(index, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789") != "" || index[0] >= '0' && index[0] <= '9' {
			return ref, true, "[" + index + "] is neither an index nor a register"
		} else {
			ref.array, ref.register = false, index
		}
	}
	if length {
		if ref.kind != textKind {
			return ref, true, "only texts and lists have a length"
		}
		ref.length, ref.kind, ref.path = true, intKind, "len("+ref.path+")"
	}
	return ref, true, ""
}

func resolvePlain(name string) (reference, bool, string) {
	if s, ok := singleFields[name]; ok {
		return reference{field: s.field, event: s.event}, true, ""
	}
	for _, a := range absent {
		if strings.HasSuffix(name, a.end) && (strings.HasPrefix(name, "event.") || strings.HasPrefix(name, "container.") || hasProcessPrefix(name)) {
			return reference{}, true, a.why
		}
	}
	for _, p := range prefixes {
		rest, ok := strings.CutPrefix(name, p.secl)
		if !ok {
			continue
		}
		f, ok := p.fields[rest]
		if ok {
			f.path = within(f.path, strings.TrimSuffix(p.ours, "."))
			if p.array {
				f.path = within(p.fields[rest].path, "")
			}
			return reference{field: f, event: p.event, array: p.array}, true, ""
		}
		if f, ok = actingFields[rest]; ok && (p.secl == "process." || p.secl == "exec." || p.secl == "exit.") {
			return reference{field: f, event: p.event}, true, ""
		}
	}
	return reference{}, false, ""
}

func hasProcessPrefix(name string) bool {
	for _, p := range []string{"process.", "exec.", "exit."} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// within is a path, or a function of one, below an object; registry paths are whole already.
func within(path, object string) string {
	if strings.HasPrefix(path, "registry.") {
		return path
	}
	if fn, arg, ok := strings.Cut(path, "("); ok {
		return fn + "(" + within(arg, object)
	}
	return object + "." + strings.TrimPrefix(path, ".")
}
