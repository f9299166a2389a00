package compile

import (
	"slices"
	"time"

	"interlock/internal/config"
	"interlock/internal/policy"
	"interlock/internal/swarm"
	"interlock/routing"
)

// NewInput is what Compile needs to know of a snapshot for one cluster, whose
// services policy.Admit has sorted out. ProxyNetworks are those that the
// cluster's proxies join by its configuration; State, Hold and Elapsed are the
// caller's. Services in Snapshot.Doubt.MissingServices are still among the
// services, as they were last known.
func NewInput(c config.Cluster, snap swarm.Snapshot, admitted, holding []swarm.Service) Input {
	return Input{
		Cluster: c, Admitted: admitted, Holding: holding,
		Tasks: snap.Tasks, Networks: snap.Networks, Doubt: snap.Doubt,
		ProxyNetworks: ProxyNetworks(c, snap.Networks),
	}
}

// AllInput is a whole Swarm.
type AllInput struct {
	Snapshot swarm.Snapshot
	Clusters []config.Cluster
	Homes    policy.Homes
	// States are by cluster name; a cluster without one is at its first start.
	States  map[string]State
	Elapsed time.Duration
}

// AllOutput is what all usable clusters compile to, by name, and the problems
// of admission and all of them.
type AllOutput struct {
	Clusters map[string]Output
	Problems []routing.Problem
	Homes    policy.Homes
}

// All admits and compiles for all usable clusters at once, with the networks
// that ProxyNetworks finds in the snapshot. It is for those who have no
// pipelines: the offline verbs, `interlock dev`, tests.
func All(in AllInput) AllOutput {
	admitted := policy.Admit(policy.Input{Snapshot: in.Snapshot, Clusters: in.Clusters, Homes: in.Homes})
	out := AllOutput{Clusters: map[string]Output{}, Homes: admitted.Homes, Problems: slices.Clone(admitted.Problems)}
	for _, c := range in.Clusters {
		if c.Unusable != "" {
			continue
		}
		input := NewInput(c, in.Snapshot, admitted.Admitted[c.Name], admitted.Holding[c.Name])
		input.State, input.Elapsed = in.States[c.Name], in.Elapsed
		compiled := Compile(input)
		out.Clusters[c.Name] = compiled
		out.Problems = append(out.Problems, compiled.Problems...)
	}
	out.Problems = sorted(out.Problems)
	return out
}
