//go:build realkafka

package realkafka

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// metrics reads an engine's metrics, summed over labels.
func metrics(t *testing.T, addr string) map[string]float64 {
	t.Helper()
	res, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	out := map[string]float64{}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		line := lines.Text()
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		name, _, _ := strings.Cut(line[:i], "{")
		if v, err := strconv.ParseFloat(line[i+1:], 64); err == nil {
			out[name] += v
		}
	}
	return out
}

// What it takes to remember and to restore, in one partition: REALKAFKA_RESTORE processes that run, and a day in which
// REALKAFKA_CHURN others come and go (twice as many, unless it is set), each for half a minute. The engine writes the
// changelog, to the topic as it makes it; then another reads it. A day of a thousand hosts with 20 execs a minute is 29
// million processes. The day takes minutes here: the log's cleaner, which works by wall time, takes out less than in a day.
func TestRestoreCost(t *testing.T) {
	live := number(t, "REALKAFKA_RESTORE", 0)
	if live == 0 {
		t.Skip("REALKAFKA_RESTORE is not set")
	}
	churn := number(t, "REALKAFKA_CHURN", 2*live)
	b := startBroker(t)
	b.createTopic("events", 1)
	b.createTopic("signals", 1)
	execs := live + churn
	b.live(live, churn)
	admin := "127.0.0.1:" + freePort(t)
	yaml := strings.ReplaceAll(survivorConfig(b, "restore", "signals", "exactly_once"), `admin: {listen: ""}`, fmt.Sprintf("admin: {listen: %q, pprof: true}", admin))
	yaml = strings.ReplaceAll(yaml, "changelog: on", fmt.Sprintf("changelog: on, max_nodes: %d, max_size: 4GiB", 2*live+churn)) + "log: {level: debug}\n"
	none := t.TempDir() + "/none.yaml"
	if err := os.WriteFile(none, []byte("name: none\nrules:\n  - id: none\n    expression: evt.name == \"utimes\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	yaml = regexp.MustCompile(`policies: .*`).ReplaceAllString(yaml, fmt.Sprintf("policies: [%q]", none))
	e := newEngine(t, buildEngine(t), yaml)
	m := e.run()
	for end, at := b.ends("events", 1), int64(-1); at < end; {
		await(t, "the engine to get on", func() bool {
			was := at
			at = b.committed("restore", "events", 1)
			return at > was
		})
	}
	got := metrics(t, admin)
	t.Logf("%d live processes, %d that came and went: %.0f changelog records and %.1f KB for 1,000 execs, before compression; the log has %d offsets",
		live, churn, 1000*got["spoor_changelog_records_total"]/float64(execs), got["spoor_changelog_bytes_total"]/float64(execs), b.ends("restore.events.spoor-state", 1))
	running := highWater(t, m.Process.Pid)
	m.drain(t)

	m = e.run()
	await(t, "the restore", func() bool { return m.says("partition starts") })
	busy, peak := cpu(t, m.Process.Pid), highWater(t, m.Process.Pid)
	log, _ := os.ReadFile(m.log)
	took := regexp.MustCompile(`partition starts.* changes=(\d+).* took=(\S+)`).FindSubmatch(log)
	if took == nil {
		t.Fatal("the engine does not say how long it took")
	}
	changes, err := strconv.Atoi(string(took[1]))
	if err != nil {
		t.Fatal(err)
	}
	profile(t, "http://"+admin+"/debug/pprof/heap?gc=1", filepath.Join(t.TempDir(), "heap"))
	got = metrics(t, admin)
	state := got["spoor_state_bytes"]
	heap, rate := got["go_memstats_heap_alloc_bytes"], float64(changes)/busy.Seconds()
	t.Logf("restored from %d changes in %s, %.1f s of CPU, that is %.0f changes/s a core; %.0f entries",
		changes, took[2], busy.Seconds(), rate, got["spoor_state_entries"])
	t.Logf("spoor_state_bytes %.0f MB; heap after a collection %.0f MB, %.2f times; most memory (VmHWM) while restoring %.0f MB, %.2f times; of the engine before, which read all the events, %.0f MB",
		state/1e6, heap/1e6, heap/state, peak/1e6, peak/state, running/1e6)
	if heap < 0.8*state || heap > 1.2*state {
		t.Error("the heap is not within 20 % of spoor_state_bytes")
	}
	if peak > 1.3*state {
		t.Error("the restore takes more than 1.3 times the memory of the state")
	}
	if rate < 300_000 {
		t.Error("the restore takes in fewer than 300,000 changes/s for each core")
	}
	m.drain(t)
}

// live writes the events of TestRestoreCost: a thousand hosts, command lines of 120 bytes on average.
func (b *broker) live(live, churn int) {
	b.t.Helper()
	cl := b.client(kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	defer cl.Close()
	const hosts = 1000
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	filler := strings.Repeat("abcdefghij", 20)
	emit := func(at time.Time, host, pid, ppid int, exit bool) {
		date := at.Format(time.RFC3339Nano)
		name := pid % 300
		value := fmt.Sprintf(`{"evt":{"name":"exec"},"date":%q,"process":{"pid":%d,"ppid":%d,"executable":{"path":"C:\\Windows\\System32\\tool%d.exe"},"user":"CORP\\user%d","cmdline":"tool%d.exe --host %d --pid %d %s"}}`,
			date, pid, ppid, name, host%50, name, host, pid, filler[:20+pid%131])
		if exit {
			value = fmt.Sprintf(`{"evt":{"name":"exit"},"date":%q,"process":{"pid":%d}}`, date, pid)
		}
		cl.Produce(context.Background(), &kgo.Record{Topic: "events", Key: fmt.Appendf(nil, "pc%d", host), Value: []byte(value), Timestamp: at}, nil)
	}
	type exit struct {
		at        time.Time
		host, pid int
	}
	var exits []exit
	for i := range live { // the first minutes
		emit(begin.Add(time.Duration(i)*100*time.Microsecond), i%hosts, 10+i/hosts, (10+i/hosts)/7, false)
	}
	begin = begin.Add(time.Duration(live) * 100 * time.Microsecond)
	for i := range churn { // the day
		at := begin.Add(time.Duration(i) * (24 * time.Hour / time.Duration(churn)))
		for len(exits) > 0 && exits[0].at.Before(at) {
			emit(exits[0].at, exits[0].host, exits[0].pid, 0, true)
			exits = exits[1:]
		}
		// Ids are used again only by what comes long after.
		host, pid := i%hosts, 1_000_000+i/hosts
		emit(at, host, pid, 10+i%(live/hosts), false)
		exits = append(exits, exit{at.Add(30 * time.Second), host, pid})
	}
	for _, x := range exits {
		emit(x.at, x.host, x.pid, 0, true)
	}
	if err := cl.Flush(context.Background()); err != nil {
		b.t.Fatal(err)
	}
}

// highWater is the most memory that a process has had.
func highWater(t *testing.T, pid int) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	kb := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if kb == nil {
		t.Fatal("the process has no VmHWM")
	}
	v, err := strconv.ParseFloat(string(kb[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v * 1024
}
