package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"interlock/bundle"
	"interlock/internal/agent"
	"interlock/internal/engine"
	"interlock/internal/engine/embedded"
	"interlock/internal/engine/haproxy"
	"interlock/internal/identity"
	"interlock/internal/lkg"
	"interlock/internal/runfolder"
)

func newAgentCommand() *cobra.Command {
	var paths proxyPaths
	cmd := &cobra.Command{
		Use:    "agent",
		Short:  "The agent of a proxy; the supervisor starts it",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := paths.check(); err != nil {
				return err
			}
			return runAgent(cmd.Context(), paths)
		},
	}
	paths.flags(cmd)
	return cmd
}

func runAgent(ctx context.Context, p proxyPaths) error {
	log := proxyLog("agent")
	data, err := os.ReadFile(p.identity)
	if err != nil {
		return fmt.Errorf("read this cluster's identity: %w", err)
	}
	id, err := identity.Parse(data)
	if err != nil {
		return err
	}
	store, err := lkg.Open(p.state)
	if err != nil {
		return err
	}
	o := agent.Options{
		Cluster: os.Getenv("INTERLOCK_CLUSTER"),
		Proxy:   os.Getenv("INTERLOCK_PROXY"), Node: os.Getenv("INTERLOCK_NODE"), Task: os.Getenv("INTERLOCK_TASK"),
		EngineName: p.engine, EngineVersion: version, Version: version,
		Core:     environment("INTERLOCK_CORE", "tasks.interlock-core:7300"),
		Identity: id, Store: store, Folder: runfolder.Folder(p.run),
		Lookup: lookupHost, Subnets: ownSubnets,
		Timing: agent.Timing{ReloadInterval: durationFrom("INTERLOCK_RELOAD_INTERVAL", 5*time.Second)},
		Log:    log,
	}
	switch p.engine {
	case bundle.Embedded:
		o.Engine = embedded.NewRemote(o.Folder)
	default:
		if o.Engine, err = openHAProxy(p); err != nil {
			return err
		}
		o.EngineVersion = haproxyVersion(ctx, p.haproxy)
	}
	if err := agent.New(o).Run(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func openHAProxy(p proxyPaths) (engine.Engine, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return haproxy.New(haproxy.Options{Run: p.run, Binary: p.haproxy, Judge: []string{self, "judge"}, Log: proxyLog("engine")})
}

// haproxyVersion is such as "3.0.11-1+deb13u5", "" if it does not say.
func haproxyVersion(ctx context.Context, binary string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "-v").Output()
	_, rest, ok := strings.Cut(string(out), "HAProxy version ")
	if err != nil || !ok {
		return ""
	}
	return strings.Fields(rest + " ")[0]
}

// lookupHost asks the container's resolver for exactly this name; the dot at
// the end keeps search domains out.
func lookupHost(ctx context.Context, name string) ([]netip.Addr, error) {
	r := net.Resolver{PreferGo: true}
	return r.LookupNetIP(ctx, "ip4", strings.TrimSuffix(name, ".")+".")
}

// ownSubnets are the networks this container is on.
func ownSubnets() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list our addresses: %w", err)
	}
	var subnets []netip.Prefix
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
			subnets = append(subnets, p.Masked())
		}
	}
	return subnets, nil
}

func newJudgeCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "judge HAPROXY CONFIG",
		Short:  "Check a configuration without privileges or network; the agent starts it",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			err := haproxy.Judge(args[0], args[1])
			return &exitError{code: haproxy.JudgeFailed, msg: err.Error()}
		},
	}
}
