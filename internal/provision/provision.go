// Package provision plans the Docker objects that clusters need: networks,
// identities, the extension service, the proxy services. It is pure: a plan is
// data, and Docker is asked and changed elsewhere.
//
// A running proxy is replaced only for a reason that an operator gave: another
// config.toml, another proxy image that they named, another authority. What
// those are made of is kept as a fingerprint on the service. A difference
// without such a reason, drift by hand or by a newer Interlock, is a problem to
// look at and not a reason to act.
//
// Steps whose preconditions are not met are problems, not actions. Swarm itself
// is not asked to be careful: it stops a proxy before it knows that the next
// one can start [E8, E9, E10].
package provision

import (
	"strings"
	"time"

	"interlock/internal/config"
	"interlock/internal/swarm"
	"interlock/routing"
)

// Names of objects.
const (
	CoreService      = "interlock-core"
	ExtensionNetwork = "il-extension"
	CoreIdentity     = "interlock-core-identity"
	ConfigPrefix     = "interlock-config-"
)

// Labels on objects that are ours; ManagedLabel is docker.ManagedLabel.
const (
	ManagedLabel = "com.docker.interlock.managed"
	ClusterLabel = "com.docker.interlock.cluster"
	// ReasonLabel has the fingerprint of what a service was made from.
	ReasonLabel = "com.docker.interlock.reason"
	// RefusedLabel has the fingerprint of a change that was undone because it
	// did not come up; it is not tried again.
	RefusedLabel = "com.docker.interlock.refused"
	// AuthorityLabel has the fingerprint of an identity's authority.
	AuthorityLabel = "com.docker.interlock.authority"
)

// Environment of a proxy's container, beside that of Swarm's templates.
const (
	EnvCluster   = "INTERLOCK_CLUSTER" // the cluster's name
	EnvProxy     = "INTERLOCK_PROXY"
	EnvNode      = "INTERLOCK_NODE"
	EnvTask      = "INTERLOCK_TASK"
	EnvCore      = "INTERLOCK_CORE"
	EnvEngine    = "INTERLOCK_ENGINE"
	EnvDrainTime = "INTERLOCK_DRAIN_TIME" // a Go duration
	EnvGrace     = "INTERLOCK_GRACE"      // a Go duration: Docker's stop grace period
)

// Paths inside containers, and ports.
const (
	IdentityPath  = "/run/secrets/interlock-identity"
	ConfigPath    = "/config.toml"
	StatePath     = "/var/lib/interlock"
	RunPath       = "/run/interlock"
	CorePort      = "7300"
	ExtensionPort = "7400"
)

// NetworkName is the network of ours that a cluster's proxies share with its
// services; ControlName the one they share with core alone.
func NetworkName(slug string) string { return "il-" + slug }

// ControlName is described with NetworkName.
func ControlName(slug string) string { return "il-" + slug + "-control" }

// IdentityName is the secret with the identity of a cluster's proxies, or, with
// slug "extension", of the extension. Another authority means another secret.
func IdentityName(slug, authority string) string {
	return "il-" + slug + "-identity-" + authority[:min(8, len(authority))]
}

// Settings are what core knows of its own installation.
type Settings struct {
	// Image is core's own, which extensions run unless config.toml says otherwise.
	Image string
	// ProxyImage is what the operator named at installation, "" for none.
	ProxyImage string
	// DefaultProxyImage is for proxies that do not exist yet when nobody named
	// an image: a new version of core changes no running proxy.
	DefaultProxyImage string
	// Authority is the fingerprint of the authority of identities.
	Authority string
}

// SettingsOf are the settings of a core that runs image, with the proxy image
// that was named at installation, if any.
func SettingsOf(image, proxyImage, authority string) Settings {
	return Settings{Image: image, ProxyImage: proxyImage, DefaultProxyImage: proxyImageOf(image), Authority: authority}
}

// proxyImageOf is interlock-proxy:1.2 for interlock:1.2, in the same place.
func proxyImageOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name, tag := image, ""
	if i := strings.LastIndex(image, ":"); i > strings.LastIndex(image, "/") {
		name, tag = image[:i], image[i:]
	}
	return name + "-proxy" + tag
}

// Input of Make.
type Input struct {
	Clusters []config.Cluster // by Order
	Settings Settings
	Snapshot swarm.Snapshot
	// Present are the services of ours as they are, by name.
	Present map[string]Present
	// Rolling are the clusters, by name, with a rollout under way, and Unready
	// those with a running proxy that does not serve what it should. No proxy
	// of a cluster that is not in Unready, with true or false, is replaced: it
	// has not been heard of.
	Rolling, Unready map[string]bool
	// Wanted are, by cluster name, the ids of networks of routed services, for
	// clusters whose NetworkAttach is "auto". A cluster that is not in it keeps
	// the networks that it has joined.
	Wanted map[string][]string
	// Replaced is when the last replacement of running proxies was asked for;
	// see settle.
	Replaced time.Time
	Now      time.Time
}

// settle is how long after a replacement was asked for no other one is begun:
// a busy Swarm takes seconds to say that a service is being updated.
const settle = 30 * time.Second

// Present is a service of ours as Docker has it.
type Present struct {
	ID       string
	Version  uint64
	Spec     Service
	Previous *Service
	// UpdateState is Docker's word, UpdateStarted when it began.
	UpdateState   string
	UpdateStarted time.Time
}

// Kind says what an action does.
type Kind string

// Kinds of actions.
const (
	CreateNetwork  Kind = "create-network"
	CreateIdentity Kind = "create-identity"
	CreateConfig   Kind = "create-config"
	RemoveConfig   Kind = "remove-config"
	CreateService  Kind = "create-service"
	UpdateService  Kind = "update-service"
	// UndoService puts a service back to what it was before its last change.
	UndoService Kind = "undo-service"
)

// Action is one step. Steps are in the order in which they are to be done, and
// are independent of each other unless they are of the same cluster.
type Action struct {
	Kind    Kind   `json:"kind"`
	Cluster string `json:"cluster"`
	Name    string `json:"name"`
	// Changes say what an update changes.
	Changes []Change `json:"changes,omitempty"`

	Network *Network `json:"network,omitempty"`
	// Identity is the URI that the secret called Name is to be minted for, and
	// Labels are the secret's.
	Identity string            `json:"identity,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Service  *Service          `json:"service,omitempty"`
	// Data is the content of a config.
	Data []byte `json:"-"`
	// ID and Version are of the object that is changed or removed.
	ID      string `json:"id,omitempty"`
	Version uint64 `json:"version,omitempty"`
}

// Network is an overlay network to create.
type Network struct {
	Name       string            `json:"name"`
	Labels     map[string]string `json:"labels"`
	Subnet     string            `json:"subnet"`
	Attachable bool              `json:"attachable"`
}

// Plan is what is to be done, and what can't be.
type Plan struct {
	Actions  []Action          `json:"actions"`
	Problems []routing.Problem `json:"problems"`
}

// ExtensionAddress is where core dials a cluster's extension.
func ExtensionAddress(c config.Cluster) string {
	return "tasks." + c.Extension.Name + ":" + ExtensionPort
}

func managed(cluster string, isCluster bool) map[string]string {
	labels := map[string]string{ManagedLabel: "true"}
	if isCluster {
		labels[ClusterLabel] = cluster
	}
	return labels
}

func shown(cluster string) string {
	if cluster == "" {
		return "the default cluster"
	}
	return "cluster " + strings.ToValidUTF8(cluster, "?")
}
