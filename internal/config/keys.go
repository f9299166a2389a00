package config

import "time"

// status says what becomes of a key.
type status int

const (
	served status = iota
	// withoutMeaning: the original had it, and there is nothing for it to mean.
	withoutMeaning
	// notServed: it will mean something in a later version.
	notServed
)

// row is one key: everything that is known about it.
type row struct {
	name      string
	value     string // the kind of value, in the words of the docs
	otherwise string // the default
	doc       string
	status    status
	set       setter
}

func key(name, value, otherwise, doc string, set setter) row {
	return row{name: name, value: value, otherwise: otherwise, doc: doc, set: set}
}

func ignored(name, doc string) row { return row{name: name, doc: doc, status: withoutMeaning} }
func notYet(name, doc string) row  { return row{name: name, doc: doc, status: notServed} }

// subTables are the tables within [Extensions.<name>] that have keys of their
// own, by lower-case name.
var subTables = map[string]struct {
	name string
	rows []row
}{
	"config":  {"Config", configKeys},
	"rollout": {"Rollout", rolloutKeys},
}

var coreKeys = []row{
	key("ListenAddr", "an address", ":8080", "Where core listens.", text(func(d *draft) *string { return &d.core.ListenAddr }, anyText)),
	key("DockerURL", "a URL", "unix:///var/run/docker.sock", "The Docker API.", text(func(d *draft) *string { return &d.core.DockerURL }, anyText)),
	key("TLSCACert", "a file name", "none", "For a remote Docker API.", text(func(d *draft) *string { return &d.core.TLSCACert }, anyText)),
	key("TLSCert", "a file name", "none", "For a remote Docker API.", text(func(d *draft) *string { return &d.core.TLSCert }, anyText)),
	key("TLSKey", "a file name", "none", "For a remote Docker API.", text(func(d *draft) *string { return &d.core.TLSKey }, anyText)),
	key("AllowInsecure", "a boolean", "false", "Does not verify the Docker API's certificate.", truth(func(d *draft) *bool { return &d.core.AllowInsecure })),
	key("PollInterval", "a duration, 1s to 5m", "2s", "How often all running tasks are listed; changes are seen sooner.", span(time.Second, 5*time.Minute, func(d *draft, t time.Duration) { d.core.PollInterval = t })),
	ignored("EndpointOverride", "addresses are read from the Swarm"),
}

