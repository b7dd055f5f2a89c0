package pipelinetest_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"time"

	"spoor/pipeline"
	"spoor/pipeline/event"
)

// rough is traffic with records that could not be read, and with times at which processes expire.
func rough(r *rand.Rand, n int) []pipeline.Record {
	records := traffic(r, n)
	later := int64(0)
	for i := range records {
		if r.IntN(12) == 0 {
			later += 15_000 + r.Int64N(20_000)
		}
		records[i].Timestamp += later
		if r.IntN(15) == 0 {
			records[i].Fault, records[i].Timestamp = &event.Error{Reason: event.ReasonCorruptRecord, Detail: "rough"}, 0
		}
	}
	return records
}

// wild is rough traffic with everything that is rare: clocks that jump or are wrong, events out of order and in
// whole seconds, boots, texts of any length, agents that tell of parents, records without a host.
func wild(r *rand.Rand, n int) []pipeline.Record {
	if r.IntN(6) == 0 {
		n += 110 // long enough for partition time to follow a jump
	}
	records := rough(r, n)
	exe := func() map[string]any {
		return map[string]any{"path": `C:\\` + []string{"cmd.exe", "winword.exe", "calc.exe", "smss.exe"}[r.IntN(4)]}
	}
	text := func(longest int) string {
		if r.IntN(8) > 0 {
			longest = 20
		}
		return strings.Repeat("x", 1+r.IntN(longest))
	}
	process := func() map[string]any {
		p := map[string]any{"pid": 1 + r.IntN(14), "executable": exe()}
		if r.IntN(5) > 0 {
			p["ppid"] = r.IntN(14)
		}
		if r.IntN(2) == 0 {
			p["cmdline"] = text(20 << 10)
		}
		if r.IntN(4) == 0 {
			p["user"] = text(6 << 10)
		}
		if r.IntN(8) == 0 {
			p["container"] = map[string]any{"id": text(70 << 10)}
		}
		if r.IntN(40) == 0 {
			p["executable"] = map[string]any{"path": strings.Repeat("y", 300<<10)}
		}
		return p
	}
	jump := int64(0)
	for i := range records {
		rec := &records[i]
		if rec.Fault != nil {
			continue
		}
		if r.IntN(40) == 0 {
			jump += 2 * 3600_000 * r.Int64N(3)
		}
		rec.Timestamp += jump
		switch r.IntN(40) {
		case 0:
			rec.Timestamp += 5 * 3600_000
		case 1:
			rec.Timestamp -= 3600_000
		case 2:
			rec.Timestamp = -1
		case 3:
			rec.Timestamp = 0
		case 4:
			rec.Key = nil
		case 5:
			rec.Key = []byte(strings.Repeat("h", 4<<10+r.IntN(2)))
		}
		if r.IntN(2) == 0 {
			continue
		}
		date := time.UnixMilli(max(rec.Timestamp, 0)).UTC().Add(-time.Duration(r.IntN(4000)) * time.Millisecond)
		stamp := func(t time.Time) string {
			if r.IntN(3) == 0 {
				t = t.Truncate(time.Second)
			}
			return t.Format(time.RFC3339Nano)
		}
		p := process()
		if r.IntN(4) == 0 {
			p["exec_time"] = stamp(date.Add(-time.Duration(r.IntN(3000)) * time.Millisecond))
		}
		if r.IntN(5) == 0 {
			p["parent"] = process()
		}
		for range r.IntN(3) {
			if r.IntN(3) == 0 {
				list, _ := p["ancestors"].([]any)
				p["ancestors"] = append(list, process())
			}
		}
		if r.IntN(30) == 0 {
			p["pid"], p["ppid"], p["executable"] = 7, 4, map[string]any{"path": `C:\\smss.exe`}
		}
		e := map[string]any{"evt": map[string]any{"name": []string{"exec", "exec", "exit", "create"}[r.IntN(4)]}, "process": p}
		if r.IntN(10) > 0 {
			e["date"] = stamp(date)
		}
		rec.Value, _ = json.Marshal(e) // maps of texts and numbers
	}
	return records
}
