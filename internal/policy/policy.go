// Package policy decides from evidence that the operator controls which
// services enter which cluster (admission), and who holds a host (claims). It
// is pure.
package policy

import (
	"time"

	"interlock/internal/config"
	"interlock/internal/swarm"
	"interlock/routing"
)

// Homes records for each owner (swarm.Service.Owner) the collection it was
// first admitted in. It is the Swarm's, not a cluster's: it catches a stack
// that moves from /dev to /prod.
type Homes map[string]string

// Input of Admit.
type Input struct {
	Snapshot swarm.Snapshot
	Clusters []config.Cluster
	Homes    Homes
}

// MaxHomes bounds what is remembered of owners that are gone.
const MaxHomes = 5000

// MaxHomesText bounds the names in Homes, in bytes: they are stored as one
// object of at most 250 kB.
const MaxHomesText = 200_000

// Output of Admit. Admitted is by cluster name, services sorted by id; a
// cluster that can't be used is not in it. Problems name the cluster they
// concern, "" where they concern none in particular. Homes is Input's with new
// owners added.
type Output struct {
	Admitted map[string][]swarm.Service
	// Holding are services whose present wish can't be granted (another
	// cluster that does not exist or refuses them, a move to another
	// collection that waits for approval), by the clusters that admit them
	// otherwise: such a cluster may keep the service's last known good and
	// nothing else of it.
	Holding  map[string][]swarm.Service
	Problems []routing.Problem
	Homes    Homes
}

// Claim is the recorded ownership of a host and path in one cluster.
type Claim struct {
	Host       string `json:"host"`
	Path       string `json:"path"`
	Owner      string `json:"owner"`
	Collection string `json:"collection,omitempty"`
	// Service is the id of the service that asked first.
	Service string `json:"service"`
	// Since orders claims: the first asker's creation time, then service id.
	Since time.Time `json:"since"`
	// Idle is observed time since nobody of Owner asks for it any more.
	Idle time.Duration `json:"idle,omitempty"`
}
