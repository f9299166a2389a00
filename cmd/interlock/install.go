package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"interlock/internal/config"
	"interlock/internal/docker"
	"interlock/internal/identity"
	"interlock/internal/problems"
	"interlock/internal/provision"
)

// installation is what the flags of install say.
type installation struct {
	host, config      string
	image, proxyImage string
	constraints       []string
	logLevel          string
	dryRun, detach    bool
	timeout           time.Duration
}

func newInstallCommand() *cobra.Command {
	var o installation
	cmd := &cobra.Command{
		Use:   "install --config config.toml",
		Short: "Install Interlock on a Swarm, or give it another config.toml",
		Long: `Install Interlock on the Swarm that your Docker context points to: networks,
identities (one secret for core, one for each cluster), config.toml as a Docker
config, and core's service on a manager. Core makes the rest: the extension and
the proxies of each cluster ("interlock plan" shows what it wants).

Run it again with another config.toml, or another image, to change an
installation; what is as it should be is left alone. Running proxies go on
serving while core is replaced. Their image changes only when config.toml's
ProxyImage or --proxy-image says so.

It ends with 0 when all is installed and core runs; 1 when something is wrong
with config.toml or the Swarm, or core does not run in time; 2 when it was
called wrongly or Docker can't be reached.`,
		Example: `  interlock install --config config.toml
  interlock install --config config.toml --dry-run \
      --image registry.example.com/interlock:1.2
  docker context use production && interlock install --config config.toml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.run(cmd.Context(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "the operator's `config.toml`")
	f.StringVar(&o.image, "image", "interlock:"+version, "image of core and extension")
	f.StringVar(&o.proxyImage, "proxy-image", "", "image of the proxies, also of running ones")
	f.StringArrayVar(&o.constraints, "constraint", nil, "a placement constraint for core beside node.role==manager")
	f.StringVar(&o.logLevel, "log-level", "", "debug, info, warn or error")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be done, and do nothing")
	f.BoolVar(&o.detach, "detach", false, "do not wait until core runs")
	f.DurationVar(&o.timeout, "timeout", 2*time.Minute, "how long to wait until core runs")
	hostFlag(cmd, &o.host)
	return cmd
}

func (o installation) run(ctx context.Context, w io.Writer) error {
	file, err := readConfig(o.config)
	if err != nil {
		return err
	}
	for _, p := range file.Problems {
		writeProblem(w, p)
	}
	if problems.Errors(file.Problems) {
		return &exitError{code: exitFindings, msg: "nothing was installed", hint: "correct " + o.config + " first"}
	}
	client, err := connect(ctx, o.host)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.CheckManager(ctx); err != nil {
		return err
	}
	plan, mint, err := o.plan(ctx, client, file.Clusters)
	if err != nil {
		return err
	}
	for _, p := range plan.Problems {
		writeProblem(w, p)
	}
	if problems.Errors(plan.Problems) {
		return &exitError{code: exitFindings, msg: "nothing was installed"}
	}
	return o.apply(ctx, w, client, plan, mint)
}

func (o installation) plan(ctx context.Context, client *docker.Client, clusters []config.Cluster) (provision.Plan, docker.Mint, error) {
	text, err := os.ReadFile(o.config)
	if err != nil {
		return provision.Plan{}, nil, unreadable(err)
	}
	snapshot, err := client.Snapshot(ctx)
	if err != nil {
		return provision.Plan{}, nil, err
	}
	present, err := client.Present(ctx)
	if err != nil {
		return provision.Plan{}, nil, err
	}
	in := provision.Install{
		Clusters: clusters, Config: text, Snapshot: snapshot, Present: present,
		Core: provision.Core{Image: o.image, ProxyImage: o.proxyImage, Constraints: o.constraints, LogLevel: o.logLevel},
	}
	mint := noMint
	if in.Authority = provision.Authority(snapshot.Secrets); in.Authority == "" {
		core, err := identity.NewCore(time.Now())
		if err != nil {
			return provision.Plan{}, nil, err
		}
		in.Authority, in.First, mint = core.Authority(), true, minter(core)
	} else if o.proxyImage == "" {
		in.Core.ProxyImage = env(present[provision.CoreService].Spec, provision.EnvProxyImage)
	}
	return provision.MakeInstall(in), mint, nil
}

// env is the value of a variable in a service's environment.
func env(s provision.Service, name string) string {
	i := slices.IndexFunc(s.Env, func(e string) bool { return len(e) > len(name) && e[:len(name)+1] == name+"=" })
	if i < 0 {
		return ""
	}
	return s.Env[i][len(name)+1:]
}

func noMint(string) ([]byte, error) {
	return nil, errors.New("only core can make identities once it is installed")
}

// minter makes the content of identities' secrets, core's own included.
func minter(core identity.Identity) docker.Mint {
	return func(uri string) ([]byte, error) {
		if uri == core.URI() {
			return core.Marshal()
		}
		id, err := core.Mint(uri, time.Now())
		if err != nil {
			return nil, err
		}
		return id.Marshal()
	}
}

func (o installation) apply(ctx context.Context, w io.Writer, client *docker.Client, plan provision.Plan, mint docker.Mint) error {
	if len(plan.Actions) == 0 {
		fmt.Fprintln(w, "everything is as it should be")
	}
	for _, a := range plan.Actions {
		writeAction(w, a)
		if o.dryRun {
			continue
		}
		if err := client.Apply(ctx, a, mint); err != nil {
			return fmt.Errorf("%s: %w", a.Kind, err)
		}
	}
	if o.dryRun || o.detach {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	fmt.Fprintln(w, "waiting for core to run")
	if err := client.Await(ctx, provision.CoreService, func(words string) {
		fmt.Fprintln(w, "    a task of core's is", printable(words))
	}); err != nil {
		return &exitError{code: exitFindings, msg: err.Error(), hint: "see docker service ps --no-trunc " + provision.CoreService}
	}
	fmt.Fprintln(w, "core runs; see interlock status and interlock plan")
	return nil
}

// writeAction prints a step of a plan for people.
func writeAction(w io.Writer, a provision.Action) {
	cluster := ""
	if a.Cluster != "" {
		cluster = " for cluster " + a.Cluster
	}
	fmt.Fprintf(w, "%s %s%s\n", a.Kind, printable(a.Name), printable(cluster))
	for _, c := range a.Changes {
		fmt.Fprintf(w, "    %s: %s -> %s\n", c.Field, printable(shortened(c.From)), printable(shortened(c.To)))
	}
}

func shortened(text string) string {
	if text == "" {
		return "none"
	}
	if r := []rune(text); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return text
}

func newUninstallCommand() *cobra.Command {
	var (
		host    string
		yes     bool
		timeout time.Duration
	)
	cmd := &cobra.Command{
		Use:   "uninstall --yes",
		Short: "Remove all that Interlock made on a Swarm, proxies included",
		Long: `Remove the services, secrets, configs and networks that Interlock made on the
Swarm, its stored state included. Routing ends. The volumes named il-* on the
nodes that proxies ran on stay; "docker volume rm" removes them there.`,
		Example: "  interlock uninstall --yes\n  interlock uninstall --yes --timeout 5m",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				return &exitError{code: exitUsage, msg: "this ends all routing", hint: "say --yes"}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return uninstall(ctx, cmd.OutOrStdout(), host)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	cmd.Flags().DurationVar(&timeout, "timeout", 2*time.Minute, "how long to wait until networks are let go")
	hostFlag(cmd, &host)
	return cmd
}

func uninstall(ctx context.Context, w io.Writer, host string) error {
	client, err := connect(ctx, host)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.RemoveAll(ctx, func(r docker.Removed) {
		fmt.Fprintf(w, "removed %s %s\n", r.Kind, printable(r.Name))
	})
}
