// Package event holds the documents on the wire: the input event and the signal, which is the same
// document with the rule's identity filled in. It owns their Go types, their JSON codec (goccy/go-json,
// imported nowhere else but where state is encoded), their JSON Schema and the closed set of reasons for
// which a record is rejected. It imports nothing of ours.
//
// Tests of other packages hold signals against Schema("signal") with santhosh-tekuri/jsonschema, which no code
// but that of tests imports.
package event

import "encoding/json"

// Event is one runtime-security event of a Windows host. Absent members are nil, "" or 0 and stay absent
// on the wire; an empty object on the wire is the same as an absent one.
//
// An Event is owned by the goroutine of one partition and reused for the next record: whatever outlives
// the record is cloned out of it. After enrichment its Process may point into the partition's state, which
// holds until the next event of that partition is enriched.
type Event struct {
	Agent            *Agent            `json:"agent,omitempty"`
	Title            string            `json:"title,omitempty"`
	Evt              *Evt              `json:"evt,omitempty"`
	Date             Time              `json:"date,omitempty"`
	File             *FileEvent        `json:"file,omitempty"`
	Exit             *Exit             `json:"exit,omitempty"`
	Process          *ProcessContext   `json:"process,omitempty"`
	Container        *Container        `json:"container,omitempty"`
	Registry         *Registry         `json:"registry,omitempty"`
	Usr              *User             `json:"usr,omitempty"`
	PermissionChange *PermissionChange `json:"permission_change,omitempty"`

	// Meta is what the engine knows about the event beside its document.
	Meta Meta `json:"-"`
}

// Meta is derived, read by rules and never on the wire.
type Meta struct {
	// Host is the record key as it came, never folded. Without HasHost the event has no lineage.
	Host    string
	HasHost bool
	// Name is the canonical event name: Evt.Name with older names replaced (see Canonical).
	Name string
	// ParentKnown says that the parent's executable is known, from lineage or from the event itself.
	ParentKnown bool
	// AncestorsComplete says that the chain of ancestors reached a process without parent id, or an
	// expected root.
	AncestorsComplete bool
}

// Agent describes who sent the event and, in a signal, which rule matched it.
type Agent struct {
	RuleID        string            `json:"rule_id,omitempty"`
	RuleVersion   string            `json:"rule_version,omitempty"`
	RuleActions   []json.RawMessage `json:"rule_actions,omitempty"`
	PolicyName    string            `json:"policy_name,omitempty"`
	PolicyVersion string            `json:"policy_version,omitempty"`
	Version       string            `json:"version,omitempty"`
	OS            string            `json:"os,omitempty"`
	Arch          string            `json:"arch,omitempty"`
	Origin        string            `json:"origin,omitempty"`
}

// Evt is what happened.
type Evt struct {
	Name         string        `json:"name,omitempty"`
	Category     string        `json:"category,omitempty"`
	Outcome      string        `json:"outcome,omitempty"`
	Async        bool          `json:"async,omitempty"`
	MatchedRules []MatchedRule `json:"matched_rules,omitempty"`
	Variables    Variables     `json:"variables,omitempty"`
}

// MatchedRule names one rule that an event matched.
type MatchedRule struct {
	ID            string   `json:"id,omitempty"`
	Version       string   `json:"version,omitempty"`
	Tags          []string `json:"tags,omitempty"` // sorted "key:value" texts
	PolicyName    string   `json:"policy_name,omitempty"`
	PolicyVersion string   `json:"policy_version,omitempty"`
}

// File names a file: an executable, or the target of a rename.
type File struct {
	Path       string `json:"path,omitempty"`
	DevicePath string `json:"device_path,omitempty"`
	Name       string `json:"name,omitempty"` // basename; filled from Path at decode when absent
}

// FileEvent is the file an event is about.
type FileEvent struct {
	Path        string `json:"path,omitempty"`
	DevicePath  string `json:"device_path,omitempty"`
	Name        string `json:"name,omitempty"`
	Destination *File  `json:"destination,omitempty"`
}

// Exit says how a process ended. Both members are always written: the signal's schema requires them.
type Exit struct {
	Cause string `json:"cause"` // EXITED, SIGNALED or COREDUMPED
	Code  int64  `json:"code"`
}

// Process is one process: the subject of an event, its parent or an ancestor.
type Process struct {
	PID        *int64     `json:"pid,omitempty"`
	PPID       *int64     `json:"ppid,omitempty"`
	ExecTime   Time       `json:"exec_time,omitempty"`
	ExitTime   Time       `json:"exit_time,omitempty"`
	Executable *File      `json:"executable,omitempty"`
	Container  *Container `json:"container,omitempty"`
	Cmdline    string     `json:"cmdline,omitempty"`
	User       string     `json:"user,omitempty"`
}

// ProcessContext is the process an event is about, with its lineage.
type ProcessContext struct {
	Process
	Parent *Process `json:"parent,omitempty"`
	// Ancestors run from the nearest, the parent itself, to the farthest. The process is not among them.
	Ancestors          []*Process `json:"ancestors,omitempty"`
	Variables          Variables  `json:"variables,omitempty"`
	TruncatedAncestors bool       `json:"truncated_ancestors,omitempty"`
}

// Container is the container a process runs in.
type Container struct {
	ID        string    `json:"id,omitempty"`
	CreatedAt Time      `json:"created_at,omitempty"`
	Variables Variables `json:"variables,omitempty"`
}

// Registry is the registry key or value an event is about.
type Registry struct {
	KeyName   string `json:"key_name,omitempty"` // last component of KeyPath; filled at decode when absent
	KeyPath   string `json:"key_path,omitempty"`
	ValueName string `json:"value_name,omitempty"`
}

// User is the account an event was caused by.
type User struct {
	Name string `json:"name,omitempty"`
	SID  string `json:"sid,omitempty"`
}

// PermissionChange is a change of an object's security descriptor.
type PermissionChange struct {
	Username   string `json:"username,omitempty"`
	UserDomain string `json:"user_domain,omitempty"`
	Path       string `json:"path,omitempty"`
	Type       string `json:"type,omitempty"`
	OldSD      string `json:"old_sd,omitempty"`
	NewSD      string `json:"new_sd,omitempty"`
}
