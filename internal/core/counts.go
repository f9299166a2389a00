package core

import (
	"sync/atomic"

	"interlock/internal/api"
)

// counts are a pipeline's counters.
type counts struct {
	compiles, candidates, judgements, refusals, published, confirmed, quarantined, restarts atomic.Uint64
}

func (c *counts) list(cluster string) []api.Counter {
	return []api.Counter{
		{Name: "interlock_compiles_total", Help: "Compilations of the cluster's services.", Cluster: cluster, Value: c.compiles.Load()},
		{Name: "interlock_candidates_total", Help: "Structures proposed to the rollout.", Cluster: cluster, Value: c.candidates.Load()},
		{Name: "interlock_judgements_total", Help: "Verdicts asked of agents.", Cluster: cluster, Value: c.judgements.Load()},
		{Name: "interlock_refusals_total", Help: "Verdicts and trials that ended with a refusal.", Cluster: cluster, Value: c.refusals.Load()},
		{Name: "interlock_generations_published_total", Help: "Generations stored and offered.", Cluster: cluster, Value: c.published.Load()},
		{Name: "interlock_generations_confirmed_total", Help: "Generations that a proxy confirmed.", Cluster: cluster, Value: c.confirmed.Load()},
		{Name: "interlock_quarantined_total", Help: "Services blamed for a refusal.", Cluster: cluster, Value: c.quarantined.Load()},
		{Name: "interlock_pipeline_restarts_total", Help: "Lives of the cluster's pipeline that ended with an error.", Cluster: cluster, Value: c.restarts.Load()},
	}
}
