package policy

import "encoding/json"

// Schema is the JSON Schema (2020-12) of a policy, for editors: it is made of the tables that the loader
// reads by. It knows structure only; Load is the authority.
func Schema() []byte {
	root := schemaOf(&policyObject)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Spoor policy"
	root["$defs"] = shape{
		"defaults": schemaOf(&defaultsObject),
		"lists": shape{"type": "object", "propertyNames": nameShape,
			"additionalProperties": listOf(textShape)},
		"shared":    schemaOf(&sharedObject),
		"macro":     schemaOf(&macroObject),
		"variable":  schemaOf(&variableObject),
		"rule":      schemaOf(&ruleObject),
		"source":    schemaOf(&sourceObject),
		"exception": schemaOf(&exceptionObject),
		"override":  schemaOf(&overrideObject),
		"add":       schemaOf(&addObject),
		"test":      schemaOf(&testObject),
		"event":     eventSchema(),
	}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("policy: the schema always encodes: " + err.Error())
	}
	return append(out, '\n')
}

func schemaOf[T any](o *object[T]) shape {
	properties := shape{}
	var required []string
	for _, f := range o.fields {
		property := shape{"description": f.doc}
		for k, v := range f.shape {
			property[k] = v
		}
		properties[f.key] = property
		if f.required {
			required = append(required, f.key)
		}
	}
	out := shape{"type": "object", "properties": properties, "additionalProperties": false}
	if required != nil {
		out["required"] = required
	}
	return out
}

// eventSchema describes a test event: its own keys, and the document, which is not this package's.
func eventSchema() shape {
	s := schemaOf(&testEventObject)
	s["additionalProperties"] = true
	return s
}
