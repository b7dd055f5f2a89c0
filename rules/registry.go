package rules

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Rules see registry paths in one spelling, whichever the sensor used: the long name of the root, and
// CurrentControlSet for every numbered control set.
//
//	HKLM, \REGISTRY\MACHINE                   HKEY_LOCAL_MACHINE
//	HKU, \REGISTRY\USER                       HKEY_USERS
//	HKCR                                      HKEY_CLASSES_ROOT
//	HKCU                                      HKEY_CURRENT_USER
//	HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001   HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet
//
// A root is a whole first component (HKLMX is none); \REGISTRY\A and everything else stays. Only \
// separates, because / is an ordinary character in the name of a key. All of this works on folded text and
// gives folded text: canonicalKey for the fields, canonicalConstant for the constants they meet.
//
// The current user has no path of its own in an event: its key is HKEY_USERS\<sid>. So a constant that
// begins with HKCU, or HKEY_CURRENT_USER, is held against the path and against what userKey makes of it,
// where HKEY_USERS and one level below it read HKEY_CURRENT_USER: `field op c` becomes
// `field op c or userKey(field) op c`. That one form serves == in contains startsWith endsWith glob like,
// and, by negating the whole, != and not in. For paths elsewhere userKey gives "", which no constant with a
// root matches under any of them. It is not for < and the like, which compare with the path alone, nor for
// matches: a regex sees the canonical path and lint warns about a short root in it.

const (
	foldedMachine     = "hkey_local_machine"
	foldedUsers       = "hkey_users"
	foldedCurrentUser = "hkey_current_user"
	foldedControlSet  = "currentcontrolset"
	numberedSet       = "controlset"
)

// cutRoot returns the long name of the root that folded text begins with and what follows it: nothing or \
// in a path, or what the caller's boundary allows besides. Long roots give themselves.
func cutRoot(s string, boundary func(rest string) bool) (long, rest string, ok bool) {
	if s == "" || s[0] != 'h' && s[0] != '\\' {
		return "", s, false
	}
	for _, r := range [...]struct{ short, long string }{
		{foldedMachine, foldedMachine},
		{foldedUsers, foldedUsers},
		{foldedCurrentUser, foldedCurrentUser},
		{"hklm", foldedMachine},
		{"hku", foldedUsers},
		{"hkcu", foldedCurrentUser},
		{"hkcr", "hkey_classes_root"},
		{`\registry\machine`, foldedMachine},
		{`\registry\user`, foldedUsers},
	} {
		if rest, ok = strings.CutPrefix(s, r.short); ok && boundary(rest) {
			return r.long, rest, true
		}
	}
	return "", s, false
}

func atComponent(rest string) bool { return rest == "" || rest[0] == '\\' }

