// Package policy is the YAML format of policies: it loads files into structure with positions, checks that
// structure, applies overrides over the whole set, and prints policies back. It knows neither events nor
// expressions: the text of an expression is carried with a table of where each of its characters stands.
// It owns Diagnostic, the one type for faults found in policies. It imports nothing of ours.
package policy

// Policy is one file. Every text carries its place.
type Policy struct {
	Path        string // as the user named it, with slashes
	Name        Text   // default: the file's name without its extension
	Version     Text
	Description Text
	// Lists and Macros are visible in this policy, those of Shared in every policy of the set.
	Lists           []List
	Macros          []Macro
	SharedLists     []List
	SharedMacros    []Macro
	Variables       []Variable
	Rules           []Rule // defaults are applied
	Overrides       []Override
	Tests           []Test
	ExtraEventNames []Text // event names beside the known ones, not warned about
}

// Text is a scalar as written, with its place.
type Text struct {
	Value string
	Span  Span
}

// List is a named list of texts or of integers: List is homogeneous, Ints tells which.
type List struct {
	Name    Text
	Ints    bool
	Members []Text // for Ints, each Value parses with strconv.ParseInt(v, 0, 64)
}

// Macro is a named expression with parameters.
type Macro struct {
	ID         Text
	Params     []Text
	Expression Expr
}

// Variable declares a variable that events carry.
type Variable struct {
	Name    Text
	Scope   Text // process, container or event
	Type    Text // string, int, float, bool, or a list: [string] ...
	Default Text // as written; Value "" when absent
	// DefaultList is the default of a list, nil when absent.
	DefaultList []Text
}

// Severity orders rules; the higher decides.
type Severity int

// The severities, as written in lower case.
const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

// Rule is one detection. Defaults of its policy and overrides of the set are already applied.
type Rule struct {
	ID             Text
	Version        string // default: the policy's
	Title          string // default: description, then id
	Description    string
	Expression     Expr
	Severity       Severity
	Priority       int
	Shadow         bool // mode: shadow
	Disabled       bool
	Tags           []string // sorted "key:value", severity among them
	References     []string
	Authors        []string
	FalsePositives []string
	Status         string
	License        string
	Date           string
	Modified       string
	Source         Source
	Metadata       map[string]string
	Exceptions     []Exception
	Every          Text   // a duration as written, "" when absent
	LimiterToken   []Text // field paths
	Actions        []Action
	Policy         *Policy // the file it stands in: policy_name stays the target's under overrides
}

// Source says where a rule came from when it was imported.
type Source struct{ Kind, ID, URL string }

// Exception takes matches of a rule out again.
type Exception struct {
	Name       Text
	Expression Expr
}

// Action is one entry of actions: its JSON and its place.
type Action struct {
	JSON []byte
	Span Span
}

// Override changes a rule or a list of another policy. Load has applied it; what stays here says which
// targets a policy changes.
type Override struct {
	Rule Text // the target's id, or
	List Text // policy/list
	Span Span
	// Change is what an override that an importer made does to Rule, for Print; nil when it was loaded.
	Change *RuleChange
}

// Test is one test case of a policy.
type Test struct {
	Name   Text
	Events []TestEvent
	// Expect maps a rule id to the 0-based indexes of the events that match it. Rules of the policy
	// that it does not name must not match.
	Expect          []Expectation
	ExpectException []ExceptionExpectation
	Policy          *Policy
	Span            Span
}

// TestEvent is one event of a test: its JSON after dotted keys are unfolded, its host, and the time that
// passes before it.
type TestEvent struct {
	JSON  []byte
	Host  string // default "test"; "" for a record without a host
	After string // a duration, "" for the usual second
	Span  Span
}

// Expectation is one entry of expect.
type Expectation struct {
	Rule   Text
	Events []int
	places []Span // of each index
}

// ExceptionExpectation is one entry of expect_exception: the named exception of the rule decides on some
// event of the test.
type ExceptionExpectation struct{ Rule, Exception Text }

// Set is every policy of a folder, sorted by path, with overrides applied.
type Set struct {
	Policies []*Policy
	// Hash identifies the normalised set: comments, key order and file paths do not count. Hex SHA-256.
	Hash string
	// Broken says that the set was loaded with errors and has no hash: it is for finding the faults of its
	// expressions in the same run, not for matching.
	Broken  bool
	missing missing
}
