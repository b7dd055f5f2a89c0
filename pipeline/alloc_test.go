//go:build !race

// Under the race detector a sync.Pool, which the decoder's library keeps its buffers in, drops a part of what is put
// into it at random: counts of allocations mean nothing there.

package pipeline_test

import (
	"testing"

	"spoor/pipeline/event"
)

// Beyond decoding, an event that no rule matches costs no allocation, and a signal a few.
func TestAllocations(t *testing.T) {
	cases := []struct {
		name  string
		value string
		most  float64 // allocations an event, beside decode's
	}{
		{"no rule matches", typical(1), 0.05},
		{"a live and a shadow signal", execCalc, 10},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			records := repeat(c.value, 512)
			d := event.NewDecoder(event.DecoderConfig{})
			var e event.Event
			decode := testing.AllocsPerRun(10, func() {
				for i := range records {
					if err := d.Decode(records[i].Value, &e); err != nil {
						t.Fatal(err)
					}
				}
			}) / float64(len(records))
			l := newLoop(t, testConfig(), records)
			for range 40 {
				l.turn(t)
			}
			whole := testing.AllocsPerRun(10, func() { l.turn(t) }) / float64(len(records))
			t.Logf("%.2f allocations an event, %.2f of them in decode", whole, decode)
			if whole-decode > c.most {
				t.Errorf("%.2f allocations an event beside the %.2f of decode, at most %.2f", whole-decode, decode, c.most)
			}
		})
	}
}
