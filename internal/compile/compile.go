// Package compile turns the services admitted to one cluster into its table,
// endpoints and problems. It is pure, total and deterministic (I4): any input
// yields the same output whatever its order, and never an error or a panic.
//
// Compile rebuilds everything from the objects, in named passes: adopt the
// services, choose the labels that count (the present ones or the last known
// good), find network and port, settle the claims, build routes and backends,
// locate endpoints. What is wrong with one service ends in its problems and
// costs only its own routes.
package compile

import (
	"time"

	"interlock/internal/config"
	"interlock/internal/policy"
	"interlock/internal/swarm"
	"interlock/routing"
)

// Input of Compile. NewInput makes it from a snapshot and what was admitted.
type Input struct {
	Cluster  config.Cluster
	Admitted []swarm.Service
	// Holding are services that may only be served by their last known good:
	// see policy.Output.
	Holding []swarm.Service
	// Tasks and Networks may hold more than concerns the services; the rest is
	// not read (I1).
	Tasks    []swarm.Task
	Networks []swarm.Network
	Doubt    swarm.Doubt
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
	// Lost are the hosts that services asked for and did not get.
	Lost []Loss
	// State is the next state. It must be stored before Table is published.
	State State
	// Present are the services whose present labels are in Table, by id, with
	// those labels: what becomes last known good when Table is confirmed. Labels
	// with more than MaxRemembered bytes are not in it.
	Present map[string]Labels
}

// MaxRemembered bounds the labels of one service that become last known good,
// in bytes: a handful of services with 64 kB each would fill the cluster's
// stored state, and then nobody's structure could be published.
const MaxRemembered = 8 << 10

// Loss is a host and path that a service asked for in vain, and why.
type Loss struct {
	Host    string          `json:"host"`
	Path    string          `json:"path"`
	Problem routing.Problem `json:"problem"`
}

// Labels are a service's routing labels (with its stack and collection) and
// their digest.
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
	// Seen are the tasks that served in the previous compilation, by id, and
	// Absent the services that are missing without a reason, with the time
	// since. Both are of this process's life: endpoints are never stored (I15).
	Seen   map[string]SeenTask      `json:"-"`
	Absent map[string]time.Duration `json:"-"`
}

// Quarantine says which labels of a service an engine refused, and its words.
type Quarantine struct {
	Digest  string `json:"digest"`
	Message string `json:"message"`
}

// SeenTask is a task as it was when last seen. Once it is Gone without a
// reason, Missing is for how long. While any is, Compile must be called again
// for GuardHold to end.
type SeenTask struct {
	Task    swarm.Task
	Gone    bool
	Missing time.Duration
}

// Compile compiles one cluster.
func Compile(in Input) Output {
	c := newCompiler(in)
	c.adopt()
	c.choose()
	c.settle()
	c.build()
	c.locate()
	return c.output()
}

// Confirm records that a table is confirmed: the labels that were present in
// it become last known good. It returns the state to store.
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
