package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"interlock/internal/api"
	"interlock/internal/cli"
	"interlock/internal/config"
	"interlock/internal/core"
	"interlock/internal/docker"
	"interlock/internal/fleet"
	"interlock/internal/identity"
	"interlock/internal/provision"
	"interlock/internal/store"
)

// coreFlags are the role's.
type coreFlags struct {
	config, identity, listen, socket string
}

func newCoreCommand() *cobra.Command {
	var f coreFlags
	cmd := &cobra.Command{
		Use:   "core",
		Short: "Watch the Swarm and decide what every proxy serves",
		Long: `Watch the Swarm, decide what every cluster serves, and bring it to the proxies.
It runs on a manager with Docker's socket; "interlock install" starts it, and
verbs such as "interlock status" talk to it through Docker.

Environment: INTERLOCK_LOG_LEVEL is debug, info, warn or error.`,
		Example: `  interlock core
  interlock core --config ./config.toml --identity ./core-identity`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runCore(cmd.Context(), f, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&f.config, "config", provision.ConfigPath, "the operator's `config.toml`")
	cmd.Flags().StringVar(&f.identity, "identity", identityFile, "file with core's identity")
	cmd.Flags().StringVar(&f.listen, "listen", ":"+provision.CorePort, "address on which agents are served")
	cmd.Flags().StringVar(&f.socket, "socket", api.Socket, "unix socket of the operator's API")
	return cmd
}

// newAPIPipeCommand is what verbs run in core's container through Docker.
func newAPIPipeCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "api-pipe",
		Short:  "Connect stdin and stdout to core's API",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cli.Pipe(cmd.Context(), api.Socket, cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

// runCore wires core in dependency order; all that can fail because of how it
// was started does so before anything is served.
func runCore(ctx context.Context, f coreFlags, stderr io.Writer) error {
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: logLevel()}))
	id, err := readIdentity(f.identity)
	if err != nil {
		return err
	}
	if id.URI() != identity.CoreURI || id.SigningKey() == nil {
		return unreadable(fmt.Errorf("%s is the identity of %s, not of core", f.identity, id.URI()))
	}
	text, err := readBounded(f.config)
	if err != nil {
		return unreadable(err)
	}
	socket, err := api.Listen(f.socket)
	if err != nil {
		return err
	}
	defer socket.Close()
	agents, err := net.Listen("tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listen for agents: %w", err)
	}
	defer agents.Close()
	engine, err := connectDocker(ctx, config.Parse(text, "config.toml").Core, log)
	if err != nil {
		return err
	}
	defer engine.Close()
	durable := store.New(engine, id.SigningKey(), log)
	file, err := core.LoadConfig(ctx, durable, text, log)
	if err != nil {
		return err
	}
	extensions := core.NewExtensions(id)
	defer extensions.Close()
	// Nothing was served up to here; from here on things run until ctx ends.
	server := fleet.New(id, version, fleet.Timing{}, log)
	decider := core.New(core.Options{
		Source:   docker.NewWatcher(engine, docker.WatchOptions{Tasks: file.Core.PollInterval}, log),
		Renderer: extensions, Store: durable, Fleet: server,
		Provisioner: &core.SwarmProvisioner{Engine: engine, Identity: id, Settings: settings(id), Log: log},
		Config:      file, SigningKey: id.SigningKey(), Version: version, Log: log,
	})
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Run(running, agents) })
	g.Go(func() error { return decider.Run(running) })
	g.Go(func() error { return api.Serve(running, socket, api.Handler(decider, log)) })
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func settings(id identity.Identity) provision.Settings {
	image := cmp.Or(os.Getenv(provision.EnvImage), "interlock:"+version)
	return provision.SettingsOf(image, os.Getenv(provision.EnvProxyImage), id.Authority())
}

func logLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(os.Getenv(provision.EnvLogLevel))); err != nil {
		return slog.LevelInfo
	}
	return level
}

func readIdentity(path string) (identity.Identity, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return identity.Identity{}, unreadable(err)
	}
	id, err := identity.Parse(data)
	if err != nil {
		return id, unreadable(fmt.Errorf("%s: %w", path, err))
	}
	return id, nil
}

// connectDocker waits for the Engine: a manager that is starting answers later.
func connectDocker(ctx context.Context, c config.Core, log *slog.Logger) (*docker.Client, error) {
	options := docker.Options{Host: c.DockerURL, CACert: c.TLSCACert, Cert: c.TLSCert, Key: c.TLSKey}
	for pause := time.Second; ; pause = min(2*pause, 15*time.Second) {
		engine, err := docker.Connect(ctx, options)
		if err == nil || ctx.Err() != nil {
			return engine, err
		}
		log.Error("Docker does not answer", "error", err, "again in", pause)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}
