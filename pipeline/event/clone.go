package event

import (
	"slices"
	"strings"
)

// Clone copies e to the last byte: the copy shares nothing with e, its Decoder, or the record.
func (e *Event) Clone() *Event {
	c := *e
	if e.Agent != nil {
		a := *e.Agent
		cloneTexts(&a.RuleID, &a.RuleVersion, &a.PolicyName, &a.PolicyVersion, &a.Version, &a.OS, &a.Arch, &a.Origin)
		a.RuleActions = slices.Clone(a.RuleActions)
		for i := range a.RuleActions {
			a.RuleActions[i] = slices.Clone(a.RuleActions[i])
		}
		c.Agent = &a
	}
	if e.Evt != nil {
		v := *e.Evt
		cloneTexts(&v.Name, &v.Category, &v.Outcome)
		v.MatchedRules = slices.Clone(v.MatchedRules)
		for i := range v.MatchedRules {
			m := &v.MatchedRules[i]
			cloneTexts(&m.ID, &m.Version, &m.PolicyName, &m.PolicyVersion)
			m.Tags = slices.Clone(m.Tags)
			for j := range m.Tags {
				cloneTexts(&m.Tags[j])
			}
		}
		v.Variables = slices.Clone(v.Variables)
		c.Evt = &v
	}
	if e.File != nil {
		f := *e.File
		cloneTexts(&f.Path, &f.DevicePath, &f.Name)
		f.Destination = cloneFile(f.Destination)
		c.File = &f
	}
	if e.Exit != nil {
		x := *e.Exit
		cloneTexts(&x.Cause)
		c.Exit = &x
	}
	if e.Process != nil {
		p := *e.Process
		p.Process = *p.Process.Clone()
		p.Parent = p.Parent.Clone()
		p.Ancestors = slices.Clone(p.Ancestors)
		for i := range p.Ancestors {
			p.Ancestors[i] = p.Ancestors[i].Clone()
		}
		p.Variables = slices.Clone(p.Variables)
		c.Process = &p
	}
	c.Container = cloneContainer(e.Container)
	if e.Registry != nil {
		r := *e.Registry
		cloneTexts(&r.KeyName, &r.KeyPath, &r.ValueName)
		c.Registry = &r
	}
	if e.Usr != nil {
		u := *e.Usr
		cloneTexts(&u.Name, &u.SID)
		c.Usr = &u
	}
	if e.PermissionChange != nil {
		p := *e.PermissionChange
		cloneTexts(&p.Username, &p.UserDomain, &p.Path, &p.Type, &p.OldSD, &p.NewSD)
		c.PermissionChange = &p
	}
	cloneTexts(&c.Title, &c.Meta.Host, &c.Meta.Name)
	return &c
}

// Clone copies p to the last byte; nil stays nil.
func (p *Process) Clone() *Process {
	if p == nil {
		return nil
	}
	c := *p
	c.PID, c.PPID = cloneNumber(p.PID), cloneNumber(p.PPID)
	c.Executable = cloneFile(p.Executable)
	c.Container = cloneContainer(p.Container)
	cloneTexts(&c.Cmdline, &c.User)
	return &c
}

func cloneFile(f *File) *File {
	if f == nil {
		return nil
	}
	c := *f
	cloneTexts(&c.Path, &c.DevicePath, &c.Name)
	return &c
}

func cloneContainer(c *Container) *Container {
	if c == nil {
		return nil
	}
	d := *c
	cloneTexts(&d.ID)
	d.Variables = slices.Clone(d.Variables)
	return &d
}

func cloneNumber(n *int64) *int64 {
	if n == nil {
		return nil
	}
	c := *n
	return &c
}

func cloneTexts(texts ...*string) {
	for _, s := range texts {
		*s = strings.Clone(*s)
	}
}
