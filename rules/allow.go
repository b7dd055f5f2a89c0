package rules

import "strings"

// The language is a part of expr's: what stands in these tables, and nothing else. The reference is
// generated from them.

// Operator is an operator of the language, for the generated reference.
type Operator struct {
	Name        string // as written
	Operands    string
	Description string
}

var operators = []Operator{
	{"and", "bool, bool", "Both hold; also written &&."},
	{"or", "bool, bool", "At least one holds; also written ||."},
	{"not", "bool", "Does not hold; also written !, and as x not in, x not contains ..."},
	{"==", "two of a kind", "Equal; texts without regard to case."},
	{"!=", "two of a kind", "Not equal."},
	{"<", "numbers, texts, times, durations", "Less; false when a time is missing."},
	{"<=", "numbers, texts, times, durations", "Less or equal; false when a time is missing."},
	{">", "numbers, texts, times, durations", "Greater; false when a time is missing."},
	{">=", "numbers, texts, times, durations", "Greater or equal; false when a time is missing."},
	{"in", "value, list", "The list has an element equal to the value."},
	{"contains", "text, text", "The left text contains the right one."},
	{"startsWith", "text, text", "The left text begins with the right one."},
	{"endsWith", "text, text", "The left text ends with the right one."},
	{"matches", "text, constant text", "A regular expression (RE2) matches somewhere in the text; . is no newline."},
	{"+", "numbers, texts, time and duration", "Sum, or the texts one after the other."},
	{"-", "numbers, times, durations", "Difference; of two times a duration, 0s when one is missing."},
	{"*", "numbers, number and duration", "Product."},
	{"/", "numbers", "Quotient, a float; 0 when the divisor is 0."},
	{"%", "int, int", "Remainder; 0 when the divisor is 0."},
	{"?:", "bool, two of a kind", "c ? a : b is a when c holds and b otherwise."},
	{"[]", "list, int", "Element of a list, from 0, from the end when negative; the empty value past either end."},
}

// Operators lists the operators of the language.
func Operators() []Operator { return append([]Operator(nil), operators...) }

// Function is a function of the language, for the generated reference.
type Function struct {
	Name        string
	Signature   string
	Description string
	// Ours marks the functions that expr does not have.
	Ours    bool
	closure bool
	min     int // how many arguments
	max     int
}

var functions = []Function{
	{Name: "any", Signature: "any(list, condition) bool", Description: "The condition holds for at least one element, # or what follows a dot.", closure: true, min: 2, max: 2},
	{Name: "all", Signature: "all(list, condition) bool", Description: "The condition holds for every element; true for the empty list.", closure: true, min: 2, max: 2},
	{Name: "none", Signature: "none(list, condition) bool", Description: "The condition holds for no element.", closure: true, min: 2, max: 2},
	{Name: "one", Signature: "one(list, condition) bool", Description: "The condition holds for exactly one element.", closure: true, min: 2, max: 2},
	{Name: "count", Signature: "count(list, condition) int", Description: "For how many elements the condition holds.", closure: true, min: 2, max: 2},
	{Name: "filter", Signature: "filter(list, condition) list", Description: "The elements for which the condition holds.", closure: true, min: 2, max: 2},
	{Name: "map", Signature: "map(list, value) list", Description: "The value of each element.", closure: true, min: 2, max: 2},
	{Name: "find", Signature: "find(list, condition) element", Description: "The first element for which the condition holds, else the empty value.", closure: true, min: 2, max: 2},
	{Name: "len", Signature: "len(text or list) int", Description: "Length of a text in characters, or of a list.", min: 1, max: 1},
	{Name: "first", Signature: "first(list) element", Description: "The first element, or the empty value.", min: 1, max: 1},
	{Name: "last", Signature: "last(list) element", Description: "The last element, or the empty value.", min: 1, max: 1},
	{Name: "lower", Signature: "lower(text) text", Description: "The text in lower case; comparisons ignore case without it.", min: 1, max: 1},
	{Name: "upper", Signature: "upper(text) text", Description: "The text in upper case.", min: 1, max: 1},
	{Name: "trim", Signature: "trim(text) text", Description: "The text without white space at both ends.", min: 1, max: 1},
	{Name: "abs", Signature: "abs(number) number", Description: "The number without its sign.", min: 1, max: 1},
	{Name: "min", Signature: "min(number, ...) number", Description: "The least of its arguments.", min: 1, max: 16},
	{Name: "max", Signature: "max(number, ...) number", Description: "The greatest of its arguments.", min: 1, max: 16},
	{Name: "int", Signature: "int(constant) int", Description: "A constant as an integer; evaluated at load.", min: 1, max: 1},
	{Name: "float", Signature: "float(constant) float", Description: "A constant as a float; evaluated at load.", min: 1, max: 1},
	{Name: "string", Signature: "string(value) text", Description: "A bool or number as text.", min: 1, max: 1},
	{Name: "duration", Signature: `duration("5m") duration`, Description: "A constant duration; evaluated at load.", min: 1, max: 1},
	{Name: "date", Signature: `date("2026-01-01T00:00:00Z") time`, Description: "A constant time, UTC unless it says otherwise; evaluated at load. A second constant is a layout as in Go.", min: 1, max: 2},
	{Name: "glob", Signature: "glob(path, pattern or list) bool", Description: `The whole path matches: ? and * stay within a component, ** is any number of components, \ and / are equal.`, Ours: true, min: 2, max: 2},
	{Name: "like", Signature: "like(text, pattern or list) bool", Description: "The whole text matches: * is any text, ? any character.", Ours: true, min: 2, max: 2},
	{Name: "basename", Signature: "basename(path) text", Description: "The last component.", Ours: true, min: 1, max: 1},
	{Name: "dirname", Signature: "dirname(path) text", Description: "What stands before the last component.", Ours: true, min: 1, max: 1},
	{Name: "extension", Signature: "extension(path) text", Description: "The last dot of the file's name and what follows.", Ours: true, min: 1, max: 1},
	{Name: "exact", Signature: "exact(text) text", Description: "Only as an operand of a comparison: that comparison takes case as written, and registry paths as they came.", Ours: true, min: 1, max: 1},
}

