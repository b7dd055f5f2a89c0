package rules

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// odd writes expressions that are legal and that nobody would write, each with what it means as a function of Go: a
// second evaluator that shares nothing with ours but fold and the way to the fields. Everything is in brackets.
type odd struct {
	*rand.Rand
	lets  []string
	texts []part[string] // what lets stand for
	ints  []part[int]    // likewise
	elem  string         // what # is: "", process, text or int
	loops int            // closures around
}

// scene is what an expression is evaluated on.
type scene struct {
	env     Env // texts as written
	process EnvAncestor
	text    string
	number  int
}

type part[T any] struct {
	text string
	eval func(*scene) T
}

func constant[T any](text string, v T) part[T] {
	return part[T]{text, func(*scene) T { return v }}
}

func oneOf[T any](o *odd, options ...func() part[T]) part[T] { return options[o.IntN(len(options))]() }

// chosen is c ? a : b.
func chosen[T any](o *odd, d int, make func(int) part[T]) part[T] {
	c, a, b := o.condition(d-1), make(d-1), make(d-1)
	return part[T]{"(" + c.text + " ? " + a.text + " : " + b.text + ")", func(s *scene) T {
		if c.eval(s) {
			return a.eval(s)
		}
		return b.eval(s)
	}}
}

// listPart is a list that is written out.
func listPart[T any](o *odd, d int, make func(int) part[T]) (part[[]T], int) {
	parts := []part[T]{}
	var words []string
	for range 1 + o.IntN(3) {
		p := make(d - 1)
		parts, words = append(parts, p), append(words, p.text)
	}
	return part[[]T]{"[" + strings.Join(words, ", ") + "]", func(s *scene) []T {
		var out []T
		for _, p := range parts {
			out = append(out, p.eval(s))
		}
		return out
	}}, len(parts)
}

func at[T any](list []T, i int) (out T) {
	if i < 0 {
		i += len(list)
	}
	if i >= 0 && i < len(list) {
		out = list[i]
	}
	return out
}

// picked is an element of a list that is written out.
func picked[T any](o *odd, d int, make func(int) part[T]) part[T] {
	list, n := listPart(o, d, make)
	i := o.IntN(2*n+3) - n - 1
	text := fmt.Sprintf("%s[%d]", list.text, i)
	switch o.IntN(4) {
	case 0:
		i, text = 0, "first("+list.text+")"
	case 1:
		i, text = -1, "last("+list.text+")"
	}
	return part[T]{text, func(s *scene) T { return at(list.eval(s), i) }}
}

func (o *odd) literal(int) part[string] {
	w := vocabulary[o.IntN(len(vocabulary))]
	return constant("`"+w+"`", w)
}

func (o *odd) field() part[string] {
	field := func(text string, f func(*scene) string) func() part[string] {
		return func() part[string] { return part[string]{text, f} }
	}
	i := o.IntN(8) - 4
	options := []func() part[string]{
		field("process.cmdline", func(s *scene) string { return s.env.Process.Cmdline }),
		field("process.parent.user", func(s *scene) string { return s.env.Process.Parent.User }),
		field("usr.name", func(s *scene) string { return s.env.Usr.Name }),
		field("file.path", func(s *scene) string { return s.env.File.Path }),
		field(fmt.Sprintf("process.ancestors[%d].cmdline", i), func(s *scene) string { return at(s.env.Process.Ancestors, i).Cmdline }),
		field("last(process.ancestors).user", func(s *scene) string { return at(s.env.Process.Ancestors, -1).User }),
	}
	switch o.elem {
	case "process":
		options = []func() part[string]{field(".cmdline", func(s *scene) string { return s.process.Cmdline }),
			field("#.executable.name", func(s *scene) string { return s.process.Executable.Name }), options[0]}
	case "text":
		options = []func() part[string]{field("#", func(s *scene) string { return s.text }), options[0]}
	}
	return oneOf(o, options...)
}

