package secl_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"spoor/pipeline/event"
	"spoor/rules"
	"spoor/rules/policy"
	"spoor/rules/secl"
)

// importText imports one source.
func importText(text string) policy.Import {
	return secl.Import([]policy.ImportSource{{Name: "a.policy", Path: "a.policy", Data: []byte(text)}}, secl.Options{})
}

// ruleText is a source with one rule of Windows.
func ruleText(condition string) string {
	return "rules:\n  - id: r\n    filters: ['os == \"windows\"']\n    expression: |\n      " +
		strings.ReplaceAll(condition, "\n", "\n      ") + "\n"
}

// load compiles what an import wrote, with every diagnostic.
func load(im policy.Import) (*rules.Set, policy.Diagnostics) {
	fsys := fstest.MapFS{}
	for _, p := range im.Policies {
		fsys[p.Path] = &fstest.MapFile{Data: policy.Print(p)}
	}
	loaded, faults := policy.LoadFS(fsys)
	set, more := rules.Compile(loaded)
	return set, append(faults, more...).Sort()
}

// written is every policy as text.
func written(im policy.Import) string {
	var b strings.Builder
	for _, p := range im.Policies {
		b.Write(policy.Print(p))
	}
	return b.String()
}

func mustSet(t testing.TB, source string) *rules.Set {
	t.Helper()
	im := importText(source)
	for _, r := range im.Rules {
		if r.Status != policy.StatusImported {
			t.Fatalf("%s of %s: %s %s", r.ID, source, r.Status, r.Reason)
		}
	}
	set, faults := load(im)
	if faults.HasErrors() {
		t.Fatalf("%v\n%s", faults.Err(), written(im))
	}
	return set
}

func decode(t testing.TB, text string) *event.Event {
	t.Helper()
	var e event.Event
	if err := event.NewDecoder(event.DecoderConfig{}).Decode([]byte(text), &e); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return &e
}

func matches(set *rules.Set, e *event.Event) []string {
	var r rules.Result
	set.Match(e, &r)
	var out []string
	for _, i := range append(r.Live, r.Shadow...) {
		out = append(out, set.Rules()[i].ID)
	}
	return out
}

// The events of TestSemantics.
var events = map[string]string{
	"word starts cmd": `{"evt":{"name":"exec"},"date":"2026-01-01T00:01:00Z","usr":{"sid":"S-1-5-21-7"},"process":{"pid":10,"ppid":9,
		"exec_time":"2026-01-01T00:00:30Z","executable":{"path":"C:\\Windows\\System32\\CMD.exe"},"cmdline":"cmd /c echo \"hi\" a.dll.dll",
		"user":"CORP\\Ada","container":{"id":"abc"},"variables":{"ticket":"T-1","seen":["a.exe","b.exe"],"runs":3},
		"parent":{"pid":9,"ppid":8,"executable":{"path":"C:\\Office\\winword.exe"},"cmdline":"winword /n"},
		"ancestors":[{"pid":9,"ppid":8,"executable":{"path":"C:\\Office\\winword.exe"},"cmdline":"winword /n"},
			{"pid":8,"executable":{"path":"C:\\Windows\\explorer.exe"},"cmdline":"explorer"}]}}`,
	"orphan": `{"evt":{"name":"exec"},"date":"2026-01-01T00:01:00Z","process":{"pid":10,"executable":{"path":"C:\\Windows\\System32\\cmd.exe"}}}`,
	"create": `{"evt":{"name":"create"},"file":{"path":"C:\\Users\\Ada\\x.DLL","device_path":"\\Device\\HarddiskVolume3\\Users\\Ada\\x.DLL"},
		"process":{"pid":10,"executable":{"path":"C:\\Windows\\explorer.exe"}}}`,
	"rename": `{"evt":{"name":"rename"},"file":{"path":"C:\\a\\b.txt","destination":{"path":"C:\\a\\b.locked"}},"process":{"pid":10}}`,
	"set": `{"evt":{"name":"set_key_value"},"registry":{"key_path":"HKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor\\Run","value_name":"Up"},
		"process":{"pid":10}}`,
	"crash": `{"evt":{"name":"exit"},"exit":{"cause":"COREDUMPED","code":5},"process":{"pid":10}}`,
	"chmod": `{"evt":{"name":"change_permission"},"permission_change":{"path":"C:\\a","type":"file","username":"Ada","user_domain":"CORP"},"process":{"pid":10}}`,
}

