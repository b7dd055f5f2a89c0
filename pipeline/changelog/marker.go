package changelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"spoor/pipeline/state"
)

// Marker says what the changelog's state is the state of. It is the last record of every transaction, under one
// key, so that compaction keeps one in each partition.
type Marker struct {
	// Sequence counts the partition's commits, from 1.
	Sequence int64
	// Next is the input position that the state reflects.
	Next int64
	// Set is the hash of the rule set of the commit.
	Set string
	// Clock is partition time.
	Clock state.Clock
	// Producer wrote it: two commits of one sequence are not the same commit.
	Producer Producer
	// First wrote the first marker of all that are counted: another changelog under the same name has another.
	First Producer
}

// markerKey cannot be the key of a state.Change, whose first byte is a kind.
const markerKey = "\x00marker"

// markerFormat is the version of the encoding, its first byte. A release reads this and the one before, and
// writes the one before until every member reads this: there is none before the first.
const markerFormat = 1

func isMarker(key []byte) bool { return string(key) == markerKey }

func (m *Marker) record() Record {
	b := []byte{markerFormat}
	b = binary.AppendVarint(b, m.Sequence)
	b = binary.AppendVarint(b, m.Next)
	for _, p := range []Producer{m.Producer, m.First} {
		b = binary.AppendVarint(b, p.ID)
		b = binary.AppendVarint(b, int64(p.Epoch))
	}
	b = binary.AppendVarint(b, m.Clock.Now)
	b = binary.AppendVarint(b, int64(m.Clock.Beyond))
	b = binary.AppendVarint(b, m.Clock.Nearest)
	b = binary.AppendVarint(b, m.Clock.Record)
	b = binary.AppendUvarint(b, uint64(len(m.Set)))
	b = append(b, m.Set...)
	return Record{Key: []byte(markerKey), Value: b}
}

var errBroken = errors.New("the marker is broken or cut short")

func decodeMarker(b []byte) (Marker, error) {
	var m Marker
	if len(b) == 0 {
		return m, errBroken
	}
	if b[0] != markerFormat {
		return m, fmt.Errorf("the marker is %w", &state.FormatError{Format: int(b[0]), Reads: markerFormat})
	}
	b = b[1:]
	next := func() int64 {
		v, n := binary.Varint(b)
		if n <= 0 {
			b = nil
			return -1
		}
		b = b[n:]
		return v
	}
	m.Sequence, m.Next = next(), next()
	m.Producer, m.First = Producer{next(), int16(next())}, Producer{next(), int16(next())}
	m.Clock = state.Clock{Now: next(), Beyond: int(next()), Nearest: next(), Record: next()}
	size, n := binary.Uvarint(b)
	if n <= 0 || uint64(len(b)-n) != size || m.Sequence < 1 || m.Next < 0 {
		return m, errBroken
	}
	m.Set = string(b[n:])
	return m, nil
}

// MetadataPrefix begins the metadata of every offset that the engine commits, with a changelog or without.
const MetadataPrefix = "spoor/1"

// metadata is what the group's offset says of the marker it belongs to.
func (m *Marker) metadata() string {
	return fmt.Sprintf("%s marker=%d@%d", MetadataPrefix, m.Sequence, m.Next)
}

// hasMarker says whether an offset was committed together with a marker. An operator's is not, and not the one
// that an engine without a changelog commits: neither moves the state along.
func hasMarker(metadata string) bool {
	rest, ours := strings.CutPrefix(metadata, MetadataPrefix+" marker=")
	sequence, _, found := strings.Cut(rest, "@")
	_, err := strconv.ParseInt(sequence, 10, 64)
	return ours && found && err == nil
}
