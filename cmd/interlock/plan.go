package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"interlock/internal/config"
	"interlock/internal/docker"
	"interlock/internal/problems"
	"interlock/internal/provision"
	"interlock/routing"
)

func newPlanCommand() *cobra.Command {
	var host, path, format string
	cmd := &cobra.Command{
		Use:   "plan [--config config.toml]",
		Short: "Show what core would do to Docker objects, and what is in the way",
		Long: `Show the difference between the Docker objects that the clusters need and those
that exist: what core would do next, and for what it waits. Without --config it
is by the config.toml that is installed. Nothing is changed.

Whether proxies are ready is judged by their containers' health here; core also
asks the proxies themselves.

It ends with 0 when there is no problem of severity error, whatever is to be
done; 1 when there is, or nothing is installed; 2 when it was called wrongly or
Docker can't be reached.`,
		Example: `  interlock plan
  interlock plan --config new.toml --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return &exitError{code: exitUsage, msg: fmt.Sprintf("format %q is neither text nor json", format)}
			}
			plan, err := livePlan(cmd.Context(), host, path)
			if err != nil {
				return err
			}
			return writePlan(cmd.OutOrStdout(), plan, format)
		},
	}
	cmd.Flags().StringVar(&path, "config", "", "a `config.toml` instead of the installed one")
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	hostFlag(cmd, &host)
	return cmd
}

func livePlan(ctx context.Context, host, path string) (provision.Plan, error) {
	client, err := connect(ctx, host)
	if err != nil {
		return provision.Plan{}, err
	}
	defer client.Close()
	snapshot, err := client.Snapshot(ctx)
	if err != nil {
		return provision.Plan{}, err
	}
	present, err := client.Present(ctx)
	if err != nil {
		return provision.Plan{}, err
	}
	core, ok := present[provision.CoreService]
	if !ok {
		return provision.Plan{}, notInstalled(present)
	}
	running, err := client.Running(ctx, provision.CoreService)
	if err != nil {
		return provision.Plan{}, err
	}
	file, err := installedConfig(ctx, client, core.Spec, path)
	if err != nil {
		return provision.Plan{}, err
	}
	in := provision.Input{
		Clusters: file.Clusters, Snapshot: snapshot, Present: present, Now: time.Now(),
		Settings: provision.SettingsOf(env(core.Spec, provision.EnvImage), env(core.Spec, provision.EnvProxyImage),
			provision.Authority(snapshot.Secrets)),
		Unready: map[string]bool{},
	}
	for _, c := range file.Clusters {
		in.Unready[c.Name] = false
	}
	plan := provision.Make(in)
	plan.Problems = slices.Concat(provision.CoreProblems(running), file.Problems, plan.Problems)
	return plan, nil
}

// notInstalled ends a verb that needs core's service.
func notInstalled(present map[string]provision.Present) error {
	if len(present) > 0 {
		return &exitError{code: exitFindings, msg: fmt.Sprintf("there is no service %s, though %d others of Interlock's run", provision.CoreService, len(present)),
			hint: "interlock install --config config.toml makes it again"}
	}
	return &exitError{code: exitFindings, msg: "Interlock is not installed on this Swarm",
		hint: "interlock install --config config.toml --dry-run shows what that would do"}
}

// installedConfig reads the config.toml at path, or the one core has.
func installedConfig(ctx context.Context, client *docker.Client, core provision.Service, path string) (config.File, error) {
	if path != "" {
		return readConfig(path)
	}
	for _, f := range core.Configs {
		if f.Target == provision.ConfigPath {
			data, err := client.ConfigData(ctx, f.Source)
			return config.Parse(data, f.Source), err
		}
	}
	return config.File{}, fmt.Errorf("service %s has no config at %s", provision.CoreService, provision.ConfigPath)
}

func writePlan(w io.Writer, plan provision.Plan, format string) error {
	if format == "json" {
		// Lists are arrays also when they are empty.
		plan.Actions = append([]provision.Action{}, plan.Actions...)
		plan.Problems = append([]routing.Problem{}, plan.Problems...)
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(plan); err != nil {
			return err
		}
	} else {
		for _, a := range plan.Actions {
			writeAction(w, a)
		}
		for _, p := range plan.Problems {
			writeProblem(w, p)
		}
		if len(plan.Actions)+len(plan.Problems) == 0 {
			fmt.Fprintln(w, "everything is as it should be")
		}
	}
	if problems.Errors(plan.Problems) {
		return &exitError{code: exitFindings}
	}
	return nil
}
