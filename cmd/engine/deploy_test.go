package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"spoor/pipeline"
)

// deployed reads a file of deploy/.
func deployed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The configuration in deploy/ is valid, and what stands around it fits it.
func TestDeploy(t *testing.T) {
	cfg, faults := LoadConfig("../../deploy/engine.yaml", nil)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	_, port, err := net.SplitHostPort(cfg.Admin.Listen)
	if err != nil {
		t.Fatal(err)
	}
	var prometheus struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal([]byte(deployed(t, "prometheus.yaml")), &prometheus); err != nil {
		t.Fatal(err)
	}
	if target := prometheus.ScrapeConfigs[0].StaticConfigs[0].Targets[0]; target != "engine:"+port {
		t.Errorf("Prometheus scrapes %s, the engine listens on %s", target, cfg.Admin.Listen)
	}
	var compose struct {
		Services map[string]struct {
			Build       struct{ Context, Dockerfile string }
			Ports       []string
			Volumes     []string
			Environment map[string]any
			Command     []string
		}
	}
	if err := yaml.Unmarshal([]byte(deployed(t, "compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	engine, broker := compose.Services["engine"], compose.Services["kafka"]
	if !slices.Contains(engine.Ports, "127.0.0.1:"+port+":"+port) {
		t.Errorf("port %s is not published: %v", port, engine.Ports)
	}
	if _, err := os.Stat(filepath.Join("../../deploy", engine.Build.Context, engine.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
	if listener, _ := broker.Environment["KAFKA_ADVERTISED_LISTENERS"].(string); !strings.HasSuffix(listener, "//"+cfg.Kafka.Brokers[0]) {
		t.Errorf("the broker is at %s, the engine looks at %s", listener, cfg.Kafka.Brokers[0])
	}
	if topics := compose.Services["topics"].Command; !slices.Contains(topics, cfg.Kafka.Input) {
		t.Errorf("the topic %s is not made: %q", cfg.Kafka.Input, topics)
	}
	dockerfile := deployed(t, "Dockerfile")
	mounted := regexp.MustCompile(`"--config", "(\S+)"`).FindStringSubmatch(dockerfile)
	if mounted == nil || !slices.Contains(engine.Volumes, "./engine.yaml:"+mounted[1]+":ro") {
		t.Errorf("the image reads %q, mounted is %v", mounted, engine.Volumes)
	}
	for _, f := range prometheus.RuleFiles {
		if !slices.Contains(compose.Services["prometheus"].Volumes, "./"+filepath.Base(f)+":"+f+":ro") {
			t.Errorf("Prometheus has no file %s", f)
		}
	}
	module, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	language := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(module)
	if !strings.Contains(dockerfile, "FROM golang:"+string(language[1])+" ") {
		t.Errorf("the image is not built with Go %s", language[1])
	}
}

// The alerts are about metrics and labels that exist, and each side of an "or" is a condition: a metric that is 0
// would hide the one of the same labels on the other side.
func TestAlerts(t *testing.T) {
	var alerts struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal([]byte(deployed(t, "alerts.yaml")), &alerts); err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for row := range strings.Lines(pipeline.MetricsTable()) {
		if name := regexp.MustCompile("`(spoor_[a-z_]+)`").FindStringSubmatch(row); name != nil {
			rows[name[1]] = row
		}
	}
	if n := len(alerts.Groups[0].Rules); n < 6 {
		t.Fatalf("%d alerts", n)
	}
	for _, r := range alerts.Groups[0].Rules {
		labels := ""
		names := regexp.MustCompile(`spoor_[a-z_]+`).FindAllString(r.Expr, -1)
		for _, name := range names {
			row, ok := rows[name]
			if !ok {
				t.Errorf("%s: no metric is named %s", r.Alert, name)
			}
			labels += row
		}
		used := regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(r.Expr, -1)
		used = append(used, regexp.MustCompile(`\{([a-z]+)=`).FindAllStringSubmatch(r.Expr, -1)...)
		for _, u := range used {
			for label := range strings.SplitSeq(u[1], ", ") {
				if label != "job" && !regexp.MustCompile(`\b`+label+`\b`).MatchString(labels) {
					t.Errorf("%s: %v has no label %s", r.Alert, names, label)
				}
			}
		}
		for side := range strings.SplitSeq(r.Expr, " or ") {
			if len(names) == 0 || !regexp.MustCompile(`[<>=]=? ?\d+$`).MatchString(side) {
				t.Errorf("%s: %q is no condition", r.Alert, side)
			}
		}
	}
}
