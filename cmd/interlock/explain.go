package main

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"interlock/internal/config"
	"interlock/internal/explain"
	"interlock/internal/policy"
	"interlock/internal/spell"
)

func newExplainCommand() *cobra.Command {
	var in offline
	var host, cluster, format string
	cmd := &cobra.Command{
		Use:   "explain [--cluster NAME] URL",
		Short: "Say which route a request takes, why, and who lost",
		Long: `Say what a cluster does with a request: which route wins and why, who holds the
host, and who asked for it in vain. URL is http://host/path; it is judged as it
stands, nothing is repaired. Without --config and --snapshot core answers, for
what it compiled last.

It ends with 0 whatever the answer, and 2 when it was called wrongly or an input
can't be read.`,
		Example: `  interlock explain --cluster prod http://www.example.com/shop
  interlock explain --config config.toml --snapshot s.json \
      --cluster prod --format json http://www.example.com/shop`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			if err := explain.CheckURL(args[0]); err != nil {
				return &exitError{code: exitUsage, msg: err.Error(), hint: "write http://host/path"}
			}
			answer := in.explain
			if in == (offline{}) {
				answer = live(host).explain
			}
			a, err := answer(cmd, cluster, args[0])
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(cmd.OutOrStdout(), a)
			}
			return writeAnswer(cmd.OutOrStdout(), a)
		},
	}
	in.flags(cmd)
	hostFlag(cmd, &host)
	cmd.Flags().StringVar(&cluster, "cluster", "", "the service cluster's `name`; the default cluster, or the only one")
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}

// explain answers from the files.
func (o *offline) explain(cmd *cobra.Command, cluster, request string) (explain.Answer, error) {
	file, out, err := o.compile(cmd.InOrStdin())
	if err != nil {
		return explain.Answer{}, err
	}
	name, err := chooseCluster(file, cluster, cmd.Flags().Changed("cluster"))
	if err != nil {
		return explain.Answer{}, err
	}
	compiled := out.Clusters[name]
	compiled.Lost = slices.Concat(compiled.Lost, out.Unserved[name])
	return explain.Explain(compiled, request), nil
}

// live is the Docker through which core is reached.
type live string

// explain asks core.
func (host live) explain(cmd *cobra.Command, cluster, request string) (a explain.Answer, err error) {
	err = ask(cmd.Context(), string(host), "explain", url.Values{"cluster": {cluster}, "url": {request}}, &a)
	return a, err
}

// chooseCluster is the named cluster, or the only one.
func chooseCluster(file config.File, name string, named bool) (string, error) {
	var names []string
	for _, c := range file.Clusters {
		if c.Unusable != "" && c.Name == name && named {
			return "", &exitError{code: exitFindings, msg: fmt.Sprintf("cluster %q can't be used: %s", name, printable(c.Unusable))}
		}
		if c.Unusable == "" {
			names = append(names, c.Name)
		}
		if c.Name == name && named {
			return name, nil
		}
	}
	if !named && len(names) == 1 {
		return names[0], nil
	}
	hint := "the clusters are " + strings.Join(names, ", ")
	if near := spell.Nearest(name, names); named && near != "" {
		hint = "did you mean " + near + "?"
	}
	msg := fmt.Sprintf("there is no cluster %q", name)
	if !named {
		msg = "--cluster is missing"
	}
	return "", &exitError{code: exitUsage, msg: msg, hint: hint}
}

func writeAnswer(w io.Writer, a explain.Answer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	line("request", "%s in cluster %q", a.URL, a.Cluster)
	line("result", "%s", outcome(a))
	line("because", "%s", a.Reason)
	if a.Route != nil {
		line("route", "%s%s", a.Route.Host, a.Route.Path)
	}
	if a.Pending {
		line("live", "not yet: no proxy has confirmed this route")
	}
	for _, b := range a.Backends {
		line("service", "%s:%d over network %s, %d endpoints", b.Service, b.Port, b.Network, len(b.Endpoints))
		for _, e := range b.Endpoints {
			line("", "%s:%d %s", e.Address, e.Port, e.Task)
		}
	}
	if a.Holder != nil {
		line("held by", "%s, as %s since %s", policy.OwnerInWords(a.Holder.Owner), a.Holder.Host, a.Holder.Since.UTC().Format(time.RFC3339))
	}
	for _, l := range a.Lost {
		line("lost", "%s: %s [%s]", l.Problem.Service, l.Problem.Message, l.Problem.Code)
	}
	for _, p := range a.Problems {
		line("problem", "%s: %s [%s]", p.Service, p.Message, p.Code)
	}
	return t.Flush()
}

func outcome(a explain.Answer) string {
	switch a.Result {
	case explain.Forwarded:
		return "forwarded as " + a.Path
	case explain.Redirected:
		return fmt.Sprintf("%d to %s", a.Status, a.Location)
	}
	return fmt.Sprintf("%s with %d", a.Result, a.Status)
}
