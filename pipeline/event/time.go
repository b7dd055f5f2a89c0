package event

import "time"

// Time is an instant in nanoseconds since 1970-01-01 UTC; 0 means that there is none. On the wire it is
// RFC 3339 text. The zero instant of Go (year 1) and the epoch itself read as none; what int64 nanoseconds
// cannot hold (before 1678 or after 2262) is a bad date.
type Time int64

// At converts from a time.Time.
func At(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixNano())
}

// Time converts to a time.Time in UTC; none is the zero time.Time.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(t)).UTC()
}
