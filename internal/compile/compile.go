// Package compile turns the services admitted to one cluster into its table,
// endpoints and problems. It is pure, total and deterministic (I4): any input
// yields the same output whatever its order, and never an error or a panic.
package compile

import (
	"time"

	"interlock/internal/config"
	"interlock/internal/policy"
	"interlock/internal/swarm"
	"interlock/routing"
)

// Input of Compile.
type Input struct {
	Cluster  config.Cluster
	Admitted []swarm.Service
	// Tasks, Networks and Nodes may hold more than concerns Admitted; the rest
	// is not read (I1).
	Tasks    []swarm.Task
	Networks []swarm.Network
	Nodes    []swarm.Node
	State    State
	// Hold makes services use their last known good labels for this one
	// compilation: how a refused change set is taken apart. By service id.
	Hold map[string]bool
	// ProxyNetworks are the ids of networks that the cluster's proxies are on
	// or will be on.
	ProxyNetworks []string
	// Elapsed is the observed time since the previous compilation.
	Elapsed time.Duration
}

// Output of Compile.
type Output struct {
	Table     routing.Table
	Endpoints routing.Endpoints
	Problems  []routing.Problem
	// State is the next state. It must be stored before Table is published.
	State State
	// Present are the services whose present labels are in Table, by id, with
	// those labels: what becomes last known good when Table is confirmed.
	Present map[string]Labels
}

// Labels are a service's routing labels with what they were accepted with.
type Labels struct {
	Digest string            `json:"digest"`
	Labels map[string]string `json:"labels"`
}

// State is what one cluster remembers between compilations. The zero value is
// a first start. It is stored by core and encoded as JSON.
type State struct {
	Claims []policy.Claim `json:"claims,omitempty"`
	// Good is the last known good of each service, by service id.
	Good map[string]Labels `json:"good,omitempty"`
	// Quarantine is by service id; it ends when the labels' digest changes.
	Quarantine map[string]Quarantine `json:"quarantine,omitempty"`
	// Missing is how long an endpoint (key: backend id + address:port), service
	// or other fact has been missing without a reason.
	Missing map[string]time.Duration `json:"-"`
}

// Quarantine says which labels of a service an engine refused, and its words.
type Quarantine struct {
	Digest  string `json:"digest"`
	Message string `json:"message"`
}

// Confirm records that out's table is confirmed: present labels become last
// known good. It returns the state to store.
func Confirm(s State, present map[string]Labels) State {
	good := make(map[string]Labels, len(s.Good)+len(present))
	for id, l := range s.Good {
		good[id] = l
	}
	for id, l := range present {
		good[id] = l
	}
	s.Good = good
	return s
}
