package event

import "fmt"

// complete makes a decoded event what the rest of the engine relies on: no empty object, no empty list, no
// ancestor without a process, names filled in from paths, and Meta.
func complete(e *Event) error {
	if a := e.Agent; a != nil {
		if len(a.RuleActions) == 0 {
			a.RuleActions = nil
			if a.RuleID == "" && a.RuleVersion == "" && a.PolicyName == "" && a.PolicyVersion == "" &&
				a.Version == "" && a.OS == "" && a.Arch == "" && a.Origin == "" {
				e.Agent = nil
			}
		}
	}
	e.Meta = Meta{}
	if v := e.Evt; v != nil {
		for i := range v.MatchedRules {
			if m := &v.MatchedRules[i]; len(m.Tags) == 0 {
				m.Tags = nil
			}
		}
		if len(v.MatchedRules) == 0 {
			v.MatchedRules = nil
		}
		e.Meta.Name = Canonical(v.Name)
		if v.Name == "" && v.Category == "" && v.Outcome == "" && !v.Async && v.MatchedRules == nil && v.Variables == nil {
			e.Evt = nil
		}
	}
	if f := e.File; f != nil {
		f.Destination = completeFile(f.Destination)
		if f.Name == "" {
			f.Name = Basename(f.Path)
		}
		if *f == (FileEvent{}) {
			e.File = nil
		}
	}
	if p := e.Process; p != nil {
		completeProcess(&p.Process)
		if p.Parent != nil {
			completeProcess(p.Parent)
			if *p.Parent == (Process{}) {
				p.Parent = nil
			}
		}
		for i, a := range p.Ancestors {
			if a == nil {
				return &Error{ReasonWrongType, fmt.Sprintf("process.ancestors[%d]: null is not a process", i)}
			}
			completeProcess(a)
		}
		if len(p.Ancestors) == 0 {
			p.Ancestors = nil
			if p.Process == (Process{}) && p.Parent == nil && p.Variables == nil && !p.TruncatedAncestors {
				e.Process = nil
			}
		}
	}
	if e.Exit != nil && *e.Exit == (Exit{}) {
		e.Exit = nil
	}
	e.Container = completeContainer(e.Container)
	if r := e.Registry; r != nil {
		if r.KeyName == "" {
			r.KeyName = Basename(r.KeyPath)
		}
		if *r == (Registry{}) {
			e.Registry = nil
		}
	}
	if e.Usr != nil && *e.Usr == (User{}) {
		e.Usr = nil
	}
	if e.PermissionChange != nil && *e.PermissionChange == (PermissionChange{}) {
		e.PermissionChange = nil
	}
	if p := e.Process; p != nil && p.Parent != nil && p.Parent.Executable != nil {
		e.Meta.ParentKnown = true
	}
	return nil
}

func completeProcess(p *Process) {
	p.Executable = completeFile(p.Executable)
	p.Container = completeContainer(p.Container)
}

func completeFile(f *File) *File {
	if f == nil || *f == (File{}) {
		return nil
	}
	if f.Name == "" {
		f.Name = Basename(f.Path)
	}
	return f
}

func completeContainer(c *Container) *Container {
	if c == nil || c.ID == "" && c.CreatedAt == 0 && c.Variables == nil {
		return nil
	}
	return c
}

// Basename is the last component of a path of files or registry keys. Both separators count, those at the
// end do not: the basename of `C:\a\b\` is `b`, of `\` it is "".
func Basename(path string) string {
	end := len(path)
	for end > 0 && isSeparator(path[end-1]) {
		end--
	}
	start := end
	for start > 0 && !isSeparator(path[start-1]) {
		start--
	}
	return path[start:end]
}

func isSeparator(c byte) bool { return c == '\\' || c == '/' }