// What each condition says of an event of its name; the answers are those of SECL, or of the author where
// README.md says that the two differ.
var semantics = []struct {
	condition, event string
	want             bool
}{
	// Precedence: && and || bind alike, to the right; not binds to its operand.
	{`exec.pid == 11 && exec.pid == 10 || exec.pid == 10`, "word starts cmd", false},
	{`(exec.pid == 11 && exec.pid == 10) || exec.pid == 10`, "word starts cmd", true},
	{`exec.pid == 10 || exec.pid == 10 && exec.pid == 11`, "word starts cmd", true},
	{`exec.pid == 11 || exec.pid == 10 && exec.pid == 10`, "word starts cmd", true},
	{`!(exec.pid == 11) and not (exec.ppid == 11)`, "word starts cmd", true},
	{`1 == 1 & 1 && exec.pid == 10`, "word starts cmd", true},
	{`exec.pid == 8 | 2`, "word starts cmd", true},
	{`exec.pid + 1 - 2 == 9`, "word starts cmd", true},
	{`exec.ppid + 1 == exec.pid`, "word starts cmd", true},
	{`9 < exec.pid && 10 >= exec.pid && -1 < exec.pid`, "word starts cmd", true},
	{`(exec.pid == 10) == true && (exec.pid == 11) != true`, "word starts cmd", true},

	// Plain texts are literal and without case; ~ makes a pattern.
	{`exec.file.name == "cmd.EXE"`, "word starts cmd", true},
	{`exec.file.name == "cmd*"`, "word starts cmd", false},
	{`exec.file.name in ["x", "cmd*"]`, "word starts cmd", false},
	{`exec.file.name == ~"cmd*"`, "word starts cmd", true},
	{`exec.file.name =~ "cmd*"`, "word starts cmd", true},
	{`exec.file.name in ["x", ~"*.exe"]`, "word starts cmd", true},
	{`exec.file.name !~ "cmd*"`, "word starts cmd", false},
	{`exec.file.name != "cmd.exe"`, "word starts cmd", false},
	{`exec.file.name not in ["x", "y"]`, "word starts cmd", true},
	{`exec.file.name allin ["x", "cmd.exe"]`, "word starts cmd", true},
	{`exec.cmdline == ~"cmd*\"hi\"*"`, "word starts cmd", true},
	{`exec.cmdline =~ "*.dll"`, "word starts cmd", true}, // the author's meaning: the last .dll counts
	{`exec.cmdline =~ "*?hi*"`, "word starts cmd", false},
	{`exec.cmdline == r"/C echo"`, "word starts cmd", true},
	{`exec.cmdline =~ r"a\.(dll\.)+dll$"`, "word starts cmd", true},
	{`exec.cmdline in [r"nothing", r"^cmd"]`, "word starts cmd", true},
	{`exec.cmdline in [~"*q*", ~"*w*", ~"*echo*"]`, "word starts cmd", true},
	{`exec.cmdline not in [~"*q*", ~"*w*", ~"*echo*"]`, "word starts cmd", false},
	{`exec.cmdline in [~"c*d*dll", ~"q*z"]`, "word starts cmd", true},
	{`exec.cmdline =~ "*"`, "orphan", true},

	// Paths: globs, either separator, plain texts with one or two backslashes.
	{`exec.file.path == "c:\windows\system32\cmd.exe"`, "word starts cmd", true},
	{`exec.file.path == "C:\\Windows\\System32\\cmd.exe"`, "word starts cmd", true},
	{`exec.file.path == "C:/Windows/System32/cmd.exe"`, "word starts cmd", true},
	{`exec.file.path == ~"C:\Windows\System32\cmd.exe"`, "word starts cmd", true},
	{`exec.file.path =~ "C:\Windows\*"`, "word starts cmd", false},
	{`exec.file.path =~ "C:\Windows\**"`, "word starts cmd", true},
	{`exec.file.path =~ "C:/Windows/*/cmd.exe"`, "word starts cmd", true},
	{`exec.file.path in [~"C:\Win*\Sys*\c?d.exe"]`, "word starts cmd", false}, // ? is no wildcard
	{`exec.file.path =~ "*\Windows\**"`, "word starts cmd", true},
	{`create.file.device_path =~ "*\HarddiskVolume3\Users\**"`, "create", true},
	{`create.file.device_path =~ "\Device\*\Users\*\x.dll"`, "create", true},
	{`create.file.device_path not in [~"\Device\*\Users\**"]`, "create", false},
	{`create.file.extension == ".dll" && create.file.name.length == 5`, "create", true},
	{`create.file.path.length > 15`, "create", true},
	{`rename.file.destination.path != rename.file.path && rename.file.destination.name =~ "*.locked"`, "rename", true},

	// Missing fields are empty, and negations hold on them.
	{`exec.cmdline == "" && exec.cmdline != "x" && exec.cmdline not in ["a", "b"] && exec.cmdline !~ "x*"`, "orphan", true},
	{`process.parent.file.name != "x.exe" && exec.pid > 0`, "orphan", true},
	{`process.ancestors.file.name != "x.exe" && exec.pid > 0`, "orphan", true},
	{`process.ancestors.file.name == "" && exec.pid > 0`, "orphan", false},
	{`process.ancestors.length == 0 && exec.pid > 0`, "orphan", true},

	// Ancestors: some element, none under a negation; a register is one element.
	{`exec.pid > 0 && process.ancestors.file.name == "explorer.exe"`, "word starts cmd", true},
	{`exec.pid > 0 && process.ancestors.file.name in ["a.exe", "explorer.exe"]`, "word starts cmd", true},
	{`exec.pid > 0 && process.ancestors.file.name != "explorer.exe"`, "word starts cmd", false},
	{`exec.pid > 0 && process.ancestors.file.name not in ["explorer.exe", "b.exe"]`, "word starts cmd", false},
	{`exec.pid > 0 && process.ancestors.file.name !~ "expl*"`, "word starts cmd", false},
	{`exec.pid > 0 && !(process.ancestors.file.name == "services.exe")`, "word starts cmd", true},
	{`exec.pid > 0 && "explorer.exe" in process.ancestors.file.name`, "word starts cmd", true},
	{`exec.pid > 0 && "explorer.exe" not in process.ancestors.file.name`, "word starts cmd", false},
	{`exec.pid > 0 && 8 in process.ancestors.pid`, "word starts cmd", true},
	{`exec.ppid in process.ancestors.pid`, "word starts cmd", true},
	{`exec.file.name in process.ancestors.file.name`, "word starts cmd", false},
	{`exec.pid > 0 && process.ancestors.pid < 9`, "word starts cmd", true},
	{`exec.pid > 0 && process.ancestors.file.name allin ["explorer.exe", "winword.exe"]`, "word starts cmd", true},
	{`exec.pid > 0 && process.ancestors.file.name allin ["explorer.exe", "x.exe"]`, "word starts cmd", false},
	{`exec.pid > 0 && process.ancestors.cmdline in [~"*q*", ~"*z*", ~"*/n"]`, "word starts cmd", true},
	{`exec.pid > 0 && process.ancestors.file.path =~ "C:\Office\*"`, "word starts cmd", true},
	{`exec.pid > 0 && process.ancestors[A].file.name == "winword.exe" && process.ancestors[A].cmdline == "explorer"`, "word starts cmd", false},
	{`exec.pid > 0 && process.ancestors.file.name == "winword.exe" && process.ancestors.cmdline == "explorer"`, "word starts cmd", true},
	{`process.ancestors[A].file.name == "explorer.exe" && exec.pid > 0 && process.ancestors[A].cmdline == "explorer"`, "word starts cmd", true},
	{`exec.pid > 0 && process.ancestors[A].file.name != "winword.exe"`, "word starts cmd", true},
	{`exec.pid > 0 && !(process.ancestors[A].file.name == "winword.exe" || process.ancestors[A].pid == 8)`, "word starts cmd", false},
	{`exec.pid > 0 && (process.ancestors[A].pid == 9 || exec.pid == 1) && process.ancestors[A].cmdline =~ "*/n"`, "word starts cmd", true},
	{`process.ancestors[0].file.name == "winword.exe" && exec.pid > 0 && process.ancestors[7].file.name == ""`, "word starts cmd", true},
	{`exec.pid > 0 && process.ancestors.length == 2`, "word starts cmd", true},
	{`exec.pid > 0 && process.ancestors.file.name.length == 11`, "word starts cmd", true},

	// Fields and what they are in events.
	{`exec.user == "corp\ada" && process.user_sid == "s-1-5-21-7" && exec.container.id == "ABC"`, "word starts cmd", true},
	{`process.parent.pid == 9 && exec.pid > 0`, "word starts cmd", true},
	{`set.registry.key_path =~ "HKEY_LOCAL_MACHINE\SOFTWARE\*\Run" && set.registry.key_name == "run" && set.value_name == "up"`, "set", true},
	{`set.registry.key_path =~ "HKEY_LOCAL_MACHINE\\SOFTWARE\\*"`, "set", true},
	{`set_key_value.registry.key_path in ["HKEY_LOCAL_MACHINE\\SOFTWARE\\Vendor\\Run"]`, "set", true},
	{`create.registry.key_path =~ "*"`, "set", false},
	{`exit.cause == 1 && exit.code == 5`, "crash", true},
	{`exit.cause == COREDUMPED`, "crash", true},
	{`exit.cause != EXITED && exit.cause in [1, 2] && exit.cause > 0`, "crash", true},
	{`exit.cause not in [0, 2]`, "crash", true},
	{`exit.cause == SIGNALED`, "crash", false},
	{`change_permission.username == "ada" && change_permission.path =~ "C:\*" && change_permission.user_domain == "corp"`, "chmod", true},
	{`rename.file.path =~ "C:\a\*"`, "create", false},

	// Time passed since.
	{`exec.created_at < 1m`, "word starts cmd", true},
	{`exec.created_at < 10s`, "word starts cmd", false},
	{`exec.created_at >= 30s && 1h > exec.created_at`, "word starts cmd", true},
	{`exec.created_at < 10s`, "orphan", false}, // nobody knows when it started
	{`exec.created_at > 10s`, "word starts cmd", true},
	{`event.timestamp - exec.created_at < 31s`, "word starts cmd", true},
	{`exec.created_at > 1000000000000000000`, "word starts cmd", true},
	{`process.ancestors.created_at < 10s && exec.pid > 0`, "word starts cmd", false},

	// Where README.md says that SECL does otherwise.
	{`process.ancestors[A].pid == 1 || exec.pid == 10`, "orphan", true},
	{`exec.created_at > 10s`, "orphan", false},
	{`create.file.path =~ "C:\Users\**\x.dll"`, "create", true},
	{`create.file.path =~ "C:\\Users\\Ada\\*"`, "create", true},
	{`set.registry.key_path == "HKLM\SOFTWARE\Vendor\Run"`, "set", true},
	{`exec.user == "corp\ada"`, "word starts cmd", true},
	{`exec.created_at < 1d`, "word starts cmd", true},

	// Interpolated texts, fields beside fields, comments.
	{`exec.user == "CORP\${process.user.length}"`, "word starts cmd", false},
	{`exec.cmdline == "cmd %{exec.file.name}"`, "word starts cmd", false},
	{`exec.file.path == "C:\Windows\System32\%{exec.file.name}"`, "word starts cmd", true},
	{`exec.cmdline != "a ${ b" // and nothing else`, "word starts cmd", true},
	{"exec.pid == 10 # the first\n&& exec.ppid == 9", "word starts cmd", true},
	{`exec.cmdline != "pid %{exec.pid} of ${process.pid}" && "x%{exec.pid}" != exec.cmdline`, "word starts cmd", true},
	{`exec.file.name == process.file.name`, "word starts cmd", true},
}

