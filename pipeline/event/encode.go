package event

import (
	"unicode/utf8"

	"github.com/goccy/go-json"
)

// signal is an Event on the wire with the members that a signal cannot lack. Its fields are those of Event,
// in the same order; a test holds that.
type signal struct {
	Agent            *signalAgent      `json:"agent"`
	Title            string            `json:"title"`
	Evt              *Evt              `json:"evt,omitempty"`
	Date             Time              `json:"date,omitempty"`
	File             *FileEvent        `json:"file,omitempty"`
	Exit             *Exit             `json:"exit,omitempty"`
	Process          *ProcessContext   `json:"process,omitempty"`
	Container        *Container        `json:"container,omitempty"`
	Registry         *Registry         `json:"registry,omitempty"`
	Usr              *User             `json:"usr,omitempty"`
	PermissionChange *PermissionChange `json:"permission_change,omitempty"`
}

// signalAgent is an Agent whose rule_id is always written.
type signalAgent struct {
	RuleID        string            `json:"rule_id"`
	RuleVersion   string            `json:"rule_version,omitempty"`
	RuleActions   []json.RawMessage `json:"rule_actions,omitempty"`
	PolicyName    string            `json:"policy_name,omitempty"`
	PolicyVersion string            `json:"policy_version,omitempty"`
	Version       string            `json:"version,omitempty"`
	OS            string            `json:"os,omitempty"`
	Arch          string            `json:"arch,omitempty"`
	Origin        string            `json:"origin,omitempty"`
}

// AppendSignal appends e as a signal: rule_id and title are written even when empty. The same event gives the
// same bytes: one line of valid UTF-8, members in the order of the types, nothing escaped that JSON does not
// ask for but U+2028 and U+2029. It fails when a part that e carries as raw JSON is broken, which no decoded
// event has.
func AppendSignal(dst []byte, e *Event) ([]byte, error) {
	agent := (*signalAgent)(e.Agent)
	if agent == nil {
		agent = &signalAgent{}
	}
	return appendJSON(dst, &signal{agent, e.Title, e.Evt, e.Date, e.File, e.Exit, e.Process, e.Container,
		e.Registry, e.Usr, e.PermissionChange})
}

// AppendEvent appends e as an input event, in the same way.
func AppendEvent(dst []byte, e *Event) ([]byte, error) { return appendJSON(dst, e) }

func appendJSON(dst []byte, v any) ([]byte, error) {
	b, err := json.MarshalWithOption(v, json.DisableHTMLEscape())
	if err != nil {
		return dst, err
	}
	if utf8.Valid(b) {
		return append(dst, b...), nil
	}
	// Raw parts came with invalid UTF-8. Each byte of it becomes U+FFFD, as in the decoded texts.
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		dst = utf8.AppendRune(dst, r)
		b = b[n:]
	}
	return dst, nil
}
