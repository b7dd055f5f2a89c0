package sigma

import "strings"

// unknowable is something of an event that is often not known, and then empty.
type unknowable struct {
	what     string
	prefixes []string // of the fields that read it
}

var unknowables = []unknowable{
	{"the parent", []string{"process.parent."}},
	{"a grandparent", []string{"process.ancestors"}},
	{"the command line", []string{"process.cmdline"}},
	{"the user", []string{"process.user", "usr."}},
}

func (u unknowable) readBy(it *item) bool {
	if it.kind != fieldItem {
		return false
	}
	for _, path := range it.reads {
		for _, prefix := range u.prefixes {
			if strings.HasPrefix(path, prefix) {
				return true
			}
		}
	}
	return false
}

// negatedUnknown notes what the rule takes for given by a negation only: `ParentImage` is not this holds
// also when nobody knows the parent. Sigma means it so.
func negatedUnknown(p parts) []string {
	whole := p.whole()
	var out []string
	for _, u := range unknowables {
		asked, leans := false, false
		whole.items(func(it *item, negated bool) {
			if u.readBy(it) {
				asked = asked || it.asksEmpty
				leans = leans || negated && it.onEmpty == no
			}
		})
		can := whole.truth(func(it *item) truth {
			if u.readBy(it) {
				return it.onEmpty
			}
			return open
		})
		if leans && !asked && can != no {
			out = append(out, "negated-unknown: it also matches when "+u.what+" is not known, because of a negation")
		}
	}
	return out
}