// Functions lists the functions of the language.
func Functions() []Function { return append([]Function(nil), functions...) }

// usage is how the function is called.
func (f *Function) usage() string { return f.Signature[:strings.LastIndexByte(f.Signature, ')')+1] }

var functionByName = func() map[string]*Function {
	m := map[string]*Function{}
	for i := range functions {
		m[functions[i].Name] = &functions[i]
	}
	return m
}()

// refused says what to write instead of something that expr has and the language does not.
var refused = map[string]string{
	"hasPrefix":     "write `a startsWith b`",
	"hasSuffix":     "write `a endsWith b`",
	"now":           "write `time`, the event's own time: a replay has to give the same answer",
	"indexOf":       "write `a contains b`",
	"lastIndexOf":   "write `a contains b`",
	"trimPrefix":    "write `a startsWith b`",
	"trimSuffix":    "write `a endsWith b`",
	"replace":       "write the condition with `like` or `matches`",
	"split":         "write the condition with `contains`, `like` or `matches`",
	"splitAfter":    "write the condition with `contains`, `like` or `matches`",
	"join":          "write `any(list, ...)`",
	"repeat":        "write the text itself",
	"concat":        "write `a + b` for texts, `any(a, ...) or any(b, ...)` for lists",
	"sum":           "write `count(list, condition)`",
	"mean":          "write `count(list, condition)`",
	"median":        "write `count(list, condition)`",
	"reduce":        "write `any`, `all` or `count`",
	"sortBy":        "write `min`, `max` or `find`",
	"sort":          "write `min`, `max` or `find`",
	"groupBy":       "write `count(list, condition)`",
	"findLast":      "write `last(filter(list, condition))`",
	"findIndex":     "write `find(list, condition)`",
	"findLastIndex": "write `last(filter(list, condition))`",
	"take":          "write `list[0]`, or `any(list, ...)`",
	"reverse":       "write `last(list)`",
	"uniq":          "write `any(list, ...)`",
	"flatten":       "write `any(list, ...)`",
	"get":           "write `list[i]`, or the field's name after a dot",
	"type":          "each field has one type, see the reference",
	"ceil":          "compare with < and >",
	"floor":         "compare with < and >",
	"round":         "compare with < and >",
	"timezone":      "times are UTC; give `date` a time with an offset",
	"toJSON":        "read the fields themselves",
	"fromJSON":      "use `contains` or `matches` on the text",
	"toBase64":      "write the encoded text itself",
	"fromBase64":    "write the encoded text itself",
	"toPairs":       "read the fields themselves",
	"fromPairs":     "read the fields themselves",
	"keys":          "read the fields themselves",
	"values":        "read the fields themselves",
	"bitand":        "compare with == or in",
	"bitor":         "compare with == or in",
	"bitxor":        "compare with == or in",
	"bitnand":       "compare with == or in",
	"bitnot":        "compare with == or in",
	"bitshl":        "compare with == or in",
	"bitshr":        "compare with == or in",
	"bitushr":       "compare with == or in",
	"..":            "write `x >= a and x <= b`",
	"**":            "write the number itself",
	"^":             "write the number itself",
	"??":            "a missing field is \"\", 0 or false, never nil: write the field alone",
}

// keywords cannot be names: the words of expr's grammar.
var keywords = strings.Fields("and or not in contains startsWith endsWith matches let if else true false nil index acc env")

// roots of the environment, in the order of the reference.
var roots = strings.Fields("evt file exit process container registry usr permission_change agent host time")

// unreadable says why a path of the schema cannot be read.
var unreadable = map[string]string{
	"title":                "it is the rule's own and written after it matched",
	"agent.rule_id":        "it is the rule's own and written after it matched",
	"agent.rule_version":   "it is the rule's own and written after it matched",
	"agent.rule_actions":   "it is the rule's own and written after it matched",
	"agent.policy_name":    "it is the policy's own and written after a rule matched",
	"agent.policy_version": "it is the policy's own and written after a rule matched",
	"evt.matched_rules":    "it is written after the rules have matched",
	"date":                 "write `time`, the event's time",
	"evt.variables":        "declare the variable under `variables:` and read it by its name",
	"process.variables":    "declare the variable under `variables:` and read it by its name",
	"container.variables":  "declare the variable under `variables:` and read it by its name",
}
