package secl

import (
	"fmt"
	"strings"
	"testing"

	"spoor/rules/policy"
)

// plainText is an expression on one line of a file of its own.
func plainText(s string) *text {
	return &text{value: s, at: func(from, to int) policy.Span {
		return policy.Span{File: "x", Line: 1, Col: from + 1, EndLine: 1, EndCol: to + 1}
	}}
}

// shape writes a tree with brackets around every operator.
func shape(n *node) string {
	args := make([]string, len(n.args))
	for i, a := range n.args {
		args[i] = shape(a)
	}
	switch n.kind {
	case unaryNode:
		return "(" + n.op + args[0] + ")"
	case binaryNode, logicalNode:
		return "(" + strings.Join(args, " "+n.op+" ") + ")"
	case listNode:
		return "[" + strings.Join(args, " ") + "]"
	case intNode, durationNode:
		return fmt.Sprint(n.number)
	case stringNode:
		return "'" + n.text + "'"
	case patternNode:
		return "~'" + n.text + "'"
	case regexpNode:
		return "r'" + n.text + "'"
	case variableNode:
		return "$" + n.text
	case referenceNode:
		return "%" + n.text
	}
	return n.text
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`a && b || c`, `(a && (b || c))`},
		{`a || b && c`, `(a || (b && c))`},
		{`a && b && c || d || e and f`, `(a && b && (c || d || (e && f)))`},
		{`a or b and not c`, `(a || (b && (!c)))`},
		{`not a == 1 && b`, `(((!a) == 1) && b)`},
		{`!(a == 1)`, `(!(a == 1))`},
		{`a == b != c`, `(a == (b != c))`},
		{`a == 1 & 2 | 3 ^ 4`, `(a == (1 & (2 | (3 ^ 4))))`},
		{`a + 1 - 2 & 3 < -4`, `(((a + 1) - (2 & 3)) < (-4))`},
		{`a-1 == +b`, "x:1:8: `+` stands where a field, a value or `(` is expected"},
		{`^a == 0`, `((^a) == 0)`},
		{`a in ["x", ~"y*", r"z"] && b not in [1, -2, +3]`, `((a in ['x' ~'y*' r'z']) && (b not in [1 -2 3]))`},
		{`a allin NAMES || a in b.c[A].d`, `((a allin NAMES) || (a in b.c[A].d))`},
		{`a in [B, C]`, `(a in [B C])`},
		{`"x" in ${process.list}`, `('x' in $process.list)`},
		{`%{a.b} =~ "x*" && c !~"y"`, `((%a.b =~ 'x*') && (c !~ 'y'))`},
		{`a in 10.0.0.0/8 || a == 127.0.0.1 || a in [::1, fe80::/10]`, `((a in 10.0.0.0/8) || (a == 127.0.0.1) || (a in [::1 fe80::/10]))`},
		{`a < 10s && b > 500ms && c >= 1d`, `((a < 10000000000) && (b > 500000000) && (c >= 86400000000000))`},
		{"a # c1\n// c2\n== 1", `(a == 1)`},
		{`a == "C:\Temp\x" || a == "C:\\Temp" || a == "say \"x\""`, `((a == 'C:\Temp\x') || (a == 'C:\Temp') || (a == 'say "x"'))`},
		{`a == ~"C:\\T\x\"y" || a == r"\d\"\\"`, `((a == ~'C:\\T\x"y') || (a == r'\d\"\\'))`},
		{`["a", "b"]`, `['a' 'b']`},

		{``, `x:1:1: the expression is empty`},
		{`a == `, `x:1:6: the expression ends where a field, a value or ` + "`(`" + ` is expected`},
		{`a == "x`, `x:1:6: the text that starts here has no closing quote`},
		{`(a == 1`, "x:1:8: the expression ends where `)` is expected"},
		{`a == 1 b`, "x:1:8: `b` stands where the end of the expression is expected"},
		{`a in []`, `x:1:6: the list is empty`},
		{`a in ["x" "y"]`, "x:1:11: `\"y\"` stands where `,` or `]` is expected"},
		{`a in "x"`, "x:1:6: `\"x\"` stands where a list, a macro or an array is expected"},
		{`a == 1 @ 2`, `x:1:8: '@' is not part of the language`},
		{`é == 1`, `x:1:1: 'é' is not part of the language`},
		{`a == 10x`, `x:1:6: "10x" is neither a number nor a duration such as 500ms, 30s, 10m, 2h or 1d`},
		{`a == 99999999999999999999`, `x:1:6: 99999999999999999999 is too large`},
		{`a < 999999999999d`, `x:1:5: 999999999999d is too large`},
		{`a == 300.1.1.1`, `x:1:6: 300.1.1.1 is no address`},
		{`a == ${}`, `x:1:6: a variable is written ${name} or ${scope.name}`},
		{`a in [-"x"]`, `x:1:8: only a number has a sign`},
		{strings.Repeat("(", 300) + "a", `x:1:201: the expression is nested more than 200 deep`},
		{strings.Repeat("!", 300) + "a", `x:1:201: the expression is nested more than 200 deep`},
		{"a" + strings.Repeat(" - 1", 300), `x:1:1: the sum has more than 200 terms`},
		{strings.Repeat("a ", 60_000), `x:1:100001: the expression has more than 50000 words`},
		{strings.Repeat(" ", 300<<10), `x:1:1: the expression has 307200 bytes, at most 262144 are read`},
	} {
		n, f := parse(plainText(c.in))
		got := ""
		if f != nil {
			got = f.Error()
		} else {
			got = shape(n)
		}
		if got != c.want {
			t.Errorf("%.60s\n got %s\nwant %s", c.in, got, c.want)
		}
	}
	long := "a" + strings.Repeat(" && a || a", 10_000)
	if _, f := parse(plainText(long)); f != nil {
		t.Errorf("a long chain: %v", f)
	}
	// What is closed is no deeper for what follows.
	for _, one := range []string{" && (a == 1)", " && (a & 1) == 1", " && (!(a))"} {
		if _, f := parse(plainText("a" + strings.Repeat(one, 1000))); f != nil {
			t.Errorf("a chain of %s: %v", one, f)
		}
	}
}

func TestListName(t *testing.T) {
	for _, c := range []struct{ macro, suffix, want string }{
		{"SHELLS", "", "shells"}, {"Shell-Names", "_globs", "shell_names_globs"}, {"FILE", "", "file_list"},
		{"_9", "", "list_9"}, {"ANY", "_parts", "any_parts"}, {"__", "", "list_"},
	} {
		if got := listName(c.macro, c.suffix); got != c.want {
			t.Errorf("%s: %s, want %s", c.macro, got, c.want)
		}
	}
}
