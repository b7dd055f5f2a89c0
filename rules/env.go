package rules

import "time"

// Env is what an expression can read, as types for expr's checker. Its types are ours: no methods, no
// untagged and no embedded fields, so that nothing is readable by accident. The values never stand in an
// Env: fields.go reads them from the event. A test walks the types against the table there.
type Env struct {
	Evt              EnvEvt              `expr:"evt"`
	File             EnvFileEvent        `expr:"file"`
	Exit             EnvExit             `expr:"exit"`
	Process          EnvProcess          `expr:"process"`
	Container        EnvContainer        `expr:"container"`
	Registry         EnvRegistry         `expr:"registry"`
	Usr              EnvUser             `expr:"usr"`
	PermissionChange EnvPermissionChange `expr:"permission_change"`
	Agent            EnvAgent            `expr:"agent"`
	Host             string              `expr:"host"`
	Time             time.Time           `expr:"time"`
}

// EnvEvt is the root evt.
type EnvEvt struct {
	Name     string `expr:"name"`
	Category string `expr:"category"`
	Outcome  string `expr:"outcome"`
	Async    bool   `expr:"async"`
}

// EnvFile is a file: an executable, or the target of a rename.
type EnvFile struct {
	Path       string `expr:"path"`
	DevicePath string `expr:"device_path"`
	Name       string `expr:"name"`
}

// EnvFileEvent is the root file.
type EnvFileEvent struct {
	Path        string  `expr:"path"`
	DevicePath  string  `expr:"device_path"`
	Name        string  `expr:"name"`
	Destination EnvFile `expr:"destination"`
}

// EnvExit is the root exit.
type EnvExit struct {
	Cause string `expr:"cause"`
	Code  int64  `expr:"code"`
}

// EnvContainer is a container: the root, or that of a process.
type EnvContainer struct {
	ID        string    `expr:"id"`
	CreatedAt time.Time `expr:"created_at"`
}

// EnvProcess is the root process.
type EnvProcess struct {
	PID                int64         `expr:"pid"`
	PPID               int64         `expr:"ppid"`
	ExecTime           time.Time     `expr:"exec_time"`
	ExitTime           time.Time     `expr:"exit_time"`
	Executable         EnvFile       `expr:"executable"`
	Container          EnvContainer  `expr:"container"`
	Cmdline            string        `expr:"cmdline"`
	User               string        `expr:"user"`
	Parent             EnvParent     `expr:"parent"`
	Ancestors          []EnvAncestor `expr:"ancestors"`
	AncestorsComplete  bool          `expr:"ancestors_complete"`
	TruncatedAncestors bool          `expr:"truncated_ancestors"`
}

// EnvParent is process.parent.
type EnvParent struct {
	PID        int64        `expr:"pid"`
	PPID       int64        `expr:"ppid"`
	ExecTime   time.Time    `expr:"exec_time"`
	ExitTime   time.Time    `expr:"exit_time"`
	Executable EnvFile      `expr:"executable"`
	Container  EnvContainer `expr:"container"`
	Cmdline    string       `expr:"cmdline"`
	User       string       `expr:"user"`
	Known      bool         `expr:"known"`
}

// EnvAncestor is an element of process.ancestors.
type EnvAncestor struct {
	PID        int64        `expr:"pid"`
	PPID       int64        `expr:"ppid"`
	ExecTime   time.Time    `expr:"exec_time"`
	ExitTime   time.Time    `expr:"exit_time"`
	Executable EnvFile      `expr:"executable"`
	Container  EnvContainer `expr:"container"`
	Cmdline    string       `expr:"cmdline"`
	User       string       `expr:"user"`
}

// EnvRegistry is the root registry.
type EnvRegistry struct {
	KeyName   string `expr:"key_name"`
	KeyPath   string `expr:"key_path"`
	ValueName string `expr:"value_name"`
	Target    string `expr:"target"`
}

// EnvUser is the root usr.
type EnvUser struct {
	Name string `expr:"name"`
	SID  string `expr:"sid"`
}

// EnvPermissionChange is the root permission_change.
type EnvPermissionChange struct {
	Username   string `expr:"username"`
	UserDomain string `expr:"user_domain"`
	Path       string `expr:"path"`
	Type       string `expr:"type"`
	OldSD      string `expr:"old_sd"`
	NewSD      string `expr:"new_sd"`
}

// EnvAgent is the root agent.
type EnvAgent struct {
	Version string `expr:"version"`
	OS      string `expr:"os"`
	Arch    string `expr:"arch"`
	Origin  string `expr:"origin"`
}
