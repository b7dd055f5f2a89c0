package policy

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Import is what a front end for another rule language made of its sources: policies to be written, and
// what became of every rule it found. The front ends are rules/sigma and rules/secl; the import*.go files
// of this package are what they share.
type Import struct {
	// Policies are sorted by Path, which is relative to the folder they go to and ends in .yaml.
	Policies []*Policy
	// Rules has an entry for every rule of the sources, in their order.
	Rules []ImportedRule
	// Faults are sources, or documents of them, that cannot be read at all.
	Faults Diagnostics
}

// ImportStatus says how an imported rule relates to its source.
type ImportStatus string

// The statuses. A rule that is refused is not in the policies.
const (
	StatusImported ImportStatus = "imported" // the same meaning
	StatusNarrowed ImportStatus = "narrowed" // matches a subset
	StatusWidened  ImportStatus = "widened"  // may match more; only when that is allowed
	StatusRefused  ImportStatus = "refused"
)

// importStatuses are in the order of the summary.
var importStatuses = []ImportStatus{StatusImported, StatusNarrowed, StatusWidened, StatusRefused}

// ImportedRule is one entry of the report.
type ImportedRule struct {
	ID     string       // in our policies; the id in the source when the rule was refused without one
	Source Span         // where the rule stands
	Status ImportStatus // of the rule as a whole
	Reason string       // why it is not imported as it is; "" for StatusImported
	Place  Span         // what Reason is about, zero when it is the rule as a whole
	// Dropped names each condition that was left out, with its place.
	Dropped []string
	// Notes are what a reader of the rule should know although its meaning was kept; the first word is a
	// stable code, for instance negated-unknown.
	Notes []string
}

// MarshalJSON gives {id, source, status, reason, dropped, notes}. The lists are never null; a reason begins
// with its place in the source.
func (r ImportedRule) MarshalJSON() ([]byte, error) {
	list := func(s []string) []string {
		if s == nil {
			return []string{}
		}
		return s
	}
	return json.Marshal(struct {
		ID      string       `json:"id"`
		Source  string       `json:"source"`
		Status  ImportStatus `json:"status"`
		Reason  string       `json:"reason"`
		Dropped []string     `json:"dropped"`
		Notes   []string     `json:"notes"`
	}{r.ID, r.Source.String(), r.Status, r.reason(), list(r.Dropped), list(r.Notes)})
}

func (r ImportedRule) reason() string {
	if r.Place == (Span{}) || r.Reason == "" {
		return r.Reason
	}
	return r.Place.String() + ": " + r.Reason
}

// Count is the number of rules of a status.
func (im *Import) Count(s ImportStatus) int {
	n := 0
	for _, r := range im.Rules {
		if r.Status == s {
			n++
		}
	}
	return n
}

// WriteReport writes the report as JSON: {"rules": [...]}, one rule a line.
func (im *Import) WriteReport(w io.Writer) error {
	var b strings.Builder
	b.WriteString("{\"rules\": [")
	for i, r := range im.Rules {
		line, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("report of %s: %w", r.ID, err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n")
		b.Write(line)
	}
	b.WriteString("\n]}\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteTable writes the report for people: a row for each rule that was not imported as it is or has a
// note, then the numbers.
func (im *Import) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	head := false
	for _, r := range im.Rules {
		if r.Status == StatusImported && len(r.Notes) == 0 {
			continue
		}
		if !head {
			fmt.Fprint(t, "STATUS\tRULE\tWHY\n")
			head = true
		}
		var why []string
		if reason := r.reason(); reason != "" {
			why = append(why, reason)
		} else {
			why = append(why, r.Source.String())
		}
		why = append(why, r.Notes...)
		fmt.Fprintf(t, "%s\t%s\t%s\n", r.Status, r.ID, oneLineOf(strings.Join(why, "; ")))
	}
	if head {
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var counts []string
	for _, s := range importStatuses {
		if n := im.Count(s); n > 0 || s == StatusImported {
			counts = append(counts, fmt.Sprintf("%d %s", n, s))
		}
	}
	_, err := fmt.Fprintf(w, "%d rules: %s\n", len(im.Rules), strings.Join(counts, ", "))
	return err
}

// oneLineOf keeps a text of the source from breaking a table.
func oneLineOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || refusedRune(r) {
			return ' '
		}
		return r
	}, s)
}

// SortPolicies puts the policies in the order of their paths.
func (im *Import) SortPolicies() {
	slices.SortFunc(im.Policies, func(a, b *Policy) int { return strings.Compare(a.Path, b.Path) })
}