func TestSemantics(t *testing.T) {
	for _, c := range semantics {
		im := importText(ruleText(c.condition))
		if im.Rules[0].Status != policy.StatusImported {
			if strings.Contains(c.condition, "user.length}") {
				continue // a variable that nothing sets
			}
			t.Errorf("%s: %s: %s", c.condition, im.Rules[0].Status, im.Rules[0].Reason)
			continue
		}
		set, faults := load(im)
		if set == nil || faults.HasErrors() {
			t.Errorf("%s: %v\n%s", c.condition, faults, written(im))
			continue
		}
		warned := slices.ContainsFunc(faults, func(d policy.Diagnostic) bool { return d.Code == "negated-unknown" })
		noted := slices.ContainsFunc(im.Rules[0].Notes, func(n string) bool { return strings.HasPrefix(n, "negated-unknown") })
		if warned != noted {
			t.Errorf("%s: check warns of negations on the unknown: %t, the report: %t %s", c.condition, warned, noted, written(im))
		}
		if got := len(matches(set, decode(t, events[c.event]))) == 1; got != c.want {
			t.Errorf("%s on %s: %t, want %t, as\n%s", c.condition, c.event, got, c.want, written(im))
		}
	}
}

// TestVariables holds variables that rules set against those that events carry.
func TestVariables(t *testing.T) {
	const setters = `rules:
  - id: setter
    expression: exec.pid == 1
    actions:
      - set: {name: ticket, value: none, scope: process}
      - set: {name: seen, field: exec.file.name, scope: process, append: true}
      - set: {name: runs, default_value: 0, expression: '${process.runs} + 1', scope: process}
  - id: r
    expression: |
      `
	for _, c := range []struct {
		condition string
		want      bool
	}{
		{`${process.ticket} == "T-1" && exec.pid > 0`, true},
		{`${process.ticket} in ["", ~"T-*"] && exec.pid > 0`, true},
		{`${process.ticket} != "T-1" && exec.pid > 0`, false},
		{`"b.exe" in ${process.seen} && exec.pid > 0`, true},
		{`exec.file.name not in ${process.seen}`, true},
		{`process.ancestors.file.name in ${process.seen} && exec.pid > 0`, false},
		{`${process.seen} in ["x", ~"a*"] && exec.pid > 0`, true},
		{`${process.runs} > 2 && exec.pid > 0`, true},
		{`${process.seen.length} == 2 && ${process.ticket.length} == 3 && exec.pid > 0`, true},
		{`${process.pid} == exec.pid`, true},
		{`exec.cmdline != "see ${process.ticket} ${process.runs}"`, true},
	} {
		set := mustSet(t, setters+c.condition+"\n")
		got := strings.Join(matches(set, decode(t, events["word starts cmd"])), " ") == "r"
		if got != c.want {
			t.Errorf("%s: %t, want %t", c.condition, got, c.want)
		}
	}
}

