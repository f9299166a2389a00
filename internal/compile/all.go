package compile

import (
	"cmp"
	"slices"
	"time"

	"interlock/internal/config"
	"interlock/internal/label"
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
	// Unserved are, by cluster, the hosts of services that did not come as far
	// as Compile's Lost. They are of the whole Swarm, so no part of the Output.
	Unserved map[string][]Loss
	Problems []routing.Problem
	Homes    policy.Homes
}

// All admits and compiles for all usable clusters at once, with the networks
// that ProxyNetworks finds in the snapshot. It is for those who have no
// pipelines: the offline verbs, `interlock dev`, tests.
func All(in AllInput) AllOutput {
	admitted := policy.Admit(policy.Input{Snapshot: in.Snapshot, Clusters: in.Clusters, Homes: in.Homes})
	out := AllOutput{Clusters: map[string]Output{}, Unserved: map[string][]Loss{}, Homes: admitted.Homes, Problems: slices.Clone(admitted.Problems)}
	for _, c := range in.Clusters {
		if c.Unusable != "" {
			continue
		}
		input := NewInput(c, in.Snapshot, admitted.Admitted[c.Name], admitted.Holding[c.Name])
		input.State, input.Elapsed = in.States[c.Name], in.Elapsed
		compiled := Compile(input)
		out.Clusters[c.Name] = compiled
		out.Unserved[c.Name] = Unserved(in.Snapshot, compiled, slices.Concat(admitted.Problems, compiled.Problems))
		out.Problems = append(out.Problems, compiled.Problems...)
	}
	out.Problems = sorted(out.Problems)
	return out
}

// Unserved are the hosts asked for by services that were not admitted or whose
// labels were not accepted, each with the first error about its service among
// those found. Compile knows nothing of the former, and of the latter no hosts.
func Unserved(snap swarm.Snapshot, out Output, found []routing.Problem) []Loss {
	reason := map[string]routing.Problem{}
	for _, p := range found {
		if _, known := reason[p.Service]; !known && p.Severity == routing.Error && (p.Cluster == out.Table.Cluster || p.Cluster == "") {
			reason[p.Service] = p
		}
	}
	answered := answeredHosts(out)
	var lost []Loss
	for _, s := range snap.Services {
		p, ok := reason[s.Name]
		if !ok {
			continue
		}
		spec, _ := label.Parse(s.Labels)
		for _, h := range spec.Hosts[:min(len(spec.Hosts), mostLost)] {
			if !answered[s.Name][string(h)] {
				lost = append(lost, Loss{Host: string(h), Path: spec.ContextRoot, Problem: p})
			}
		}
	}
	slices.SortFunc(lost, func(a, b Loss) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Problem.Service, b.Problem.Service))
	})
	return lost
}

// answeredHosts are, by service, the hosts that it has, and those of which
// Compile says why it has not.
func answeredHosts(out Output) map[string]map[string]bool {
	m := map[string]map[string]bool{}
	add := func(service, host string) {
		if m[service] == nil {
			m[service] = map[string]bool{}
		}
		m[service][host] = true
	}
	service := map[string]string{}
	for _, b := range out.Table.Backends {
		service[b.ID] = b.Service
	}
	for _, r := range out.Table.Routes {
		for _, id := range r.Backends {
			add(service[id], r.Host)
		}
	}
	for _, l := range out.Lost {
		add(l.Problem.Service, l.Host)
	}
	return m
}
