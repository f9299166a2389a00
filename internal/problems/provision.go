package problems

import "interlock/routing"

// Codes about what could not be seen.
const (
	DoubtList    = "doubt-list"
	DoubtMissing = "doubt-missing"
)

func doubtEntries() []Entry {
	return []Entry{
		{DoubtList, routing.Warning,
			"Docker's answer to a list was missing, partial or too old. What was known of it stays in force.",
			"a manager that does not answer",
			"Nothing, if it passes; otherwise see the managers' state with `docker node ls`."},
		{DoubtMissing, routing.Info,
			"Something is missing from Docker's answers without a reason. It is held until `GuardHold` has passed.",
			"a task that vanished from a list without having ended",
			"Nothing."},
	}
}

// Codes about the Docker objects of a cluster.
const (
	ProvisionNoNode     = "provision-no-node"
	ProvisionPortTaken  = "provision-port-taken"
	ProvisionNetwork    = "provision-network"
	ProvisionAddresses  = "provision-addresses"
	ProvisionNotReady   = "provision-proxies-not-ready"
	ProvisionInProgress = "provision-in-progress"
	ProvisionDrift      = "provision-drift"
	ProvisionFailed     = "provision-failed"
	CoreNotRunning      = "core-not-running"
)

func provisionEntries() []Entry {
	return []Entry{
		{ProvisionNoNode, routing.Error,
			"No node, or fewer than replicas with host ports, meets the cluster's `ProxyConstraints` and is ready and active. Nothing is changed.",
			"ProxyConstraints = [\"node.labels.nodetype==loadbalancer\"]",
			"Label nodes, or change the constraints. Where nodes are drained or paused: `docker node update --availability active NODE`."},
		{ProvisionPortTaken, routing.Error,
			"A port that the cluster would publish is taken by another service. Nothing is changed.",
			"PublishedPort = 80",
			"Choose another port or free it."},
		{ProvisionNetwork, routing.Error,
			"A network in the cluster's `Networks` does not exist, is not an overlay, or overlaps one that the proxies are on. Nothing is changed.",
			"Networks = [\"devnet\"]",
			"Create it: `docker network create --driver overlay --attachable devnet`."},
		{ProvisionAddresses, routing.Warning,
			"A network of the cluster has few free addresses left. Proxies are not replaced while one has none.",
			"a /24 with 120 services",
			"Move services to a larger network."},
		{ProvisionNotReady, routing.Warning,
			"A change to the proxies waits because one of them is not ready.",
			"a proxy that is being replaced",
			"See `interlock status`."},
		{ProvisionInProgress, routing.Info,
			"A change to the proxies waits for a rollout that is under way.",
			"a new bundle on trial",
			"Nothing."},
		{ProvisionDrift, routing.Warning,
			"A Docker object of the cluster was changed by hand. It is shown, not reverted at once.",
			"docker service update --replicas 1 interlock-proxy-dev",
			"Change config.toml instead, or take the change back."},
		{ProvisionFailed, routing.Error,
			"Docker refused a change that the cluster needs. It is tried again.",
			"an engine that is out of disk space",
			"See the message, which has Docker's words."},
		{CoreNotRunning, routing.Error,
			"Core does not run. Proxies serve on and follow endpoints by DNS; nothing else changes.",
			"docker service scale interlock-core=0",
			"Start it: `docker service scale interlock-core=1`. Where its tasks fail, `docker service logs interlock-core` says why."},
	}
}
