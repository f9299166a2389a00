package main

import (
	"log/slog"

	"github.com/spf13/cobra"

	"interlock/internal/dev"
)

func newDevCommand() *cobra.Command {
	o := dev.Options{Problem: writeProblem}
	var verbose bool
	cmd := &cobra.Command{
		Use:   "dev DIR",
		Short: "Serve a folder of stack files on this machine, without Docker",
		Long: `Serve what the stack files in DIR (and below) ask for, on this machine and
without Docker: each service cluster on a port of its own on the loopback, with
the admission, the checks and the routing of production. A config.toml in DIR
gives the policy; without one each service_cluster that a label names is a
cluster that admits everything. Changes are taken up as files are saved.

A service runs where its label com.docker.interlock.dev.upstream says, such as
127.0.0.1:9000; without it an application that echoes requests plays it.`,
		Example: `  interlock dev ./stacks
  interlock dev --port 0 --verbose deploy/dev-example`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			level := slog.LevelWarn
			if verbose {
				level = slog.LevelDebug
			}
			o.Dir, o.Out = args[0], cmd.OutOrStdout()
			o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			return dev.Run(cmd.Context(), o)
		},
	}
	cmd.Flags().IntVar(&o.Port, "port", 8080, "port of the first cluster, further ones follow; 0 takes free ones")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "log failed requests and endpoints that change")
	return cmd
}
