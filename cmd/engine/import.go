package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"spoor/rules/policy"
	"spoor/rules/secl"
	"spoor/rules/sigma"
)

func (a *app) importCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "import",
		Short: "Turn rules of other languages into policies",
		Long: `Turn rules of other languages into policies, and say of each rule whether its meaning was kept:

  imported   it means the same
  narrowed   it matches a part of what the source matches
  widened    it may match more; only when that is allowed
  refused    it is not written; the reason names the place in the source`,
		Example: `  engine import sigma sigma/rules/windows -o policies/sigma --report report.json`,
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(a.importSigmaCommand(), a.importSeclCommand())
	return c
}

// importFlags are those that every language has.
type importFlags struct{ output, report string }

func (f *importFlags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.output, "output", "o", "", "folder that the policies are written to")
	c.Flags().StringVar(&f.report, "report", "", "file that the report is written to, as JSON; - for standard output")
	_ = c.MarkFlagDirname("output")
}

func (a *app) importSigmaCommand() *cobra.Command {
	var flags importFlags
	var options sigma.Options
	var mapping, placeholders string
	c := &cobra.Command{
		Use:   "sigma SRC...",
		Short: "Import Sigma rules from files, folders and globs",
		Long: `Import Sigma rules from files, folders and globs. Each source file becomes a policy of the same name, so
that importing again after an update changes what was updated.

What is carried over, and how, is described in rules/sigma/README.md.`,
		Example: `  engine import sigma sigma/rules/windows -o policies/sigma --report report.json`,
		Args:    someArgs("SRC"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := need(cmd, "output"); err != nil {
				return err
			}
			var err error
			if options.Mapping, err = readOptional(mapping); err != nil {
				return err
			}
			if options.Placeholders, err = readOptional(placeholders); err != nil {
				return err
			}
			sources, faults := policy.ReadImportSources(args, ".yml", ".yaml")
			im := sigma.Import(sources, options)
			im.Faults = append(faults, im.Faults...).Sort()
			return a.finishImport(flags, &im)
		},
	}
	flags.add(c)
	c.Flags().BoolVar(&options.AllowWidened, "allow-widened", false, "import rules without exclusions that events cannot answer")
	c.Flags().StringVar(&mapping, "mapping", "", "file that extends the field map")
	c.Flags().StringVar(&placeholders, "placeholders", "", "file with the values of %placeholders%")
	c.Flags().StringVar(&options.License, "license", "DRL-1.1", "licence of rules that name none; that of the public Sigma rules")
	return c
}

func (a *app) importSeclCommand() *cobra.Command {
	var flags importFlags
	var options secl.Options
	c := &cobra.Command{
		Use:   "secl SRC...",
		Short: "Import SECL policies from files, folders and globs",
		Long: `Import the rules for Windows of SECL policies, from files, folders and globs. All sources are one set: macros
and overrides of one file reach the others. Each becomes a policy of the same name.

What is carried over, and how, is described in rules/secl/README.md.`,
		Example: `  engine import secl runtime-security.d -o policies/secl --report report.json`,
		Args:    someArgs("SRC"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := need(cmd, "output"); err != nil {
				return err
			}
			sources, faults := policy.ReadImportSources(args, ".policy", ".yaml", ".yml")
			im := secl.Import(sources, options)
			im.Faults = append(faults, im.Faults...).Sort()
			return a.finishImport(flags, &im)
		},
	}
	flags.add(c)
	c.Flags().BoolVar(&options.AllowWidened, "allow-widened", false, "import rules whose filters depend on the host, for every host")
	return c
}

// readOptional reads a file that a flag names, nil when it names none.
func readOptional(name string) (*policy.ImportSource, error) {
	if name == "" {
		return nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return &policy.ImportSource{Name: filepath.ToSlash(name), Data: data}, nil
}

// importedHeader is the first line of every policy that is written.
const importedHeader = "# Written by engine import, which replaces this file: change its rules by overrides in a policy of your own.\n"

// finishImport writes policies and report. It fails when something could not be read, after everything else
// is written.
func (a *app) finishImport(flags importFlags, im *policy.Import) error {
	for _, d := range im.Faults {
		fmt.Fprintln(a.stderr, d)
	}
	for _, p := range im.Policies {
		name := filepath.Join(flags.output, filepath.FromSlash(p.Path))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, append([]byte(importedHeader), policy.Print(p)...), 0o644); err != nil {
			return err
		}
	}
	table := a.stdout
	if flags.report != "" {
		var b bytes.Buffer
		if err := im.WriteReport(&b); err != nil {
			return err
		}
		if flags.report == "-" {
			table = io.Discard
			if _, err := a.stdout.Write(b.Bytes()); err != nil {
				return err
			}
		} else if err := os.WriteFile(flags.report, b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	if err := im.WriteTable(table); err != nil {
		return err
	}
	a.warnOfOthers(flags.output, im)
	if im.Faults.HasErrors() {
		return errFailed
	}
	return nil
}

// warnOfOthers says that the folder holds policies that this import has not written: of rules, for instance,
// that are no longer there.
func (a *app) warnOfOthers(output string, im *policy.Import) {
	written := map[string]bool{}
	for _, p := range im.Policies {
		written[filepath.Join(output, filepath.FromSlash(p.Path))] = true
	}
	others, first := 0, ""
	_ = filepath.WalkDir(output, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(p, ".yaml") && !written[p] {
			if others++; others == 1 {
				first = p
			}
		}
		return nil
	})
	if others > 0 {
		fmt.Fprintf(a.stderr, "engine: %s holds %d policies that this import did not write, for instance %s\n", output, others, first)
	}
}