func (o *odd) text(d int) part[string] {
	if d <= 0 {
		if o.IntN(3) == 0 {
			return o.literal(0)
		}
		return o.field()
	}
	unary := func(name string, f func(string) string) part[string] {
		a := o.text(d - 1)
		return part[string]{name + "(" + a.text + ")", func(s *scene) string { return f(a.eval(s)) }}
	}
	switch o.IntN(12) {
	case 0, 1:
		a, b := o.text(d-1), o.text(d-1)
		switch o.IntN(4) {
		case 0:
			a = constant(`""`, "")
		case 1:
			b = constant("``", "")
		}
		return part[string]{"(" + a.text + " + " + b.text + ")", func(s *scene) string { return a.eval(s) + b.eval(s) }}
	case 2:
		return unary("lower", strings.ToLower)
	case 3:
		return unary("upper", strings.ToUpper)
	case 4:
		return unary("trim", strings.TrimSpace)
	case 5:
		return unary("string", func(s string) string { return s })
	case 6, 7:
		return chosen(o, d, o.text)
	case 8, 9:
		return picked(o, d, o.text)
	case 10:
		if len(o.texts) > 0 && o.elem == "" {
			return o.texts[o.IntN(len(o.texts))]
		}
		n := o.int(d - 1)
		return part[string]{"string(" + n.text + ")", func(s *scene) string { return fmt.Sprint(n.eval(s)) }}
	}
	if o.loops > 0 || o.elem != "" {
		return o.field()
	}
	list, _ := listPart(o, 1, o.literal)
	c := o.inside("text", d-1)
	if o.IntN(2) == 0 {
		i := o.int(d - 1)
		return part[string]{"filter(" + list.text + ", " + c.text + ")[" + i.text + "]", func(s *scene) string {
			return at(s.filter(list.eval(s), c), i.eval(s))
		}}
	}
	return part[string]{"find(" + list.text + ", " + c.text + ")", func(s *scene) string { return at(s.filter(list.eval(s), c), 0) }}
}

func (s *scene) filter(list []string, c part[bool]) (out []string) {
	for _, e := range list {
		inner := *s
		inner.text = e
		if c.eval(&inner) {
			out = append(out, e)
		}
	}
	return out
}

func (o *odd) int(d int) part[int] {
	if d <= 0 {
		switch {
		case o.elem == "int" && o.IntN(2) == 0:
			return part[int]{"#", func(s *scene) int { return s.number }}
		case o.elem == "process" && o.IntN(2) == 0:
			return part[int]{".pid", func(s *scene) int { return int(s.process.PID) }}
		case o.IntN(3) == 0:
			return part[int]{"process.pid", func(s *scene) int { return int(s.env.Process.PID) }}
		}
		return oneOf(o, func() part[int] { return constant("9223372036854775807", math.MaxInt) }, func() part[int] { return constant("0xC0000005", 0xC0000005) },
			func() part[int] { return constant("(-9223372036854775807 - 1)", math.MinInt) }, func() part[int] { return constant("1_000", 1000) },
			func() part[int] { return constant("int(`0x10`)", 16) }, func() part[int] { return constant("int(-2.9)", -2) },
			func() part[int] { n := o.IntN(6); return constant(fmt.Sprint(n), n) })
	}
	binary := func(sign string, f func(a, b int) int) part[int] {
		a, b := o.int(d-1), o.int(d-1)
		return part[int]{"(" + a.text + " " + sign + " " + b.text + ")", func(s *scene) int { return f(a.eval(s), b.eval(s)) }}
	}
	switch o.IntN(13) {
	case 0:
		return binary("+", func(a, b int) int { return a + b })
	case 1:
		return binary("-", func(a, b int) int { return a - b })
	case 2:
		return binary("*", func(a, b int) int { return a * b })
	case 3:
		return binary("%", func(a, b int) int {
			if b == 0 {
				return 0
			}
			return a % b
		})
	case 4:
		a := o.int(d - 1)
		return part[int]{"(- (-(-" + a.text + ")))", func(s *scene) int { return -a.eval(s) }}
	case 5:
		a := o.text(d - 1)
		return part[int]{"len(" + a.text + ")", func(s *scene) int { return len([]rune(a.eval(s))) }}
	case 6:
		return chosen(o, d, o.int)
	case 7:
		return picked(o, d, o.int)
	case 8:
		list, _ := listPart(o, d, o.int)
		name, f := "min", slices.Min[[]int]
		if o.IntN(2) == 0 {
			name, f = "max", slices.Max[[]int]
		}
		return part[int]{name + "(" + list.text[1:len(list.text)-1] + ")", func(s *scene) int { return f(list.eval(s)) }}
	case 9:
		list, n := listPart(o, d, o.text)
		return constant("len("+list.text+")", n)
	case 10:
		a := o.int(d - 1)
		return part[int]{"abs(" + a.text + ")", func(s *scene) int { v := a.eval(s); return max(v, -v) }}
	case 11:
		if len(o.ints) > 0 && o.elem == "" {
			return o.ints[o.IntN(len(o.ints))]
		}
	}
	if o.loops > 0 || o.elem != "" {
		return o.int(0)
	}
	c := o.inside("process", d-1)
	return part[int]{"count(process.ancestors, " + c.text + ")", func(s *scene) int {
		n := 0
		for _, a := range s.env.Process.Ancestors {
			inner := *s
			inner.process = a
			if c.eval(&inner) {
				n++
			}
		}
		return n
	}}
}

