package kafka

import "testing"

// The collector is tightened from the first restore's begin to the last one's end, and never loosened beyond what
// it was.
func TestCollector(t *testing.T) {
	for _, c := range []struct{ before, during int }{{100, restoreGCPercent}, {restoreGCPercent, restoreGCPercent}, {10, 10}, {-1, -1}} {
		now := c.before
		gc := collector{set: func(percent int) int {
			was := now
			now = percent
			return was
		}}
		check := func(when string, want int) {
			t.Helper()
			if now != want {
				t.Errorf("from %d, %s: %d, want %d", c.before, when, now, want)
			}
		}
		one := gc.tighten()
		check("one restore", c.during)
		two := gc.tighten()
		one()
		one()
		check("the second goes on", c.during)
		two()
		check("none", c.before)
		gc.tighten()()
		check("after another", c.before)
	}
}
