package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long the files must be quiet before they are read: an editor writes in several steps.
const settle = 300 * time.Millisecond

// watchPolicies calls changed after something under paths changed, once things are quiet, until ctx ends.
// It watches folders, not files: an editor replaces a file, and Kubernetes swaps the symlink "..data" beside
// the files of a ConfigMap; both are events of the folder. A folder may be a link that is swapped, or be removed
// and come back, so the folder above it is watched too. What is watched is looked up anew before each call:
// what happens before that is read, what happens after it is an event.
func watchPolicies(ctx context.Context, paths []string, log *slog.Logger, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	t := policyTrees{watcher: w, paths: paths}
	if err := t.watch(); err != nil {
		w.Close()
		return err
	}
	go func() {
		defer w.Close()
		quiet := time.NewTimer(time.Hour)
		quiet.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case e := <-w.Events:
				if e.Op == fsnotify.Chmod || !t.concerns(e.Name) {
					continue
				}
				quiet.Reset(settle)
			case err := <-w.Errors:
				// Events were lost: read everything again to be sure.
				log.Warn("watching policies", "err", err)
				quiet.Reset(settle)
			case <-quiet.C:
				if err := t.watch(); err != nil {
					log.Warn("watching policies", "err", err)
				}
				changed()
			}
		}
	}()
	return nil
}

// policyTrees are the files and folders that policies are read from. The goroutine that watches owns them.
type policyTrees struct {
	watcher *fsnotify.Watcher
	paths   []string
	inside  map[string]bool // watched folders in which everything counts
	found   []fs.FileInfo   // the same
}

// watch adds every folder to the watcher, again when it is known: it may be another one by now.
func (t *policyTrees) watch() error {
	t.inside, t.found = map[string]bool{}, nil
	var failed error
	add := func(dir string) {
		t.watcher.Remove(dir) // a link that was swapped is followed anew; an error says that it was not there
		if err := t.watcher.Add(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = err
		}
	}
	for _, p := range t.paths {
		p = filepath.Clean(p)
		if info, err := os.Stat(p); err == nil && !info.IsDir() {
			t.inside[filepath.Dir(p)] = true
			continue
		}
		t.folders(p)
		// A folder that is gone can come back below any of those above it.
		above := filepath.Dir(p)
		for !isFolder(above) && above != filepath.Dir(above) {
			above = filepath.Dir(above)
		}
		add(above)
	}
	for dir := range t.inside {
		add(dir)
	}
	return failed
}

// folders adds dir and the folders below it, as loading finds them: links are followed, hidden names are not, and a
// folder that several lead to is found once.
func (t *policyTrees) folders(dir string) {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() || slices.ContainsFunc(t.found, func(found fs.FileInfo) bool { return os.SameFile(found, info) }) {
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	t.found = append(t.found, info)
	t.inside[dir] = true
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && (e.IsDir() || e.Type()&fs.ModeSymlink != 0) {
			t.folders(filepath.Join(dir, e.Name()))
		}
	}
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// concerns says whether an event of name can change what is read: it is in a folder of policies, or it is one,
// or it is above one.
func (t *policyTrees) concerns(name string) bool {
	name = filepath.Clean(name)
	if t.inside[filepath.Dir(name)] {
		return true
	}
	for _, p := range t.paths {
		p = filepath.Clean(p)
		if p == name || strings.HasPrefix(p, name+string(filepath.Separator)) {
			return true
		}
	}
	return false
}