func (o *odd) float(d int) part[float64] {
	if d <= 0 {
		return oneOf(o, func() part[float64] { return constant("2.5", 2.5) }, func() part[float64] { return constant("float(`1e3`)", 1000.0) })
	}
	switch o.IntN(4) {
	case 0:
		a, b := o.int(d-1), o.int(d-1)
		return part[float64]{"(" + a.text + " / " + b.text + ")", func(s *scene) float64 {
			if y := b.eval(s); y != 0 {
				return float64(a.eval(s)) / float64(y)
			}
			return 0
		}}
	case 1:
		a, b := o.float(d-1), o.int(d-1)
		return part[float64]{"(" + a.text + " - " + b.text + ")", func(s *scene) float64 { return a.eval(s) - float64(b.eval(s)) }}
	case 2:
		return picked(o, d, o.float)
	}
	return chosen(o, d, o.float)
}

func (o *odd) duration(d int) part[time.Duration] {
	if d <= 0 {
		return oneOf(o, func() part[time.Duration] { return constant(`duration("3s")`, 3*time.Second) },
			func() part[time.Duration] { return constant("duration(`-1h`)", -time.Hour) })
	}
	switch o.IntN(5) {
	case 0:
		a, b := o.instant(d-1), o.instant(d-1)
		return part[time.Duration]{"(" + a.text + " - " + b.text + ")", func(s *scene) time.Duration {
			x, y := a.eval(s), b.eval(s)
			if x.IsZero() || y.IsZero() {
				return 0
			}
			return x.Sub(y)
		}}
	case 1:
		a := o.duration(d - 1)
		n := o.IntN(9) - 4
		return part[time.Duration]{fmt.Sprintf("(%d * -%s)", n, a.text), func(s *scene) time.Duration { return -a.eval(s) * time.Duration(n) }}
	case 2:
		return picked(o, d, o.duration)
	case 3:
		a, b := o.duration(d-1), o.duration(d-1)
		return part[time.Duration]{"(" + a.text + " + " + b.text + ")", func(s *scene) time.Duration { return a.eval(s) + b.eval(s) }}
	}
	return chosen(o, d, o.duration)
}

func (o *odd) instant(d int) part[time.Time] {
	if d <= 0 {
		return oneOf(o, func() part[time.Time] { return part[time.Time]{"time", func(s *scene) time.Time { return s.env.Time }} },
			func() part[time.Time] {
				return constant("date(`2026-01-01 00:00:07`)", time.Date(2026, 1, 1, 0, 0, 7, 0, time.UTC))
			},
			func() part[time.Time] {
				return part[time.Time]{"process.parent.exec_time", func(s *scene) time.Time { return s.env.Process.Parent.ExecTime }}
			})
	}
	switch o.IntN(3) {
	case 0:
		a, b := o.instant(d-1), o.duration(d-1)
		return part[time.Time]{"(" + a.text + " + " + b.text + ")", func(s *scene) time.Time {
			if x := a.eval(s); !x.IsZero() {
				return x.Add(b.eval(s))
			}
			return time.Time{}
		}}
	case 1:
		return picked(o, d, o.instant)
	}
	return chosen(o, d, o.instant)
}

