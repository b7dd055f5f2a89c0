package rules

import "spoor/rules/policy"

// The codes of diagnostics that expressions give.
const (
	codeSyntax          = "expression-syntax"
	codeTooLarge        = "expression-too-large"
	codeUnknownName     = "unknown-name"
	codeUnknownField    = "unknown-field"
	codeNotReadable     = "not-readable"
	codeUnknownFunction = "unknown-function"
	codeRefused         = "not-allowed"
	codeNil             = "nil"
	codeType            = "type-mismatch"
	codeNotCondition    = "not-a-condition"
	codeArguments       = "wrong-arguments"
	codeNotConstant     = "not-constant"
	codeBadConstant     = "bad-constant"
	codeBadPattern      = "bad-pattern"
	codeControl         = "control-escape"
	codeExact           = "exact-misplaced"
	codeNested          = "nested-too-deep"
	codeOuterElement    = "outer-element"
	codeReservedName    = "reserved-name"
	codeNameTaken       = "name-taken"
	codeMacroCycle      = "macro-cycle"
	codeEventAlias      = "event-alias"
	codeEventUnknown    = "event-unknown"
	codeNoEventName     = "no-event-name"
	codeInternal        = "internal"
)

// codes of this file, in the order of the reference.
func expressionCodes() []policy.Code {
	return []policy.Code{
		{Name: codeSyntax, Level: policy.Error, Help: "The expression cannot be read from here on; one such fault is reported for an expression."},
		{Name: codeTooLarge, Level: policy.Error, Help: "The expression has more than 10,000 nodes once its macros and lists are inlined."},
		{Name: codeUnknownName, Level: policy.Error, Help: "No field, list, macro, variable or parameter has this name."},
		{Name: codeUnknownField, Level: policy.Error, Help: "The object has no field of this name."},
		{Name: codeNotReadable, Level: policy.Error, Help: "Rules cannot read this field, which the engine writes or reads another way."},
		{Name: codeUnknownFunction, Level: policy.Error, Help: "No function or macro has this name."},
		{Name: codeRefused, Level: policy.Error, Help: "A construct of expr that is not part of the language; the hint names the replacement."},
		{Name: codeNil, Level: policy.Error, Help: "There is no nil: a missing field is \"\", 0, false or empty."},
		{Name: codeType, Level: policy.Error, Help: "An operator or function is given a value of a kind that it does not take."},
		{Name: codeNotCondition, Level: policy.Error, Help: "The expression of a rule or exception is not true or false."},
		{Name: codeArguments, Level: policy.Error, Help: "A function or macro is called with too many or too few arguments."},
		{Name: codeNotConstant, Level: policy.Error, Help: "A pattern, or the argument of date, duration, int or float, has to be constant: it is evaluated at load."},
		{Name: codeBadConstant, Level: policy.Error, Help: "A constant cannot be read as what it has to be: a date, a duration, a number."},
		{Name: codeBadPattern, Level: policy.Error, Help: "The pattern of matches, glob or like cannot be compiled."},
		{Name: codeControl, Level: policy.Error, Help: "An escape in a quoted constant makes a control character, as \"C:\\temp\" makes a tab; use backquotes."},
		{Name: codeExact, Level: policy.Error, Help: "exact(x) stands elsewhere than directly beside a comparison."},
		{Name: codeNested, Level: policy.Error, Help: "A closure over a field holds closures more than one deep."},
		{Name: codeOuterElement, Level: policy.Error, Help: "The element of an outer any(...) is read inside an inner one, where # is another."},
		{Name: codeReservedName, Level: policy.Error, Help: "A list, macro, parameter or variable has the name of a field root, keyword or function."},
		{Name: codeNameTaken, Level: policy.Error, Help: "A parameter or let has a name that stands for something else already."},
		{Name: codeMacroCycle, Level: policy.Error, Help: "A macro uses itself, directly or through others."},
		{Name: codeEventAlias, Level: policy.Warning, Help: "evt.name is compared with an older name; the current one is used."},
		{Name: codeEventUnknown, Level: policy.Warning, Help: "evt.name is compared with a name that no sensor is known to send; extra_event_names silences this."},
		{Name: codeNoEventName, Level: policy.Warning, Help: "Nothing in the rule restricts the event's name, so it is evaluated for every event."},
		{Name: codeInternal, Level: policy.Error, Help: "The engine made an expression that it cannot compile: a fault of the engine, please report it."},
	}
}
