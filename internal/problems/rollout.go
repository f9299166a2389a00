package problems

import "interlock/routing"

// Codes about bringing a cluster's structure to its proxies.
const (
	ClusterWaiting   = "cluster-waiting"
	ProxyNotSynced   = "proxy-not-synced"
	StoreUnwritable  = "store-unwritable"
	StateTooLarge    = "state-too-large"
	StoreForeign     = "store-foreign"
	CompileFailed    = "compile-failed"
	ConfigUnreadable = "config-unreadable"
	ExtensionSilent  = "extension-silent"
)

func rolloutEntries() []Entry {
	return []Entry{
		{ClusterWaiting, routing.Warning,
			"The cluster has no confirmed generation yet: no proxy has connected that could judge one.",
			"a cluster whose proxies do not run",
			"See the proxies' tasks with `docker service ps interlock-proxy-<cluster>`."},
		{ProxyNotSynced, routing.Warning,
			"A running proxy has not acknowledged the cluster's generation, or has no session with core. It serves what it last confirmed.",
			"a proxy on a node that is cut off",
			"Nothing, if it passes; otherwise see the proxy's log."},
		{StoreUnwritable, routing.Error,
			"The cluster's state can't be written to the Swarm's store. Endpoints still follow the tasks; nothing new is published until it can.",
			"managers without quorum",
			"See the managers' state with `docker node ls`."},
		{StateTooLarge, routing.Warning,
			"The cluster's claims and last known good labels would exceed what one object of the store may hold. The largest labels are left out of what is stored, then claims; core still has them until it is restarted, and then rebuilds them from the present labels.",
			"hundreds of services with kilobytes of routing labels each",
			"Shorten the labels: a wildcard host (`*.apps.example.com`) replaces many names."},
		{StoreForeign, routing.Warning,
			"A Docker config has the name or label of stored state but not core's signature: somebody else made it, or it is of an earlier installation. It is ignored, counts for nothing, and is left alone.",
			"docker config create --label com.docker.interlock.state=prod il.prod.state.99 file",
			"Find out who made it, and remove it."},
		{CompileFailed, routing.Error,
			"Compiling the cluster's services failed because of an error of ours. What is served stays as it is; other clusters are not affected.",
			"a bug",
			"Please report it with the output of `interlock snapshot`."},
		{ExtensionSilent, routing.Error,
			"The extension service does not render, so changes of structure wait: new routes, changed hosts and paths. What is served stays, and endpoints still follow the tasks.",
			"docker service scale interlock-extension=0",
			"See its tasks with `docker service ps --no-trunc interlock-extension`; where it has none, `docker service scale interlock-extension=1`."},
		{ConfigUnreadable, routing.Error,
			"config.toml can't be read. The last good one stays in force.",
			"an unclosed quote",
			"Correct the file and install it again: `interlock check --config config.toml` tells where."},
	}
}
