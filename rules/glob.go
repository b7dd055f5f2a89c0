package rules

import (
	"errors"
	"strings"
)

// globPattern is a compiled pattern of glob, which matches whole paths. It is immutable.
//
// A path is a list of components between separators; \ and / are the same separator and a run of them is
// one. A leading or trailing separator makes an empty first or last component, so \a is not a, and a\ is
// not a. Each component of the pattern takes one of the path, as like does, so * and ? never cross a
// separator. A component ** takes any number of them, but at the end of a longer pattern at least one:
// C:\a\** is what lies below C:\a, **\x.exe is any x.exe and x.exe itself.
//
// As every component of the pattern but ** takes exactly one of the path, it is enough to return to the
// last ** when one fails (an earlier ** never has to take more), so a pair of components meets at most
// once: a match takes time in the length of path times pattern at worst, and allocates nothing.
type globPattern struct {
	components []globComponent
}

type globComponent struct {
	any  bool // **
	like *likePattern
}

var errDoubleStar = errors.New(`** must be a whole component of the path, as in C:\a\**\b`)

// compileGlob compiles a pattern of glob for folded text. The only fault of a pattern is ** beside other
// characters.
func compileGlob(pattern string) (*globPattern, error) {
	p := &globPattern{}
	for rest, more := pattern, true; more; {
		var text string
		text, rest, more = cutComponent(rest)
		if text != "**" {
			if strings.Contains(text, "**") {
				return nil, errDoubleStar
			}
			p.components = append(p.components, globComponent{like: compileLike(text)})
			continue
		}
		if n := len(p.components); n == 0 || !p.components[n-1].any { // **\** is **
			p.components = append(p.components, globComponent{any: true})
		}
	}
	if n := len(p.components); n > 1 && p.components[n-1].any {
		p.components = append(p.components, globComponent{like: compileLike("*")})
	}
	return p, nil
}

// match reports whether the whole of folded path s matches.
func (p *globPattern) match(s string) bool {
	var (
		at    = 0     // the component of the pattern that comes next
		rest  = s     // the path from its next component on
		more  = true  // there is a next component, perhaps an empty one
		again = -1    // where to go on in the pattern when a component fails: after the last **
		retry string  // and in the path
		over  = false // the path has no component at retry
	)
	for {
		if at < len(p.components) && p.components[at].any {
			at++
			if at == len(p.components) {
				return true
			}
			again, retry, over = at, rest, !more
			continue
		}
		if at == len(p.components) && !more {
			return true
		}
		if at < len(p.components) && more {
			text, tail, next := cutComponent(rest)
			if p.components[at].like.match(text) {
				at, rest, more = at+1, tail, next
				continue
			}
		}
		// The last ** takes one component more.
		if again < 0 || over {
			return false
		}
		_, tail, next := cutComponent(retry)
		at, rest, more = again, tail, next
		retry, over = tail, !next
	}
}

// cutComponent returns the first component of path, what follows the separators after it, and whether
// there were separators, so that another component, perhaps an empty one, follows.
func cutComponent(path string) (first, rest string, more bool) {
	i := 0
	for i < len(path) && !isSeparator(path[i]) {
		i++
	}
	if i == len(path) {
		return path, "", false
	}
	end := i + 1
	for end < len(path) && isSeparator(path[end]) {
		end++
	}
	return path[:i], path[end:], true
}

func isSeparator(c byte) bool { return c == '\\' || c == '/' }
