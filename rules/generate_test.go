package rules

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// generator writes random expressions and events over a small vocabulary, so that they meet.
type generator struct {
	*rand.Rand
	elem bool // inside of a closure over processes
	deep bool // inside of two
	// plain leaves out what expr itself means otherwise: see TestAgainstExpr.
	plain bool
}

var vocabulary = []string{"cmd.exe", "CMD.EXE", "PowerShell.exe", `C:\Windows\System32\cmd.exe`, `c:/temp/a.ps1`, "", "a", "A b", "ſtraße",
	"STRASSE", "Kelvin", "kelvin", "ÉCOLE", "école", "ŁÓDŹ", "-enc AAAA", `HKLM\SOFTWARE\Run`, `HKEY_LOCAL_MACHINE\SYSTEM\ControlSet002\Services\x`,
	`\REGISTRY\MACHINE\SYSTEM\CurrentControlSet\Services\X`, `HKU\S-1-5\Software\Run`, `HKCU\Software`, "exec", "create_file", "1"}

func (g *generator) pick(options ...string) string { return options[g.IntN(len(options))] }

func (g *generator) word() string {
	w := vocabulary[g.IntN(len(vocabulary))]
	if r := []rune(w); len(r) > 1 && g.IntN(3) == 0 {
		i := g.IntN(len(r))
		w = string(r[i : i+1+g.IntN(len(r)-i)])
	}
	return w
}

func (g *generator) literal() string { return "`" + g.word() + "`" }

