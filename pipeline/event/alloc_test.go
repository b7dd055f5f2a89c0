//go:build !race

package event

import "testing"

// What a decoder that has seen records allocates for one more, without dates: the texts with escapes.
func TestDecodeAllocations(t *testing.T) {
	for _, c := range []struct {
		in   string
		want float64
	}{
		{`{"agent":{"os":"windows"},"evt":{"name":"exec"},"process":{"pid":1,"ppid":2,"executable":{"path":"/a/b"}},"usr":{"name":"n"}}`, 0},
		{`{"registry":{"key_path":"HKLM\\A"}}`, 1},
		{`{"process":{"parent":{"pid":2}}}`, 2},
		{`{"process":{"ancestors":[{"pid":1,"executable":{"path":"/a/b"}},{"pid":2,"executable":{"path":"/a/b"}}]}}`, 0},
	} {
		d := NewDecoder(DecoderConfig{})
		var e Event
		value := []byte(c.in)
		if got := testing.AllocsPerRun(100, func() {
			if err := d.Decode(value, &e); err != nil {
				t.Fatal(err)
			}
		}); got > c.want {
			t.Errorf("%s: %v allocations, want at most %v", c.in, got, c.want)
		}
	}
}
