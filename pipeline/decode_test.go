package pipeline_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"spoor/pipeline"
	"spoor/pipeline/event"
	"spoor/pipeline/pipelinetest"
	"spoor/pipeline/state"
)

func TestHost(t *testing.T) {
	long := []byte(strings.Repeat("h", state.MaxHost+1))
	cases := []struct {
		name   string
		header string
		record pipeline.Record
		host   string
		has    bool
	}{
		{"key", "", pipeline.Record{Key: []byte("PC1.Example")}, "PC1.Example", true},
		{"no key", "", pipeline.Record{}, "", false},
		{"empty key", "", pipeline.Record{Key: []byte{}}, "", false},
		{"header", "host", pipeline.Record{Key: []byte("pc1"), Headers: []pipeline.Header{{Key: "a"}, {Key: "host", Value: []byte("pc2")}}}, "pc2", true},
		{"as long as a host can be", "", pipeline.Record{Key: long[:state.MaxHost]}, string(long[:state.MaxHost]), true},
		{"longer", "", pipeline.Record{Key: long}, "", false},
		{"no such header", "host", pipeline.Record{Key: []byte("pc1")}, "", false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.HostHeader = c.header
			var seen event.Meta
			cfg.Probe = func(l *pipeline.Look) {
				if l.Stage == pipeline.StageDecode {
					seen = l.Event.Meta
				}
			}
			c.record.Value = []byte(execCalc)
			run(t, cfg, compile(t, testPolicy), c.record)
			if seen.Host != c.host || seen.HasHost != c.has {
				t.Errorf("host %q %v", seen.Host, seen.HasHost)
			}
		})
	}
}

// The hosts that state keeps must not be bytes of the record: the source overwrites those.
func TestHostOutlivesRecord(t *testing.T) {
	cfg := testConfig()
	var hosts []string
	cfg.Probe = func(l *pipeline.Look) {
		if l.Stage == pipeline.StageDecode {
			hosts = append(hosts, l.Event.Meta.Host)
		}
	}
	b := pipelinetest.NewBroker(record(1, create), record(2, create), record(3, create))
	b.Input[2].Key = []byte(strings.Repeat("h", 1000))
	p := pipeline.New(cfg, compile(t, testPolicy), nil).Partition(pipeline.TopicPartition{Topic: "events"}, "")
	if err := p.Run(context.Background(), b.Source(func() int { return 1 }), &pipelinetest.Committer{Broker: b}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"pc1", "pc1", strings.Repeat("h", 1000)}; !reflect.DeepEqual(hosts, want) {
		t.Errorf("hosts %q", hosts)
	}
}
