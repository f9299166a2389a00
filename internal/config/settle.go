package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"interlock/bundle"
	"interlock/internal/problems"
	"interlock/routing"
)

// Defaults that more than one place knows.
const (
	defaultStopGracePeriod = 30 * time.Second
	defaultDrainTime       = 10 * time.Second
	// HealthPort is the port inside a proxy's container that answers the front
	// load balancer.
	HealthPort = 8404
	// DefaultExtension is the extension service that clusters share unless
	// their tables name another.
	DefaultExtension = "interlock-extension"
	// proxyPrefix and the slug are a proxy service's default name.
	proxyPrefix = "interlock-proxy-"
)

// Values of NetworkAttach and PublishMode.
const (
	AttachNone     = "none"
	AttachAuto     = "auto"
	PublishIngress = "ingress"
	PublishHost    = "host"
)

func coreDefaults() Core {
	return Core{ListenAddr: ":8080", DockerURL: "unix:///var/run/docker.sock", PollInterval: 2 * time.Second}
}

// newDraft is a cluster with all defaults that do not depend on other keys.
func newDraft(table string, line int) *draft {
	d := &draft{line: line, given: map[string]int{}}
	d.Table = table
	d.Engine = bundle.HAProxy
	d.Extension.Name = DefaultExtension
	d.Proxy.Replicas = 2
	d.Proxy.StopSignal = "SIGTERM"
	d.Proxy.StopGracePeriod = defaultStopGracePeriod
	d.Proxy.DrainTime = defaultDrainTime
	d.Proxy.PublishMode = PublishIngress
	d.Proxy.PublishedPort = 8080
	d.Proxy.TargetPort = 80
	d.MaxNetworks = 16
	d.Policy.ClaimHold = 24 * time.Hour
	d.Policy.HostSharing = "stack"
	d.Policy.DefaultBackends = true
	d.Policy.MaxRoutesPerService, d.Policy.MaxRoutes = 64, 2000
	d.Base.HealthPort = HealthPort
	d.Base.MaxConnections, d.Base.MaxShare = 8000, 50
	d.Base.ConnectTimeout, d.Base.ClientTimeout, d.Base.ServerTimeout = 1_000, 60_000, 600_000
	d.Base.KeepaliveTimeout, d.Base.GraceTimeout = 3_000, 1_800_000
	d.ReloadInterval = 5 * time.Second
	d.GuardHold = time.Minute
	d.Rollout = Rollout{Parallelism: 1, Monitor: 10 * time.Second, FailureAction: "rollback", Deadline: 2 * time.Minute}
	return d
}

// settle fills in what depends on several keys or tables, checks the clusters
// against each other, and puts them in order.
func (p *parser) settle() {
	slices.SortStableFunc(p.drafts, func(a, b *draft) int { return cmp.Compare(a.line, b.line) })
	collections := slices.ContainsFunc(p.drafts, func(d *draft) bool { return len(d.Policy.Collections) > 0 })
	taken := newTaken()
	for _, d := range p.drafts {
		p.complete(d, collections)
		p.checkDraft(d)
		p.checkAgainst(d, taken)
		p.file.Clusters = append(p.file.Clusters, d.Cluster)
	}
	slices.SortStableFunc(p.file.Clusters, func(a, b Cluster) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Name, b.Name))
	})
	p.sayIgnored()
	p.file.Problems = sorted(p.file.Problems)
}

func (p *parser) complete(d *draft, collections bool) {
	if d.Proxy.Name == "" {
		d.Proxy.Name = proxyPrefix + d.Slug()
	}
	if !d.has("Unlabelled") {
		d.Policy.Unlabelled = !collections
	}
	if !d.has("NetworkAttach") {
		d.NetworkAttach = AttachAuto
		if len(d.Networks) > 0 || len(d.Policy.Collections) > 0 {
			d.NetworkAttach = AttachNone
		}
	}
	if !d.has("DrainTime") {
		d.Proxy.DrainTime = min(defaultDrainTime, d.Proxy.StopGracePeriod/2)
	}
	d.Base.HTTPPort = d.Proxy.TargetPort
	p.ourImages(d)
}

// ourImages replaces the original's images by ours, which are the default, and
// says so once.
func (p *parser) ourImages(d *draft) {
	for _, i := range []struct {
		key   string
		image *string
	}{{"Image", &d.Extension.Image}, {"ProxyImage", &d.Proxy.Image}} {
		if isOriginal(*i.image) {
			p.replaced(d.given[strings.ToLower(i.key)], i.key, *i.image)
			*i.image = ""
		}
	}
}

