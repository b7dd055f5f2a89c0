package rules

import (
	"slices"
	"strings"

	"spoor/pipeline/event"
)

// Field is one path that expressions can read, for the generated reference.
type Field struct {
	Path        string // process.parent.cmdline; the elements of process.ancestors are process.ancestors[].cmdline
	Type        string // text, int, bool, time, list of processes
	Description string // one line
	Derived     bool   // made by the engine, read-only, never in a signal
}

// Fields lists every readable path, in the order of the reference.
func Fields() []Field {
	out := make([]Field, 0, len(eventFields))
	for i := range eventFields {
		out = append(out, eventFields[i].Field)
		if eventFields[i].Path == "process.ancestors" {
			for j := range processFields {
				f := processFields[j].Field
				f.Path = "process.ancestors[]." + f.Path
				f.Description = "Of an ancestor: " + lowerFirst(f.Description)
				out = append(out, f)
			}
		}
	}
	return out
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// owner says what a field is read from.
type owner uint8

const (
	ofEvent    owner = iota
	ofProcess        // the event's process
	ofParent         // its parent
	ofAncestor       // an element of process.ancestors
)

// field is a readable path with its way into the event. Exactly one of the readers is set, by kind; a text
// also has a slot, its place in the cache of folded texts (of the event, or of one process).
type field struct {
	Field
	kind    kind
	owner   owner
	slot    int
	process *processField // for ofProcess, ofParent and ofAncestor: what is read of the process
	text    func(*event.Event) string
	number  func(*event.Event) int64
	boolean func(*event.Event) bool
	instant func(*event.Event) event.Time
	// missing says that the event has no such number: 0 is one that it may have.
	missing func(*event.Event) bool
	// registry marks the two paths whose roots rules see in the long form.
	registry bool
}

// processField is a path below a process: the event's own, its parent, or an ancestor.
type processField struct {
	Field
	kind    kind
	slot    int
	text    func(*event.Process) string
	number  func(*event.Process) int64
	instant func(*event.Process) event.Time
	missing func(*event.Process) bool // of a number
}

func processText(path, description string, f func(*event.Process) string) processField {
	return processField{Field: Field{Path: path, Type: "text", Description: description}, kind: kindText, text: f}
}

func processNumber(path, description string, f func(*event.Process) *int64) processField {
	return processField{Field: Field{Path: path, Type: "int", Description: description}, kind: kindInt,
		number:  func(p *event.Process) int64 { return orZero(f(p)) },
		missing: func(p *event.Process) bool { return f(p) == nil }}
}

func processTime(path, description string, f func(*event.Process) event.Time) processField {
	return processField{Field: Field{Path: path, Type: "time", Description: description}, kind: kindTime, instant: f}
}

func eventText(path, description string, f func(*event.Event) string) field {
	return field{Field: Field{Path: path, Type: "text", Description: description}, kind: kindText, text: f}
}

func eventBool(path, description string, f func(*event.Event) bool) field {
	return field{Field: Field{Path: path, Type: "bool", Description: description}, kind: kindBool, boolean: f}
}

func derived(f field) field {
	f.Derived = true
	return f
}

func orZero(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// processTable lists what can be read of any process.
func processTable() []processField {
	return []processField{
		processNumber("pid", "Process id.", func(p *event.Process) *int64 { return p.PID }),
		processNumber("ppid", "Process id of the parent.", func(p *event.Process) *int64 { return p.PPID }),
		processTime("exec_time", "When the process started.", func(p *event.Process) event.Time { return p.ExecTime }),
		processTime("exit_time", "When the process ended.", func(p *event.Process) event.Time { return p.ExitTime }),
		processText("executable.path", "Path of the executable.", func(p *event.Process) string {
			if p.Executable == nil {
				return ""
			}
			return p.Executable.Path
		}),
		processText("executable.device_path", "Path of the executable as a device path.", func(p *event.Process) string {
			if p.Executable == nil {
				return ""
			}
			return p.Executable.DevicePath
		}),
		processText("executable.name", "Name of the executable without its folder.", func(p *event.Process) string {
			if p.Executable == nil {
				return ""
			}
			return p.Executable.Name
		}),
		processText("container.id", "Id of the container the process runs in.", func(p *event.Process) string {
			if p.Container == nil {
				return ""
			}
			return p.Container.ID
		}),
		processTime("container.created_at", "When that container was created.", func(p *event.Process) event.Time {
			if p.Container == nil {
				return 0
			}
			return p.Container.CreatedAt
		}),
		processText("cmdline", "Command line.", func(p *event.Process) string { return p.Cmdline }),
		processText("user", "Account the process runs as.", func(p *event.Process) string { return p.User }),
	}
}

// eventTable lists the paths in the order of the reference. Those of the process and its parent are made
// from processTable.
func eventTable(processes []processField) []field {
	ofProcesses := func(prefix string, who owner, whose string) []field {
		var out []field
		for i := range processes {
			p := &processes[i]
			f := field{Field: p.Field, kind: p.kind, owner: who, slot: p.slot, process: p}
			f.Path = prefix + p.Path
			if whose != "" {
				f.Description = whose + lowerFirst(p.Description)
			}
			out = append(out, f)
		}
		return out
	}
	table := []field{
		eventText("evt.name", "Name of the event: exec, create, set_key_value ...; older names read as the current ones.", eventName),
		eventText("evt.category", "Category of the event.", func(e *event.Event) string {
			if e.Evt == nil {
				return ""
			}
			return e.Evt.Category
		}),
		eventText("evt.outcome", "Outcome of the event.", func(e *event.Event) string {
			if e.Evt == nil {
				return ""
			}
			return e.Evt.Outcome
		}),
		eventBool("evt.async", "The event was sent asynchronously.", func(e *event.Event) bool { return e.Evt != nil && e.Evt.Async }),
		derived(eventText("host", "The record key: the host that sent the event.", func(e *event.Event) string { return e.Meta.Host })),
		derived(field{Field: Field{Path: "time", Type: "time", Description: "The event's date."}, kind: kindTime,
			instant: func(e *event.Event) event.Time { return e.Date }}),
		eventText("file.path", "Path of the file.", func(e *event.Event) string {
			if e.File == nil {
				return ""
			}
			return e.File.Path
		}),
		eventText("file.device_path", "Path of the file as a device path.", func(e *event.Event) string {
			if e.File == nil {
				return ""
			}
			return e.File.DevicePath
		}),
		eventText("file.name", "Name of the file without its folder.", func(e *event.Event) string {
			if e.File == nil {
				return ""
			}
			return e.File.Name
		}),
		eventText("file.destination.path", "New path of a renamed file.", func(e *event.Event) string { return destination(e).Path }),
		eventText("file.destination.device_path", "New path of a renamed file as a device path.", func(e *event.Event) string { return destination(e).DevicePath }),
		eventText("file.destination.name", "New name of a renamed file.", func(e *event.Event) string { return destination(e).Name }),
		eventText("exit.cause", "How the process ended: EXITED, SIGNALED or COREDUMPED.", func(e *event.Event) string {
			if e.Exit == nil {
				return ""
			}
			return e.Exit.Cause
		}),
		{Field: Field{Path: "exit.code", Type: "int", Description: "Exit code; compares in 32 bits, so that 0xC0000005 is -1073741819."}, kind: kindInt,
			number: func(e *event.Event) int64 {
				if e.Exit == nil {
					return 0
				}
				return int64(int32(e.Exit.Code))
			},
			missing: func(e *event.Event) bool { return e.Exit == nil }},
	}
	table = append(table, ofProcesses("process.", ofProcess, "")...)
	table = append(table, ofProcesses("process.parent.", ofParent, "Of the parent: ")...)
	table = append(table,
		derived(eventBool("process.parent.known", "The parent's executable is known, from lineage or from the event.", func(e *event.Event) bool { return e.Meta.ParentKnown })),
		field{Field: Field{Path: "process.ancestors", Type: "list of processes", Description: "Ancestors, nearest first: the parent, its parent ..."}, kind: kindList},
		derived(eventBool("process.ancestors_complete", "The chain reached a process without parent, or an expected root.", func(e *event.Event) bool { return e.Meta.AncestorsComplete })),
		eventBool("process.truncated_ancestors", "Ancestors were left out because the chain is too long.", func(e *event.Event) bool { return e.Process != nil && e.Process.TruncatedAncestors }),
		eventText("container.id", "Id of the container.", func(e *event.Event) string {
			if e.Container == nil {
				return ""
			}
			return e.Container.ID
		}),
		field{Field: Field{Path: "container.created_at", Type: "time", Description: "When the container was created."}, kind: kindTime,
			instant: func(e *event.Event) event.Time {
				if e.Container == nil {
					return 0
				}
				return e.Container.CreatedAt
			}},
		eventText("registry.key_name", "Last component of the key.", func(e *event.Event) string {
			if e.Registry == nil {
				return ""
			}
			return e.Registry.KeyName
		}),
		registryField(eventText("registry.key_path", `Path of the key, with the long name of its root and CurrentControlSet.`, func(e *event.Event) string {
			if e.Registry == nil {
				return ""
			}
			return e.Registry.KeyPath
		})),
		eventText("registry.value_name", "Name of the value.", func(e *event.Event) string {
			if e.Registry == nil {
				return ""
			}
			return e.Registry.ValueName
		}),
		registryField(derived(eventText("registry.target", `The key's path, and \ and the value's name when there is one.`, registryTarget))),
		eventText("usr.name", "Account that caused the event.", func(e *event.Event) string {
			if e.Usr == nil {
				return ""
			}
			return e.Usr.Name
		}),
		eventText("usr.sid", "Security identifier of that account.", func(e *event.Event) string {
			if e.Usr == nil {
				return ""
			}
			return e.Usr.SID
		}),
		permission("username", "Account that changed the permissions.", func(p *event.PermissionChange) string { return p.Username }),
		permission("user_domain", "Domain of that account.", func(p *event.PermissionChange) string { return p.UserDomain }),
		permission("path", "Object whose permissions changed.", func(p *event.PermissionChange) string { return p.Path }),
		permission("type", "Type of that object.", func(p *event.PermissionChange) string { return p.Type }),
		permission("old_sd", "Security descriptor before.", func(p *event.PermissionChange) string { return p.OldSD }),
		permission("new_sd", "Security descriptor after.", func(p *event.PermissionChange) string { return p.NewSD }),
		agent("version", "Version of the sensor.", func(a *event.Agent) string { return a.Version }),
		agent("os", "Operating system of the host.", func(a *event.Agent) string { return a.OS }),
		agent("arch", "Processor architecture of the host.", func(a *event.Agent) string { return a.Arch }),
		agent("origin", "What the sensor reads its events from.", func(a *event.Agent) string { return a.Origin }),
	)
	slots := 0
	for i := range table {
		if table[i].text != nil {
			table[i].slot = slots
			slots++
		}
	}
	return table
}

func permission(name, description string, f func(*event.PermissionChange) string) field {
	return eventText("permission_change."+name, description, func(e *event.Event) string {
		if e.PermissionChange == nil {
			return ""
		}
		return f(e.PermissionChange)
	})
}

func agent(name, description string, f func(*event.Agent) string) field {
	return eventText("agent."+name, description, func(e *event.Event) string {
		if e.Agent == nil {
			return ""
		}
		return f(e.Agent)
	})
}

func registryField(f field) field {
	f.registry = true
	return f
}

// eventName is the canonical name. Decode fills it in; an event that was not decoded has only its own.
func eventName(e *event.Event) string {
	if e.Meta.Name == "" && e.Evt != nil {
		return event.Canonical(e.Evt.Name)
	}
	return e.Meta.Name
}

func destination(e *event.Event) event.File {
	if e.File == nil || e.File.Destination == nil {
		return event.File{}
	}
	return *e.File.Destination
}

func registryTarget(e *event.Event) string {
	r := e.Registry
	switch {
	case r == nil:
		return ""
	case r.ValueName == "":
		return r.KeyPath
	}
	return r.KeyPath + `\` + r.ValueName
}

// The tables are constant.
var (
	processFields = func() []processField {
		table := processTable()
		slots := 0
		for i := range table {
			if table[i].text != nil {
				table[i].slot = slots
				slots++
			}
		}
		return table
	}()
	eventFields   = eventTable(processFields)
	fieldByPath   = indexFields(eventFields)
	ancestorField = indexAncestors(processFields)
	// members lists, for each object, the names below it, in the order of the reference: "" for the roots,
	// "process", "process.parent"; "[]" stands for an element of process.ancestors.
	members = indexMembers()
)

// The sizes of the caches of folded texts, checked by a test.
const (
	maxEventTexts   = 32
	maxProcessTexts = 8
)

func indexFields(table []field) map[string]*field {
	m := make(map[string]*field, len(table))
	for i := range table {
		m[table[i].Path] = &table[i]
	}
	return m
}

func indexAncestors(table []processField) map[string]*field {
	m := make(map[string]*field, len(table))
	for i := range table {
		p := &table[i]
		m[p.Path] = &field{Field: p.Field, kind: p.kind, owner: ofAncestor, slot: p.slot, process: p}
	}
	return m
}

func indexMembers() map[string][]string {
	m := map[string][]string{}
	add := func(root, path string) {
		parent := root
		for _, name := range strings.Split(path, ".") {
			if !slices.Contains(m[parent], name) {
				m[parent] = append(m[parent], name)
			}
			if parent == "" {
				parent = name
			} else {
				parent += "." + name
			}
		}
	}
	for i := range eventFields {
		add("", eventFields[i].Path)
	}
	for i := range processFields {
		add("[]", processFields[i].Path)
	}
	return m
}
