package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// load writes src to a file and loads it.
func load(t *testing.T, src string, environ ...string) (Config, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "engine.yaml")
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	c, faults := LoadConfig(path, environ)
	var b strings.Builder
	for _, d := range faults {
		d.File = filepath.Base(d.File)
		b.WriteString(d.String())
		if d.Hint != "" {
			b.WriteString(" | " + d.Hint)
		}
		b.WriteByte('\n')
	}
	return c, b.String()
}

func TestConfigFileAndEnvironment(t *testing.T) {
	c, faults := load(t, `
signals: per_rule
lineage: off
max_record_size: 2MiB
commit_interval: 1s
kafka:
  brokers: [a:1, "b:2"]
  group: blue
state: {max_nodes: 7, exited_ttl: 5m}
`, "SPOOR_KAFKA_GROUP=green", "SPOOR_KAFKA_BROKERS=c:3, d:4", "SPOOR_STATE_MAX_SIZE=64MiB", "HOME=/x")
	if faults != "" {
		t.Fatal(faults)
	}
	want := DefaultConfig()
	want.Signals, want.Lineage, want.MaxRecordSize, want.CommitInterval = "per_rule", false, 2<<20, time.Second
	want.Kafka.Brokers, want.Kafka.Group = []string{"c:3", "d:4"}, "green"
	want.State.MaxNodes, want.State.ExitedTTL, want.State.MaxSize = 7, 5*time.Minute, 64<<20
	var got, exp bytes.Buffer
	PrintConfig(&got, c)
	PrintConfig(&exp, want)
	if got.String() != exp.String() {
		t.Errorf("got\n%swant\n%s", got.String(), exp.String())
	}
}

func TestConfigFaults(t *testing.T) {
	f := func(src, want string, environ ...string) {
		t.Helper()
		if _, got := load(t, src, environ...); got != want {
			t.Errorf("%s\ngot  %swant %s", src, got, want)
		}
	}
	f("kafka: {brokers: [localhost:9092], group: \"\"}\nstate: {max_size: 1KiB}\ncommit_interval: 0s\nadmin:\n  listen: here\n",
		"engine.yaml:1:36: error: kafka.group: a consumer group is needed [config]\n"+
			"engine.yaml:2:9: error: state.max_size is 1024: must be at least 65536 [config]\n"+
			"engine.yaml:3:1: error: commit_interval must be more than 0, not 0s [config]\n"+
			"engine.yaml:5:3: error: admin.listen: \"here\" is not host:port [config]\n")
	f("kafka:\n  brokerz: [a:1]\n  group: 5x\nlineage: maybe\n",
		"engine.yaml:2:3: error: unknown key \"brokerz\" in kafka [config] | did you mean \"brokers\"?\n"+
			"engine.yaml:4:10: error: lineage: \"maybe\" is not on or off [config]\n")
	f("commit_interval: 5\n", "engine.yaml:1:18: error: commit_interval: \"5\" is not a duration such as 200ms, 10m or 720h [config]\n")
	f("max_record_size: 1MB\n", "engine.yaml:1:18: error: max_record_size: \"1MB\" is not a size such as 65536, 900KiB or 256MiB [config]\n")
	f("kafka: {start: earlyest}\n", "engine.yaml:1:16: error: kafka.start: \"earlyest\" is not one of earliest, latest; did you mean \"earliest\"? [config]\n")
	f("kafka: {brokers: a:1}\n", "engine.yaml:1:18: error: kafka.brokers is a list, not a value [config] | write [a:1]\n")
	f("kafka: [1]\n", "engine.yaml:1:8: error: kafka holds keys, not a list [config]\n")
	f("kafka: {group: g}\nstate: {changelog: off}\ndelivery: exactly_once\n",
		"engine.yaml:3:1: error: delivery: exactly_once needs the changelog: its transactions are the changelog's [config]\n")
	f("kafka: {output: events}\n", "engine.yaml:1:9: error: kafka.output: is the input topic \"events\": the engine would consume what it publishes [config]\n")
	f("", "environment: error: unknown variable SPOOR_KAFKA_GRUOP [config] | did you mean SPOOR_KAFKA_GROUP?\n", "SPOOR_KAFKA_GRUOP=x")
	f("", "environment: error: SPOOR_COMMIT_RECORDS: \"many\" is not a whole number [config]\n", "SPOOR_COMMIT_RECORDS=many")
	if _, faults := LoadConfig(filepath.Join(t.TempDir(), "none.yaml"), nil); len(faults) != 1 {
		t.Errorf("a missing file gives %v", faults)
	}
}

// What --print-config prints is a file that gives the same configuration, but for the secrets.
func TestPrintConfigRoundTrip(t *testing.T) {
	c := DefaultConfig()
	c.Policies = []string{`C:\policies`, "b c"}
	c.Kafka.SASL = SASLConfig{Mechanism: "plain", Username: "u", Password: "hunter2"}
	var b bytes.Buffer
	PrintConfig(&b, c)
	if strings.Contains(b.String(), "hunter2") {
		t.Error("the password is printed")
	}
	back, faults := load(t, b.String())
	if faults != "" {
		t.Fatal(faults, b.String())
	}
	c.Kafka.SASL.Password = "***"
	var again bytes.Buffer
	PrintConfig(&again, back)
	if again.String() != b.String() || back.Policies[0] != c.Policies[0] {
		t.Errorf("got\n%swant\n%s", again.String(), b.String())
	}
}

func TestConfigSchema(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(ConfigSchema()))
	if err != nil {
		t.Fatal(err)
	}
	comp := jsonschema.NewCompiler()
	if err := comp.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := comp.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	f := func(src string, ok bool) {
		t.Helper()
		var v any
		if err := json.Unmarshal([]byte(src), &v); err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(v); (err == nil) != ok {
			t.Errorf("%s: %v", src, err)
		}
	}
	f(`{"kafka": {"brokers": ["a:1"], "start": "latest"}, "commit_interval": "1s", "lineage": "off"}`, true)
	f(`{"kafka": {"start": "soon"}}`, false)
	f(`{"kafka": {"brokerz": []}}`, false)
}
