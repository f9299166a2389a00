package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"interlock/internal/config"
	"interlock/routing"
)

// configReport is what `interlock config check` says. Its JSON is a contract.
type configReport struct {
	Problems []routing.Problem `json:"problems"`
	Clusters []configCluster   `json:"clusters"`
}

// configCluster is one cluster of a file. A cluster that is not usable is
// frozen as it is when core is given the file.
type configCluster struct {
	File    string `json:"file"`
	Table   string `json:"table"`
	Cluster string `json:"cluster"`
	Slug    string `json:"slug"`
	Usable  bool   `json:"usable"`
}

func newConfigCheckCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "check FILE…",
		Short: "Judge config.toml before it is installed",
		Long: `Check reads each FILE as core would, and says with line and key what is wrong
and what to write instead. It is stricter than core, which ignores unknown keys:
here they are errors. Each file is judged by itself. FILE is - for standard
input.

It ends with 0 when there is no problem of severity error, 1 when there is, and
2 when it was called wrongly or a file can't be read.`,
		Example: `  interlock config check config.toml
  interlock config check --format json prod/config.toml test/config.toml
  interlock config sample | interlock config check -`,
		RunE: func(cmd *cobra.Command, files []string) error {
			return runConfigCheck(cmd.InOrStdin(), cmd.OutOrStdout(), format, files)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

func runConfigCheck(in io.Reader, w io.Writer, format string, files []string) error {
	if format != "text" && format != "json" {
		return &exitError{code: exitUsage, msg: fmt.Sprintf("unknown format %q", format), hint: "write text or json"}
	}
	report, err := checkConfigs(in, files)
	switch {
	case format == "json":
		err = errors.Join(err, encode(w, report))
	case err == nil:
		err = writeConfigReport(w, files, report)
	}
	if err != nil {
		return err
	}
	return findings(report.Problems)
}

// checkConfigs does the work. With an error it still returns a well-formed
// report.
func checkConfigs(in io.Reader, files []string) (configReport, error) {
	report := configReport{Problems: []routing.Problem{}, Clusters: []configCluster{}}
	if len(files) == 0 {
		return report, &exitError{code: exitUsage, msg: "no config.toml given", hint: "interlock config check config.toml"}
	}
	for _, name := range files {
		data, err := readConfigText(in, name)
		if err != nil {
			return report, unreadable(err)
		}
		file := config.Parse(data, name)
		report.Problems = append(report.Problems, config.Strict(file.Problems)...)
		for _, c := range file.Clusters {
			report.Clusters = append(report.Clusters, configCluster{File: name, Table: c.Table, Cluster: c.Name, Slug: c.Slug(), Usable: c.Unusable == ""})
		}
	}
	return report, nil
}

func writeConfigReport(w io.Writer, files []string, r configReport) error {
	for _, p := range r.Problems {
		writeProblem(w, p)
	}
	for _, name := range files {
		if _, err := fmt.Fprintln(w, configSummary(name, r)); err != nil {
			return err
		}
	}
	return nil
}

// configSummary is one line about one file.
func configSummary(name string, r configReport) string {
	counts := map[routing.Severity]int{}
	for _, p := range r.Problems {
		if p.File == name {
			counts[p.Severity]++
		}
	}
	clusters := []string{}
	for _, c := range r.Clusters {
		switch {
		case c.File != name:
		case c.Usable:
			clusters = append(clusters, c.Slug)
		default:
			clusters = append(clusters, c.Slug+" (unusable)")
		}
	}
	words := fmt.Sprintf("%s: %d clusters", printable(name), len(clusters))
	if len(clusters) > 0 {
		words += ": " + strings.Join(clusters, ", ")
	}
	return fmt.Sprintf("%s; %d errors, %d warnings", words, counts[routing.Error], counts[routing.Warning])
}
