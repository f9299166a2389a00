package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"interlock/internal/cli"
	"interlock/internal/compile"
	"interlock/internal/config"
	"interlock/internal/docker"
	"interlock/internal/problems"
	"interlock/routing"
)

// configMax bounds a config.toml in bytes: what a Docker config can hold.
const configMax = 1 << 20

// offline is what verbs work on without a Swarm: a config.toml and a snapshot,
// compiled as core would at a first start.
type offline struct {
	configPath, snapshotPath string
}

func (o *offline) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.configPath, "config", "", "the operator's `config.toml`")
	cmd.Flags().StringVar(&o.snapshotPath, "snapshot", "", "a `file` written by interlock snapshot, or - for standard input")
}

// compile reads both files and compiles every usable cluster.
func (o *offline) compile(stdin io.Reader) (config.File, compile.AllOutput, error) {
	var none compile.AllOutput
	file, err := readConfig(o.configPath)
	if err != nil {
		return file, none, err
	}
	in, closeFile, err := openOr(o.snapshotPath, stdin)
	if err != nil {
		return file, none, unreadable(err)
	}
	defer closeFile()
	snap, err := docker.ReadSnapshot(in)
	if err != nil {
		return file, none, unreadable(err)
	}
	out := compile.All(compile.AllInput{Snapshot: snap, Clusters: file.Clusters})
	out.Problems = append(slices.Clone(file.Problems), out.Problems...)
	return file, out, nil
}

// readConfig reads a config.toml whose clusters can be told apart.
func readConfig(path string) (config.File, error) {
	if path == "" {
		return config.File{}, &exitError{code: exitUsage, msg: "--config is missing", hint: "name the operator's config.toml"}
	}
	data, err := readBounded(path)
	if err != nil {
		return config.File{}, unreadable(err)
	}
	file := config.Parse(data, path)
	if file.Unreadable != "" {
		return file, notTOML(path, file)
	}
	return file, nil
}

// notTOML names the line that can't be read, as `interlock check` does.
func notTOML(path string, file config.File) error {
	exit := &exitError{code: exitUsage, msg: fmt.Sprintf("%s is not valid TOML: %s", path, printable(file.Unreadable))}
	if len(file.Problems) > 0 {
		p := file.Problems[0]
		exit.msg = fmt.Sprintf("%s:%d: %s", path, p.Line, printable(p.Message))
		exit.hint = p.Hint
	}
	return exit
}

// readBounded reads a config.toml as far as it may be one.
func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, configMax+1))
	if err == nil && len(data) > configMax {
		err = fmt.Errorf("%s has more than %d bytes", path, configMax)
	}
	return data, err
}

// openOr opens a file, or takes other for "-".
func openOr(path string, other io.Reader) (io.Reader, func(), error) {
	switch path {
	case "":
		return nil, nil, fmt.Errorf("--snapshot is missing")
	case "-":
		return other, func() {}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	return f, func() { f.Close() }, nil
}

func unreadable(err error) error { return &exitError{code: exitUsage, msg: err.Error()} }

// findings ends a verb as `interlock check` does: with a code of its own where
// there is a problem of severity error.
func findings(ps []routing.Problem) error {
	if problems.Errors(ps) {
		return &exitError{code: exitFindings}
	}
	return nil
}

// writeProblem prints a problem for people, label text without its teeth.
func writeProblem(w io.Writer, p routing.Problem) {
	where := p.Service
	if p.File != "" {
		where = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if p.Label != "" {
		where += " " + p.Label
	}
	fmt.Fprintf(w, "%s: %s: %s [%s]\n", p.Severity, printable(strings.TrimSpace(where)), printable(p.Message), p.Code)
	if p.Hint != "" {
		fmt.Fprintf(w, "    hint: %s\n", printable(p.Hint))
	}
}

// printable is text of any origin, safe for a terminal.
func printable(s string) string { return cli.Printable(s) }
