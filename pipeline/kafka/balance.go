package kafka

import (
	"encoding/binary"
	"slices"
	"sort"
	"sync"

	"github.com/segmentio/kafka-go"
)

// protocolName is how the group's members know that they share partitions the same way. Another program's
// member has another name, and is refused at the join.
const protocolName = "spoor-sticky-1"

// sticky shares the partitions of one topic: evenly, and otherwise as they were. Each member brings what it
// had and in which generation; of two that claim a partition, the later generation is right, because the
// earlier one's member was away when the partition moved. Safe for concurrent use.
type sticky struct {
	topic string

	mu         sync.Mutex
	generation int32 // of owned; -1 none
	owned      []int32
	shared     int // how many partitions this member shared out as leader of the last join; 0 when it was none
}

func newSticky(topic string) *sticky { return &sticky{topic: topic, generation: -1} }

// assigned notes what this member got.
func (s *sticky) assigned(generation int32, partitions []int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation = generation
	s.owned = append(s.owned[:0], partitions...)
	slices.Sort(s.owned)
}

// takeShared says how many partitions this member shared out as leader since it was last asked.
func (s *sticky) takeShared() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.shared
	s.shared = 0
	return n
}

// ProtocolName implements kafka.GroupBalancer.
func (s *sticky) ProtocolName() string { return protocolName }

// UserData implements kafka.GroupBalancer. It differs from one generation to the next, which makes the
// coordinator rebalance when a follower joins again.
func (s *sticky) UserData() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return encodeClaim(claim{s.generation, s.owned}), nil
}

// AssignGroups implements kafka.GroupBalancer.
func (s *sticky) AssignGroups(members []kafka.GroupMember, partitions []kafka.Partition) kafka.GroupMemberAssignments {
	var ids []int32
	for _, p := range partitions {
		if p.Topic == s.topic {
			ids = append(ids, int32(p.ID))
		}
	}
	s.mu.Lock()
	s.shared = len(ids)
	s.mu.Unlock()

	claims := map[string]claim{}
	for _, m := range members {
		if slices.Contains(m.Topics, s.topic) {
			claims[m.ID] = decodeClaim(m.UserData)
		}
	}
	out := kafka.GroupMemberAssignments{}
	for _, m := range members {
		out[m.ID] = map[string][]int{}
	}
	for member, ids := range share(claims, ids) {
		for _, id := range ids {
			out[member][s.topic] = append(out[member][s.topic], int(id))
		}
	}
	return out
}

// claim is what a member had in a generation.
type claim struct {
	generation int32
	partitions []int32
}

const claimVersion = 1

func encodeClaim(c claim) []byte {
	b := []byte{claimVersion}
	b = binary.BigEndian.AppendUint32(b, uint32(c.generation))
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.partitions)))
	for _, p := range c.partitions {
		b = binary.BigEndian.AppendUint32(b, uint32(p))
	}
	return b
}

// decodeClaim never fails: what it does not understand claims nothing. A later version may append to it.
func decodeClaim(b []byte) claim {
	none := claim{generation: -1}
	in := cursor{b: b}
	if v := in.bytes(1); v == nil || v[0] < claimVersion {
		return none
	}
	c := claim{generation: int32(in.uint32())}
	n := int64(in.uint32())
	if in.short || n*4 > int64(len(in.b)) {
		return none
	}
	for range n {
		c.partitions = append(c.partitions, int32(in.uint32()))
	}
	return c
}

// share gives each member len(partitions)/len(members) partitions or one more, moving as few as possible. It
// is deterministic: the order of arguments does not matter.
func share(claims map[string]claim, partitions []int32) map[string][]int32 {
	out := make(map[string][]int32, len(claims))
	if len(claims) == 0 {
		return out
	}
	partitions = slices.Clone(partitions)
	slices.Sort(partitions)
	partitions = slices.Compact(partitions)
	members := make([]string, 0, len(claims))
	for m := range claims {
		members = append(members, m)
	}
	sort.Strings(members)

	// Who holds each partition: the latest generation, then the first member by name.
	type holder struct {
		member     string
		generation int32
	}
	holders := map[int32]holder{}
	for _, m := range members {
		for _, p := range claims[m].partitions {
			if h, ok := holders[p]; !ok || claims[m].generation > h.generation {
				holders[p] = holder{m, claims[m].generation}
			}
		}
	}
	held := map[string][]int32{}
	var free []int32
	for _, p := range partitions {
		if h, ok := holders[p]; ok {
			held[h.member] = append(held[h.member], p)
		} else {
			free = append(free, p)
		}
	}

	// Those that hold most get the quotas that are one larger, so that the fewest have to give one up.
	quota, larger := len(partitions)/len(members), len(partitions)%len(members)
	sort.SliceStable(members, func(i, j int) bool { return len(held[members[i]]) > len(held[members[j]]) })
	for i, m := range members {
		n := quota
		if i < larger {
			n++
		}
		keep := min(n, len(held[m]))
		out[m] = held[m][:keep:keep]
		free = append(free, held[m][keep:]...)
	}
	slices.Sort(free)
	for i, m := range members {
		n := quota
		if i < larger {
			n++
		}
		take := n - len(out[m])
		out[m] = append(out[m], free[:take]...)
		free = free[take:]
		slices.Sort(out[m])
	}
	return out
}
