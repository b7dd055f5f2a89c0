//go:build realkafka

package realkafka

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
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

// What it takes to remember and to restore: REALKAFKA_RESTORE processes that run, and half as many again that came and
// went, in one partition.
func TestRestoreCost(t *testing.T) {
	live := number(t, "REALKAFKA_RESTORE", 0)
	if live == 0 {
		t.Skip("REALKAFKA_RESTORE is not set")
	}
	b := startBroker(t)
	b.createTopic("events", 1)
	b.createTopic("signals", 1)
	cl := b.client(kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	execs := 0
	emit := func(host, pid, at int, exit bool) {
		date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(at) * 333 * time.Microsecond)
		value := fmt.Sprintf(`{"evt":{"name":"exec"},"date":%q,"process":{"pid":%d,"ppid":%d,"executable":{"path":"C:\\Windows\\System32\\tool%d.exe"},"user":"CORP\\user%d","cmdline":"tool%d.exe --host %d --pid %d %s"}}`,
			date.Format(time.RFC3339Nano), pid, pid/7, pid%300, host%50, pid%300, host, pid, strings.Repeat("x", 80))
		if exit {
			value = fmt.Sprintf(`{"evt":{"name":"exit"},"date":%q,"process":{"pid":%d}}`, date.Format(time.RFC3339Nano), pid)
		} else {
			execs++
		}
		cl.Produce(context.Background(), &kgo.Record{Topic: "events", Key: fmt.Appendf(nil, "pc%d", host), Value: []byte(value), Timestamp: date}, nil)
	}
	for i := range live {
		emit(i%1000, 10+i/1000, 3*i, false)
		if i%2 == 0 {
			emit(i%1000, 1_000_000+i, 3*i+1, false)
			emit(i%1000, 1_000_000+i, 3*i+2, true)
		}
	}
	if err := cl.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	cl.Close()
	admin := "127.0.0.1:" + freePort(t)
	yaml := strings.ReplaceAll(config(b, "restore", "signals", true), `admin: {listen: ""}`, fmt.Sprintf("admin: {listen: %q}", admin)) + fmt.Sprintf(`
delivery: exactly_once
state: {changelog: on, max_nodes: %d, max_size: 2GiB}
log: {level: debug}
`, 2*live)
	none := t.TempDir() + "/none.yaml"
	if err := os.WriteFile(none, []byte("name: none\nrules:\n  - id: none\n    expression: evt.name == \"utimes\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	yaml = regexp.MustCompile(`policies: .*`).ReplaceAllString(yaml, fmt.Sprintf("policies: [%q]", none))
	e := newEngine(t, buildEngine(t), yaml)
	m := e.run()
	await(t, "all events to be committed", func() bool { return b.committed("restore", "events", 1) == b.ends("events", 1) })
	got := metrics(t, admin)
	t.Logf("%d execs: %.0f changelog records and %.1f KB per 1,000, before compression", execs,
		1000*got["spoor_changelog_records_total"]/float64(execs), got["spoor_changelog_bytes_total"]/float64(execs))
	m.drain(t)

	m = e.run()
	await(t, "the restore", func() bool { return m.says("partition starts") })
	log, _ := os.ReadFile(m.log)
	took := regexp.MustCompile(`partition starts.* changes=(\d+).* took=(\S+)`).FindSubmatch(log)
	if took == nil {
		t.Fatal("the engine does not say how long it took")
	}
	time.Sleep(3 * time.Second) // let the garbage of the restore go
	got = metrics(t, admin)
	t.Logf("restored from %s changes in %s: %.0f entries, spoor_state_bytes %.0f MB; resident %.0f MB, heap in use %.0f MB", took[1], took[2], got["spoor_state_entries"],
		got["spoor_state_bytes"]/1e6,
		got["process_resident_memory_bytes"]/1e6, got["go_memstats_heap_inuse_bytes"]/1e6)
	m.drain(t)
}
