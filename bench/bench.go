// Package bench holds the bundled traffic and the measurements. The traffic is made, not recorded: a seeded
// simulator of Windows hosts that boot, log on, work, serve and update themselves, with attack chains woven in
// (Generate; the command is bench/simulate). The measurements are the benchmarks in its test files, whose names
// stay; README.md says what each one measures. It owns no format: lines are those of pipeline/file, events those
// of pipeline/event. Only tests and commands may import it, never cmd/engine, and outside of test files it
// imports nothing of ours but pipeline/event.
package bench

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Config says what traffic to make. Equal configs give equal bytes.
type Config struct {
	Seed  uint64
	Hosts int // at least 1
	// Events stops after that many records; 0: no limit.
	Events int
	// Duration stops after that much simulated time; 0: no limit. One of Events and Duration is needed.
	Duration time.Duration
	// Start is the time of the first boot. Zero means DefaultStart.
	Start time.Time
	// Attacks names the chains to weave in, see AttackNames; each runs once, in this order, spread evenly
	// over the first four fifths of the traffic.
	Attacks []string
}

// Demo is the recording that the command demo has inside. After a change of the simulator, write it anew with
//
//	go generate ./bench
//
// and a test holds that this was done.
//
//go:generate go run ./simulate -seed 1 -hosts 8 -events 20000 -o ../cmd/engine/demo.ndjson.zst
func Demo() Config { return Config{Seed: 1, Hosts: 8, Events: 20_000, Attacks: AttackNames()} }

// DefaultStart is a Monday morning.
var DefaultStart = time.Date(2026, 1, 5, 7, 50, 0, 0, time.UTC)

// Record is one record of the traffic.
type Record struct {
	Key   string    // the host
	Time  time.Time // the record's timestamp, UTC, whole milliseconds; it never runs backwards
	Value []byte    // the event; belongs to the receiver
	// What only the simulator knows, and no line says: the chain that caused the event, "" for everyday
	// activity; and, of an exec, the processes that the new one descends from, the parent first.
	Attack    string
	Ancestors []Ancestor
}

// Ancestor is a process as it was.
type Ancestor struct {
	PID  int64
	Path string
}

// AppendLine appends r as one line of recorded traffic, newline included.
func AppendLine(dst []byte, r Record) []byte {
	key, _ := json.Marshal(r.Key) // a string cannot fail
	dst = append(dst, `{"key":`...)
	dst = append(dst, key...)
	dst = append(dst, `,"ts":"`...)
	dst = r.Time.AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `","value":`...)
	dst = append(dst, r.Value...)
	return append(dst, '}', '\n')
}

// Validate returns what Generate would refuse.
func (cfg Config) Validate() error {
	if cfg.Hosts < 1 {
		return fmt.Errorf("hosts must be at least 1, not %d", cfg.Hosts)
	}
	if cfg.Events < 1 && cfg.Duration <= 0 {
		return fmt.Errorf("a number of events or a duration is needed")
	}
	for _, name := range cfg.Attacks {
		if !slices.Contains(AttackNames(), name) {
			return fmt.Errorf("no attack %q; there are %s", name, strings.Join(AttackNames(), ", "))
		}
	}
	return nil
}

// Generate makes the traffic and hands each record to emit, in the order of time. It returns emit's error as
// soon as there is one.
func Generate(cfg Config, emit func(Record) error) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if cfg.Start.IsZero() {
		cfg.Start = DefaultStart
	}
	cfg.Start = cfg.Start.UTC().Truncate(time.Millisecond)
	return newSim(cfg, emit).run()
}
