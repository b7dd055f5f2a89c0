package policy

// shape is a fragment of JSON Schema: what a value looks like to an editor. The loader is the authority;
// a shape accepts whatever the loader accepts.
type shape map[string]any

var (
	anyShape = shape{}
	// textShape is any scalar: it is taken as written.
	textShape    = shape{"type": []string{"string", "number", "boolean", "null"}}
	integerShape = shape{"type": "integer"}
	booleanShape = shape{"type": "boolean"}
	nameShape    = shape{"type": "string", "pattern": namePattern.String()}
	idShape      = shape{"type": []string{"string", "number", "boolean"}, "pattern": idPattern.String()}
	textsShape   = listOf(textShape)
	tagsShape    = mapOf(shape{"oneOf": []any{textShape, textsShape}})

	variableTypeShape = shape{"oneOf": []any{
		enum(variableTypes),
		shape{"type": "array", "items": enum(variableTypes), "minItems": 1, "maxItems": 1},
	}}
)

func enum(words []string) shape   { return shape{"enum": words} }
func listOf(item shape) shape     { return shape{"type": "array", "items": item} }
func mapOf(value shape) shape     { return shape{"type": "object", "additionalProperties": value} }
func ref(definition string) shape { return shape{"$ref": "#/$defs/" + definition} }
