package rules

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"spoor/pipeline/event"
	"spoor/rules/policy"
)

// The compiled rules are held against a second meaning of the language: random expressions are written as
// text and, beside it, as Go functions that work on the event as it came, without folded texts, caches or
// rewriting. What ignores case does so letter by letter with strings.EqualFold.

type (
	advEnv struct {
		e       *event.Event
		element *event.Process
	}
	advText struct {
		src string
		val func(advEnv) string
	}
	advInt struct {
		src string
		val func(advEnv) int64
	}
	advBool struct {
		src string
		val func(advEnv) bool
	}
)

// advGen writes expressions. inElement is whether the place is inside a closure; closures says how many more
// may open here.
type advGen struct {
	r         *rand.Rand
	inElement bool
	closures  int
}

func (g *advGen) pick(n int) int { return g.r.IntN(n) }

func advQuote(s string) string {
	if strings.ContainsAny(s, "`\n\r") {
		return strconv.Quote(s)
	}
	return "`" + s + "`"
}

var advPieces = []string{"a", "B", "k", "K", "\u212a", "s", "\u017f", "É", "é", "ς", "Σ", `\`, "/", ".", ".EXE", " ", "c:", "HKLM", "İ", "ß", "ẞ", "x*", "?", "-"}

func (g *advGen) literal() string {
	return randomOf(g.r, advPieces, 4)
}

func advProcess(p *event.Process, f func(*event.Process) string) string {
	if p == nil {
		return ""
	}
	return f(p)
}

func advPath(p *event.Process) string {
	if p.Executable == nil {
		return ""
	}
	return p.Executable.Path
}

func advName(p *event.Process) string {
	if p.Executable == nil {
		return ""
	}
	return p.Executable.Name
}

func advCmdline(p *event.Process) string { return p.Cmdline }
func advUser(p *event.Process) string    { return p.User }

func (a advEnv) process() *event.Process { return &a.e.Process.Process }

var advProcessTexts = []struct {
	name string
	get  func(*event.Process) string
}{{"executable.path", advPath}, {"executable.name", advName}, {"cmdline", advCmdline}, {"user", advUser}}

func (g *advGen) field() advText {
	f := advProcessTexts[g.pick(len(advProcessTexts))]
	switch g.pick(6) {
	case 0:
		return advText{"process.parent." + f.name, func(a advEnv) string { return advProcess(a.e.Process.Parent, f.get) }}
	case 1:
		i := g.pick(5) - 2
		return advText{fmt.Sprintf("process.ancestors[%d].%s", i, f.name), func(a advEnv) string { return advProcess(advAt(a.e.Process.Ancestors, i), f.get) }}
	case 2:
		return advText{"file.path", func(a advEnv) string { return a.e.File.Path }}
	case 3:
		if g.inElement {
			return advText{"." + f.name, func(a advEnv) string { return advProcess(a.element, f.get) }}
		}
	}
	return advText{"process." + f.name, func(a advEnv) string { return f.get(a.process()) }}
}

func advAt(list []*event.Process, i int) *event.Process {
	if i < 0 {
		i += len(list)
	}
	if i < 0 || i >= len(list) {
		return nil
	}
	return list[i]
}

func (g *advGen) text(depth int) advText {
	if depth <= 0 {
		if g.pick(4) == 0 {
			s := g.literal()
			return advText{advQuote(s), func(advEnv) string { return s }}
		}
		return g.field()
	}
	switch g.pick(9) {
	case 0:
		x, y := g.text(depth-1), g.text(depth-1)
		return advText{"(" + x.src + " + " + y.src + ")", func(a advEnv) string { return x.val(a) + y.val(a) }}
	case 1:
		x := g.text(depth - 1)
		f := []struct {
			name string
			do   func(string) string
		}{{"lower", strings.ToLower}, {"upper", strings.ToUpper}, {"trim", strings.TrimSpace}, {"basename", basename}, {"dirname", dirname}, {"extension", extension}}[g.pick(6)]
		return advText{f.name + "(" + x.src + ")", func(a advEnv) string { return f.do(x.val(a)) }}
	case 2:
		c, x, y := g.cond(depth-1), g.text(depth-1), g.text(depth-1)
		return advText{"(" + c.src + " ? " + x.src + " : " + y.src + ")", func(a advEnv) string {
			if c.val(a) {
				return x.val(a)
			}
			return y.val(a)
		}}
	case 3:
		x := g.number(depth - 1)
		return advText{"string(" + x.src + ")", func(a advEnv) string { return strconv.FormatInt(x.val(a), 10) }}
	case 4:
		if g.closures > 0 {
			c := g.inside(func() advBool { return g.cond(depth - 1) })
			f := advProcessTexts[g.pick(len(advProcessTexts))]
			return advText{"find(process.ancestors, " + c.src + ")." + f.name, func(a advEnv) string {
				for _, p := range a.e.Process.Ancestors {
					if c.val(advEnv{a.e, p}) {
						return f.get(p)
					}
				}
				return ""
			}}
		}
	}
	return g.text(0)
}

func (g *advGen) inside(f func() advBool) advBool {
	saved := *g
	g.inElement = true
	g.closures--
	out := f()
	r := g.r
	*g = saved
	g.r = r
	return out
}

func (g *advGen) number(depth int) advInt {
	if depth <= 0 {
		switch g.pick(4) {
		case 0:
			n := int64(g.pick(7))
			return advInt{strconv.FormatInt(n, 10), func(advEnv) int64 { return n }}
		case 1:
			if g.inElement {
				return advInt{"#.pid", func(a advEnv) int64 { return orZero(a.element.PID) }}
			}
		case 2:
			return advInt{"process.parent.pid", func(a advEnv) int64 {
				if a.e.Process.Parent == nil {
					return 0
				}
				return orZero(a.e.Process.Parent.PID)
			}}
		}
		return advInt{"process.pid", func(a advEnv) int64 { return orZero(a.process().PID) }}
	}
	switch g.pick(6) {
	case 0:
		x, y := g.number(depth-1), g.number(depth-1)
		op := []string{"+", "-", "*", "%"}[g.pick(4)]
		return advInt{"(" + x.src + " " + op + " " + y.src + ")", func(a advEnv) int64 {
			p, q := x.val(a), y.val(a)
			switch op {
			case "+":
				return p + q
			case "-":
				return p - q
			case "*":
				return p * q
			}
			if q == 0 {
				return 0
			}
			return p % q
		}}
	case 1:
		x := g.text(depth - 1)
		return advInt{"len(" + x.src + ")", func(a advEnv) int64 { return int64(utf8.RuneCountInString(x.val(a))) }}
	case 2:
		if g.closures > 0 {
			c := g.inside(func() advBool { return g.cond(depth - 1) })
			return advInt{"count(process.ancestors, " + c.src + ")", func(a advEnv) int64 {
				n := int64(0)
				for _, p := range a.e.Process.Ancestors {
					if c.val(advEnv{a.e, p}) {
						n++
					}
				}
				return n
			}}
		}
	case 3:
		x, y := g.number(depth-1), g.number(depth-1)
		return advInt{"max(" + x.src + ", -" + y.src + ")", func(a advEnv) int64 { return max(x.val(a), -y.val(a)) }}
	}
	return g.number(0)
}

func advContains(s, sub string) (anywhere, begins, ends bool) {
	rs, rt := []rune(s), []rune(sub)
	for i := 0; i+len(rt) <= len(rs); i++ {
		if strings.EqualFold(string(rs[i:i+len(rt)]), sub) {
			anywhere = true
			begins = begins || i == 0
			ends = ends || i+len(rt) == len(rs)
		}
	}
	return anywhere, begins, ends
}

// advCompare is op on two texts, exact or not.
func advCompare(op, s, t string, exact bool) bool {
	var anywhere, begins, ends, equal, less bool
	if exact {
		anywhere, begins, ends, equal, less = strings.Contains(s, t), strings.HasPrefix(s, t), strings.HasSuffix(s, t), s == t, s < t
	} else {
		anywhere, begins, ends = advContains(s, t)
		equal, less = strings.EqualFold(s, t), fold(s) < fold(t)
	}
	switch op {
	case "==":
		return equal
	case "!=":
		return !equal
	case "<":
		return less
	case "<=":
		return less || equal
	case ">":
		return !less && !equal
	case ">=":
		return !less
	case "contains":
		return anywhere
	case "startsWith":
		return begins
	case "endsWith":
		return ends
	}
	panic(op)
}

var (
	advTextOps   = []string{"==", "!=", "<", "<=", ">", ">=", "contains", "startsWith", "endsWith"}
	advRegexes   = []string{"k", "[a-z]s", "(?-i:K)", "[^k]$", `^\W`, `\.exe$`, "s+", "É", "^$", "[A-K]+b", `ß|ς`}
	advGlobs     = []string{`**\*.exe`, `?:\*`, `*`, `**\k*`, `c:\**`, `*s`, `**`}
	advLikes     = []string{"*k*", "?s*", "a*", "*.EXE", "*É", "", "*?*s"}
	advSeparated = regexp.MustCompile(`[\\/]+`)
)

func (g *advGen) cond(depth int) advBool {
	if depth > 0 {
		switch g.pick(9) {
		case 0, 1:
			x, y := g.cond(depth-1), g.cond(depth-1)
			return advBool{"(" + x.src + " and " + y.src + ")", func(a advEnv) bool { return x.val(a) && y.val(a) }}
		case 2, 3:
			x, y := g.cond(depth-1), g.cond(depth-1)
			return advBool{"(" + x.src + " or " + y.src + ")", func(a advEnv) bool { return x.val(a) || y.val(a) }}
		case 4:
			x := g.cond(depth - 1)
			return advBool{"not (" + x.src + ")", func(a advEnv) bool { return !x.val(a) }}
		case 5:
			c, x, y := g.cond(depth-1), g.cond(depth-1), g.cond(depth-1)
			return advBool{"(" + c.src + " ? " + x.src + " : " + y.src + ")", func(a advEnv) bool {
				if c.val(a) {
					return x.val(a)
				}
				return y.val(a)
			}}
		case 6:
			if g.closures > 0 {
				return g.closure(depth)
			}
		}
	}
	depth = min(depth, 2)
	switch g.pick(9) {
	case 0:
		x, y := g.number(depth-1), g.number(depth-1)
		op := []string{"==", "!=", "<", "<=", ">", ">="}[g.pick(6)]
		return advBool{x.src + " " + op + " " + y.src, func(a advEnv) bool {
			p, q := x.val(a), y.val(a)
			switch op {
			case "==":
				return p == q
			case "!=":
				return p != q
			case "<":
				return p < q
			case "<=":
				return p <= q
			case ">":
				return p > q
			}
			return p >= q
		}}
	case 1:
		return g.pattern(depth)
	case 2:
		x := g.text(depth - 1)
		members := make([]string, g.pick(4))
		var srcs []string
		for i := range members {
			members[i] = g.literal()
			srcs = append(srcs, advQuote(members[i]))
		}
		not := g.pick(3) == 0
		word := " in ["
		if not {
			word = " not in ["
		}
		return advBool{x.src + word + strings.Join(srcs, ", ") + "]", func(a advEnv) bool {
			s := x.val(a)
			for _, m := range members {
				if strings.EqualFold(s, m) {
					return !not
				}
			}
			return not
		}}
	case 3:
		x, y := g.text(depth-1), g.text(depth-1)
		op := advTextOps[g.pick(len(advTextOps))]
		left, right := "exact("+x.src+")", y.src
		if g.pick(2) == 0 {
			left, right = x.src, "exact("+y.src+")"
		}
		return advBool{left + " " + op + " " + right, func(a advEnv) bool { return advCompare(op, x.val(a), y.val(a), true) }}
	case 4:
		saved := g.inElement
		g.inElement = false // the element is that of the list here
		x := g.text(depth - 1)
		g.inElement = saved
		op := advTextOps[g.pick(len(advTextOps))]
		p, q := g.literal(), g.literal()
		all := g.pick(2) == 0
		word := "any"
		if all {
			word = "all"
		}
		return advBool{fmt.Sprintf("%s([%s, %s], %s %s #)", word, advQuote(p), advQuote(q), x.src, op), func(a advEnv) bool {
			s := x.val(a)
			if all {
				return advCompare(op, s, p, false) && advCompare(op, s, q, false)
			}
			return advCompare(op, s, p, false) || advCompare(op, s, q, false)
		}}
	}
	x, y := g.text(depth-1), g.text(depth-1)
	op := advTextOps[g.pick(len(advTextOps))]
	return advBool{x.src + " " + op + " " + y.src, func(a advEnv) bool { return advCompare(op, x.val(a), y.val(a), false) }}
}

func (g *advGen) closure(depth int) advBool {
	c := g.inside(func() advBool { return g.cond(depth - 1) })
	word := []string{"any", "all", "none", "one"}[g.pick(4)]
	return advBool{word + "(process.ancestors, " + c.src + ")", func(a advEnv) bool {
		n := 0
		for _, p := range a.e.Process.Ancestors {
			if c.val(advEnv{a.e, p}) {
				n++
			}
		}
		switch word {
		case "any":
			return n > 0
		case "all":
			return n == len(a.e.Process.Ancestors)
		case "none":
			return n == 0
		}
		return n == 1
	}}
}

func (g *advGen) pattern(depth int) advBool {
	x := g.text(depth - 1)
	switch g.pick(3) {
	case 0:
		p := advGlobs[g.pick(len(advGlobs))]
		oracle := globOracle(p)
		return advBool{"glob(" + x.src + ", " + advQuote(p) + ")", func(a advEnv) bool {
			return oracle.MatchString(advSeparated.ReplaceAllString(x.val(a), "/"))
		}}
	case 1:
		p := advLikes[g.pick(len(advLikes))]
		oracle := regexp.MustCompile(`(?is)\A` + strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(p)) + `\z`)
		return advBool{"like(" + x.src + ", [" + advQuote(p) + "])", func(a advEnv) bool { return oracle.MatchString(x.val(a)) }}
	}
	p := advRegexes[g.pick(len(advRegexes))]
	oracle := regexp.MustCompile("(?i:" + strings.Replace(p, "(?-i:", "(?:", 1) + ")")
	return advBool{x.src + " matches " + advQuote(p), func(a advEnv) bool { return oracle.MatchString(x.val(a)) }}
}

func advEvent(t testing.TB, r *rand.Rand) *event.Event {
	text := func() string { return randomOf(r, advPieces, 5) }
	process := func() map[string]any {
		p := map[string]any{"pid": r.IntN(6), "cmdline": text(), "user": text()}
		if r.IntN(4) > 0 {
			p["executable"] = map[string]any{"path": text()}
		}
		return p
	}
	p := process()
	if r.IntN(4) > 0 {
		p["parent"] = process()
	}
	var ancestors []any
	for range r.IntN(4) {
		ancestors = append(ancestors, process())
	}
	p["ancestors"] = ancestors
	raw, err := json.Marshal(map[string]any{"evt": map[string]any{"name": "exec"}, "file": map[string]any{"path": text() + "f"}, "process": p})
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, string(raw))
}

var advNever = regexp.MustCompile("^rule `(.*)` can never match")

// TestAdversarial also holds lint to its word: a rule that it says can never match does not.
func TestAdversarial(t *testing.T) {
	seed := uint64(7)
	r := rand.New(rand.NewPCG(seed, seed))
	var events []*event.Event
	for range 30 {
		events = append(events, advEvent(t, r))
	}
	yes, compared := 0, 0
	for range 2 {
		var conditions []advBool
		text := "rules:\n"
		for len(conditions) < 150 {
			g := &advGen{r: r, closures: 2}
			c := g.cond(1 + r.IntN(4))
			text += fmt.Sprintf("  - id: r%d\n    expression: |\n      %s\n", len(conditions), c.src)
			conditions = append(conditions, c)
		}
		loaded, found := policy.LoadFS(fstest.MapFS{"policy.yaml": {Data: []byte(text)}})
		if loaded == nil {
			t.Fatal(found.Err())
		}
		// What the language refuses (an outer element, an int that a text is compared with) is left out.
		_, found = Compile(loaded)
		for _, d := range found {
			if d.Level == policy.Error {
				if d.Code != codeOuterElement && d.Code != codeNested {
					t.Errorf("%s\n%s", d, strings.Split(text, "\n")[d.Line-1])
				}
				loaded.Policies[0].Rules = dropRule(loaded.Policies[0].Rules, d.Line)
			}
		}
		set, found := Compile(loaded)
		if set == nil {
			t.Fatal(found.Err())
		}
		never := map[string]bool{}
		for _, d := range found {
			if m := advNever.FindStringSubmatch(d.Message); d.Code == codeNeverMatches && m != nil {
				never[m[1]] = true
			}
		}
		var result Result
		for _, e := range events {
			set.Match(e, &result)
			matched := map[string]bool{}
			for _, i := range result.Live {
				matched[set.Rules()[i].ID] = true
			}
			if len(result.OverBudget) > 0 {
				t.Fatalf("%d rules over budget", len(result.OverBudget))
			}
			for _, rule := range set.Rules() {
				n, _ := strconv.Atoi(rule.ID[1:])
				want := conditions[n].val(advEnv{e: e})
				compared++
				if want {
					yes++
				}
				if want && never[rule.ID] {
					t.Errorf("%s\nmatches; lint says that it never does", conditions[n].src)
				}
				if matched[rule.ID] != want {
					raw, _ := event.AppendEvent(nil, e)
					t.Fatalf("%s\nmatches: %v, want %v, on\n%s", conditions[n].src, matched[rule.ID], want, raw)
				}
			}
		}
	}
	if yes < compared/10 || yes > compared*9/10 || compared < 5_000 {
		t.Errorf("a lopsided test: %d of %d match", yes, compared)
	}
}

// dropRule leaves out the rule whose expression stands on line.
func dropRule(rules []policy.Rule, line int) []policy.Rule {
	var out []policy.Rule
	for i := range rules {
		if rules[i].ID.Span.Line != line-2 {
			out = append(out, rules[i])
		}
	}
	return out
}

// TestAdversarialRegistry spells keys of the events and constants of the rules in every way that sensors and
// authors do: an operator answers as it does on the one long form, or on that of the current user.
func TestAdversarialRegistry(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	tails := []string{``, `\SYSTEM`, `\SYSTEM\CurrentControlSet`, `\SYSTEM\CurrentControlSet\Services\K`, `\Software\Run`, `\S-1-5-21\Software\Run`, `\S-1-5-21`, `\Software`}
	roots := [][]string{
		{`HKEY_LOCAL_MACHINE`, `HKLM`, `hklm`, `\REGISTRY\MACHINE`, `\Registry\Machine`},
		{`HKEY_USERS`, `HKU`, `\REGISTRY\USER`, "H\u212aU"},
		{`HKEY_CURRENT_USER`, `HKCU`, `hkcu`},
		{`HKEY_CLASSES_ROOT`, `HKCR`},
		{`\REGISTRY\A`},
		{`X`},
	}
	spell := func(root int, tail string) string {
		if root == 0 && strings.HasPrefix(tail, `\SYSTEM\Cur`) && r.IntN(2) == 0 {
			tail = strings.Replace(tail, "CurrentControlSet", fmt.Sprintf("ControlSet%03d", r.IntN(1000)), 1)
		}
		return randomCase(r, roots[root][r.IntN(len(roots[root]))]+tail)
	}
	oneUser := regexp.MustCompile(`^hkey_users\\[^\\]+`)
	type rule struct{ root, tail, op int }
	ops := []string{"==", "!=", "in", "not in", "startsWith", "contains", "endsWith", "glob", "like", "any"}
	text := "rules:\n"
	var rules []rule
	for root := range roots {
		for tail := range tails {
			for op, name := range ops {
				field := []string{"registry.key_path", "registry.target"}[r.IntN(2)]
				c := "`" + spell(root, tails[tail]) + "`"
				x := field + " " + name + " " + c
				switch name {
				case "in", "not in":
					x = field + " " + name + " [`nothing`, " + c + "]"
				case "glob", "like":
					x = name + "(" + field + ", [`nothing`, " + c + "])"
				case "any":
					x = "any([`nothing`, " + c + "], # == " + field + ")"
				}
				text += fmt.Sprintf("  - id: r%d\n    expression: |\n      %s\n", len(rules), x)
				rules = append(rules, rule{root, tail, op})
			}
		}
	}
	loaded, found := policy.LoadFS(fstest.MapFS{"policy.yaml": {Data: []byte(text)}})
	if loaded == nil {
		t.Fatal(found.Err())
	}
	set, found := Compile(loaded)
	if set == nil {
		t.Fatal(found.Err())
	}
	var result Result
	for root := range roots {
		for _, tail := range tails {
			long := strings.ToLower(roots[root][0] + tail)
			user := ""
			if oneUser.MatchString(long) {
				user = oneUser.ReplaceAllString(long, "hkey_current_user")
			}
			raw, _ := json.Marshal(map[string]any{"evt": map[string]any{"name": "create_key"}, "registry": map[string]any{"key_path": spell(root, tail)}})
			set.Match(decode(t, string(raw)), &result)
			matched := map[string]bool{}
			for _, i := range result.Live {
				matched[set.Rules()[i].ID] = true
			}
			for i, x := range rules {
				constant := strings.ToLower(roots[x.root][0] + tails[x.tail])
				holds := func(s string) bool {
					switch ops[x.op] {
					case "startsWith":
						return strings.HasPrefix(s, constant)
					case "contains":
						return strings.Contains(s, constant)
					case "endsWith":
						return strings.HasSuffix(s, constant)
					}
					return s == constant
				}
				want := holds(long) || user != "" && strings.HasPrefix(constant, "hkey_current_user") && holds(user)
				if ops[x.op] == "!=" || ops[x.op] == "not in" {
					want = !want
				}
				if id := fmt.Sprintf("r%d", i); matched[id] != want {
					t.Errorf("%s\nmatches: %v, want %v, on %s", strings.Split(text, "\n")[3*i+3], matched[id], want, raw)
				}
			}
		}
	}
}
