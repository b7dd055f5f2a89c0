package policy

import (
	"fmt"
	"regexp/syntax"
	"testing"
)

func TestSpelled(t *testing.T) {
	for _, c := range []struct{ regex, want string }{
		{`mimikatz`, "[mimikatz] false false"},
		{`^a(b|cd)\.exe$`, "[ab.exe acd.exe] true true"},
		{`^.*\\cmd\.exe$`, `[\cmd.exe] false true`},
		{`^cmd.*`, "[cmd] true false"},
		{`(?i)CMD`, "[cmd] false false"},
		{`[ab]c`, "[ac bc] false false"},
		{`[abc]d`, "[] false false"},
		{`a+`, "[] false false"},
		{`a|`, "[] false false"},
		{`^$`, "[] true true"},
		{`(a|b)(c|d)(e|f)(g|h)`, "[] false false"},
	} {
		re, err := syntax.Parse(c.regex, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		texts, begin, end := Spelled(re)
		if got := fmt.Sprint(texts, begin, end); got != c.want {
			t.Errorf("%s: %s, want %s", c.regex, got, c.want)
		}
	}
}
