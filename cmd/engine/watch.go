package main

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long the files must be quiet before they are read: an editor writes in several steps.
const settle = 300 * time.Millisecond

// watchPolicies calls changed after something under paths changed, once things are quiet, until ctx ends.
// It watches folders, not files: an editor replaces a file, and Kubernetes swaps the symlink "..data" beside
// the files of a ConfigMap; both are events of the folder. Folders that appear are watched too.
func watchPolicies(ctx context.Context, paths []string, log *slog.Logger, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	for _, p := range paths {
		for _, dir := range foldersOf(p) {
			if err := w.Add(dir); err != nil {
				w.Close()
				return err
			}
		}
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
				if e.Op == fsnotify.Chmod {
					continue
				}
				if e.Op.Has(fsnotify.Create) {
					for _, dir := range foldersOf(e.Name) {
						if info, err := os.Stat(dir); err == nil && info.IsDir() && dir == e.Name {
							w.Add(dir) // best effort: it may be gone again
						}
					}
				}
				quiet.Reset(settle)
			case err := <-w.Errors:
				// Events were lost: read everything again to be sure.
				log.Warn("watching policies", "err", err)
				quiet.Reset(settle)
			case <-quiet.C:
				changed()
			}
		}
	}()
	return nil
}

// foldersOf lists the folders to watch for path: itself and those below it, or the folder of a file.
func foldersOf(path string) []string {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{filepath.Dir(path)}
	}
	var dirs []string
	filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		return nil
	})
	return dirs
}
