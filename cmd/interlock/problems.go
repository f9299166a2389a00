package main

import (
	"slices"

	"github.com/spf13/cobra"

	"interlock/internal/cli"
	"interlock/routing"
)

func newProblemsCommand() *cobra.Command {
	var clusters, services []string
	var host, format string
	cmd := &cobra.Command{
		Use:   "problems",
		Short: "List what is wrong: which service, which label, and the fix",
		Long: `List what core finds wrong with services, clusters and proxies. A service is
named as docker service ls names it.

It ends with 0 when none of what it lists is of severity error, 1 when something
is, and 2 when it was called wrongly, which a cluster or service that does not
exist is too, or core can't be reached.`,
		Example: `  interlock problems
  interlock problems --cluster dev --service shop_web
  interlock problems --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			found := []routing.Problem{}
			if err := askAbout(cmd.Context(), host, "problems", clusters, &found); err != nil {
				return err
			}
			if err := checkServices(cmd.Context(), host, found, services); err != nil {
				return err
			}
			if len(services) > 0 {
				found = slices.DeleteFunc(found, func(p routing.Problem) bool { return !slices.Contains(services, p.Service) })
			}
			if format == "json" {
				if err := printJSON(cmd.OutOrStdout(), found); err != nil {
					return err
				}
			} else {
				cli.WriteProblems(cmd.OutOrStdout(), found, cli.StyleFor(cmd.OutOrStdout()))
			}
			return findings(found)
		},
	}
	cmd.Flags().StringArrayVar(&clusters, "cluster", nil, "only this cluster's (may be given several times)")
	cmd.Flags().StringArrayVar(&services, "service", nil, "only this service's (may be given several times)")
	hostFlag(cmd, &host)
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}
