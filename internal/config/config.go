// Package config is the operator's config.toml: the original's keys and ours,
// as plain values with their defaults filled in. It is pure.
package config

import (
	"time"

	"interlock/routing"
)

// File is a parsed config.toml. A cluster that can't be used is in Clusters
// with Unusable set, so that it is frozen and nothing else is.
type File struct {
	Core     Core
	Clusters []Cluster // by Order, then name
	Problems []routing.Problem
	// Unreadable says why the text as a whole can't be used (it is no TOML);
	// "" when it can. The last good file then stays in force.
	Unreadable string
}

// Core is the part outside [Extensions].
type Core struct {
	ListenAddr    string
	DockerURL     string
	TLSCACert     string
	TLSCert       string
	TLSKey        string
	AllowInsecure bool
	PollInterval  time.Duration
}

// Cluster is one [Extensions.<name>] table: one service cluster.
type Cluster struct {
	// Name is ServiceCluster: what labels ask for; "" is the default cluster.
	Name string
	// Table is the <name> in [Extensions.<name>].
	Table string
	// Unusable says why the table can't be used; "" when it can.
	Unusable string
	// Order is the provisioning order among clusters.
	Order int

	Engine    string // bundle.HAProxy or bundle.Embedded
	Extension ExtensionService
	Proxy     ProxyService

	// Networks are the only networks the proxies join; empty: one of ours.
	Networks      []string
	NetworkAttach string // "none" or "auto"
	MaxNetworks   int

	Policy Policy
	Base   routing.Base

	// ReloadInterval is the least time between two reloads of one proxy.
	ReloadInterval time.Duration
	// GuardHold is how long what is missing without a reason is held on to.
	GuardHold time.Duration
	Rollout   Rollout
}

// Slug is the cluster's name in names of Docker objects and folders:
// see Slug.
func (c Cluster) Slug() string { return Slug(c.Name) }

// Policy is the operator's rules for who enters the cluster and what they may claim.
type Policy struct {
	// Collections admit services whose collection is in or below one of them.
	Collections []string
	// Stacks are patterns (path.Match) of stack names; empty admits all.
	Stacks []string
	// Unlabelled admits services without a collection label.
	Unlabelled bool
	// Hosts are patterns of host names that may be claimed ("*.dev.example.com"
	// covers any depth); empty allows all.
	Hosts []string
	// Owners maps a host to a pattern of the stacks that own it.
	Owners map[string]string
	// ClaimHold is how long, in observed time, a claim outlives its last asker.
	ClaimHold time.Duration
	// HostSharing: "stack", "collection" or "never".
	HostSharing string
	// DefaultBackends allows com.docker.lb.default_backend.
	DefaultBackends bool
	// MaxRoutesPerService and MaxRoutes bound the table.
	MaxRoutesPerService, MaxRoutes int
}

// ExtensionService is the Swarm service that renders for this cluster. An Image
// of "" is our own of the running version; the same holds for ProxyService.
type ExtensionService struct {
	Image       string
	Args        []string
	Name        string
	Labels      map[string]string
	Constraints []string
}

// ProxyService is the Swarm service of the cluster's proxies.
type ProxyService struct {
	Image           string
	Args            []string
	Name            string
	Labels          map[string]string
	ContainerLabels map[string]string
	Constraints     []string
	Preferences     []string // spread descriptors
	Replicas        uint64
	StopSignal      string
	StopGracePeriod time.Duration
	DrainTime       time.Duration
	// UpdateDelay is the pause between two proxies when the service is updated.
	UpdateDelay time.Duration
	// PublishMode is "host" or "ingress". A published port of 0 is not published.
	PublishMode         string
	PublishedPort       int
	TargetPort          int
	PublishedHealthPort int
}

// Rollout has Docker's own names.
type Rollout struct {
	Parallelism   int
	Delay         time.Duration
	Monitor       time.Duration
	FailureAction string // "rollback" or "pause"
	Deadline      time.Duration
}
