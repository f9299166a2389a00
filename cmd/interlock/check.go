package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"interlock/internal/check"
	"interlock/internal/config"
	"interlock/internal/problems"
	"interlock/internal/stackfile"
	"interlock/routing"
)

// checkOptions are the flags of check.
type checkOptions struct {
	config, format, stack, collection string
}

func newCheckCommand() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check [--config config.toml] FILE…",
		Short: "Judge stack files before they are deployed",
		Long: `Check reads stack files as docker stack deploy would, offline, and says which
routes their services would get and what is wrong, with the line and the fix.
Each file is a stack of its own, named after the file unless --stack says
otherwise; files that claim the same host are told so.

With --config it applies the operator's policy, and checks config.toml itself;
without, every cluster that a service asks for is taken to exist and to admit
it. FILE is - for standard input, at most once.

It ends with 0 when there is no problem of severity error, 1 when there is, and
2 when it was called wrongly or a file can't be read.`,
		Example: `  interlock check docker-stack.yml
  interlock check --config config.toml --collection /dev --format json dev/*.yml
  interlock check --config config.toml
  docker stack config -c shop.yml | interlock check --stack shop -`,
		RunE: func(cmd *cobra.Command, files []string) error {
			return runCheck(cmd.InOrStdin(), cmd.OutOrStdout(), o, files)
		},
	}
	cmd.Flags().StringVar(&o.config, "config", "", "the operator's `config.toml`")
	cmd.Flags().StringVar(&o.format, "format", "text", "text, json or sarif")
	cmd.Flags().StringVar(&o.stack, "stack", "", "the `name` that the stack will be deployed under")
	cmd.Flags().StringVar(&o.collection, "collection", "", "the `path` that services without a collection label will be in")
	return cmd
}

// checkGarbage lets the heap grow to five times what is in use before it is
// collected: check ends soon, and takes a tenth less time for it.
const checkGarbage = 400

func runCheck(in io.Reader, w io.Writer, o checkOptions, files []string) error {
	write, ok := map[string]func(io.Writer, check.Report) error{"text": writeReport, "json": writeReportJSON, "sarif": writeReportSARIF}[o.format]
	if !ok {
		return &exitError{code: exitUsage, msg: fmt.Sprintf("unknown format %q", o.format), hint: "write text, json or sarif"}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(checkGarbage))
	report, err := checkFiles(in, o, files)
	if err != nil {
		if o.format != "text" {
			return errors.Join(err, write(w, report))
		}
		return err
	}
	if err := write(w, report); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return findings(report.Problems)
}

// checkFiles does the work. With an error it still returns a well-formed report.
func checkFiles(in io.Reader, o checkOptions, files []string) (check.Report, error) {
	none := check.Report{Problems: []routing.Problem{}, Routes: []check.Route{}}
	if len(files) == 0 && o.config == "" {
		return none, &exitError{code: exitUsage, msg: "no stack file given", hint: "interlock check docker-stack.yml"}
	}
	project, found, err := stackfile.LoadOr(in, files, o.stack, os.LookupEnv)
	if err != nil {
		return none, unreadable(err)
	}
	project = check.InCollection(project, o.collection)
	if o.config == "" {
		return check.Run(project, found, check.Assumed(project)), nil
	}
	file, err := readConfig(o.config)
	if err != nil && file.Unreadable == "" {
		return none, err
	}
	return check.Run(project, append(config.Strict(file.Problems), found...), file.Clusters), nil
}

func writeReport(w io.Writer, r check.Report) error {
	for _, p := range r.Problems {
		writeProblem(w, p)
	}
	for _, route := range r.Routes {
		fmt.Fprintf(w, "route: %s%s -> %s %s:%d over %s in cluster %q\n", route.Host, route.Path,
			printable(route.Stack), printable(route.Service), route.Port, printable(route.Network), route.Cluster)
	}
	counts := map[routing.Severity]int{}
	for _, p := range r.Problems {
		counts[p.Severity]++
	}
	_, err := fmt.Fprintf(w, "%d routes, %d errors, %d warnings\n", len(r.Routes), counts[routing.Error], counts[routing.Warning])
	if problems.Errors(r.Problems) {
		fmt.Fprintln(w, "the codes in brackets are explained in docs/problems.md")
	}
	return err
}

func writeReportJSON(w io.Writer, r check.Report) error { return encode(w, r) }

func writeReportSARIF(w io.Writer, r check.Report) error { return encode(w, check.AsSARIF(r, version)) }

func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