var extensionKeys = []row{
	key("ServiceCluster", "a name", `"", the default cluster`, "The cluster's name, which `com.docker.lb.service_cluster` asks for.", text(func(d *draft) *string { return &d.Name }, clusterName)),
	key("Order", "a whole number", "0", "The order in which clusters are provisioned, then by name.", number(-1000, 1000, func(d *draft, n int) { d.Order = n })),
	key("Engine", "haproxy or embedded", "haproxy", "The kind of proxy.", engine),

	key("Image", "an image", "Interlock's own", "The extension's image. One of the original's is replaced by ours.", text(func(d *draft) *string { return &d.Extension.Image }, anyText)),
	key("Args", "a list of strings", "none", "Arguments of the extension.", lines(func(d *draft) *[]string { return &d.Extension.Args })),
	key("ServiceName", "a service name", DefaultExtension, "The extension service. Clusters with the same name share it.", text(func(d *draft) *string { return &d.Extension.Name }, matching(dockerName, "a service name"))),
	key("Labels", "a table of strings", "none", "Labels of the extension service.", table(func(d *draft) *map[string]string { return &d.Extension.Labels }, anyEntry)),
	key("Constraints", "a list such as [\"node.role==worker\"]", "none", "Where the extension runs.", list(func(d *draft) *[]string { return &d.Extension.Constraints }, item(matching(constraint, "a placement constraint such as node.labels.zone==a")))),
	ignored("ContainerLabels", "labels of the extension's containers; those of the service are in Labels"),
	ignored("PlacementPreferences", "the extension is one small task"),

	key("ProxyImage", "an image", "Interlock's own", "The proxies' image. One of the original's is replaced by ours.", text(func(d *draft) *string { return &d.Proxy.Image }, anyText)),
	key("ProxyArgs", "a list of strings", "none", "Arguments of the proxies.", lines(func(d *draft) *[]string { return &d.Proxy.Args })),
	key("ProxyServiceName", "a service name", proxyPrefix+"<cluster>", "The proxy service; one for each cluster.", text(func(d *draft) *string { return &d.Proxy.Name }, matching(dockerName, "a service name"))),
	key("ProxyLabels", "a table of strings", "none", "Labels of the proxy service.", table(func(d *draft) *map[string]string { return &d.Proxy.Labels }, anyEntry)),
	key("ProxyContainerLabels", "a table of strings", "none", "Labels of the proxies' containers.", table(func(d *draft) *map[string]string { return &d.Proxy.ContainerLabels }, anyEntry)),
	key("ProxyConstraints", "a list such as [\"node.labels.region==east\"]", "none", "Where the proxies run. A change reaches existing proxies, one at a time.", list(func(d *draft) *[]string { return &d.Proxy.Constraints }, item(matching(constraint, "a placement constraint such as node.labels.region==east")))),
	key("ProxyPlacementPreferences", "a list such as [\"spread=node.labels.zone\"]", "none", "How the proxies are spread.", list(func(d *draft) *[]string { return &d.Proxy.Preferences }, spread)),
	key("ProxyReplicas", "0 to 100", "2", "How many proxies.", number(0, 100, func(d *draft, n int) { d.Proxy.Replicas = uint64(n) })),
	key("ProxyStopSignal", "SIGTERM, SIGQUIT or SIGINT", "SIGTERM", "Each starts the same lame duck; no other signal does.", text(func(d *draft) *string { return &d.Proxy.StopSignal }, matching(signal, "a signal that a proxy stops on: SIGTERM, SIGQUIT or SIGINT"))),
	key("ProxyStopGracePeriod", "a duration, 1s to 24h", "30s", "After it a stopping proxy is killed.", span(time.Second, 24*time.Hour, func(d *draft, t time.Duration) { d.Proxy.StopGracePeriod = t })),
	key("ProxyUpdateDelay", "a duration, up to 24h", "0s", "The pause between two proxies when the service is updated.", span(0, 24*time.Hour, func(d *draft, t time.Duration) { d.Proxy.UpdateDelay = t })),
	key("DrainTime", "a duration, up to 1h", "10s, at most half of ProxyStopGracePeriod", "How long a stopping proxy answers 503 on its health port and still takes requests.", span(0, time.Hour, func(d *draft, t time.Duration) { d.Proxy.DrainTime = t })),
	ignored("ProxyConfigPath", "the proxies' files are their own"),
	ignored("ConfigImage", "changes are hitless without a service for it"),
	ignored("ConfigServiceName", "changes are hitless without a service for it"),
	ignored("HitlessServiceUpdate", "changes are always hitless"),

	key("PublishMode", "ingress or host", PublishIngress, "With ingress a port is taken on every node; with host only on the proxies' nodes, and the client's address is kept.", text(func(d *draft) *string { return &d.Proxy.PublishMode }, oneOf(PublishIngress, PublishHost))),
	key("PublishedPort", "0 to 65535", "8080", "The port on the nodes; 0 publishes none.", number(0, 65535, func(d *draft, n int) { d.Proxy.PublishedPort = n })),
	key("TargetPort", "1 to 65535", "80", "The port inside the proxies' containers.", number(1, 65535, func(d *draft, n int) { d.Proxy.TargetPort = n })),
	key("PublishedHealthPort", "0 to 65535", "0: not published", "The port on the nodes for the front load balancer's health check.", number(0, 65535, func(d *draft, n int) { d.Proxy.PublishedHealthPort = n })),
	notYet("PublishedSSLPort", "TLS"),
	notYet("TargetSSLPort", "TLS"),
	notYet("Template", "a template of the nginx engine"),

	key("Networks", "a list of network names", "one of ours, il-<cluster>", "The only networks that the proxies join.", list(func(d *draft) *[]string { return &d.Networks }, item(matching(networkName, "a network name")))),
	key("NetworkAttach", "none or auto", "none with Networks or Collections, else auto", "auto joins the proxies to application networks, as the original did.", text(func(d *draft) *string { return &d.NetworkAttach }, oneOf(AttachNone, AttachAuto))),
	key("MaxNetworks", "1 to 1000", "16", "How many networks proxies join at most: each makes replacing a proxy 0.9 s longer.", number(1, 1000, func(d *draft, n int) { d.MaxNetworks = n })),

	key("Collections", "a list such as [\"/dev\"]", "none", "Services whose collection is in or below one of these may enter.", list(func(d *draft) *[]string { return &d.Policy.Collections }, collection)),
	key("Stacks", "a list of patterns such as [\"shop-*\"]", "all", "Only stacks whose name matches may enter.", list(func(d *draft) *[]string { return &d.Policy.Stacks }, pattern)),
	key("Unlabelled", "a boolean", "true in a file without any Collections", "Services without a collection label may enter.", truth(func(d *draft) *bool { return &d.Policy.Unlabelled })),
	key("Hosts", "a list such as [\"*.dev.example.com\"]", "all", "The host names that may be claimed; *.suffix covers any depth.", list(func(d *draft) *[]string { return &d.Policy.Hosts }, hostPattern)),
	key("Owners", "a table such as { \"www.example.com\" = \"shop*\" }", "none", "Hosts that belong to stacks whose name matches, whoever claimed them first.", owners),
	key("ClaimHold", "a duration, up to 720h", "24h", "How long a host stays with its holder after the last of its services stopped asking for it.", span(0, 720*time.Hour, func(d *draft, t time.Duration) { d.Policy.ClaimHold = t })),
	key("HostSharing", "stack, collection or never", "stack", "Whose services may share a host by different paths or as a pool.", text(func(d *draft) *string { return &d.Policy.HostSharing }, oneOf("stack", "collection", "never"))),
	key("DefaultBackends", "a boolean", "true", "Services may ask to be the cluster's catch-all.", truth(func(d *draft) *bool { return &d.Policy.DefaultBackends })),
	key("MaxRoutesPerService", "1 to 1024", "64", "Routes of one service.", number(1, 1024, func(d *draft, n int) { d.Policy.MaxRoutesPerService = n })),
	key("MaxRoutes", "1 to 100000", "2000", "Routes of the cluster.", number(1, 100_000, func(d *draft, n int) { d.Policy.MaxRoutes = n })),
	key("MaxShare", "1 to 100, percent", "50", "The part of a proxy's connections that one service may hold.", number(1, 100, func(d *draft, n int) { d.Base.MaxShare = n })),

	key("ReloadInterval", "a duration, 1s to 1h", "5s", "The least time between two reloads of a proxy.", span(time.Second, time.Hour, func(d *draft, t time.Duration) { d.ReloadInterval = t })),
	key("GuardHold", "a duration, up to 24h", "1m0s", "How long what is missing from Docker's answers without a reason is held on to.", span(0, 24*time.Hour, func(d *draft, t time.Duration) { d.GuardHold = t })),
	notYet("GuardShare", "doubt about many endpoints at once"),
	notYet("GuardMinimum", "doubt about many endpoints at once"),
	key("ProxyProtocol", "a boolean", "false", "Expects a PROXY header from TrustedProxies.", truth(func(d *draft) *bool { return &d.Base.ProxyProtocol })),
	key("TrustedProxies", "a list of addresses or prefixes", "none", "The load balancers whose PROXY header is believed.", list(func(d *draft) *[]string { return &d.Base.TrustedProxies }, trustedProxy)),
	key("RelaxedPaths", "a boolean", "false", "Lets // and %2f through for hosts with one route.", truth(func(d *draft) *bool { return &d.Base.RelaxedPaths })),
	notYet("Certificates", "TLS"),
	notYet("Passthrough", "TLS"),
	notYet("MinTLS", "TLS"),
}

