package event

// Reason says why a record was rejected. The set is closed: it is a metric label and a header of the
// reject topic, and a new one is a change that users see.
type Reason string

// The reasons, in the order of the steps that find them.
const (
	ReasonCorruptRecord  Reason = "corrupt_record"   // the source could not read the record: bad batch, bad line
	ReasonTooLarge       Reason = "record_too_large" // longer than the configured maximum
	ReasonInvalidJSON    Reason = "invalid_json"     // not one JSON object, or broken in the middle
	ReasonTooDeep        Reason = "too_deep"         // nested deeper than any event is
	ReasonWrongType      Reason = "wrong_type"       // a member has a type that the schema does not give it
	ReasonBadDate        Reason = "bad_date"         // a date-time that is not RFC 3339
	ReasonUnknownField   Reason = "unknown_field"    // a member the schema does not have, when config forbids them
	ReasonSignalTooLarge Reason = "signal_too_large" // the signal is over the maximum even without ancestors
	ReasonRefused        Reason = "refused"          // the broker refuses the output record for what it is
)

// Reasons lists every Reason.
func Reasons() []Reason {
	return []Reason{ReasonCorruptRecord, ReasonTooLarge, ReasonInvalidJSON, ReasonTooDeep, ReasonWrongType,
		ReasonBadDate, ReasonUnknownField, ReasonSignalTooLarge, ReasonRefused}
}

// Error is why a record was rejected, for people.
type Error struct {
	Reason Reason
	Detail string // which member, what it was
}

func (e *Error) Error() string { return string(e.Reason) + ": " + e.Detail }
