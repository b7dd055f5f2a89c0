package bench_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"spoor/bench"
	"spoor/pipeline"
	"spoor/pipeline/event"
	"spoor/policies"
	"spoor/rules"
	"spoor/rules/policy"
)

func generate(tb testing.TB, cfg bench.Config) []bench.Record {
	tb.Helper()
	var rs []bench.Record
	if err := bench.Generate(cfg, func(r bench.Record) error { rs = append(rs, r); return nil }); err != nil {
		tb.Fatal(err)
	}
	return rs
}

func digest(rs []bench.Record) string {
	sum := sha256.New()
	for _, r := range rs {
		sum.Write(bench.AppendLine(nil, r))
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

func bundled(tb testing.TB) *rules.Set {
	tb.Helper()
	src, found := policy.LoadFS(policies.FS)
	if src == nil {
		tb.Fatal(found)
	}
	set, found := rules.Compile(src)
	if set == nil {
		tb.Fatal(found)
	}
	return set
}

func TestSameSeedSameBytes(t *testing.T) {
	cfg := bench.Config{Seed: 7, Hosts: 9, Events: 12_000, Attacks: bench.AttackNames()}
	first := digest(generate(t, cfg))
	if again := digest(generate(t, cfg)); again != first {
		t.Error("the same config gave other bytes")
	}
	cfg.Seed = 8
	if other := digest(generate(t, cfg)); other == first {
		t.Error("another seed gave the same bytes")
	}
}

func TestBounds(t *testing.T) {
	if n := len(generate(t, bench.Config{Seed: 1, Hosts: 3, Events: 777})); n != 777 {
		t.Errorf("%d events, want 777", n)
	}
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rs := generate(t, bench.Config{Seed: 1, Hosts: 2, Duration: time.Minute, Start: start})
	if len(rs) < 100 {
		t.Errorf("%d events in a minute of two hosts", len(rs))
	}
	for i, r := range rs {
		if r.Time.Before(start) || r.Time.After(start.Add(time.Minute)) {
			t.Fatalf("record %d is at %s", i, r.Time)
		}
		if i > 0 && r.Time.Before(rs[i-1].Time) {
			t.Fatalf("record %d runs backwards", i)
		}
	}
	stop := errors.New("enough")
	if err := bench.Generate(bench.Config{Hosts: 1, Events: 10}, func(bench.Record) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want emit's error", err)
	}
	for _, bad := range []bench.Config{{Events: 1}, {Hosts: 1}, {Hosts: 1, Events: 1, Attacks: []string{"flood"}}} {
		if err := bench.Generate(bad, func(bench.Record) error { return nil }); err == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

// TestEventsAreOfTheSchema holds each value against the schema of input events and the decoder that refuses
// what it does not know, and that the mix is that of Windows: the registry first, processes last.
func TestEventsAreOfTheSchema(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(event.Schema("event")))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("event.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("event.json")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]int{}
	kinds := map[string]int{}
	dec := event.NewDecoder(event.DecoderConfig{RejectUnknown: true})
	var e event.Event
	for i, r := range generate(t, bench.Config{Seed: 3, Hosts: 9, Events: 15_000, Attacks: bench.AttackNames()}) {
		if i%5 == 0 || r.Attack != "" {
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.Value))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(v); err != nil {
				t.Fatalf("%s\n%v", r.Value, err)
			}
		}
		if err := dec.Decode(r.Value, &e); err != nil {
			t.Fatalf("%s\n%v", r.Value, err)
		}
		var line struct{ Key, TS string }
		if err := json.Unmarshal(bench.AppendLine(nil, r), &line); err != nil || line.Key != r.Key {
			t.Fatalf("line of record %d: %v", i, err)
		}
		if !slices.Contains(event.Known(), e.Evt.Name) {
			t.Fatalf("unknown event %q", e.Evt.Name)
		}
		names[e.Evt.Name]++
		switch {
		case e.Registry != nil:
			kinds["registry"]++
		case e.File != nil:
			kinds["file"]++
		case e.PermissionChange != nil:
			kinds["permission"]++
		default:
			kinds["process"]++
		}
	}
	if len(names) != 13 {
		t.Errorf("%d kinds of events: %v", len(names), names)
	}
	if !(kinds["registry"] > kinds["file"] && kinds["file"] > kinds["process"] && kinds["process"] > kinds["permission"] && kinds["permission"] > 0) {
		t.Errorf("mix %v", kinds)
	}
}

// matches runs traffic through the pipeline and calls f for each rule that a record matches.
func matches(tb testing.TB, set *rules.Set, rs []bench.Record, f func(r bench.Record, rule *rules.Rule)) pipeline.Counters {
	tb.Helper()
	cfg := pipeline.DefaultConfig()
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageEvaluate {
			for _, i := range l.Result.Live {
				f(rs[l.Offset], set.Rules()[i])
			}
		}
	}
	p := pipeline.New(cfg, set, nil).Partition(pipeline.TopicPartition{Topic: "bench"}, "")
	if err := p.Step(context.Background(), fetchOf(rs), discard{}); err != nil {
		tb.Fatal(err)
	}
	if err := p.Flush(context.Background(), discard{}); err != nil {
		tb.Fatal(err)
	}
	return p.Counters()
}

func fetchOf(rs []bench.Record) pipeline.Fetch {
	records := make([]pipeline.Record, len(rs))
	for i, r := range rs {
		records[i] = pipeline.Record{Offset: int64(i), Timestamp: r.Time.UnixMilli(), Key: []byte(r.Key), Value: r.Value}
	}
	return pipeline.Fetch{Records: records, Next: int64(len(rs)), End: int64(len(rs))}
}

// discard is a Committer that says yes.
type discard struct{}

func (discard) Commit(context.Context, *pipeline.Batch) error { return nil }

// TestEveryAttackIsSeen holds that the bundled policies see each chain with rules that were written for it.
func TestEveryAttackIsSeen(t *testing.T) {
	want := map[string][]string{
		"phishing-macro":           {"office_spawns_interpreter", "powershell_encoded_command", "recon_below_document", "run_key_set_by_interpreter"},
		"lolbin-download":          {"certutil_download", "certutil_decode", "bitsadmin_download", "program_written_by_system_tool", "rundll32_unusual_target"},
		"uac-bypass-and-task":      {"uac_handler_hijack", "auto_elevated_program_spawns_shell", "schtasks_creates_suspicious_task", "scheduled_task_runs_user_file"},
		"lsass-dump":               {"lsass_dump_comsvcs", "lsass_dump_file", "registry_hive_saved", "archive_with_password_by_command"},
		"wmi-remote":               {"wmic_remote_node", "wmi_provider_spawns_interpreter", "service_shell_output_to_share"},
		"psexec-service":           {"psexec_service_started", "shell_below_remote_service", "whoami_as_system", "copy_to_admin_share", "local_admin_added"},
		"ntds-theft":               {"ntds_exported_with_ntdsutil", "ntds_copy_created", "domain_trusts_listed", "archive_staged_in_odd_folder"},
		"web-shell-exfiltration":   {"web_shell_written", "web_server_spawns_shell", "recon_below_web_server", "archiver_below_remote_session", "rclone_copies_to_remote", "sync_tool_below_service_or_shell"},
		"run-key-and-log-clearing": {"run_key_set_by_interpreter", "startup_folder_file", "defender_disabled_in_registry", "event_log_cleared", "prefetch_deleted", "usn_journal_deleted"},
		"ransomware":               {"shadow_copies_deleted", "recovery_disabled", "backup_catalog_deleted", "guarded_service_stopped", "file_renamed_to_locked", "ransom_note_written", "wallpaper_set_by_script"},
	}
	set := bundled(t)
	for _, cfg := range []bench.Config{bench.Demo(), {Seed: 2, Hosts: 12, Duration: 4 * time.Minute, Attacks: bench.AttackNames()}} {
		got := map[string]map[string]int{}
		matches(t, set, generate(t, cfg), func(r bench.Record, rule *rules.Rule) {
			if got[r.Attack] == nil {
				got[r.Attack] = map[string]int{}
			}
			got[r.Attack][rule.ID]++
		})
		if len(bench.AttackNames()) != len(want) {
			t.Errorf("%d attacks, %d expectations", len(bench.AttackNames()), len(want))
		}
		for _, attack := range bench.AttackNames() {
			for _, rule := range want[attack] {
				if got[attack][rule] == 0 {
					t.Errorf("seed %d: %s did not raise %s, only %v", cfg.Seed, attack, rule, got[attack])
				}
			}
		}
	}
}

// TestEverydayTrafficIsQuiet holds that hosts nobody attacks raise hardly anything, and nothing that wakes people.
func TestEverydayTrafficIsQuiet(t *testing.T) {
	const events = 40_000
	byRule := map[string]int{}
	counters := matches(t, bundled(t), generate(t, bench.Config{Seed: 5, Hosts: 16, Events: events}), func(r bench.Record, rule *rules.Rule) {
		byRule[rule.ID]++
		if rule.Severity >= policy.High {
			t.Errorf("%s (%s) on %s", rule.ID, rule.Severity, r.Value)
		}
	})
	if counters.Events != events || counters.Rejected != 0 {
		t.Errorf("%d events, %d rejected", counters.Events, counters.Rejected)
	}
	if counters.Signals == 0 || counters.Signals > events/1000 {
		t.Errorf("%d signals: %v", counters.Signals, byRule)
	}
	// Lineage must come from what the hosts do: hits above all, some unknown (late sensors, lost events), pids
	// used again.
	l := counters.Lineage
	if l.Hit < 20*l.Unknown || l.Unknown == 0 {
		t.Errorf("lineage %+v", l)
	}
	t.Logf("%d signals %v, lineage %+v", counters.Signals, byRule, l)
}

// TestLineageIsTheTruth holds the ancestors that the engine attaches against the ones the simulator knows, through
// pids used again, lost events, late sensors, restarts and clocks of whole seconds: none may be wrong, and hardly one
// that could be known may be missing.
func TestLineageIsTheTruth(t *testing.T) {
	rs := generate(t, bench.Config{Seed: 11, Hosts: 16, Events: 50_000, Attacks: bench.AttackNames()})
	var execs, right, known, missing, wrong int
	seen := map[string]bool{} // host, pid and path of processes whose exec was sent
	id := func(host string, pid int64, path string) string { return fmt.Sprint(host, " ", pid, " ", path) }
	cfg := pipeline.DefaultConfig()
	cfg.Probe = func(l *pipeline.Look) {
		r := &rs[l.Offset]
		if l.Stage != pipeline.StageEnrich || l.Event.Meta.Name != "exec" {
			return
		}
		execs++
		p := l.Event.Process
		seen[id(r.Key, *p.PID, p.Executable.Path)] = true
		for i, a := range p.Ancestors {
			if i == len(r.Ancestors) || a.PID == nil || *a.PID != r.Ancestors[i].PID ||
				a.Executable != nil && a.Executable.Path != r.Ancestors[i].Path {
				wrong++
				t.Logf("offset %d: ancestor %d of %s is not what it was", l.Offset, i, r.Value)
				break
			}
			right++
		}
		for i, a := range r.Ancestors {
			if !seen[id(r.Key, a.PID, a.Path)] {
				break // the chain need not be known any farther
			}
			known++
			if i >= len(p.Ancestors) {
				missing++
			}
		}
	}
	none, found := rules.Compile(&policy.Set{})
	if none == nil {
		t.Fatal(found)
	}
	p := pipeline.New(cfg, none, nil).Partition(pipeline.TopicPartition{Topic: "bench"}, "")
	if err := p.Step(context.Background(), fetchOf(rs), discard{}); err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("%d execs, %d ancestors right, %d wrong, %d missing of %d that were seen", execs, right, wrong, missing, known)
	t.Log(sum)
	if wrong > 0 || missing > known/200 || execs < 1500 {
		t.Error(sum)
	}
}

// TestPidsComeBack holds that the traffic has what makes lineage hard: a pid of a host in several processes.
func TestPidsComeBack(t *testing.T) {
	names := map[string]map[string]bool{}
	boots := map[string]int{}
	var e event.Event
	dec := event.NewDecoder(event.DecoderConfig{})
	again := 0
	whole := 0
	for _, r := range generate(t, bench.Config{Seed: 5, Hosts: 8, Events: 40_000}) {
		if err := dec.Decode(r.Value, &e); err != nil {
			t.Fatal(err)
		}
		if e.Evt.Name != "exec" {
			continue
		}
		if e.Date%event.Time(time.Second) == 0 {
			whole++
		}
		if e.Process.Executable.Path == "System" {
			boots[r.Key]++
		}
		id := fmt.Sprint(r.Key, *e.Process.PID)
		if names[id] == nil {
			names[id] = map[string]bool{}
		}
		if len(names[id]) > 0 && !names[id][e.Process.Executable.Name] {
			again++
		}
		names[id][string([]byte(e.Process.Executable.Name))] = true
	}
	if again < 50 {
		t.Errorf("%d pids came back as another program", again)
	}
	if whole < 50 {
		t.Errorf("%d execs with second precision", whole)
	}
	restarted := 0
	for _, n := range boots {
		if n > 1 {
			restarted++
		}
	}
	if restarted != 1 {
		t.Errorf("%d hosts restarted, want 1", restarted)
	}
}

// TestDemoIsCurrent holds that what the command demo has inside is what the simulator makes.
func TestDemoIsCurrent(t *testing.T) {
	const name = "../cmd/engine/demo.ndjson.zst"
	packed, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(packed) > 600<<10 {
		t.Errorf("%s has %d bytes, want at most 600 KiB", name, len(packed))
	}
	d, err := zstd.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got := sha256.New()
	if _, err := io.Copy(got, d); err != nil {
		t.Fatal(err)
	}
	if want := digest(generate(t, bench.Demo())); fmt.Sprintf("%x", got.Sum(nil)) != want {
		t.Errorf("%s is not what the simulator makes: go generate ./bench", name)
	}
}
