package provision

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"interlock/internal/config"
)

// command is the program's role, or the operator's own: Args that begin with a
// path are the whole command.
func command(role string, args []string) []string {
	if len(args) > 0 && strings.HasPrefix(args[0], "/") {
		return slices.Clone(args)
	}
	return append([]string{"/interlock", role}, args...)
}

// desiredProxy is the service of a cluster's proxies. networks are those it is
// to join, beside its control network.
func desiredProxy(c config.Cluster, s Settings, image string, networks []string) Service {
	p := c.Proxy
	labels := maps.Clone(p.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, managed(c.Name, true))
	// Operators' scripts look for the original's label.
	labels["type"] = "com.docker.interlock.core.proxy"
	slug := c.Slug()
	env := []string{
		EnvCluster + "=" + c.Name,
		EnvProxy + "={{.Service.Name}}.{{.Task.Slot}}",
		EnvNode + "={{.Node.Hostname}}",
		EnvTask + "={{.Task.ID}}",
		EnvCore + "=tasks." + CoreService + ":" + CorePort,
		EnvEngine + "=" + c.Engine,
		EnvDrainTime + "=" + p.DrainTime.String(),
		EnvGrace + "=" + p.StopGracePeriod.String(),
	}
	slices.Sort(env)
	joined := append([]string{ControlName(slug)}, networks...)
	slices.Sort(joined)
	return Service{
		Name: p.Name, Image: image, Command: command("proxy", p.Args), Env: env,
		Labels: labels, ContainerLabels: p.ContainerLabels,
		Networks: slices.Compact(joined),
		Secrets:  []File{{IdentityName(slug, s.Authority), IdentityPath}},
		Mounts: []Mount{
			{"tmpfs", "", RunPath},
			{"volume", "il-" + slug + "-{{.Task.Slot}}", StatePath},
		},
		Constraints: p.Constraints, Preferences: p.Preferences, Replicas: p.Replicas,
		StopSignal: p.StopSignal, StopGracePeriod: p.StopGracePeriod,
		// The supervisor starts a dead engine again within seconds. Swarm's check
		// is for what that can't mend, and must not kill a proxy on a busy node.
		Health: &Health{
			Command:  healthCommand(c.Base.HealthPort),
			Interval: 2 * time.Second, Timeout: 15 * time.Second, Retries: 10,
			// An empty proxy waits for its first bundle that long before Swarm
			// takes it for dead.
			StartPeriod: 2 * time.Minute,
		},
		DNSRR: p.PublishMode == config.PublishHost,
		Ports: proxyPorts(c),
		// A new proxy counts once it is ready: Swarm waits for the health check.
		Update: Update{Delay: p.UpdateDelay, Monitor: c.Rollout.Monitor},
	}
}

func healthCommand(port int) []string {
	out := []string{"/interlock", "healthcheck"}
	if port != 0 && port != config.HealthPort {
		out = append(out, fmt.Sprintf("--port=%d", port))
	}
	return out
}

func proxyPorts(c config.Cluster) []Port {
	var out []Port
	host := c.Proxy.PublishMode == config.PublishHost
	if c.Proxy.PublishedPort != 0 {
		out = append(out, Port{c.Proxy.PublishedPort, c.Proxy.TargetPort, host})
	}
	if c.Proxy.PublishedHealthPort != 0 {
		out = append(out, Port{c.Proxy.PublishedHealthPort, cmp.Or(c.Base.HealthPort, config.HealthPort), host})
	}
	slices.SortFunc(out, func(a, b Port) int { return cmp.Compare(a.Published, b.Published) })
	return out
}

// proxyReasons are why a proxy service is as it is: each was given by an
// operator. Networks are not the configured ones but those it is to join.
func proxyReasons(c config.Cluster, s Settings, networks []string) string {
	p := c.Proxy
	return fingerprint("proxy", c.Name, c.Engine, cmp.Or(p.Image, s.ProxyImage), p.Args, p.Name, p.Labels, p.ContainerLabels,
		p.Constraints, p.Preferences, p.Replicas, p.StopSignal, int64(p.StopGracePeriod), int64(p.DrainTime),
		int64(p.UpdateDelay), p.PublishMode, p.PublishedPort, p.TargetPort, p.PublishedHealthPort,
		c.Base.HealthPort, int64(c.Rollout.Monitor), networks, s.Authority)
}

// desiredExtension is an extension service; c is the first cluster that uses it.
func desiredExtension(c config.Cluster, s Settings) Service {
	e := c.Extension
	labels := maps.Clone(e.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, managed("", false))
	return Service{
		Name: e.Name, Image: cmp.Or(e.Image, s.Image), Command: command("extension", e.Args),
		Labels: labels, Networks: []string{ExtensionNetwork},
		Secrets:     []File{{IdentityName("extension", s.Authority), IdentityPath}},
		Constraints: e.Constraints, Replicas: 1,
		StopSignal: "SIGTERM", StopGracePeriod: 10 * time.Second,
		DNSRR:  true,
		Update: Update{StartFirst: true, Monitor: 5 * time.Second},
	}
}

func extensionReasons(c config.Cluster, s Settings) string {
	e := c.Extension
	return fingerprint("extension", cmp.Or(e.Image, s.Image), e.Args, e.Name, e.Labels, e.Constraints, s.Authority)
}

// Core is what install decides about core's service.
type Core struct {
	Image      string
	ProxyImage string // "" unless the operator named one
	// Config is the name of the Docker config with config.toml.
	Config string
	// Slugs are of the clusters: core joins the control network of each.
	Slugs       []string
	Constraints []string
	LogLevel    string
}

// Environment of core's container.
const (
	EnvImage      = "INTERLOCK_IMAGE"
	EnvProxyImage = "INTERLOCK_PROXY_IMAGE"
	EnvLogLevel   = "INTERLOCK_LOG_LEVEL"
)

// CoreSpec is core's own service, which only install makes and changes.
func CoreSpec(c Core) Service {
	env := []string{EnvImage + "=" + c.Image}
	if c.ProxyImage != "" {
		env = append(env, EnvProxyImage+"="+c.ProxyImage)
	}
	if c.LogLevel != "" {
		env = append(env, EnvLogLevel+"="+c.LogLevel)
	}
	networks := []string{ExtensionNetwork}
	for _, slug := range c.Slugs {
		networks = append(networks, ControlName(slug))
	}
	slices.Sort(networks)
	return Service{
		Name: CoreService, Image: c.Image,
		Command:     []string{"/interlock", "core", "--config", ConfigPath},
		Env:         env,
		Labels:      managed("", false),
		Networks:    slices.Compact(networks),
		Secrets:     []File{{CoreIdentity, IdentityPath}},
		Configs:     []File{{c.Config, ConfigPath}},
		Mounts:      []Mount{{"bind", "/var/run/docker.sock", "/var/run/docker.sock"}, {"tmpfs", "", RunPath}},
		Constraints: append([]string{"node.role==manager"}, c.Constraints...),
		Replicas:    1,
		StopSignal:  "SIGTERM", StopGracePeriod: 10 * time.Second,
		DNSRR:  true,
		Update: Update{Monitor: 5 * time.Second},
	}
}
