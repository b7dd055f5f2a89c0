package sigma

import (
	"encoding/base64"
	"encoding/binary"
	"unicode/utf16"
)

// encode gives what the modifier makes of s: one text, for base64offset one for each place that s may have
// in the groups of three bytes. The texts are bytes after a wide modifier.
func encode(modifier, s string) []string {
	switch modifier {
	case "utf16":
		return []string{"\xff\xfe" + wide(s, binary.LittleEndian)}
	case "wide", "utf16le":
		return []string{wide(s, binary.LittleEndian)}
	case "utf16be":
		return []string{wide(s, binary.BigEndian)}
	case "base64":
		return []string{base64.StdEncoding.EncodeToString([]byte(s))}
	}
	// The characters of the encoding that also depend on the bytes before and behind s are left out.
	var out []string
	for offset, skip := range [...]int{0, 2, 3} {
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, offset), s...))
		drop := [...]int{0, 3, 2}[(offset+len(s))%3]
		if skip+drop <= len(encoded) {
			out = append(out, encoded[skip:len(encoded)-drop])
		}
	}
	return out
}

func wide(s string, order binary.AppendByteOrder) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}
