package main

import (
	"context"

	"github.com/spf13/cobra"

	"interlock/internal/api"
	"interlock/internal/cli"
)

func newClaimsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "claims",
		Short: "List and change who holds which host",
		Long: `List and change who holds which host. What config.toml says in Owners counts
before any claim.`,
		Example: `  interlock claims list
  interlock claims transfer --cluster prod www.example.com newshop`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newClaimsListCommand(), newClaimsReleaseCommand(), newClaimsTransferCommand())
	return cmd
}

func newClaimsListCommand() *cobra.Command {
	var clusters []string
	var host, format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List who holds which host and path",
		Long: `List who holds which host and path, since when, and for how long nobody of that
stack has asked for it any more.`,
		Example: `  interlock claims list
  interlock claims list --cluster prod --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			var claims []api.Claim
			if err := askAbout(cmd.Context(), host, "claims", clusters, &claims); err != nil {
				return err
			}
			return printClaims(cmd, format, claims)
		},
	}
	cmd.Flags().StringArrayVar(&clusters, "cluster", nil, "only this cluster's (may be given several times)")
	orderFlags(cmd, &host, &format)
	return cmd
}

func newClaimsReleaseCommand() *cobra.Command {
	var order api.ClaimOrder
	var host, format string
	cmd := &cobra.Command{
		Use:   "release HOST",
		Short: "End the claims on a host",
		Long: `End the claims on a host. The oldest service that asks for it gets it, which may
be one of the stack that held it. It prints who holds it now.`,
		Example: `  interlock claims release --cluster prod www.example.com`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			order.Host = args[0]
			return changeClaims(cmd, host, format, "claims/release", order)
		},
	}
	cmd.Flags().StringVar(&order.Cluster, "cluster", "", "the cluster (the default one)")
	orderFlags(cmd, &host, &format)
	return cmd
}

func newClaimsTransferCommand() *cobra.Command {
	var order api.ClaimOrder
	var host, format string
	cmd := &cobra.Command{
		Use:   "transfer HOST STACK",
		Short: "Give the claims on a host to another stack",
		Long: `Give the claims on a host to another stack, which must have a service in the
cluster. A service without a stack is named service:NAME. It prints who holds
the host now.`,
		Example: `  interlock claims transfer --cluster prod www.example.com newshop`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			order.Host, order.Owner = args[0], args[1]
			return changeClaims(cmd, host, format, "claims/transfer", order)
		},
	}
	cmd.Flags().StringVar(&order.Cluster, "cluster", "", "the cluster (the default one)")
	orderFlags(cmd, &host, &format)
	return cmd
}

func changeClaims(cmd *cobra.Command, host, format, path string, order api.ClaimOrder) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	var now []api.Claim
	if err := tell(cmd.Context(), host, path, order, &now); err != nil {
		return err
	}
	return printClaims(cmd, format, now)
}

func printClaims(cmd *cobra.Command, format string, claims []api.Claim) error {
	if format == "json" {
		return printJSON(cmd.OutOrStdout(), claims)
	}
	cli.WriteClaims(cmd.OutOrStdout(), claims)
	return nil
}

func orderFlags(cmd *cobra.Command, host, format *string) {
	hostFlag(cmd, host)
	cmd.Flags().StringVar(format, "format", "text", "text or json")
}

// tell has core do something.
func tell(ctx context.Context, host, path string, order, into any) error {
	client, err := cli.Connect(ctx, host)
	if err != nil {
		return hinted(err)
	}
	defer client.Close()
	return hinted(client.Post(ctx, path, order, into))
}