var rolloutKeys = []row{
	key("Parallelism", "1 to 100", "1", "Proxies that take a change at once, after the first.", number(1, 100, func(d *draft, n int) { d.Rollout.Parallelism = n })),
	key("Delay", "a duration, up to 1h", "0s", "The pause between them.", span(0, time.Hour, func(d *draft, t time.Duration) { d.Rollout.Delay = t })),
	key("Monitor", "a duration, up to 1h", "10s", "How long the first proxy is watched.", span(0, time.Hour, func(d *draft, t time.Duration) { d.Rollout.Monitor = t })),
	key("FailureAction", "rollback or pause", "rollback", "What happens when it fails.", text(func(d *draft) *string { return &d.Rollout.FailureAction }, oneOf("rollback", "pause"))),
	key("Deadline", "a duration, 10s to 24h", "2m0s", "How long a rollout may take.", span(10*time.Second, 24*time.Hour, func(d *draft, t time.Duration) { d.Rollout.Deadline = t })),
	notYet("MaxFailureRatio", "probes while a change is on trial"),
	notYet("Probes", "probes while a change is on trial"),
}

var configKeys = []row{
	key("MaxConnections", "10 to 1000000", "8000", "Connections of one proxy.", number(10, 1_000_000, func(d *draft, n int) { d.Base.MaxConnections = n })),
	key("ConnectTimeout", "a duration", "1s", "For connecting to a task.", millis(func(d *draft) *int { return &d.Base.ConnectTimeout })),
	key("SendTimeout", "a duration", "1m0s", "The same as ClientTimeout.", millis(func(d *draft) *int { return &d.Base.ClientTimeout })),
	key("ClientTimeout", "a duration", "1m0s", "For a client that neither sends nor takes.", millis(func(d *draft) *int { return &d.Base.ClientTimeout })),
	key("ReadTimeout", "a duration", "10m0s", "The same as ServerTimeout.", millis(func(d *draft) *int { return &d.Base.ServerTimeout })),
	key("ServerTimeout", "a duration", "10m0s", "For a task's answer.", millis(func(d *draft) *int { return &d.Base.ServerTimeout })),
	key("KeepaliveTimeout", "a duration", "3s", "How long an idle client connection is kept. More than 3s can cost requests when tasks leave.", millis(func(d *draft) *int { return &d.Base.KeepaliveTimeout })),
	key("HideInfoHeaders", "a boolean", "true", "Leaves out x-proxy-id, x-server-info, x-upstream-addr and x-upstream-response-time. x-request-id is always there.",
		func(d *draft, v any) error {
			hide := true
			err := truth(func(*draft) *bool { return &hide })(d, v)
			d.Base.InfoHeaders = !hide
			return err
		}),
	key("GlobalOptions", "a list of lines", "none", "Raw lines for HAProxy's global section. A proxy refuses lines that start programs, open sockets, log elsewhere, read files or set the environment, whoever wrote them.", lines(func(d *draft) *[]string { return &d.Base.GlobalOptions })),
	key("DefaultOptions", "a list of lines", "none", "Raw lines for HAProxy's defaults section; the same is refused.", lines(func(d *draft) *[]string { return &d.Base.DefaultOptions })),
	notYet("IPHash", "use com.docker.lb.ip_hash on services"),
	notYet("ClientMaxBodySize", "bodies are not bounded"),
	notYet("MainLogFormat", "access logs"),
	notYet("TraceLogFormat", "access logs"),
	notYet("AccessLogPath", "access logs"),
	notYet("SSLDefaultDHParam", "TLS"),
	notYet("SSLDefaultDHParamPath", "TLS"),
	notYet("SSLVerify", "TLS"),
	notYet("SSLCiphers", "TLS"),
	notYet("SSLProtocols", "TLS"),
	notYet("SSLOpts", "TLS"),
	ignored("Version", "the schema's version is not needed"),
	ignored("HTTPVersion", "tasks are spoken to in HTTP/1.1"),
	ignored("User", "the engine's user is the image's"),
	ignored("PidPath", "a supervisor holds the engine"),
	ignored("WorkerProcesses", "HAProxy uses threads, one for each CPU"),
	ignored("RLimitNoFile", "it follows from MaxConnections"),
	ignored("ErrorLogPath", "errors go to the container's log"),
	ignored("ClientBodyBufferSize", "a buffer of nginx"),
	ignored("ClientHeaderBufferSize", "a buffer of nginx"),
	ignored("LargeClientHeaderBuffers", "a buffer of nginx"),
	ignored("ClientBodyTimeout", "ClientTimeout covers it"),
	ignored("UnderscoresInHeaders", "headers with _ are removed"),
	ignored("ServerNamesHashBucketSize", "a table of nginx"),
	ignored("UpstreamZoneSize", "a table of nginx"),
	ignored("HTTPOptions", "raw lines of nginx"),
	ignored("TCPOptions", "raw lines of nginx"),
	ignored("AdminUser", "statistics are not reachable from outside"),
	ignored("AdminPass", "statistics are not reachable from outside"),
}
