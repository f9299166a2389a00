package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"interlock/bundle"
	"interlock/internal/engine"
	"interlock/internal/engine/embedded"
	"interlock/internal/engine/haproxy"
	"interlock/internal/runfolder"
	"interlock/internal/supervisor"
)

// proxyPaths are where a proxy's processes find each other, as flags of both.
type proxyPaths struct {
	run, state, identity string
	engine, haproxy      string
}

func (p *proxyPaths) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&p.run, "run", "/run/interlock", "run folder, on memory")
	f.StringVar(&p.state, "state", "/var/lib/interlock", "folder of the last known good, on a volume")
	f.StringVar(&p.identity, "identity", "/run/secrets/interlock-identity", "this cluster's identity")
	f.StringVar(&p.engine, "engine", environment("INTERLOCK_ENGINE", bundle.HAProxy), "haproxy or embedded")
	f.StringVar(&p.haproxy, "haproxy", environment("INTERLOCK_HAPROXY", "/usr/sbin/haproxy"), "HAProxy's absolute path")
}

func (p *proxyPaths) check() error {
	for _, path := range []string{p.run, p.state, p.identity, p.haproxy} {
		if !filepath.IsAbs(path) {
			return &exitError{code: exitUsage, msg: fmt.Sprintf("%s is not an absolute path", path)}
		}
	}
	if p.engine != bundle.HAProxy && p.engine != bundle.Embedded {
		return &exitError{code: exitUsage, msg: fmt.Sprintf("there is no engine %q", p.engine), hint: "the engines are haproxy and embedded"}
	}
	return nil
}

func (p *proxyPaths) args() []string {
	return []string{"--run", p.run, "--state", p.state, "--identity", p.identity, "--engine", p.engine, "--haproxy", p.haproxy}
}

func environment(name, or string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return or
}

func newProxyCommand() *cobra.Command {
	var (
		paths  proxyPaths
		timing supervisor.Timing
	)
	cmd := &cobra.Command{
		Use:   "proxy",
		Short: "Run one proxy: supervisor, engine and agent",
		Long: `Run one proxy: the supervisor, which starts the engine and the agent and starts
each again when it dies. It is the command of the proxies' image; core makes the
service that runs it.

On SIGTERM, SIGQUIT or SIGINT the proxy is not ready any more but serves for
--drain-time; then it ends when its last request does, or at --grace.

Environment gives what is not a flag: INTERLOCK_CLUSTER, INTERLOCK_PROXY,
INTERLOCK_NODE, INTERLOCK_TASK and INTERLOCK_CORE (host:port of core). Core sets
them.`,
		Example: `  interlock proxy
  interlock proxy --engine embedded --run /tmp/run --state /tmp/state \
      --identity /tmp/identity`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := paths.check(); err != nil {
				return err
			}
			// The supervisor carries stop signals out itself, in its own time.
			return runProxy(context.WithoutCancel(cmd.Context()), paths, timing)
		},
	}
	paths.flags(cmd)
	cmd.Flags().DurationVar(&timing.DrainTime, "drain-time", durationFrom("INTERLOCK_DRAIN_TIME", 10*time.Second), "how long listeners stay open after a stop signal")
	cmd.Flags().DurationVar(&timing.Grace, "grace", durationFrom("INTERLOCK_GRACE", 27*time.Second), "from a stop signal to the end of everything; less than the service's stop grace period")
	return cmd
}

func durationFrom(name string, or time.Duration) time.Duration {
	d, err := time.ParseDuration(os.Getenv(name))
	if err != nil || d <= 0 {
		return or
	}
	return d
}

// proxyLog is JSON on stderr: the container's log.
func proxyLog(part string) *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("part", part)
}

func runProxy(ctx context.Context, p proxyPaths, timing supervisor.Timing) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	folder := runfolder.Folder(p.run)
	o := supervisor.Options{
		Folder:    folder,
		Agent:     append([]string{self, "agent"}, p.args()...),
		AgentEnv:  os.Environ(),
		EngineEnv: engineEnv(),
		Timing:    timing,
		Log:       proxyLog("supervisor"),
	}
	switch p.engine {
	case bundle.Embedded:
		o.Config, o.Structure = folder.Path(embedded.BundleFile), folder.Path(embedded.BundleFile)
		o.Engine = []string{self, "engine", "--run", p.run, "--proxy", os.Getenv("INTERLOCK_PROXY")}
		o.Drain = func(ctx context.Context) error { return embedded.NewRemote(folder).SetHealth(ctx, engine.Drain) }
	default:
		o.Config, o.Structure = folder.Path("haproxy.cfg"), folder.Path(haproxy.StructureFile)
		o.Engine = []string{p.haproxy, "-W", "-db", "-S", folder.Path("master.sock") + ",mode,600", "-f", o.Config}
		o.Drain = func(ctx context.Context) error { return haproxy.SetHealth(ctx, p.run, engine.Drain) }
	}
	return supervisor.Run(ctx, o)
}

// engineEnv is no more than what finds programs: a configuration can read the
// engine's environment.
func engineEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "PATH=") {
			env = append(env, v)
		}
	}
	return env
}
