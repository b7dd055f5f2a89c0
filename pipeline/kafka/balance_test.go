package kafka

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/segmentio/kafka-go"
)

func TestShare(t *testing.T) {
	tests := []struct {
		name       string
		claims     map[string]claim
		partitions []int32
		want       map[string][]int32
	}{
		{"nobody", nil, []int32{0, 1}, map[string][]int32{}},
		{"new members", map[string]claim{"a": {generation: -1}, "b": {generation: -1}}, []int32{2, 1, 0}, map[string][]int32{"a": {0, 1}, "b": {2}}},
		{"more members than partitions", map[string]claim{"a": {}, "b": {3, []int32{0}, nil}}, []int32{0}, map[string][]int32{"a": nil, "b": {0}}},
		{"one joins", map[string]claim{"a": {1, []int32{0, 1, 2, 3}, nil}, "b": {generation: -1}}, []int32{0, 1, 2, 3}, map[string][]int32{"a": {0, 1}, "b": {2, 3}}},
		{"one left", map[string]claim{"a": {2, []int32{0, 1}, nil}, "b": {2, []int32{2, 3}, nil}}, []int32{0, 1, 2, 3, 4, 5}, map[string][]int32{"a": {0, 1, 4}, "b": {2, 3, 5}}},
		{"the later generation is right", map[string]claim{"a": {1, []int32{0, 1}, nil}, "b": {2, []int32{0, 1}, nil}, "c": {2, []int32{2, 3}, nil}}, []int32{0, 1, 2, 3, 4, 5},
			map[string][]int32{"a": {4, 5}, "b": {0, 1}, "c": {2, 3}}},
		{"the warm stay", map[string]claim{"a": {2, []int32{0, 1, 2, 3}, []uint32{0, 9, 0, 9}}, "b": {generation: -1}}, []int32{0, 1, 2, 3},
			map[string][]int32{"a": {1, 3}, "b": {0, 2}}},
		{"the warmer is right", map[string]claim{"a": {2, []int32{0, 1}, []uint32{0, 9}}, "b": {2, []int32{0, 1}, []uint32{9, 0}}}, []int32{0, 1},
			map[string][]int32{"a": {1}, "b": {0}}},
		{"partitions that are gone", map[string]claim{"a": {1, []int32{7, 0}, nil}}, []int32{0}, map[string][]int32{"a": {0}}},
	}
	for _, tt := range tests {
		if got := share(tt.claims, tt.partitions); !equalShares(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func equalShares(a, b map[string][]int32) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// Members come and go at random; whatever they claim, every partition has one owner, nobody has two more than
// another, no more partitions move than the counts demand, and the order of arguments does not matter.
func TestShareProperties(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	for range 2000 {
		var partitions []int32
		for p := range int32(r.IntN(40)) {
			partitions = append(partitions, p)
		}
		claims := map[string]claim{}
		for m := range 1 + r.IntN(8) {
			c := claim{generation: int32(r.IntN(4)) - 1}
			if c.generation >= 0 {
				for _, p := range partitions {
					if r.IntN(3) == 0 {
						c.partitions = append(c.partitions, p)
					}
				}
			}
			claims[fmt.Sprint("m", m)] = c
		}
		got := share(claims, partitions)

		owner := map[int32]string{}
		low, high := len(partitions)+1, -1
		for m := range claims {
			low, high = min(low, len(got[m])), max(high, len(got[m]))
			for _, p := range got[m] {
				if owner[p] != "" {
					t.Fatalf("%d belongs to %s and %s", p, owner[p], m)
				}
				owner[p] = m
			}
		}
		if len(owner) != len(partitions) || high-low > 1 {
			t.Fatalf("%d of %d partitions have owners, members have %d to %d", len(owner), len(partitions), low, high)
		}

		// Who was right about each partition, and how many of those could stay at most.
		held, kept := map[string]int{}, 0
		for _, p := range partitions {
			best, generation := "", int32(-2)
			for _, m := range sortedMembers(claims) {
				if slices.Contains(claims[m].partitions, p) && claims[m].generation > generation {
					best, generation = m, claims[m].generation
				}
			}
			if best != "" {
				held[best]++
				if owner[p] == best {
					kept++
				}
			}
		}
		var counts []int
		for m := range claims {
			counts = append(counts, held[m])
		}
		slices.Sort(counts)
		slices.Reverse(counts)
		most := 0
		for i, n := range counts {
			quota := len(partitions) / len(claims)
			if i < len(partitions)%len(claims) {
				quota++
			}
			most += min(n, quota)
		}
		if kept != most {
			t.Fatalf("%d partitions stayed, %d could have: %v -> %v", kept, most, claims, got)
		}

		shuffled := slices.Clone(partitions)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if again := share(claims, shuffled); !reflect.DeepEqual(got, again) {
			t.Fatalf("the order of partitions matters: %v, %v", got, again)
		}
	}
}

func sortedMembers(claims map[string]claim) []string {
	var out []string
	for m := range claims {
		out = append(out, m)
	}
	slices.Sort(out)
	return out
}

func TestStickyThroughKafkaGo(t *testing.T) {
	a, b := newSticky("in"), newSticky("in")
	a.assigned(4, []int32{3, 1})
	b.assigned(3, []int32{0, 1})
	var members []kafka.GroupMember
	for id, s := range map[string]*sticky{"a": a, "b": b} {
		data, err := s.UserData()
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, kafka.GroupMember{ID: id, Topics: []string{"in"}, UserData: data})
	}
	var partitions []kafka.Partition
	for p := range 4 {
		partitions = append(partitions, kafka.Partition{Topic: "in", ID: p}, kafka.Partition{Topic: "other", ID: p})
	}
	got := a.AssignGroups(members, partitions)
	want := kafka.GroupMemberAssignments{"a": {"in": {1, 3}}, "b": {"in": {0, 2}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if n := a.takeShared(); n != 4 {
		t.Errorf("the leader shared out %d partitions", n)
	}
}

func TestClaims(t *testing.T) {
	c := claim{7, []int32{1, 5}, []uint32{0, 300}}
	if got := decodeClaim(encodeClaim(c)); !reflect.DeepEqual(got, c) {
		t.Errorf("%v, want %v", got, c)
	}
	if got := decodeClaim(append(encodeClaim(c), 1, 2, 3)); !reflect.DeepEqual(got, c) {
		t.Errorf("with something appended: %v", got)
	}
	for n := range len(encodeClaim(c)) {
		if got := decodeClaim(encodeClaim(c)[:n]); got.generation != -1 || got.partitions != nil {
			t.Errorf("%d bytes claim %v", n, got)
		}
	}
}

// The hashes that Java's client gives, from its own tests.
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("%q: %d, want %d", key, got, want)
		}
	}
}
