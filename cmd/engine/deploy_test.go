package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"spoor/pipeline"
)

// The configuration in deploy/ is valid, and its alerts are about metrics that exist.
func TestDeploy(t *testing.T) {
	if _, faults := LoadConfig("../../deploy/engine.yaml", nil); len(faults) > 0 {
		t.Error(faults)
	}
	alerts, err := os.ReadFile("../../deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	table := pipeline.MetricsTable()
	names := regexp.MustCompile(`spoor_[a-z_]+`).FindAllString(string(alerts), -1)
	if len(names) < 6 {
		t.Errorf("only %d metrics in the alerts", len(names))
	}
	for _, name := range names {
		if !strings.Contains(table, "`"+name+"`") {
			t.Errorf("no metric is named %s", name)
		}
	}
}
