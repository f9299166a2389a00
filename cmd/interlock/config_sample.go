package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"interlock/internal/config"
)

func newConfigSampleCommand() *cobra.Command {
	var layout string
	cmd := &cobra.Command{
		Use:   "sample",
		Short: "Print a commented config.toml to begin with",
		Long: `Sample prints a config.toml for the clusters dev, test and prod with every key
that this version serves, what it means, and its default. It is valid as it is;
hosts, constraints and ports are to be changed.

With --layout dedicated each cluster has proxy nodes of its own, with shared
all proxies are on the same nodes, each cluster on ports of its own.`,
		Example: `  interlock config sample > config.toml
  interlock config sample --layout shared > config.toml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, ok := config.Sample(layout)
			if !ok {
				return &exitError{code: exitUsage, msg: fmt.Sprintf("unknown layout %q", layout), hint: "write " + strings.Join(config.Layouts, " or ")}
			}
			_, err := io.WriteString(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().StringVar(&layout, "layout", config.Layouts[0], strings.Join(config.Layouts, " or "))
	return cmd
}
