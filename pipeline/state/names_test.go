package state

import "testing"

// A process that is forgotten and comes again under its name, within one commit or while the one before is under way, is one
// change; and to go back gives the one that was.
func TestForgottenAndBack(t *testing.T) {
	first, second := sighting("h", 1.1, 10, 0, "a"), sighting("h", 2.1, 11, 0, "b")
	for _, c := range []struct {
		name  string
		known *Sighting
		want  string
	}{
		{"new", nil, "+10"},
		{"known", first, "+10"},
		{"in place of another", second, "+10 -11"},
	} {
		for _, sealed := range []bool{false, true} {
			s := New(Config{MaxNodes: 1})
			if c.known != nil {
				s.Exec(c.known)
			}
			log, was := s.Snapshot(nil), dump(t, s)
			s.Seal()
			if !sealed {
				s.Committed()
			}
			s.Exec(first)
			if sealed {
				s.Committed()
			}
			s.Exec(second)
			s.Exec(first)
			changes := s.Changes(nil)
			if got := kinds(t, changes); got != c.want {
				t.Errorf("%s, sealed %v: changes %q, want %q", c.name, sealed, got, c.want)
			}
			if got, want := dump(t, restored(t, s.cfg, append(log, changes...), s.Clock())), dump(t, s); got != want {
				t.Errorf("%s, sealed %v: restored\n%s\nwant\n%s", c.name, sealed, got, want)
			}
			s.Rollback()
			if got := dump(t, s); got != was {
				t.Errorf("%s, sealed %v: rolled back\n%s\nwant\n%s", c.name, sealed, got, was)
			}
		}
	}
}

// Two processes that have one id and start in one second have two names.
func TestTwoOfOneStart(t *testing.T) {
	s := New(Config{})
	s.Exec(sighting("h", 1, 10, 0, "a"))
	s.Exec(sighting("h", 1, 10, 0, "b"))
	if got := dump(t, restored(t, s.cfg, compact(s.Changes(nil)), s.Clock())); got != dump(t, s) {
		t.Errorf("restored\n%s\nwant\n%s", got, dump(t, s))
	}
	if n := s.Stats().Nodes; n != 2 {
		t.Errorf("%d processes", n)
	}
}
