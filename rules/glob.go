package rules

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// globPattern is a compiled pattern of glob, which matches whole paths. It is immutable.
//
// A path is a list of components between separators; \ and / are the same separator and a run of them is
// one. A leading or trailing separator makes an empty first or last component, so \a is not a, and a\ is
// not a. Each component of the pattern takes one of the path, as like does, so * and ? never cross a
// separator. A component ** takes any number of them, but at the end of a longer pattern at least one:
// C:\a\** is what lies below C:\a, **\x.exe is any x.exe and x.exe itself.
//
// What stands before the first ** is compared with the beginning of the path, what stands after the last
// with its end, and each run between two of them is found from left to right at its first place. Only such
// a run is ever tried again, one component further on, and it is short. So a match takes time in the length
// of the path, and allocates nothing.
type globPattern struct {
	components []globComponent
	// They fall into these, with a ** between each two: without **, head is all.
	head, tail []globComponent
	middle     [][]globComponent
}

type globComponent struct {
	any  bool // **
	like *likePattern
}

// maxMiddle is how many components may stand between two **.
const maxMiddle = 8

var (
	errDoubleStar = errors.New(`** must be a whole component of the path, as in C:\a\**\b`)
	errMiddle     = fmt.Errorf("at most %d components stand between two **", maxMiddle)
	errComponent  = errors.New("a component of a pattern has at most 255 characters, as one of a path does")
)

// compileGlob compiles a pattern of glob for folded text. What is refused: ** beside other characters, and
// patterns that would take long on no real path.
func compileGlob(pattern string) (*globPattern, error) {
	p := &globPattern{}
	for rest, more := pattern, true; more; {
		var text string
		text, rest, more = cutComponent(rest)
		switch n := len(p.components); {
		case text == "**":
			if n == 0 || !p.components[n-1].any { // **\** is **
				p.components = append(p.components, globComponent{any: true})
			}
		case strings.Contains(text, "**"):
			return nil, errDoubleStar
		case utf8.RuneCountInString(text) > 255:
			return nil, errComponent
		default:
			p.components = append(p.components, globComponent{like: compileLike(text)})
		}
	}
	if n := len(p.components); n > 1 && p.components[n-1].any { // at least one component more
		p.components = append(p.components, globComponent{like: compileLike("*")})
	}
	runs := [][]globComponent{nil}
	for i, from := 0, 0; i < len(p.components); i++ {
		if p.components[i].any {
			runs, from = append(runs, nil), i+1
			continue
		}
		runs[len(runs)-1] = p.components[from : i+1]
	}
	p.head = runs[0]
	if last := len(runs) - 1; last > 0 {
		p.tail, p.middle = runs[last], runs[1:last]
	}
	for _, run := range p.middle {
		if len(run) > maxMiddle {
			return nil, errMiddle
		}
	}
	return p, nil
}

// match reports whether the whole of folded path s matches.
func (p *globPattern) match(s string) bool {
	rest, more := s, true // what is left of the path; without more, not even an empty component
	rest, more, ok := takeFirst(p.head, rest, more)
	if !ok || len(p.head) == len(p.components) {
		return ok && !more
	}
	for i := len(p.tail) - 1; i >= 0; i-- {
		if !more {
			return false
		}
		var last string
		last, rest, more = cutLastComponent(rest)
		if !p.tail[i].like.match(last) {
			return false
		}
	}
	for _, run := range p.middle {
		for {
			if !more {
				return false
			}
			after, left, ok := takeFirst(run, rest, more)
			if ok {
				rest, more = after, left
				break
			}
			_, rest, more = cutComponent(rest)
		}
	}
	return true
}

// takeFirst matches the first components of path, one for each of run, and gives what follows them.
func takeFirst(run []globComponent, path string, more bool) (rest string, left, ok bool) {
	for i := range run {
		if !more {
			return "", false, false
		}
		var first string
		first, path, more = cutComponent(path)
		if !run[i].like.match(first) {
			return "", false, false
		}
	}
	return path, more, true
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

// cutLastComponent is cutComponent from the end.
func cutLastComponent(path string) (last, rest string, more bool) {
	start := len(path)
	for start > 0 && !isSeparator(path[start-1]) {
		start--
	}
	if start == 0 {
		return path, "", false
	}
	end := start
	for end > 0 && isSeparator(path[end-1]) {
		end--
	}
	return path[start:], path[:end], true
}

func isSeparator(c byte) bool { return c == '\\' || c == '/' }
