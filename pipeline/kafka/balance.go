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
	warmth     map[int32]int // of owned: processes remembered and one, 0 for what would have to be restored
	shared     int           // how many partitions this member shared out as leader of the last join; -1 when it was not the leader
}

func newSticky(topic string) *sticky { return &sticky{topic: topic, generation: -1, shared: -1} }

// assigned notes what this member got.
func (s *sticky) assigned(generation int32, partitions []int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation = generation
	s.owned = append(s.owned[:0], partitions...)
	slices.Sort(s.owned)
}

// warm notes how much of what this member had would be lost if another got it.
func (s *sticky) warm(warmth map[int32]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warmth = warmth
}

// takeShared says how many partitions this member shared out as leader since it was last asked; -1 when it shared out
// none. As leader it may have shared out 0: of a topic that was not there.
func (s *sticky) takeShared() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.shared
	s.shared = -1
	return n
}

// ProtocolName implements kafka.GroupBalancer.
func (s *sticky) ProtocolName() string { return protocolName }

// UserData implements kafka.GroupBalancer. It differs from one generation to the next, which makes the
// coordinator rebalance when a follower joins again.
func (s *sticky) UserData() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := claim{generation: s.generation, partitions: s.owned}
	for _, p := range s.owned {
		c.warmth = append(c.warmth, uint32(s.warmth[p]))
	}
	return encodeClaim(c), nil
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
	warmth     []uint32 // of each partition; a member of an earlier release does not say
}

// claimVersion 2 added the warmth; what comes after a version's own fields is for later ones.
const claimVersion = 2

func encodeClaim(c claim) []byte {
	b := []byte{claimVersion}
	b = binary.BigEndian.AppendUint32(b, uint32(c.generation))
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.partitions)))
	for _, p := range c.partitions {
		b = binary.BigEndian.AppendUint32(b, uint32(p))
	}
	for _, w := range c.warmth {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}

// decodeClaim never fails: what it does not understand claims nothing. A later version may append to it.
func decodeClaim(b []byte) claim {
	none := claim{generation: -1}
	in := cursor{b: b}
	v := in.bytes(1)
	if v == nil || v[0] < 1 {
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
	if v[0] >= 2 {
		if n*4 > int64(len(in.b)) {
			return none
		}
		for range n {
			c.warmth = append(c.warmth, in.uint32())
		}
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

	// Who holds each partition: the latest generation, then the warmest, then the first member by name.
	type holder struct {
		member     string
		generation int32
		warmth     uint32
	}
	holders := map[int32]holder{}
	for _, m := range members {
		for i, p := range claims[m].partitions {
			c := holder{m, claims[m].generation, 0}
			if i < len(claims[m].warmth) {
				c.warmth = claims[m].warmth[i]
			}
			if h, ok := holders[p]; !ok || c.generation > h.generation || c.generation == h.generation && c.warmth > h.warmth {
				holders[p] = c
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
		// What is given up is what is restored soonest.
		sort.SliceStable(held[m], func(i, j int) bool { return holders[held[m][i]].warmth > holders[held[m][j]].warmth })
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
