//go:build realkafka

package realkafka

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// engine is the built binary with a configuration.
type engine struct {
	t      *testing.T
	bin    string
	config string
}

func buildEngine(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "engine")
	cmd := exec.Command("go", "build", "-o", bin, "spoor/cmd/engine")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the engine: %v\n%s", err, out)
	}
	return bin
}

func newEngine(t *testing.T, bin, yaml string) *engine {
	t.Helper()
	config := filepath.Join(t.TempDir(), "engine.yaml")
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return &engine{t: t, bin: bin, config: config}
}

// member is one running engine.
type member struct {
	*exec.Cmd
	log string
}

// run starts a member of the group.
func (e *engine) run() *member {
	e.t.Helper()
	log, err := os.CreateTemp(e.t.TempDir(), "engine-*.log")
	if err != nil {
		e.t.Fatal(err)
	}
	defer log.Close()
	m := &member{Cmd: exec.Command(e.bin, "run", "--config", e.config), log: log.Name()}
	m.Stdout, m.Stderr = log, log
	m.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		m.Process.Kill()
		m.Wait()
		if e.t.Failed() {
			text, _ := os.ReadFile(m.log)
			e.t.Logf("engine %d:\n%s", m.Process.Pid, text[max(0, len(text)-3000):])
		}
	})
	return m
}

// kill is SIGKILL: no drain, no goodbye.
func (m *member) kill() {
	m.Process.Kill()
	m.Wait()
}

// drain is SIGTERM; the member must end by itself with exit code 0.
func (m *member) drain(t *testing.T) {
	t.Helper()
	m.Process.Signal(syscall.SIGTERM)
	done := make(chan error, 1)
	go func() { done <- m.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("an engine ends with %v after SIGTERM", err)
		}
	case <-time.After(patience):
		t.Errorf("an engine does not end within %v of SIGTERM", patience)
	}
}

func (m *member) says(text string) bool {
	log, _ := os.ReadFile(m.log)
	return strings.Contains(string(log), text)
}

// call runs another command of the engine to its end and returns what it prints.
func (e *engine) call(args ...string) string {
	e.t.Helper()
	cmd := exec.Command(e.bin, args...)
	var out, log strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		e.t.Fatalf("engine %s: %v\n%s", strings.Join(args, " "), err, log.String())
	}
	return out.String()
}

// recorded dumps the input topic with `engine record` into a file of that name.
func (e *engine) recorded(name string) (path string) {
	e.t.Helper()
	path = filepath.Join(e.t.TempDir(), name)
	e.call("record", "--config", e.config, "-o", path)
	return path
}

// replayed returns the signals of the input topic's replay, partition after partition.
func (e *engine) replayed() []signal {
	e.t.Helper()
	return e.replay(e.recorded("events.ndjson.zst"))
}

func (e *engine) replay(recording string) []signal {
	e.t.Helper()
	return parse(e.t, e.call("replay", "--config", e.config, "--format", "record", recording))
}

// parse reads signals as a replay writes them, partition after partition.
func parse(t *testing.T, text string) []signal {
	t.Helper()
	byPartition := map[int32][]signal{}
	last := int32(-1)
	for text := range strings.Lines(text) {
		var line struct {
			Key     string          `json:"key"`
			Value   json.RawMessage `json:"value"`
			Headers map[string]string
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		id := line.Headers["spoor-signal-id"] // topic/partition/offset
		place := strings.Split(id, "/")
		if len(place) < 3 {
			t.Fatalf("the signal id %q", id)
		}
		n, err := strconv.ParseInt(place[1], 10, 32)
		if err != nil {
			t.Fatalf("the signal id %q", id)
		}
		partition := int32(n)
		last = max(last, partition)
		byPartition[partition] = append(byPartition[partition], signal{id: id, key: line.Key, value: string(line.Value), partition: partition})
	}
	var all []signal
	for p := range last + 1 {
		all = append(all, byPartition[p]...)
	}
	return all
}

// whole skips what is not in the selection that -short makes.
func whole(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("not with -short")
	}
}

// patience is how long a condition may take to come about. It says when a test has failed, not how long anything should
// take: the machine may be slow and busy.
const patience = 4 * time.Minute

// await polls until done.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for start := time.Now(); time.Since(start) < patience; time.Sleep(150 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

func config(b *broker, group, output string, lineage bool) string {
	state := "off"
	if lineage {
		state = "on"
	}
	policies, err := filepath.Abs("testdata")
	if err != nil {
		b.t.Fatal(err)
	}
	return fmt.Sprintf(`
policies: [%q]
lineage: %s
kafka:
  brokers: [%q]
  group: %s
  input: events
  output: %s
  session_timeout: 6s
  heartbeat_interval: 500ms
admin: {listen: ""}
`, policies, state, b.addr(), group, output)
}

func survivorConfig(b *broker, group, output, delivery string) string {
	return config(b, group, output, true) + fmt.Sprintf("delivery: %s\nstate: {changelog: on}\n", delivery)
}

func number(t *testing.T, name string, otherwise int) int {
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
