package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"spoor/pipeline"
	"spoor/pipeline/kafka"
)

func (a *app) runCommand() *cobra.Command {
	var path string
	var printConfig bool
	cmd := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Read events from Kafka as a consumer group, publish signals",
		Long: `Join the consumer group and publish a signal for every event that matches, until SIGTERM or Ctrl-C: then
finish what was read, commit it and leave the group. Policies are taken over when their files change and on
SIGHUP; policies with errors are logged and the running ones stay.`,
		Example: "  engine run --config engine.yaml\n  engine run --config engine.yaml --print-config",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadConfig(path)
			if err != nil {
				return err
			}
			if printConfig {
				return PrintConfig(a.stdout, cfg)
			}
			return a.runEngine(cmd.Context(), cfg)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration file; without one: the defaults and SPOOR_* variables")
	cmd.Flags().BoolVar(&printConfig, "print-config", false, "print every key with what is in force, secrets masked, and exit")
	return cmd
}

func (a *app) logger(c LogConfig) *slog.Logger {
	var level slog.Level
	level.UnmarshalText([]byte(c.Level)) // one of the enum's: always parses
	opts := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, opts))
	}
	return slog.New(slog.NewTextHandler(a.stderr, opts))
}

// noProgress is how long every loop may stand still, with records to read, until /healthz fails.
const noProgress = 5 * time.Minute

func (a *app) runEngine(ctx context.Context, cfg Config) error {
	log := a.logger(cfg.Log)
	set, err := a.mustLoadSet(cfg.Policies)
	if err != nil {
		return err
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	pc := cfg.Pipeline()
	pc.Log = log
	pc.DrainTimeout = min(cfg.Kafka.SessionTimeout, cfg.Kafka.RebalanceTimeout) / 2
	eng := pipeline.New(pc, set, pipeline.NewMetrics(reg))

	member := kafka.NewMember(cfg.Cluster(), eng, log)
	healthy := func() error {
		if stuck, running := eng.Stuck(noProgress); running > 0 && len(stuck) == running {
			return fmt.Errorf("no partition moved for %s although there are records to read", noProgress)
		}
		return nil
	}
	ready := func() error { return readiness(member.Status()) }
	admin, err := startAdmin(cfg.Admin, reg, healthy, ready)
	if err != nil {
		return err
	}
	defer admin.Close()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := a.reloadOnChange(ctx, cfg.Policies, eng, log); err != nil {
		return fmt.Errorf("watching the policies: %w", err)
	}
	log.Info("starting", "version", version(), "rules", len(set.Rules()), "policy_set", set.Hash(), "group", cfg.Kafka.Group,
		"input", cfg.Kafka.Input, "output", cfg.Kafka.Output, "admin", admin.Addr)
	err = member.Run(ctx)
	log.Info("stopped")
	return err
}

// readiness says what a member that is not ready waits for.
func readiness(s kafka.Status) error {
	switch {
	case s.Ready:
		return nil
	case s.Restoring > s.Paused:
		return fmt.Errorf("reading the state of %d partitions from the changelog", s.Restoring-s.Paused)
	case s.Paused > 0:
		return fmt.Errorf("%d partitions wait for an operator: the log says why", s.Paused)
	}
	return errors.New("not yet joined the consumer group")
}

// reloadOnChange takes the policies over whenever their files change and on SIGHUP, until ctx ends. The
// bundled policies do not change, but SIGHUP must not end the process either.
func (a *app) reloadOnChange(ctx context.Context, paths []string, eng *pipeline.Engine, log *slog.Logger) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	changed := make(chan struct{}, 1)
	if len(paths) > 0 {
		err := watchPolicies(ctx, paths, log, func() {
			select {
			case changed <- struct{}{}:
			default: // one is waiting already
			}
		})
		if err != nil {
			signal.Stop(hup)
			return err
		}
	}
	go func() {
		defer signal.Stop(hup)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
			case <-changed:
			}
			reload(paths, eng, log)
		}
	}()
	return nil
}

// reload swaps the set when the policies are whole and different.
func reload(paths []string, eng *pipeline.Engine, log *slog.Logger) {
	outcomes, ok := eng.Metrics().Reloads, eng.Metrics().ReloadOK
	start := time.Now()
	set, faults := loadSet(paths)
	eng.Metrics().PolicyCompile.Observe(time.Since(start).Seconds())
	switch {
	case set == nil:
		ok.Set(0)
		outcomes.WithLabelValues("failed").Inc()
		log.Error("policies have errors; the running set stays", "policy_set", eng.Set().Hash(), "errors", faults.Err())
	case set.Hash() == eng.Set().Hash():
		ok.Set(1)
		outcomes.WithLabelValues("unchanged").Inc()
		log.Info("policies are unchanged", "policy_set", set.Hash())
	default:
		eng.Swap(set)
		ok.Set(1)
		outcomes.WithLabelValues("ok").Inc()
		log.Info("policies taken over", "policy_set", set.Hash(), "rules", len(set.Rules()))
	}
}
