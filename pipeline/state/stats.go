package state

// Result is the answer to the one question that an event asks: who it comes from, or for an exec, who its
// parent is.
type Result uint8

// The results.
const (
	Hit       Result = iota // the process is known; of an exec: its parent, or it has none
	Unknown                 // nobody told
	Reused                  // the id was another process's; the event is not from it
	Ambiguous               // two processes could be meant
	NoHost                  // the record names no host
	resultCount
)

// String is the label of the result in metrics and summaries.
func (r Result) String() string {
	return [...]string{"hit", "unknown", "reused", "ambiguous", "nohost"}[r]
}

// Results lists every Result.
func Results() []Result { return []Result{Hit, Unknown, Reused, Ambiguous, NoHost} }

// Kind says why a process was forgotten.
type Kind uint8

// The kinds, in the order in which processes are evicted, then those that have nothing to do with bounds.
const (
	EvictedExited  Kind = iota // exited, no live descendant near enough
	EvictedNeeded              // exited, but a live descendant's chain ends here now
	EvictedLive                // still running
	ExpiredExited              // ExitedTTL after its last change
	ExpiredLive                // LiveTTL after its last change
	DroppedOldest              // the process id was reused more often than generations are kept
	DroppedRefuted             // taught by an agent, refuted by an exec
	kindCount
)

// String is the label of the kind in metrics.
func (k Kind) String() string {
	return [...]string{"exited", "exited_needed", "live", "expired_exited", "expired_live", "generations", "refuted"}[k]
}

// Kinds lists every Kind.
func Kinds() []Kind {
	return []Kind{EvictedExited, EvictedNeeded, EvictedLive, ExpiredExited, ExpiredLive, DroppedOldest, DroppedRefuted}
}

// Stats counts what a State did and has. The counts only grow, also over Rollback: they say what was done, not
// what is remembered.
type Stats struct {
	// What is remembered now.
	Nodes        int   // processes with their fields
	Stubs        int   // processes of which only their time is left, because others name them as parent
	Bytes        int64 // of all of it, as counted against Config.MaxBytes
	Hosts        int
	SuspectHosts int // hosts most of whose parent ids are unknown: a sign of wrong partitioning

	// What was done since New.
	Lookups       [resultCount]uint64 // by Result, one an event
	Evictions     [kindCount]uint64   // by Kind
	Disagreements uint64              // an agent's word about parents contradicts what is known better
	ClocksAhead   uint64              // events dated more than MaxClockAhead after partition time
}

// Stats returns the counts. It costs a copy.
func (s *State) Stats() Stats {
	st := s.stats
	st.Nodes, st.Stubs, st.Bytes, st.Hosts = s.nodes, s.stubs, s.bytes, len(s.hosts)
	return st
}

// Count counts the answer to an event's question.
func (s *State) count(r Result) Result {
	s.stats.Lookups[r]++
	return r
}

// NoHost counts an event whose record names no host.
func (s *State) NoHost() { s.count(NoHost) }

// NoProcess counts an event that says nothing of a process.
func (s *State) NoProcess() { s.count(Unknown) }
