package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"spoor/pipeline"
)

// reloading starts an engine that watches path, and returns a function that waits until done.
func reloading(t *testing.T, path string) (*pipeline.Engine, func(what string, done func() bool)) {
	t.Helper()
	set, faults := loadSet([]string{path})
	if set == nil {
		t.Fatal(faults)
	}
	eng := pipeline.New(pipeline.DefaultConfig(), set, nil)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	a := &app{stdout: &strings.Builder{}, stderr: &strings.Builder{}}
	if err := a.reloadOnChange(ctx, []string{path}, eng, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return eng, func(what string, done func() bool) {
		t.Helper()
		for start := time.Now(); !done(); time.Sleep(10 * time.Millisecond) {
			if time.Since(start) > 10*time.Second {
				t.Fatalf("waited in vain for %s", what)
			}
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReloadOnChange(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "p.yaml"), officePolicy)
	eng, await := reloading(t, dir)
	before := eng.Set().Hash()

	// A bad set keeps the running one, and counts.
	write(t, filepath.Join(dir, "p.yaml"), strings.Replace(officePolicy, "evt.name", "evt.nome", 1))
	await("the failed reload", func() bool { return testutil.ToFloat64(eng.Metrics().Reloads.WithLabelValues("failed")) > 0 })
	if eng.Set().Hash() != before {
		t.Error("a set with errors was taken over")
	}
	successful := func() float64 { return testutil.ToFloat64(eng.Metrics().ReloadOK) }
	if n := successful(); n != 0 {
		t.Errorf("after it the last reload was successful: %v", n)
	}
	// A comment changes nothing.
	write(t, filepath.Join(dir, "p.yaml"), officePolicy+"# a comment\n")
	await("the reload without a change", func() bool { return testutil.ToFloat64(eng.Metrics().Reloads.WithLabelValues("unchanged")) > 0 })
	if n := successful(); n != 1 {
		t.Errorf("with the policies mended the last reload was not successful: %v", n)
	}
	// A new file in a new folder is a new set.
	write(t, filepath.Join(dir, "more", "q.yaml"), strings.ReplaceAll(officePolicy, "office", "second"))
	await("the new folder's file", func() bool { return len(eng.Set().Rules()) == 2 })
	// What an editor does: write beside it and rename.
	write(t, filepath.Join(dir, "more", "q.yaml~"), strings.ReplaceAll(officePolicy, "office", "third"))
	if err := os.Rename(filepath.Join(dir, "more", "q.yaml~"), filepath.Join(dir, "more", "q.yaml")); err != nil {
		t.Fatal(err)
	}
	await("the renamed file", func() bool { return eng.Set().Rules()[0].PolicyName == "third" }) // more/q.yaml is before p.yaml
}

// Kubernetes mounts a ConfigMap as links to ..data/FILE and swaps the link ..data.
func TestReloadConfigMap(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "..2026_01", "p.yaml"), officePolicy)
	link := func(to, name string) {
		t.Helper()
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..2026_01", "..data")
	link(filepath.Join("..data", "p.yaml"), "p.yaml")
	eng, await := reloading(t, dir)
	if n := len(eng.Set().Rules()); n != 1 {
		t.Fatalf("%d rules: the mount counts more than once", n)
	}
	write(t, filepath.Join(dir, "..2026_02", "p.yaml"), strings.ReplaceAll(officePolicy, "office", "swapped"))
	link("..2026_02", "..data_tmp")
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "..2026_01")); err != nil {
		t.Fatal(err)
	}
	await("the swapped ConfigMap", func() bool { return eng.Set().Rules()[0].PolicyName == "swapped" })
}

// A policy given as a file is watched through its folder.
func TestReloadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.yaml")
	write(t, path, officePolicy)
	eng, await := reloading(t, path)
	write(t, path, strings.ReplaceAll(officePolicy, "office", "other"))
	await("the changed file", func() bool { return eng.Set().Rules()[0].PolicyName == "other" })
}

// A folder may be replaced as a whole, more than once, and with folders below it.
func TestReloadReplacedFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "etc", "policies")
	write(t, filepath.Join(dir, "p.yaml"), officePolicy)
	eng, await := reloading(t, dir)
	failed := func() float64 { return testutil.ToFloat64(eng.Metrics().Reloads.WithLabelValues("failed")) }
	for i, name := range []string{"second", "third"} {
		gone := dir
		if i == 1 {
			gone = filepath.Dir(dir)
		}
		if err := os.RemoveAll(gone); err != nil {
			t.Fatal(err)
		}
		await("the folder to be missed", func() bool { return failed() >= float64(i+1) })
		write(t, filepath.Join(dir, "deep", "er", "p.yaml"), strings.ReplaceAll(officePolicy, "office", name))
		await("the new folder", func() bool { return eng.Set().Rules()[0].PolicyName == name })
		write(t, filepath.Join(dir, "deep", "er", "p.yaml"), strings.ReplaceAll(officePolicy, "office", name+"-edited"))
		await("an edit in it", func() bool { return eng.Set().Rules()[0].PolicyName == name+"-edited" })
	}
}

// A release is often a link that is swapped. Links that lead back make no more of it.
func TestReloadLinkedFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		write(t, filepath.Join(dir, name, "p.yaml"), strings.ReplaceAll(officePolicy, "office", name))
		for _, back := range []string{"back", "again", "same"} {
			if err := os.Symlink(filepath.Join(dir, name), filepath.Join(dir, name, back)); err != nil {
				t.Fatal(err)
			}
		}
	}
	current := filepath.Join(dir, "current")
	if err := os.Symlink("one", current); err != nil {
		t.Fatal(err)
	}
	eng, await := reloading(t, current)
	if err := os.Symlink("two", current+"_tmp"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(current+"_tmp", current); err != nil {
		t.Fatal(err)
	}
	await("the swapped link", func() bool { return eng.Set().Rules()[0].PolicyName == "two" })
	write(t, filepath.Join(dir, "two", "p.yaml"), strings.ReplaceAll(officePolicy, "office", "three"))
	await("an edit behind the link", func() bool { return eng.Set().Rules()[0].PolicyName == "three" })
}

// Every outcome of a reload is counted from the start: the first failure would not be an increase of a counter
// that begins with it, and nobody would be alerted.
func TestReloadsCountFromTheStart(t *testing.T) {
	reg := prometheus.NewRegistry()
	pipeline.NewMetrics(reg)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "spoor_policy_reloads_total" {
			if n := len(f.GetMetric()); n != 3 {
				t.Errorf("%d outcomes", n)
			}
			return
		}
	}
	t.Error("reloads are not counted")
}
