package policy

// Code is one kind of diagnostic: what its name means, for the reference. The names are stable: people
// search for them and tools filter by them.
type Code struct {
	Name  string
	Level Level
	Help  string // one sentence
}

// The codes of this package. Package rules adds those of expressions.
const (
	CodeUnreadable       = "unreadable"
	CodeNoPolicies       = "no-policies"
	CodeFileTooLarge     = "file-too-large"
	CodeEncoding         = "encoding"
	CodeControlCharacter = "control-character"

	CodeSyntax     = "yaml-syntax"
	CodeLimit      = "yaml-limit"
	CodeDocuments  = "yaml-documents"
	CodeAlias      = "yaml-alias"
	CodeTag        = "yaml-tag"
	CodeComplexKey = "yaml-complex-key"

	CodeUnknownKey   = "unknown-key"
	CodeDuplicateKey = "duplicate-key"
	CodeMissingKey   = "missing-key"
	CodeWrongType    = "wrong-type"
	CodeEmptyValue   = "empty-value"
	CodeBadValue     = "bad-value"
	CodeBadID        = "bad-id"
	CodeBadName      = "bad-name"
	CodeBadInteger   = "bad-integer"
	CodeBadDuration  = "bad-duration"
	CodeBadTag       = "bad-tag"
	CodeBadField     = "bad-field"
	CodeMixedList    = "mixed-list"

	CodeDuplicateRule = "duplicate-rule"
	CodeDuplicateName = "duplicate-name"

	CodeExpressionFolded    = "expression-folded"
	CodeExpressionMultiline = "expression-multiline"
	CodeExpressionFlow      = "expression-flow"
	CodeExpressionComment   = "expression-comment"
	CodeExpressionTag       = "expression-tag"
	CodeExpressionSigil     = "expression-sigil"
	CodeExpressionColon     = "expression-colon"
	CodeExpressionQuote     = "expression-quote"
	CodeExpressionEmpty     = "expression-empty"

	CodeOverrideTarget   = "override-target"
	CodeOverrideConflict = "override-conflict"

	CodeTestRule      = "test-rule"
	CodeTestIndex     = "test-index"
	CodeTestField     = "test-field"
	CodeTestException = "test-exception"

	CodeNotInForce = "not-in-force"
)

// Codes lists every code of this package, by name within its group.
func Codes() []Code {
	return []Code{
		{CodeUnreadable, Error, "A file or folder that was named cannot be read."},
		{CodeNoPolicies, Error, "No *.yaml or *.yml file was found: an empty set is never loaded by accident."},
		{CodeFileTooLarge, Error, "A policy file is larger than 1 MiB."},
		{CodeEncoding, Error, "A policy file is not UTF-8."},
		{CodeControlCharacter, Error, "A character that YAML does not allow, or one that hides or reorders text."},

		{CodeSyntax, Error, "The file is not YAML from here on; one such fault is reported for a file."},
		{CodeLimit, Error, "Values are nested deeper, or a mapping has more keys, than any policy needs."},
		{CodeDocuments, Error, "The file holds more than one YAML document; a policy is one file."},
		{CodeAlias, Error, "YAML anchors (&), aliases (*) and merge keys (<<) are not part of the format; use lists, macros and defaults."},
		{CodeTag, Error, "YAML tags (!) and directives (%) are not part of the format."},
		{CodeComplexKey, Error, "A key is not a plain or quoted text on one line."},

		{CodeUnknownKey, Error, "The format has no such key at this place."},
		{CodeDuplicateKey, Error, "The same key stands twice in one mapping."},
		{CodeMissingKey, Error, "A key that must be given is not there."},
		{CodeWrongType, Error, "A text, a list or a mapping stands where the format has another of them."},
		{CodeEmptyValue, Error, "A key has no value."},
		{CodeBadValue, Error, "The value is none of those that the key can have."},
		{CodeBadID, Error, "A rule id has characters other than letters, digits, '_', '.' and '-'."},
		{CodeBadName, Error, "The name of a list, macro, parameter or variable is not a lower-case letter followed by lower-case letters, digits and '_'."},
		{CodeBadInteger, Error, "A value is not an integer, or too large for one."},
		{CodeBadDuration, Error, "A value is not a positive duration such as 30s, 10m or 1h30m."},
		{CodeBadTag, Error, "A tag has an empty key or value, a ':' in its key, or is the severity, which has its own key."},
		{CodeBadField, Error, "A field path is not names joined by dots."},
		{CodeMixedList, Error, "A list holds texts and integers; lists are of one kind."},

		{CodeDuplicateRule, Error, "Two rules of the set have the same id."},
		{CodeDuplicateName, Error, "A name stands twice where it must be unique: lists, macros and variables in scope, exceptions of a rule, tests of a policy."},

		{CodeExpressionFolded, Error, "An expression is a '>' block, which YAML joins to one line; write '|'."},
		{CodeExpressionMultiline, Error, "A plain or quoted expression goes over several lines, which YAML joins; write a '|' block."},
		{CodeExpressionFlow, Error, "An expression stands unquoted between { }, where YAML cuts it at commas and brackets."},
		{CodeExpressionComment, Error, "YAML takes ' #' in an unquoted expression for a comment and drops the rest."},
		{CodeExpressionTag, Error, "YAML takes '!' at the start of an unquoted expression for a tag and drops it."},
		{CodeExpressionSigil, Error, "An unquoted expression starts with a character that YAML keeps for itself."},
		{CodeExpressionColon, Error, "YAML takes ': ' in an unquoted expression for the end of a key."},
		{CodeExpressionQuote, Error, "An unquoted expression starts with a quoted text: YAML takes only that text for the value."},
		{CodeExpressionEmpty, Error, "An expression is empty."},

		{CodeOverrideTarget, Error, "An override names a rule, policy or list that the set does not have."},
		{CodeOverrideConflict, Error, "Two overrides replace the same key, or an override cannot apply to its target."},

		{CodeTestRule, Error, "A test names a rule that the set does not have."},
		{CodeTestIndex, Error, "A test names an event by an index that it does not have, or twice."},
		{CodeTestField, Error, "The same field of a test event is given twice, or as a value and as an object."},
		{CodeTestException, Error, "A test names an exception that the rule does not have."},

		{CodeNotInForce, Warning, "The key is checked, but the engine does not act on it yet."},
	}
}
