package sigma

import (
	"regexp"
	"strings"
)

// Sigma writes registry paths as Sysmon does: HKLM, HKU, and control sets by name or number. The rule
// language knows the short roots in constants, but not in regular expressions, which see the long root and
// CurrentControlSet; and exact(registry.target) is the path as the sensor spelled it, in any of the ways.

// registryRoots are the roots that Sysmon writes: the long name, and the other ways in which sensors begin
// such a path, as regular expressions.
var registryRoots = []struct{ short, long, any string }{
	{"HKLM", `HKEY_LOCAL_MACHINE`, `(?:HKLM|HKEY_LOCAL_MACHINE|\\REGISTRY\\MACHINE)`},
	{"HKU", `HKEY_USERS`, `(?:HKU|HKEY_USERS|\\REGISTRY\\USER)`},
	{"HKCR", `HKEY_CLASSES_ROOT`, `(?:HKCR|HKEY_CLASSES_ROOT)`},
	{"HKCU", `(?:HKEY_CURRENT_USER|HKEY_USERS\\[^\\]+)`, `(?:HKCU|HKEY_CURRENT_USER|(?:HKU|HKEY_USERS|\\REGISTRY\\USER)\\[^\\]+)`},
}

const anyControlSet = `(?:CurrentControlSet|ControlSet[0-9]{3})`

var (
	// numberedSet is a numbered control set in a constant; numberedLike also with wildcards for the number.
	numberedSet  = regexp.MustCompile(`(?i)(^|\\)ControlSet[0-9]{3}(\\|$)`)
	numberedLike = regexp.MustCompile(`(?i)(^|[\\*])ControlSet[0-9?*]{1,3}(\\|$)`)
	// numberedRegex is one in the text of a regular expression, with the usual ways to write the number.
	numberedRegex = regexp.MustCompile(`(?i)(\\\\)ControlSet(?:[0-9]{3}|0?0?\\d|\\d\{3\}|\\d\\d\\d|0?0?\[0-9\]|\[0-9\]\{3\}|00\.)(\\\\)`)
	rootRegex     = regexp.MustCompile(`(?i)(^|[^a-z0-9_\\])(HKLM|HKU|HKCR|HKCU)(\\\\)`)
	setRegex      = regexp.MustCompile(`(?i)(\\\\)CurrentControlSet(\\\\|$)`)
	// spelled is what sensors spell in several ways.
	spelled = regexp.MustCompile(`(?i)^(HKLM|HKU|HKCR|HKCU|HKEY_[A-Z_]+)\\|\\CurrentControlSet(\\|$)`)
)

// registryTest is t on a registry path, as rules see it; exact sees it as it came.
func registryTest(t test, exact bool) test {
	switch t.operator {
	case "like":
		t.constant = numberedLike.ReplaceAllString(t.constant, "${1}CurrentControlSet$2")
	case "matches":
		t.constant = registryRegex(t.constant, exact)
	case "==", "contains", "startsWith", "endsWith":
		if !exact {
			t.constant = numberedSet.ReplaceAllString(t.constant, "${1}CurrentControlSet$2")
			break
		}
		if !spelled.MatchString(t.constant) {
			break
		}
		before, behind := "^", "$"
		if t.operator == "contains" || t.operator == "endsWith" {
			before = ""
		}
		if t.operator == "contains" || t.operator == "startsWith" {
			behind = ""
		}
		t = test{"matches", registryRegex(before+regexp.QuoteMeta(t.constant)+behind, true)}
	}
	return t
}

func registryRegex(s string, exact bool) string {
	s = rootRegex.ReplaceAllStringFunc(s, func(found string) string {
		parts := rootRegex.FindStringSubmatch(found)
		for _, r := range registryRoots {
			if strings.EqualFold(r.short, parts[2]) {
				if exact {
					return parts[1] + r.any + parts[3]
				}
				return parts[1] + r.long + parts[3]
			}
		}
		return found
	})
	if exact {
		return setRegex.ReplaceAllString(s, "${1}"+anyControlSet+"$2")
	}
	return numberedRegex.ReplaceAllString(s, "${1}CurrentControlSet$2")
}
