// Command engine is Spoor's one binary: it runs policies over events from Kafka or from recorded traffic.
// One thin file per command; this is the only package that knows every other (but bench). It owns the
// configuration, the exit codes and everything that a person sees.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"spoor/rules/policy"
)

// app is what a command may touch of its surroundings; tests give their own.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	environ        []string
}

// Exit codes: 0 done, 1 the command found faults or failed, 2 it was called wrongly.
const (
	exitFailed = 1
	exitUsage  = 2
)

// errFailed ends a command with exit code 1 after it has said why.
var errFailed = errors.New("failed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once: the first one's handler is gone by then.
	context.AfterFunc(ctx, stop)
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ()}
	os.Exit(a.run(ctx, os.Args[1:]))
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFailed):
		return exitFailed
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		fmt.Fprintln(a.stderr, "engine: interrupted")
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "engine: %v\nTry '%s --help'.\n", err, usage.command)
		return exitUsage
	default:
		fmt.Fprintf(a.stderr, "engine: %v\n", err)
		return exitFailed
	}
}

// usageError is a wrong call: a flag or an argument.
type usageError struct {
	err     error
	command string
}

func (e *usageError) Error() string { return e.err.Error() }

// need is a usageError when one of the flags is not given.
func need(cmd *cobra.Command, flags ...string) error {
	for _, f := range flags {
		if !cmd.Flags().Changed(f) {
			return &usageError{fmt.Errorf("--%s is needed", f), cmd.CommandPath()}
		}
	}
	return nil
}

// noArgs is for commands without arguments, groups of commands among them: a wrong name is answered with the
// nearest one.
func noArgs(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case !cmd.HasSubCommands():
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	names := make([]string, len(cmd.Commands()))
	for i, c := range cmd.Commands() {
		names[i] = c.Name()
	}
	if near := policy.Suggest(args[0], names); near != "" {
		return fmt.Errorf("there is no command %q; did you mean %q?", args[0], near)
	}
	return fmt.Errorf("there is no command %q", args[0])
}

// someArgs is for commands that need at least one argument, called what.
func someArgs(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%s is needed", what)
		}
		return nil
	}
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "engine",
		Short: "Detection rules on streams of Windows runtime-security events",
		Long: `Spoor reads Windows runtime-security events from Kafka, gives each its process lineage, evaluates
YAML policies and publishes a signal for every event that matches.

New here? Start with 'engine demo'.

The exit code is 0 when all is well, 1 when a command failed or found faults, 2 when it was called wrongly.`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("spoor {{.Version}}\n") // as 'engine version' prints it
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.AddCommand(a.demoCommand(), a.runCommand(), a.replayCommand(), a.recordCommand(), a.checkCommand(),
		a.testCommand(), a.explainCommand(), a.diffCommand(), a.benchCommand(), a.importCommand(), a.stateCommand(), a.schemaCommand(), a.versionCommand())
	wrong := func(cmd *cobra.Command, err error) error { return &usageError{err, cmd.CommandPath()} }
	root.SetFlagErrorFunc(wrong)
	all := []*cobra.Command{root}
	for i := 0; i < len(all); i++ {
		all = append(all, all[i].Commands()...)
	}
	for _, c := range all {
		if check := c.Args; check != nil {
			c.Args = func(cmd *cobra.Command, args []string) error {
				if err := check(cmd, args); err != nil {
					return wrong(cmd, err)
				}
				return nil
			}
		}
	}
	return root
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  engine version",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.stdout, "spoor", version())
			return err
		},
	}
}

// version is the module's version, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