func (p *parser) replaced(line int, key, image string) {
	if !slices.ContainsFunc(p.file.Problems, func(f routing.Problem) bool {
		return f.Code == problems.ConfigImageReplaced && f.Label == key
	}) {
		p.problem(line, "", key, problems.ConfigImageReplaced,
			fmt.Sprintf("%s %s is the original's; Interlock's own image is used in its place", key, clip(image)), "")
	}
}

// isOriginal says whether an image is in one of the original's namespaces, in
// whichever registry.
func isOriginal(image string) bool {
	parts := strings.Split(image, "/")
	if len(parts) < 2 {
		return false
	}
	switch namespace := parts[len(parts)-2]; namespace {
	case "docker", "mirantis", "interlockpreview", "dockereng":
		return strings.Contains(parts[len(parts)-1], "interlock") || namespace == "interlockpreview"
	}
	return false
}

// checkDraft finds what keys of one table say together.
func (p *parser) checkDraft(d *draft) {
	if d.Base.ProxyProtocol && len(d.Base.TrustedProxies) == 0 {
		p.bad(d, d.given["proxyprotocol"], "ProxyProtocol", "ProxyProtocol without TrustedProxies would believe nobody", "add TrustedProxies with the load balancer's addresses")
	}
	if d.Proxy.TargetPort == HealthPort {
		p.bad(d, d.given["targetport"], "TargetPort", fmt.Sprintf("TargetPort %d is the proxies' health port", HealthPort), "use another port")
	}
	if d.Proxy.PublishedPort != 0 && d.Proxy.PublishedPort == d.Proxy.PublishedHealthPort {
		p.bad(d, d.given["publishedhealthport"], "PublishedHealthPort", "PublishedHealthPort is PublishedPort", "use another port")
	}
	if d.has("DrainTime") && d.Proxy.DrainTime >= d.Proxy.StopGracePeriod {
		p.bad(d, d.given["draintime"], "DrainTime", "DrainTime is not shorter than ProxyStopGracePeriod, so that proxies would be killed while they drain", "shorten it, or lengthen ProxyStopGracePeriod")
	}
	if n := len(d.Base.GlobalOptions) + len(d.Base.DefaultOptions); n > 0 {
		p.problem(d.line, d.Name, "Config", problems.ConfigRawLines, fmt.Sprintf("the cluster has %d raw lines for %s; the guarantees about other services do not cover them", n, d.Engine), "")
	}
}

// taken are the names and ports that tables before the present one have.
type taken struct {
	names, slugs, services map[string]string
	ports                  map[int]string
}

func newTaken() taken {
	return taken{names: map[string]string{}, slugs: map[string]string{}, services: map[string]string{}, ports: map[int]string{}}
}

// checkAgainst finds what can't be together with an earlier table. The later
// one is unusable; the earlier keeps what it has.
func (p *parser) checkAgainst(d *draft, t taken) {
	if other, ok := t.names[d.Name]; ok {
		p.unusable(d, d.line, "ServiceCluster", problems.ConfigDuplicateCluster, fmt.Sprintf("cluster %q is also in [Extensions.%s]", d.Name, clip(other)), "give each table a ServiceCluster of its own")
		return
	}
	t.names[d.Name] = d.Table
	if other, ok := t.slugs[d.Slug()]; ok {
		p.unusable(d, d.line, "ServiceCluster", problems.ConfigDuplicateSlug, fmt.Sprintf("cluster %q has the same short name %s as [Extensions.%s]", d.Name, d.Slug(), clip(other)), "choose another name")
	}
	t.slugs[d.Slug()] = d.Table
	if other, ok := t.services[d.Proxy.Name]; ok {
		p.unusable(d, d.line, "ProxyServiceName", problems.ConfigDuplicateService, fmt.Sprintf("proxy service %s is also in [Extensions.%s]", clip(d.Proxy.Name), clip(other)), "name each cluster's proxy service differently")
	}
	t.services[d.Proxy.Name] = d.Table
	p.checkPorts(d, t)
}

func (p *parser) checkPorts(d *draft, t taken) {
	if d.Unusable != "" || d.Proxy.PublishMode != PublishIngress {
		return
	}
	for _, port := range []int{d.Proxy.PublishedPort, d.Proxy.PublishedHealthPort} {
		if port == 0 {
			continue
		}
		if other, ok := t.ports[port]; ok && other != d.Table {
			p.unusable(d, d.line, "PublishedPort", problems.ConfigPortConflict, fmt.Sprintf("port %d is published in ingress mode by [Extensions.%s] too", port, clip(other)), `use another port, or PublishMode = "host" on different nodes`)
			continue
		}
		t.ports[port] = d.Table
	}
}
