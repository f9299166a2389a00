// Package api is the operator's interface of core: HTTP with JSON on a unix
// socket in core's container. Who may reach that socket is decided by Docker,
// whose exec is the only way to it. It is read-only for now; verbs that act
// will be POST requests beside what is here.
package api

import (
	"time"

	"interlock/bundle"
	"interlock/routing"
)

// Socket is where core listens, in its container.
const Socket = "/run/interlock/api.sock"

// Status is the whole system's.
type Status struct {
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// SnapshotAge is the time since the last snapshot of the Swarm, in
	// milliseconds, negative when there was none yet. One comes with each
	// change, and every 30 s when nothing changes. Doubt names the lists that are
	// not fully known.
	SnapshotAge int64     `json:"snapshot_age_ms"`
	Doubt       []string  `json:"doubt,omitempty"`
	Clusters    []Cluster `json:"clusters"`
}

// Ready says whether every cluster is.
func (s Status) Ready() bool {
	for _, c := range s.Clusters {
		if c.State != Ready {
			return false
		}
	}
	return s.SnapshotAge >= 0 && len(s.Clusters) > 0
}

// State of a cluster.
type State string

// States, best first. Ready means that every running proxy acknowledged the
// cluster's generation (I8).
const (
	Ready    State = "ready"
	Degraded State = "degraded"
	Waiting  State = "waiting"
	Frozen   State = "frozen"
	Unusable State = "unusable"
)

// Cluster is one service cluster's status.
type Cluster struct {
	Name   string `json:"name"`
	Slug   string `json:"slug"`
	Engine string `json:"engine"`
	State  State  `json:"state"`
	// Reason says why State is not Ready.
	Reason     string          `json:"reason,omitempty"`
	Generation bundle.Position `json:"generation"`
	// Rollout is what is under way: "idle", "judging", "publishing", "trying"
	// or "confirming".
	Rollout  string  `json:"rollout"`
	Proxies  []Proxy `json:"proxies"`
	Replicas uint64  `json:"replicas"`

	Services  int `json:"services"`
	Routes    int `json:"routes"`
	Backends  int `json:"backends"`
	Endpoints int `json:"endpoints"`
	// Problems counts by severity.
	Problems map[routing.Severity]int `json:"problems"`
	// OperatorLines: the operator's raw lines are in force, which the
	// guarantees about services do not cover.
	OperatorLines bool `json:"operator_lines,omitempty"`
}

// Proxy is one proxy of a cluster: a task that should run, a session, or both.
type Proxy struct {
	Name string `json:"name"`
	Node string `json:"node"`
	Task string `json:"task"`
	// Connected: it has a session. Synced: it acknowledged the cluster's
	// generation. Confirmed is its own.
	Connected     bool            `json:"connected"`
	Synced        bool            `json:"synced"`
	Draining      bool            `json:"draining,omitempty"`
	Confirmed     bundle.Position `json:"confirmed"`
	Engine        string          `json:"engine,omitempty"`
	EngineVersion string          `json:"engine_version,omitempty"`
	Version       string          `json:"version,omitempty"`
	// Message is of its last failure.
	Message string `json:"message,omitempty"`
}

// Route is one route of a cluster as it should be served. Live says that the
// confirmed generation has it in the same way.
type Route struct {
	Cluster  string    `json:"cluster"`
	Host     string    `json:"host"`
	Path     string    `json:"path"`
	Rewrite  bool      `json:"rewrite,omitempty"`
	Live     bool      `json:"live"`
	Backends []Backend `json:"backends"`
}

// Backend is one service behind a route.
type Backend struct {
	Stack     string             `json:"stack,omitempty"`
	Service   string             `json:"service"`
	Port      int                `json:"port"`
	Network   string             `json:"network"`
	Mode      string             `json:"mode"`
	Algorithm string             `json:"algorithm"`
	Endpoints []routing.Endpoint `json:"endpoints"`
}

// Approval makes a collection the home of an owner: a stack by its name, or
// "service:" and the name of a service without one. From is the home before, ""
// when there was none; it is part of the answer.
type Approval struct {
	Owner      string `json:"owner"`
	Collection string `json:"collection"`
	From       string `json:"from,omitempty"`
}

// Claim is who holds a host and path in a cluster. Idle is for how many seconds
// nobody of the owner has asked for it; after ClaimHold it ends.
type Claim struct {
	Cluster    string    `json:"cluster"`
	Host       string    `json:"host"`
	Path       string    `json:"path"`
	Owner      string    `json:"owner"`
	Collection string    `json:"collection,omitempty"`
	Since      time.Time `json:"since"`
	Idle       float64   `json:"idle_seconds,omitempty"`
}

// ClaimOrder changes who holds a host in a cluster. Owner is whom it is given
// to, as in Approval.
type ClaimOrder struct {
	Cluster string `json:"cluster"`
	Host    string `json:"host"`
	Owner   string `json:"owner,omitempty"`
}
