package event

import (
	"bytes"
	"encoding/json"
)

// Variables is a JSON object kept byte for byte as it came; its values are strings, numbers, booleans or
// lists of them. An object without members is the same as none.
type Variables json.RawMessage

// MarshalJSON gives the bytes back; none is {}, since omitempty leaves it out wherever it stands.
func (v Variables) MarshalJSON() ([]byte, error) {
	if len(v) == 0 {
		return []byte("{}"), nil
	}
	return v, nil
}

// UnmarshalJSON copies b after checking its shape, which costs one pass over it; null is none. The error is
// an *Error.
func (v *Variables) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*v = nil
		return nil
	}
	members, err := checkVariables(b)
	if err != nil {
		return err
	}
	if members == 0 {
		*v = nil
		return nil
	}
	*v = append(Variables(nil), b...)
	return nil
}

// checkVariables counts the members of the object b, which is valid JSON, and says what is wrong with it.
func checkVariables(b []byte) (members int, err error) {
	if len(b) == 0 || b[0] != '{' {
		return 0, &Error{ReasonWrongType, "variables are an object, not " + clip(b)}
	}
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
		case ':':
			if depth == 1 {
				members++
			}
			switch next := skipSpace(b, i+1); {
			case next < len(b) && b[next] == '{', next < len(b) && b[next] == 'n':
				return 0, &Error{ReasonWrongType, "a variable is a string, number, boolean or list of them, not " + clip(b[next:])}
			}
		case '{', '[':
			depth++
			if depth > 2 {
				return 0, &Error{ReasonWrongType, "a variable's list holds strings, numbers or booleans, not " + clip(b[i:])}
			}
			if depth == 2 {
				if next := skipSpace(b, i+1); next < len(b) && b[next] == '{' {
					return 0, &Error{ReasonWrongType, "a variable's list holds strings, numbers or booleans, not " + clip(b[next:])}
				}
			}
		case '}', ']':
			depth--
		case 'n':
			return 0, &Error{ReasonWrongType, "a variable's list holds strings, numbers or booleans, not null"}
		}
	}
	return members, nil
}

// skipSpace returns the index of the first byte of b from i on that is not JSON white space.
func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns the index of the quote that closes the JSON string which opens at b[i], or len(b) - 1.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		j := bytes.IndexByte(b[i:], '"')
		if j < 0 {
			break
		}
		i += j
		n := 0 // the backslashes before the quote: an odd number escapes it
		for b[i-1-n] == '\\' {
			n++
		}
		if n%2 == 0 {
			return i
		}
	}
	return len(b) - 1
}
