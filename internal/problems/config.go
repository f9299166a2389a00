package problems

import "interlock/routing"

// Codes about config.toml.
const (
	ConfigSyntax           = "config-syntax"
	ConfigUnknownKey       = "config-unknown-key"
	ConfigValue            = "config-value"
	ConfigWithoutMeaning   = "config-without-meaning"
	ConfigNotServed        = "config-not-served"
	ConfigImageReplaced    = "config-image-replaced"
	ConfigNoExtension      = "config-no-extension"
	ConfigDuplicateCluster = "config-duplicate-cluster"
	ConfigDuplicateSlug    = "config-duplicate-slug"
	ConfigDuplicateService = "config-duplicate-service"
	ConfigPortConflict     = "config-port-conflict"
	ConfigRawLines         = "config-raw-lines"
)

func configEntries() []Entry {
	return []Entry{
		{ConfigSyntax, routing.Error,
			"config.toml is not valid TOML. At run time the last good file stays in force.",
			"ListenAddr = :8080",
			"Correct the line that the problem names; strings need quotes."},
		{ConfigUnknownKey, routing.Error,
			"A key is not one of config.toml. `interlock check` calls it an error; at run time it is a warning and the key is ignored.",
			"ProxyReplica = 2",
			"Correct the spelling as the hint says; docs/configuration.md lists all keys."},
		{ConfigValue, routing.Error,
			"A value has the wrong type or is out of bounds. The cluster's table is unusable: that cluster is frozen, the others are not affected.",
			"ProxyReplicas = \"two\"",
			"Write a value of the kind that the message names."},
		{ConfigWithoutMeaning, routing.Info,
			"A key of the original has no meaning with this engine. It is accepted and ignored.",
			"WorkerProcesses = 4",
			"Nothing; or remove it."},
		{ConfigNotServed, routing.Warning,
			"A key is known but what it asks for is not served by this version yet. It is ignored.",
			"PublishedSSLPort = 8443",
			"Nothing; or remove it until it is served."},
		{ConfigImageReplaced, routing.Info,
			"The image is one of the original product. Interlock's own is used in its place.",
			"Image = \"docker/ucp-interlock-extension:3.2.0\"",
			"Nothing; or name Interlock's image."},
		{ConfigNoExtension, routing.Error,
			"config.toml has no `[Extensions.<name>]` table, so there is no cluster.",
			"ListenAddr = \":8080\"",
			"Add one table for each service cluster."},
		{ConfigDuplicateCluster, routing.Error,
			"Two tables have the same `ServiceCluster`. The second one is unusable.",
			"[Extensions.a]\nServiceCluster = \"dev\"\n[Extensions.b]\nServiceCluster = \"dev\"",
			"Give each table a name of its own."},
		{ConfigDuplicateSlug, routing.Error,
			"Two clusters' names are the same once reduced to what Docker's names allow. The second one is unusable.",
			"ServiceCluster = \"\" and ServiceCluster = \"default\"",
			"Choose a name that differs in letters, digits or dashes."},
		{ConfigDuplicateService, routing.Error,
			"Two clusters name the same proxy service. The second one is unusable.",
			"ProxyServiceName = \"proxy\" in two tables",
			"Give each cluster a proxy service name of its own, or leave the key out."},
		{ConfigPortConflict, routing.Error,
			"Two clusters publish the same port in ingress mode, where a port is taken on every node. The second one is unusable.",
			"PublishMode = \"ingress\" and PublishedPort = 80, twice",
			"Use another port, or `PublishMode = \"host\"` with proxies on different nodes."},
		{ConfigRawLines, routing.Info,
			"The cluster has raw configuration lines of the operator's. They are checked with the cluster's base; the guarantees about other services do not cover them.",
			"GlobalOptions = [\"tune.bufsize 32768\"]",
			"Nothing, if you mean it."},
	}
}