func (g *generator) literals(n int) string {
	out := make([]string, 1+g.IntN(n))
	for i := range out {
		out[i] = g.literal()
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func (g *generator) numbers() string {
	return fmt.Sprintf("[%d, %d, %d]", g.IntN(9), g.IntN(9), g.IntN(9))
}

// process is a way to some process, with the dot after it.
func (g *generator) process() string {
	if g.elem && g.IntN(3) > 0 {
		return g.pick(".", "#.")
	}
	if g.plain {
		return g.pick("process.", "process.parent.")
	}
	return g.pick("process.", "process.parent.", fmt.Sprintf("process.ancestors[%d].", g.IntN(7)-3), "first(process.ancestors).", "last(process.ancestors).")
}

func (g *generator) text(d int) string {
	switch g.IntN(12) {
	case 0:
		return g.literal()
	case 1, 2, 3:
		fields := []string{"file.path", "file.name", "evt.name", "usr.name", "host", "file.destination.path", "evt.outcome"}
		if !g.plain {
			fields = append(fields, "registry.key_path", "registry.target")
		}
		return g.pick(fields...)
	case 4:
		if d > 0 {
			return "(" + g.text(d-1) + " + " + g.text(d-1) + ")"
		}
	case 5:
		if d > 0 {
			functions := []string{"basename", "trim"}
			if !g.plain {
				functions = append(functions, "dirname", "extension", "lower", "upper")
			}
			return g.pick(functions...) + "(" + g.text(d-1) + ")"
		}
	case 6:
		if d > 0 {
			return "(" + g.condition(d-1) + " ? " + g.text(d-1) + " : " + g.text(d-1) + ")"
		}
	case 7:
		if d > 0 && !g.plain {
			return g.pick("say", "ticket", "string("+g.int(d-1)+")")
		}
	case 8:
		if d > 0 && !g.elem && !g.plain {
			return g.pick("find(process.ancestors, "+g.inside(d-1)+").cmdline", "map(process.ancestors, .executable.name)["+fmt.Sprint(g.IntN(4)-1)+"]", "find(words, # contains "+g.literal()+")")
		}
	}
	return g.process() + g.pick("cmdline", "executable.name", "executable.path", "user", "container.id")
}

func (g *generator) int(d int) string {
	switch g.IntN(9) {
	case 0:
		return fmt.Sprint(g.IntN(9))
	case 1:
		if d > 0 {
			operators := []string{"+", "-", "*"}
			if !g.plain {
				operators = append(operators, "%")
			}
			return "(" + g.int(d-1) + " " + g.pick(operators...) + " " + g.int(d-1) + ")"
		}
	case 2:
		return "len(" + g.text(d-1) + ")"
	case 3:
		if d > 0 && !g.deep {
			return "count(process.ancestors, " + g.inside(d-1) + ")"
		}
	case 4:
		if !g.plain {
			return "exit.code"
		}
	case 5:
		if d > 0 && !g.plain {
			return g.pick("abs", "max", "min") + "(" + g.int(d-1) + ")"
		}
	case 6:
		if !g.plain {
			return "score"
		}
	}
	return g.process() + g.pick("pid", "ppid")
}

func (g *generator) instant() string {
	return g.pick("time", `date("2026-01-01")`, g.process()+"exec_time", g.process()+"exit_time")
}

// inside is a condition inside of a closure over processes.
func (g *generator) inside(d int) string {
	elem, deep := g.elem, g.deep
	g.elem, g.deep = true, true
	s := g.condition(d)
	if !elem && g.IntN(4) == 0 {
		s = "(" + s + g.pick(" and ", " or ") + g.pick("any", "all", "none", "one") + "(process.ancestors, " + g.condition(d) + "))"
	}
	g.elem, g.deep = elem, deep
	return s
}

func (g *generator) condition(d int) string {
	if d > 0 {
		switch g.IntN(8) {
		case 0, 1:
			return "(" + g.condition(d-1) + " and " + g.condition(d-1) + ")"
		case 2, 3:
			return "(" + g.condition(d-1) + " or " + g.condition(d-1) + ")"
		case 4:
			return "not (" + g.condition(d-1) + ")"
		case 5:
			if !g.deep {
				return g.pick("any", "all", "none", "one") + "(process.ancestors, " + g.inside(d-1) + ")"
			}
		case 6:
			return "(" + g.condition(d-1) + " ? " + g.condition(d-1) + " : " + g.condition(d-1) + ")"
		}
	}
	comparison := []string{"==", "!=", "contains", "startsWith", "endsWith", "not contains", "not startsWith", "<", ">", "<=", ">="}
	switch g.IntN(14) {
	case 0, 1, 2, 3:
		return g.text(d) + " " + g.pick(comparison...) + " " + g.text(d)
	case 4:
		return g.text(d) + " " + g.pick("in", "not in") + " " + g.literals(4)
	case 5:
		if g.plain {
			break
		}
		return g.pick("glob(", "like(") + g.text(d) + ", " + g.literals(3) + ")"
	case 6:
		return g.text(d) + " " + g.pick("matches", "not matches") + " " + g.pick("`^c`", "`(?i)exe$`", "`[a-z]:`", "`ß|é`", "`\\d`", "`s.r`", "``")
	case 7, 8:
		return g.int(d) + " " + g.pick("==", "!=", "<", "<=", ">", ">=") + " " + g.int(d)
	case 9:
		return g.int(d) + " in " + g.numbers()
	case 10:
		if g.plain {
			return g.instant() + " == " + g.instant()
		}
		return g.pick(g.instant()+" "+g.pick("<", "<=", ">", ">=", "==", "!=")+" "+g.instant(), g.instant()+" - "+g.instant()+" "+g.pick("<", ">", "==")+` duration("5s")`)
	case 11:
		return g.pick("evt.async", "process.parent.known", "process.ancestors_complete")
	case 12:
		if g.plain {
			break
		}
		if !g.deep && g.IntN(3) == 0 {
			return g.pick("any(tags, # == "+g.literal()+")", "len(filter(tags, # startsWith "+g.literal()+")) > 0", g.text(d)+" in map(tags, # + `x`)")
		}
		return g.pick("exact("+g.text(d)+") "+g.pick("==", "!=", "contains", "<")+" "+g.text(d), "exact("+g.text(d)+") in "+g.literals(3),
			"is_shell("+g.pick("process", "process.parent")+")", "says("+g.text(d)+")", g.text(d)+" in words", "flag", g.literal()+" in tags")
	default:
		elem := g.elem // # is a literal in there
		g.elem = false
		defer func() { g.elem = elem }()
		return g.pick("any", "all", "none") + "(" + g.literals(3) + ", " + g.text(0) + " " + g.pick("contains", "==", "startsWith") + " #)"
	}
	return g.text(d) + " == " + g.text(d)
}

const generatedNames = `
lists:
  words: [cmd.exe, STRASSE, a]
macros:
  - {id: is_shell, params: [p], expression: 'p.executable.name in words or p.cmdline startsWith "CMD"'}
  - {id: says, params: [x], expression: 'any(words, x contains #)'}
  - {id: say, expression: 'process.cmdline + process.user'}
variables:
  ticket: {scope: process, type: string, default: none}
  score: {scope: process, type: int, default: 3}
  tags: {scope: event, type: [string]}
  flag: {scope: event, type: bool}
`

// event is a random event as JSON.
func (g *generator) event() string {
	object := func(members ...any) map[string]any {
		m := map[string]any{}
		for i := 0; i < len(members); i += 2 {
			if g.IntN(4) > 0 {
				m[members[i].(string)] = members[i+1]
			}
		}
		return m
	}
	at := func() string { return fmt.Sprintf("2026-01-01T00:00:%02dZ", g.IntN(20)) }
	process := func() map[string]any {
		return object("pid", g.IntN(9), "ppid", g.IntN(9), "cmdline", g.word(), "user", g.word(), "exec_time", at(), "exit_time", at(),
			"executable", object("path", g.word(), "name", g.word()), "container", object("id", g.word()))
	}
	p := process()
	p["parent"] = process()
	var ancestors []any
	for range g.IntN(4) {
		ancestors = append(ancestors, process())
	}
	if len(ancestors) > 0 {
		p["ancestors"] = ancestors
	}
	p["variables"] = object("ticket", g.word(), "score", g.IntN(5))
	e := object("evt", object("name", g.pick("exec", "EXEC", "create_file", "exit", "custom"), "async", g.IntN(2) == 0, "outcome", g.word(),
		"variables", object("tags", []any{g.word(), g.word()}, "flag", g.IntN(2) == 0)),
		"file", object("path", g.word(), "destination", object("path", g.word())), "registry", object("key_path", g.word(), "value_name", g.word()),
		"usr", object("name", g.word()), "exit", map[string]any{"cause": "EXITED", "code": g.IntN(9) - 4}, "process", p)
	e["date"] = at()
	text, _ := json.Marshal(e)
	return string(text)
}
