package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"interlock/internal/migrate"
	"interlock/internal/problems"
	"interlock/internal/stackfile"
	"interlock/routing"
)

// migrateOptions are the flags of migrate.
type migrateOptions struct {
	format           string
	write, container bool
}

func newMigrateCommand() *cobra.Command {
	var o migrateOptions
	cmd := &cobra.Command{
		Use:   "migrate traefik|hrm FILE…",
		Short: "Rewrite stack files that are labelled for another router",
		Long: `Migrate rewrites the labels of Traefik (1, 2 and 3) or of Docker Enterprise's
HTTP routing mesh (hrm) in a stack file into labels of Interlock's, and prints
the file. All else stays as it is: comments, layout, quotes, order. It never
guesses: what can't be expressed exactly is listed on standard error, with its
line and what to do, and stays in the file; a service whose route can't be
expressed is left as it was. With --format json the list is JSON.

With --write files are replaced instead of printed, each at once or not at all.
FILE is - for standard input, without --write. Check the result with
interlock check.

It ends with 0 when all is expressed, 1 when something is not (what is written
is still valid), and 2 when it was called wrongly or a file can't be read or
written.`,
		Example: `  interlock migrate traefik docker-stack.yml > interlock-stack.yml
  interlock migrate traefik --write stacks/*.yml
  interlock migrate hrm --format json old.yml 2> left.json > new.yml`,
		RunE: func(cmd *cobra.Command, args []string) error { return runMigrate(cmd, o, args) },
	}
	cmd.Flags().StringVar(&o.format, "format", "text", "of the list: text or json")
	cmd.Flags().BoolVar(&o.write, "write", false, "replace the files instead of printing one")
	cmd.Flags().BoolVar(&o.container, "container", false, "move labels that stand on the container, as\nCompose has them, to deploy: labels:")
	return cmd
}

// migration is what is said of all files. Its JSON is a contract.
type migration struct {
	Problems []routing.Problem `json:"problems"`
	Migrated []migrated        `json:"migrated"`
}

// migrated is a service that was rewritten.
type migrated struct {
	File    string `json:"file"`
	Service string `json:"service"`
}

// migratedFile is a file before and after.
type migratedFile struct {
	name          string
	before, after []byte
}

func runMigrate(cmd *cobra.Command, o migrateOptions, args []string) error {
	if err := migrateUsage(o, args); err != nil {
		return err
	}
	files, report, err := migrateFiles(cmd.InOrStdin(), o, migrate.Dialect(args[0]), args[1:])
	if err != nil {
		return unreadable(err)
	}
	// All files are read and judged: from here on, things change.
	if err := deliver(cmd.OutOrStdout(), o, files); err != nil {
		return err
	}
	if err := writeMigration(cmd.ErrOrStderr(), o.format, report); err != nil {
		return fmt.Errorf("write list: %w", err)
	}
	return findings(report.Problems)
}

func migrateUsage(o migrateOptions, args []string) error {
	usage := func(msg, hint string) error { return &exitError{code: exitUsage, msg: msg, hint: hint} }
	dialects := []string{string(migrate.Traefik), string(migrate.HRM)}
	switch {
	case o.format != "text" && o.format != "json":
		return usage(fmt.Sprintf("unknown format %q", o.format), "write text or json")
	case len(args) == 0 || !slices.Contains(dialects, args[0]):
		return usage("it is not said whose labels are to be migrated", "interlock migrate traefik docker-stack.yml, or interlock migrate hrm docker-stack.yml")
	case len(args) == 1:
		return usage("no stack file given", "interlock migrate "+args[0]+" docker-stack.yml")
	case !o.write && len(args) > 2:
		return usage("several files can't be printed as one", "add --write to replace each of them")
	case o.write && slices.Contains(args, stackfile.Stdin):
		return usage("standard input can't be replaced", "leave out --write")
	}
	return nil
}

func migrateFiles(in io.Reader, o migrateOptions, d migrate.Dialect, names []string) ([]migratedFile, migration, error) {
	var files []migratedFile
	report := migration{Problems: []routing.Problem{}, Migrated: []migrated{}}
	for _, name := range names {
		data, err := readStack(in, name)
		if err != nil {
			return nil, report, fmt.Errorf("read stack file: %w", err)
		}
		result := migrate.File(migrate.Source{File: name, Data: data, Container: o.container, Env: os.LookupEnv}, d)
		files = append(files, migratedFile{name, data, result.Data})
		report.Problems = append(report.Problems, result.Problems...)
		for _, s := range result.Migrated {
			report.Migrated = append(report.Migrated, migrated{name, s})
		}
	}
	return files, report, nil
}

// readStack reads a file no further than one byte beyond what is accepted.
func readStack(in io.Reader, name string) ([]byte, error) {
	if name != stackfile.Stdin {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, migrate.MaxFile+1))
}

// deliver prints the one file, or replaces those that have changed.
func deliver(w io.Writer, o migrateOptions, files []migratedFile) error {
	if !o.write {
		_, err := w.Write(files[0].after)
		return err
	}
	for _, f := range files {
		if string(f.before) == string(f.after) {
			continue
		}
		if err := replaceFile(f.name, f.after); err != nil {
			return fmt.Errorf("replace %s: %w", f.name, err)
		}
	}
	return nil
}

// replaceFile writes beside a file and renames, so that there is the old file
// or the new one, and never half of one. A link stays a link.
func replaceFile(name string, data []byte) (err error) {
	if name, err = filepath.EvalSymlinks(name); err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".interlock-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err = cmp.Or(err, f.Chmod(info.Mode().Perm()), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func writeMigration(w io.Writer, format string, m migration) error {
	if format == "json" {
		return encode(w, m)
	}
	lost := 0
	for _, p := range m.Problems {
		writeProblem(w, p)
		if p.Severity == routing.Error {
			lost++
		}
	}
	_, err := fmt.Fprintf(w, "%d services migrated, %d labels or services not expressed\n", len(m.Migrated), lost)
	if problems.Errors(m.Problems) {
		fmt.Fprintln(w, "the codes in brackets are explained in docs/problems.md")
	}
	return err
}
