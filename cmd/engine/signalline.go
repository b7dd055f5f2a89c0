package main

import (
	"fmt"
	"strings"

	"spoor/pipeline/event"
)

// chainShown is how many processes of a chain a line shows: what is left out stands for "…".
const chainShown = 5

// signalLine is a signal for people: time, host padded to hostWidth, severity, title, rule, process chain.
func signalLine(e *event.Event, host string, hostWidth int) string {
	rule, title, severity := "", e.Title, ""
	if e.Agent != nil {
		rule = e.Agent.RuleID
	}
	if e.Evt != nil {
		for _, m := range e.Evt.MatchedRules {
			if m.ID != rule {
				continue
			}
			for _, tag := range m.Tags {
				if s, ok := strings.CutPrefix(tag, "severity:"); ok {
					severity = s
				}
			}
		}
	}
	return fmt.Sprintf("%s  %-*s  %-8s  %s  [%s]  %s", e.Date.Time().Format("15:04:05"), hostWidth, host,
		strings.ToUpper(severity), title, rule, processChain(e.Process))
}

// processChain is explorer.exe > winword.exe > cmd.exe, the subject last.
func processChain(p *event.ProcessContext) string {
	if p == nil {
		return ""
	}
	names := []string{executableName(&p.Process)}
	chain := p.Ancestors
	if len(chain) == 0 && p.Parent != nil {
		chain = []*event.Process{p.Parent}
	}
	for _, a := range chain {
		if len(names) == chainShown {
			names = append(names, "…")
			break
		}
		names = append(names, executableName(a))
	}
	for i, j := 0, len(names)-1; i < j; i, j = i+1, j-1 {
		names[i], names[j] = names[j], names[i]
	}
	return strings.Join(names, " > ")
}

func executableName(p *event.Process) string {
	if p.Executable == nil || p.Executable.Name == "" {
		return "?"
	}
	return p.Executable.Name
}