// inside is a condition on an element.
func (o *odd) inside(elem string, d int) part[bool] {
	was := o.elem
	o.elem, o.loops = elem, o.loops+1
	c := o.condition(d)
	o.elem, o.loops = was, o.loops-1
	return c
}

// compared is a comparison of two values of one kind that have an order.
func compared[T any](o *odd, a, b part[T], compare func(a, b T) (n int, ordered bool)) part[bool] {
	signs := []string{"==", "!=", "<", "<=", ">", ">="}
	i := o.IntN(len(signs))
	return part[bool]{"(" + a.text + " " + signs[i] + " " + b.text + ")", func(s *scene) bool {
		n, ordered := compare(a.eval(s), b.eval(s))
		return [...]bool{n == 0, n != 0, ordered && n < 0, ordered && n <= 0, ordered && n > 0, ordered && n >= 0}[i]
	}}
}

func total[T any](f func(a, b T) int) func(a, b T) (int, bool) {
	return func(a, b T) (int, bool) { return f(a, b), true }
}

// compareTexts compares texts, exactly or not.
func (o *odd) compareTexts(d int) part[bool] {
	a, b := o.text(d-1), o.text(d-1)
	see := fold
	if o.IntN(3) == 0 {
		see = func(s string) string { return s }
		sides := 1 + o.IntN(3)
		if sides&1 > 0 {
			a.text = "exact(" + a.text + ")"
		}
		if sides&2 > 0 {
			b.text = "exact(" + b.text + ")"
		}
	}
	words := []string{"contains", "startsWith", "endsWith", "not contains", "not startsWith", "not endsWith"}
	tests := []func(a, b string) bool{strings.Contains, strings.HasPrefix, strings.HasSuffix}
	if i := o.IntN(9); i < len(words) {
		return part[bool]{"(" + a.text + " " + words[i] + " " + b.text + ")", func(s *scene) bool {
			return tests[i%3](see(a.eval(s)), see(b.eval(s))) == (i < 3)
		}}
	}
	return compared(o, a, b, total(func(a, b string) int { return cmp.Compare(see(a), see(b)) }))
}

func (o *odd) condition(d int) part[bool] {
	if d <= 0 {
		return oneOf(o, func() part[bool] { return constant("true", true) }, func() part[bool] {
			return part[bool]{"evt.async", func(s *scene) bool { return s.env.Evt.Async }}
		}, func() part[bool] { return o.compareTexts(0) })
	}
	switch o.IntN(14) {
	case 0:
		a, b := o.condition(d-1), o.condition(d-1)
		return part[bool]{"(" + a.text + " and " + b.text + ")", func(s *scene) bool { return a.eval(s) && b.eval(s) }}
	case 1:
		a, b := o.condition(d-1), o.condition(d-1)
		return part[bool]{"(" + a.text + " || not " + b.text + ")", func(s *scene) bool { return a.eval(s) || !b.eval(s) }}
	case 2:
		return chosen(o, d, o.condition)
	case 3:
		return picked(o, d, o.condition)
	case 4:
		a, b := o.condition(d-1), o.condition(d-1)
		return part[bool]{"(" + a.text + " == " + b.text + ")", func(s *scene) bool { return a.eval(s) == b.eval(s) }}
	case 5:
		return compared(o, o.int(d-1), o.int(d-1), total(cmp.Compare[int]))
	case 6:
		a := o.int(d - 1)
		f := part[float64]{a.text, func(s *scene) float64 { return float64(a.eval(s)) }}
		return compared(o, o.float(d-1), f, total(cmp.Compare[float64]))
	case 7:
		return compared(o, o.duration(d-1), o.duration(d-1), total(cmp.Compare[time.Duration]))
	case 8:
		return compared(o, o.instant(d-1), o.instant(d-1), func(a, b time.Time) (int, bool) { return a.Compare(b), !a.IsZero() && !b.IsZero() })
	case 9:
		a := o.text(d - 1)
		list, _ := listPart(o, d, o.text)
		see, text := fold, a.text
		if o.IntN(3) == 0 {
			see, text = func(s string) string { return s }, "exact("+a.text+")"
		}
		return part[bool]{"(" + text + " not in " + list.text + ")", func(s *scene) bool {
			return !slices.ContainsFunc(list.eval(s), func(e string) bool { return see(e) == see(a.eval(s)) })
		}}
	case 10:
		a := o.int(d - 1)
		list, _ := listPart(o, d, o.int)
		return part[bool]{"(" + a.text + " in " + list.text + ")", func(s *scene) bool { return slices.Contains(list.eval(s), a.eval(s)) }}
	case 11: // expanded
		if o.elem != "" {
			break
		}
		list, _ := listPart(o, d, o.int)
		c := o.inside("int", d-2)
		return quantified(o, list, c, func(s *scene, e int) { s.number = e })
	case 12:
		if o.elem != "" {
			break
		}
		list, _ := listPart(o, d, o.text)
		c := o.inside("text", d-2)
		return quantified(o, list, c, func(s *scene, e string) { s.text = e })
	}
	return o.compareTexts(d)
}

