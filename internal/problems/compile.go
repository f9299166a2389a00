package problems

import "interlock/routing"

// Codes about a service's route.
const (
	PortMissing          = "port-missing"
	NetworkMissing       = "network-missing"
	NetworkAmbiguous     = "network-ambiguous"
	NetworkNotShared     = "network-not-shared"
	NoEndpoints          = "no-endpoints"
	VIPMissing           = "vip-missing"
	HoldingLastKnownGood = "holding-last-known-good"
	LabelsNotRemembered  = "labels-not-remembered"
	QuarantinedByEngine  = "quarantined-by-engine"
	ClusterFrozen        = "cluster-frozen"
	TooManyRoutes        = "too-many-routes"
)

func compileEntries() []Entry {
	return []Entry{
		{PortMissing, routing.Error,
			"The service does not say which port it listens on, and has not exactly one exposed port to infer it from.",
			"com.docker.lb.hosts: app.example.com   # no com.docker.lb.port",
			"Add `com.docker.lb.port` with the port inside the container."},
		{NetworkMissing, routing.Error,
			"`com.docker.lb.network` names a network that does not exist or that the service is not on.",
			"com.docker.lb.network: backend   # the service is only on frontend",
			"Name a network of the service, or add it under the service's `networks:`."},
		{NetworkAmbiguous, routing.Error,
			"The service shares several networks with the cluster's proxies and does not say over which one it is to be reached.",
			"networks: [web, data]   # the proxies are on both",
			"Add `com.docker.lb.network`."},
		{NetworkNotShared, routing.Error,
			"The service is on no network that the cluster's proxies are on, so they can't reach it.",
			"networks: [internal]",
			"Add the network that the hint names to the service's `networks:`, and to the file's `networks:` as external."},
		{NoEndpoints, routing.Warning,
			"The route exists but no task of the service is running. Requests are answered with 503.",
			"deploy:\n  replicas: 0",
			"See `docker service ps` for why no task runs."},
		{VIPMissing, routing.Error,
			"`backend_mode: vip` needs a virtual address on the route's network, and the service has none.",
			"com.docker.lb.backend_mode: vip   # endpoint_mode: dnsrr",
			"Use `task`, or remove `endpoint_mode: dnsrr`."},
		{HoldingLastKnownGood, routing.Warning,
			"The service's present labels are not accepted; it is routed by the last ones that were.",
			"any error in the labels of a service that had a route",
			"Correct the labels as the other problem of the same service says. To end the route, remove all `com.docker.lb.*` labels: removing some is taken for a mistake."},
		{LabelsNotRemembered, routing.Warning,
			"The service's routing labels are too large to be kept as last known good (8 kB). It is served; but when its next labels are not accepted it has no route to fall back on.",
			"com.docker.lb.hosts with hundreds of long names",
			"Shorten the labels; a wildcard host (`*.apps.example.com`) replaces many names."},
		{QuarantinedByEngine, routing.Error,
			"The proxy engine refused a configuration because of this service. Its new labels are set aside until they change; everything else is live.",
			"labels that are accepted here, but not by the engine",
			"Change the labels; the message has the engine's words. Please report it too: a check of ours should have caught it."},
		{ClusterFrozen, routing.Error,
			"The cluster's own configuration is at fault, or the operator froze it. Its structure stays as it is; endpoints still follow the tasks.",
			"a GlobalOptions line that the engine refuses",
			"The operator corrects `[Extensions.<name>]` in config.toml; see `interlock status`."},
		{TooManyRoutes, routing.Error,
			"A service or a cluster has more routes than allowed (64 for each service, 2,000 for each cluster unless config.toml says otherwise). Those that came last are not served.",
			"com.docker.lb.hosts with 65 names",
			"Use a wildcard host, or ask the operator to raise the bound."},
	}
}
