package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"interlock/internal/api"
	"interlock/internal/cli"
	"interlock/internal/policy"
)

func newApproveCommand() *cobra.Command {
	var host, format string
	cmd := &cobra.Command{
		Use:   "approve STACK COLLECTION",
		Short: "Let a stack move to another collection",
		Long: `Make a collection the home of a stack. A stack is at home where it was first
admitted; its labels alone can't move it. A service without a stack is named
service:NAME. It returns when core has stored it.`,
		Example: `  interlock approve shop /prod
  interlock approve service:legacy /test`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			order := api.Approval{Owner: args[0], Collection: args[1]}
			if err := policy.CheckHome(order.Owner, order.Collection); err != nil {
				return &exitError{code: exitUsage, msg: err.Error(), hint: "interlock approve shop /prod"}
			}
			var done api.Approval
			if err := tell(cmd.Context(), host, "approve", order, &done); err != nil {
				return err
			}
			if format == "json" {
				return printJSON(cmd.OutOrStdout(), done)
			}
			fmt.Fprintln(cmd.OutOrStdout(), cli.Approved(done))
			return nil
		},
	}
	orderFlags(cmd, &host, &format)
	return cmd
}