func quantified[T any](o *odd, list part[[]T], c part[bool], set func(*scene, T)) part[bool] {
	i := o.IntN(3)
	return part[bool]{[...]string{"any", "all", "none"}[i] + "(" + list.text + ", " + c.text + ")", func(s *scene) bool {
		n, all := 0, list.eval(s)
		for _, e := range all {
			inner := *s
			set(&inner, e)
			if c.eval(&inner) {
				n++
			}
		}
		return [...]bool{n > 0, n == len(all), n == 0}[i]
	}}
}

// expression is a condition, with lets before it that may be used in it.
func (o *odd) expression() part[bool] {
	o.texts, o.ints, o.lets = nil, nil, nil
	for i := range o.IntN(3) {
		name := fmt.Sprintf("l%d", i)
		if o.IntN(2) == 0 {
			t := o.text(2)
			o.lets = append(o.lets, "let "+name+" = "+t.text+"; ")
			t.text = name
			o.texts = append(o.texts, t)
			continue
		}
		n := o.int(2)
		o.lets = append(o.lets, "let "+name+" = "+n.text+"; ")
		n.text = name
		o.ints = append(o.ints, n)
	}
	c := o.condition(4)
	c.text = strings.Join(o.lets, "") + c.text
	return c
}

// TestOddExpressions holds Match, the reference and Explain against what odd expressions mean.
func TestOddExpressions(t *testing.T) {
	for _, seed := range seeds(t, 3) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			o := &odd{Rand: rand.New(rand.NewPCG(seed, 3))}
			var text strings.Builder
			text.WriteString("rules:\n")
			var expressions []part[bool]
			for i := range 60 {
				x := o.expression()
				expressions = append(expressions, x)
				fmt.Fprintf(&text, "  - id: r%03d\n    expression: |\n      %s\n", i, x.text)
			}
			set := mustCompile(t, "a.yaml", text.String())
			g := &generator{Rand: o.Rand}
			var r Result
			for range 30 {
				document := g.event()
				e := decode(t, document)
				s := &scene{env: envAs(e, func(s string) string { return s })}
				agreeOn(t, set, e, &r)
				set.Match(e, &r)
				for i, rule := range set.Rules() {
					want := expressions[i].eval(s)
					if got := slices.Contains(r.Live, i); got != want {
						t.Fatalf("%s\nis %v, want %v, on %s", expressions[i].text, got, want, document)
					}
					if x, err := set.Explain(e, rule.ID); err != nil || x.Condition.Holds != want {
						t.Fatalf("%s\nis explained as %v (%v), want %v, on %s", expressions[i].text, x.Condition.Holds, err, want, document)
					}
				}
			}
		})
	}
}
