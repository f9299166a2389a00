package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"interlock/internal/docker"
)

func newSnapshotCommand() *cobra.Command {
	var host string
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "Write what Interlock sees in Docker, without secrets, as JSON",
		Long: `Write what Interlock sees in Docker as one JSON object with the keys services,
tasks, nodes, networks, secrets and configs, each the Engine API's list.

Data of configs, environment, arguments, commands, health tests and labels that
have nothing to do with routing are replaced by "redacted". The file is input
for "interlock compile" and "interlock explain".`,
		Example: `  interlock snapshot > s.json
  interlock compile --config config.toml --snapshot s.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return snapshot(cmd.Context(), cmd.OutOrStdout(), host)
		},
	}
	hostFlag(cmd, &host)
	return cmd
}

func snapshot(ctx context.Context, w io.Writer, host string) error {
	client, err := connect(ctx, host)
	if err != nil {
		return err
	}
	defer client.Close()
	lists, err := client.Lists(ctx, true)
	if err != nil {
		return err
	}
	return docker.WriteSnapshot(w, lists)
}

// hostFlag is for verbs that talk to Docker themselves.
func hostFlag(cmd *cobra.Command, host *string) {
	cmd.Flags().StringVarP(host, "host", "H", "", "Docker `address`; by default as the docker command finds it")
}

func connect(ctx context.Context, host string) (*docker.Client, error) {
	client, err := docker.Connect(ctx, docker.Options{Host: host})
	if err != nil {
		return nil, &exitError{code: exitUsage, msg: err.Error(),
			hint: "set DOCKER_HOST or a Docker context, or use --host, to reach a manager of the Swarm"}
	}
	return client, nil
}
