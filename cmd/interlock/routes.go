package main

import (
	"github.com/spf13/cobra"

	"interlock/internal/api"
	"interlock/internal/cli"
)

func newRoutesCommand() *cobra.Command {
	var clusters []string
	var host, format string
	cmd := &cobra.Command{
		Use:   "routes",
		Short: "List what the clusters serve",
		Long: `List what the clusters should serve: each host and path with the service behind
it and the number of its endpoints, and what no proxy has confirmed yet.`,
		Example: `  interlock routes
  interlock routes --cluster prod --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			var routes []api.Route
			if err := askAbout(cmd.Context(), host, "routes", clusters, &routes); err != nil {
				return err
			}
			if format == "json" {
				return printJSON(cmd.OutOrStdout(), routes)
			}
			cli.WriteRoutes(cmd.OutOrStdout(), routes)
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&clusters, "cluster", nil, "only this cluster's (may be given several times)")
	hostFlag(cmd, &host)
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}
