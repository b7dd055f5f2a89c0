package rules

import (
	"fmt"
	"math"
	"regexp"
	"strings"
)

// impossible reports a comparison with constants that its subject cannot have, whether it is negated or not.
func (l *linter) impossible(c constantTest) {
	if why := l.impossibleWhy(c); why != "" {
		l.warnOf(c.term, codeImpossible, fmt.Sprintf("`%s` never holds: %s", l.text(c.term), why), impossibleHint(c))
	}
}

// impossibleWhy says why none of the constants can be, "" when one can, as far as is known.
func (l *linter) impossibleWhy(c constantTest) string {
	if len(c.values) == 0 {
		return ""
	}
	why := ""
	for _, v := range c.values {
		one := ""
		switch v := v.(type) {
		case string:
			one = impossibleText(c, v)
		case int:
			if c.path() == "exit.code" && c.equality() && (v < math.MinInt32 || v > math.MaxUint32) {
				one = "an exit code has 32 bits"
			}
		}
		if one == "" {
			return ""
		}
		if why == "" {
			why = one
		}
	}
	return why
}

var (
	exitCauses    = []string{"exited", "signaled", "coredumped"}
	numberedInKey = regexp.MustCompile(`(^|\\)system\\controlset[0-9]`)
	driveRoot     = regexp.MustCompile(`^hk(lm|cu|cr|u|ey_[a-z_]+):`)
)

func impossibleText(c constantTest, text string) string {
	s, _ := c.seen(text)
	begins := c.equality() || c.op == "startsWith" // the constant is where the subject begins
	literal := begins || c.op == "endsWith" || c.op == "contains"
	path := c.path()
	switch {
	case path == "exit.cause" && c.equality() && s != "" && !c.exact:
		for _, cause := range exitCauses {
			if s == cause {
				return ""
			}
		}
		return "the causes of an exit are EXITED, SIGNALED and COREDUMPED"
	case literal && (strings.HasSuffix("."+path, "executable.name") || path == "file.name" || path == "file.destination.name" || c.calls("basename")):
		if strings.ContainsAny(s, `\/`) {
			return "the name of a file has no folder"
		}
	case literal && path == "registry.key_name":
		if strings.Contains(s, `\`) {
			return "the name of a key is the last part of its path"
		}
	case c.calls("extension"):
		if begins && s != "" && s[0] != '.' {
			return "an extension begins with its dot"
		}
	case c.exact && literal && c.calls("lower"):
		if strings.ToLower(text) != text {
			return "the text is in lower case"
		}
	case c.exact && literal && c.calls("upper"):
		if strings.ToUpper(text) != text {
			return "the text is in upper case"
		}
	case c.registry() && (literal || c.op == "glob" || c.op == "like"):
		switch {
		case numberedInKey.MatchString(s):
			return "rules see a numbered control set as CurrentControlSet"
		case driveRoot.MatchString(s):
			return "the root of a registry path has no colon"
		case begins && s != "" && !commonPrefix(s, "hk") && !commonPrefix(s, `\registry\`) && !anyTerm(c.subject, joins):
			return "a registry path begins with its root"
		}
	}
	return ""
}

// joins says that t joins texts: of a path that is missing, what is joined to it is left.
func joins(t *term) bool { return t.op == opArith }

// commonPrefix says that one text begins with the other.
func commonPrefix(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

// calls says that the subject is a call of the function.
func (c *constantTest) calls(name string) bool {
	return c.subject.op == opCall && c.subject.name == name
}

func impossibleHint(c constantTest) string {
	path := c.path()
	switch {
	case strings.HasSuffix(path, ".name") && path != "registry.key_name":
		if len(c.subject.args) > 0 {
			path = "." + path
		}
		return "compare " + strings.TrimSuffix(path, "name") + "path"
	case c.calls("extension") && len(c.texts) > 0:
		return fmt.Sprintf("write %q", "."+c.texts[0])
	case c.calls("lower"), c.calls("upper"):
		return "comparisons ignore case by themselves: leave out both functions"
	case c.registry() && len(c.texts) > 0:
		s, _ := c.seen(c.texts[0])
		switch {
		case numberedInKey.MatchString(s):
			return "write CurrentControlSet"
		case driveRoot.MatchString(s):
			return `write HKLM\ or the like`
		}
		return "begin with HKLM, HKCU or another root, or use contains or endsWith"
	}
	return ""
}
