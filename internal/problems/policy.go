package problems

import "interlock/routing"

// Codes about what the operator's policy decides.
const (
	NotAdmittedCollection = "not-admitted-collection"
	NotAdmittedHome       = "not-admitted-home"
	NotAdmittedStack      = "not-admitted-stack"
	NotAdmittedPlacement  = "not-admitted-placement"
	NotAdmittedUnlabelled = "not-admitted-unlabelled"
	ClusterUnknown        = "cluster-unknown"
	ClusterAmbiguous      = "cluster-ambiguous"
	HostNotAllowed        = "host-not-allowed"
	HostConflict          = "host-conflict"
	DefaultNotAllowed     = "default-backend-not-allowed"
)

func policyEntries() []Entry {
	return []Entry{
		{NotAdmittedCollection, routing.Error,
			"The service's collection is not one that the cluster admits. It has no route in that cluster; nobody else is affected.",
			"deploy:\n  labels:\n    com.docker.ucp.access.label: /dev\n    com.docker.lb.service_cluster: prod",
			"Ask for the cluster of your own collection, or leave `com.docker.lb.service_cluster` out."},
		{NotAdmittedHome, routing.Error,
			"The stack was first admitted in another collection and now claims a new one. Its routes wait until an operator approves the move.",
			"com.docker.ucp.access.label: /prod   # was /dev",
			"Take the change back, or have an operator run `interlock approve STACK COLLECTION`, such as `interlock approve shop /prod`."},
		{NotAdmittedStack, routing.Error,
			"The stack's name matches none of the patterns in `Stacks` of the cluster.",
			"docker stack deploy -c app.yml test-app   # Stacks = [\"shop-*\"]",
			"Deploy under a name that matches, or ask the operator to add a pattern."},
		{NotAdmittedPlacement, routing.Error,
			"A task of the service runs on a node of another collection than the service's own.",
			"a /dev service on a node labelled com.docker.ucp.access.label=/prod",
			"Add a placement constraint: `node.labels.com.docker.ucp.access.label == /dev`."},
		{NotAdmittedUnlabelled, routing.Error,
			"The service has no collection label, and no cluster admits services without one.",
			"deploy without com.docker.ucp.access.label",
			"Add `com.docker.ucp.access.label` with your collection to `deploy: labels:`."},
		{ClusterUnknown, routing.Error,
			"`com.docker.lb.service_cluster` names a cluster that config.toml does not have.",
			"com.docker.lb.service_cluster: prd",
			"Write one of the clusters that exist, or leave the label out."},
		{ClusterAmbiguous, routing.Warning,
			"Several clusters admit the service and its labels do not say which one it wants. It is served by each of them.",
			"two clusters with Collections = [\"/dev\"]",
			"Add `com.docker.lb.service_cluster` if one is enough."},
		{HostNotAllowed, routing.Error,
			"The host is not covered by `Hosts` of the cluster, so nobody may claim it there. The service's other hosts are served.",
			"com.docker.lb.hosts: www.example.com   # Hosts = [\"*.dev.example.com\"]",
			"Use a name that the operator allows, or ask for it to be added."},
		{HostConflict, routing.Error,
			"The host is held by another stack, directly or by a wildcard. The holder keeps it; this service's other hosts are served.",
			"com.docker.lb.hosts: shop.example.com   # in two stacks",
			"Use another name. If it should be yours, the operator gives it to you with `Owners` in config.toml. When nobody of the holder asks for it any more it is free after `ClaimHold`, or at once with `interlock claims release`."},
		{DefaultNotAllowed, routing.Error,
			"The cluster does not allow `com.docker.lb.default_backend`.",
			"com.docker.lb.default_backend: \"true\"",
			"Use `com.docker.lb.hosts`, or ask the operator for `DefaultBackends = true`."},
	}
}