// TestPatterns holds what patterns become against a second reading of them, over small alphabets.
func TestPatterns(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	word := func(alphabet string, max int) string {
		b := make([]byte, rng.IntN(max+1))
		for i := range b {
			b[i] = alphabet[rng.IntN(len(alphabet))]
		}
		return string(b)
	}
	for _, c := range []struct {
		field, event, patterns, texts string
		star                          string
	}{
		{"exec.cmdline", `{"evt":{"name":"exec"},"process":{"pid":1,"cmdline":"%s"}}`, `ab**?.`, `ab?.`, `(?s).*`},
		{"create.file.path", `{"evt":{"name":"create"},"process":{"pid":1},"file":{"path":"%s","name":"n"}}`, `ab*/*?`, `ab//?`, `[^/]*`},
	} {
		var source strings.Builder
		source.WriteString("rules:\n")
		var references []*regexp.Regexp
		for len(references) < 100 {
			p := word(c.patterns, 6)
			if strings.Contains(p, "**") || strings.Contains(p, "//") || p == "" {
				continue
			}
			fmt.Fprintf(&source, "  - {id: r%d, expression: '%s =~ \"%s\"'}\n", len(references), c.field, p)
			parts := strings.Split(p, "*")
			for i := range parts {
				parts[i] = regexp.QuoteMeta(parts[i])
			}
			references = append(references, regexp.MustCompile("(?i)^(?:"+strings.Join(parts, c.star)+")$"))
		}
		set := mustSet(t, source.String())
		for range 300 {
			text := word(c.texts, 5)
			if strings.Contains(text, "//") {
				continue
			}
			got := map[string]bool{}
			for _, id := range matches(set, decode(t, fmt.Sprintf(c.event, strings.ReplaceAll(text, "/", `\\`)))) {
				got[id] = true
			}
			for i, re := range references {
				if id := fmt.Sprintf("r%d", i); got[id] != re.MatchString(text) {
					t.Fatalf("%s, %s on %q: %t", c.field, re, text, got[id])
				}
			}
		}
	}
}