// keyParts takes folded path apart as far as its canonical form differs from it: that form is
// long + middle + set + tail, where set is CurrentControlSet or empty.
func keyParts(s string) (long, middle, set, tail string, changed bool) {
	long, rest, ok := cutRoot(s, atComponent)
	if !ok {
		return "", "", "", s, false
	}
	changed = len(long)+len(rest) != len(s)
	if long != foldedMachine {
		return long, "", "", rest, changed
	}
	below, ok := strings.CutPrefix(rest, `\system\`+numberedSet)
	if !ok || len(below) < 3 || !digits(below[:3]) || !atComponent(below[3:]) {
		return long, "", "", rest, changed
	}
	return long, `\system\`, foldedControlSet, below[3:], true
}

// canonicalKey returns the canonical form of a folded registry path, folded: s itself, without allocation,
// when it has that form already.
func canonicalKey(s string) string {
	long, middle, set, tail, changed := keyParts(s)
	if !changed {
		return s
	}
	return long + middle + set + tail
}

// canonicalWritten is the canonical form of a path as it came, with the case of what is not rewritten.
func canonicalWritten(path string) string {
	long, middle, set, tail, changed := keyParts(fold(path))
	if !changed {
		return path
	}
	if set != "" {
		set = "CurrentControlSet"
	}
	// A fold has as many characters as its text.
	return strings.ToUpper(long+middle) + set + lastCharacters(path, characters(tail))
}

// lastCharacters are the last n characters of text.
func lastCharacters(text string, n int) string {
	at := len(text)
	for ; n > 0 && at > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(text[:at])
		at -= size
	}
	return text[at:]
}

// appendKey appends the canonical form of a folded registry path to dst.
func appendKey(dst []byte, s string) []byte {
	long, middle, set, tail, _ := keyParts(s)
	dst = append(dst, long...)
	dst = append(dst, middle...)
	dst = append(dst, set...)
	return append(dst, tail...)
}

// userKey returns a canonical path below HKEY_USERS as its user sees it, with HKEY_CURRENT_USER for
// HKEY_USERS and the level below it, and "" for any other path.
func userKey(s string) string {
	rest, ok := userRest(s)
	if !ok {
		return ""
	}
	return foldedCurrentUser + rest
}

// appendUserKey appends userKey(s) to dst.
func appendUserKey(dst []byte, s string) []byte {
	rest, ok := userRest(s)
	if !ok {
		return dst
	}
	return append(append(dst, foldedCurrentUser...), rest...)
}

// userRest returns what follows HKEY_USERS and one level below it: nothing, or \ and more.
func userRest(s string) (rest string, ok bool) {
	below, ok := strings.CutPrefix(s, foldedUsers+`\`)
	if !ok || below == "" || below[0] == '\\' {
		return "", false
	}
	if i := strings.IndexByte(below, '\\'); i >= 0 {
		return below[i:], true
	}
	return "", true
}

// constantKind is how a constant is compared with a registry path.
type constantKind int

const (
	wholeConstant  constantKind = iota // == != in < endsWith: its last component is a whole one
	prefixConstant                     // startsWith contains: its last component may go on
	globConstant                       // glob: / separates too, ** and * and ? stand for others
	likeConstant                       // like
)

// canonicalConstant folds a constant that is compared with a registry path and rewrites it as the path is
// rewritten, when it begins with a root. user says that it begins with the current user's root, so that it
// is to be held against userKey as well.
//
// Where the constant is a prefix or a pattern, what it says of the root and the control set may be cut
// short: startsWith "HKLM\SYSTEM\ControlSet" and like "HKLM\SYSTEM\ControlSet00?\*" mean any control set.
func canonicalConstant(text string, kind constantKind) (canonical string, user bool) {
	s := fold(text)
	pattern := kind == globConstant || kind == likeConstant
	if kind == globConstant {
		s = strings.ReplaceAll(s, "/", `\`)
	}
	long, rest, ok := cutRoot(s, func(rest string) bool {
		return atComponent(rest) || pattern && rest[0] == '*'
	})
	if !ok {
		return s, false
	}
	user = long == foldedCurrentUser
	below, ok := strings.CutPrefix(rest, `\system\`+numberedSet)
	if !ok || long != foldedMachine {
		return long + rest, user
	}
	number, tail := below, ""
	if i := strings.IndexByte(below, '\\'); i >= 0 {
		number, tail = below[:i], below[i:]
	}
	switch {
	case len(number) == 3 && digits(number):
		number = ""
	case kind == prefixConstant && tail == "" && len(number) < 3 && digits(number):
		number = ""
	case pattern && number != "" && strings.Trim(number, "0123456789*?") == "":
		// A star of like may have meant more than the number.
		if strings.Contains(number, "*") {
			number = "*"
		} else {
			number = ""
		}
	default:
		return long + rest, user
	}
	return long + `\system\` + foldedControlSet + number + tail, user
}

func digits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// shortRoot finds the short name of a root in the text of a regex, as a word of its own, also spelled as
// HK(LM|CU).
var shortRoot = regexp.MustCompile(`(?i)(?:^|[^a-z0-9_])(hklm|hkcu|hkcr|hku|hk\((?:\?:)?(?:lm|cu|cr|u)(?:\|(?:lm|cu|cr|u))*\)|registry\\\\(?:machine|user))(?:$|[^a-z0-9_])`)

// regexShortRoot returns the short registry root that a regex names, which the path it sees never has,
// "" without one.
func regexShortRoot(pattern string) string {
	// \b before a root is not a letter of it; the escaped separator is kept.
	plain := escape.ReplaceAllStringFunc(pattern, func(e string) string {
		if e == `\\` {
			return e
		}
		return "  "
	})
	found := shortRoot.FindStringSubmatch(plain)
	if found == nil {
		return ""
	}
	return strings.ReplaceAll(found[1], `\\`, `\`)
}

// regexNumberedSet reports whether a regex demands a numbered control set, which the path it sees never has.
func regexNumberedSet(pattern string) bool {
	return numberedSetInRegex.MatchString(pattern) && !strings.Contains(fold(pattern), foldedControlSet)
}

var numberedSetInRegex = regexp.MustCompile(`(?i)controlset(?:\\d|\[0-9\]|[0-9])(?:[^*?{]|\{[^0]|$)`)

var escape = regexp.MustCompile(`(?s)\\.`)
