package core

import (
	"fmt"
	"maps"
	"runtime/debug"
	"time"

	"interlock/internal/compile"
	"interlock/internal/config"
	"interlock/internal/rollout"
	"interlock/internal/swarm"
	"interlock/routing"
)

// rolloutConfig is the cluster's part of a rollout's configuration.
func rolloutConfig(c config.Cluster) rollout.Config {
	return rollout.Config{Parallelism: c.Rollout.Parallelism, Delay: c.Rollout.Delay}
}

// take compiles new facts: endpoints at once, structure when it has settled.
func (p *pipeline) take(now time.Time, f facts) {
	if !p.have && inDoubt(f.snapshot.Doubt) {
		// After a start nothing is known yet: half a list would shrink what is
		// served (I6).
		return
	}
	p.have, p.now = true, f
	p.machine.Configure(rolloutConfig(f.cluster))
	p.drain(now)
	if f.cluster.Unusable != "" {
		p.followServed()
		return
	}
	p.compile(now)
}

func inDoubt(d swarm.Doubt) bool { return d.Services || d.Tasks || d.Networks || d.Nodes }

// compile brings endpoints and the wanted structure up to the present facts.
func (p *pipeline) compile(now time.Time) {
	in := p.input(now)
	out, err := compileSafely(in)
	if err != nil {
		// The structure that is served stays; its endpoints follow the tasks.
		p.crashed = err.Error()
		p.log.Error("compile failed", "error", err)
		p.followServed()
		return
	}
	p.counts.compiles.Add(1)
	p.crashed, p.lastRun = "", now
	p.remember(out.State)
	p.compiled = out
	p.options.Fleet.SetEndpoints(p.slug, p.endpoints(out))
	p.noteStructure(now, in, out)
}

func (p *pipeline) input(now time.Time) compile.Input {
	in := compile.Input{
		Cluster: p.now.cluster, Admitted: p.now.admitted, Holding: p.now.holding,
		Tasks: p.now.snapshot.Tasks, Networks: p.now.snapshot.Networks, Doubt: p.now.snapshot.Doubt,
		ProxyNetworks: compile.ProxyNetworks(p.now.cluster, p.now.snapshot.Networks),
		State:         p.memory.Compile,
	}
	if !p.lastRun.IsZero() {
		in.Elapsed = now.Sub(p.lastRun)
	}
	return in
}

// remember takes the next state. It is stored when it says something new about
// claims or quarantine; the passing of time alone is stored with the next
// generation.
func (p *pipeline) remember(s compile.State) {
	if len(s.Claims) != len(p.memory.Compile.Claims) || !maps.Equal(s.Quarantine, p.memory.Compile.Quarantine) {
		p.dirty = true
	}
	p.memory.Compile = s
}

// compileSafely turns a panic into an error of this cluster alone.
func compileSafely(in compile.Input) (out compile.Output, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic while compiling: %v\n%s", r, debug.Stack())
		}
	}()
	return compile.Compile(in), nil
}

// noteStructure remembers since when the structure differs from what was
// proposed last.
func (p *pipeline) noteStructure(now time.Time, in compile.Input, out compile.Output) {
	key := keyOf(p.now.cluster.Engine, out.Table)
	changed := key != p.key
	p.key = key
	if changed {
		p.changed = now
		if p.since.IsZero() {
			p.since = now
		}
	}
	p.wanted = in
	p.wanted.Elapsed = 0
}

// settled is when the structure has been quiet long enough to be proposed.
func (p *pipeline) settled() time.Time {
	quiet, most := p.changed.Add(p.options.Timing.Quiet), p.since.Add(p.options.Timing.Settle)
	if most.Before(quiet) {
		return most
	}
	return quiet
}

// propose makes the present structure the rollout's candidate once it settled.
func (p *pipeline) propose(now time.Time) {
	if p.changed.IsZero() || now.Before(p.settled()) {
		return
	}
	p.changed, p.since = time.Time{}, time.Time{}
	p.candidate(now)
}

func (p *pipeline) candidate(now time.Time) {
	if !p.have || p.key == "" || p.now.cluster.Unusable != "" {
		return
	}
	p.serial++
	p.counts.candidates.Add(1)
	p.latest = attempt{id: p.serial, input: p.wanted}
	old := p.records[p.machine.View().Confirmed.Position].Table
	p.step(now, rollout.Candidate{
		ID: p.serial, Key: p.key,
		Base:    baseKey(p.now.cluster.Engine, p.compiled.Table.Base),
		Changes: compile.Changed(old, p.compiled.Table),
	})
}

// followServed sends endpoints without compiling: those of what is served.
func (p *pipeline) followServed() {
	if len(p.records) == 0 {
		return
	}
	var served []routing.Backend
	for _, rec := range p.records {
		served = append(served, rec.Table.Backends...)
	}
	p.options.Fleet.SetEndpoints(p.slug, follow(served, p.now.snapshot))
}

// endpoints are those of the wanted structure, and beside them those of the
// backends that only structures still being served have: a backend that is
// about to leave keeps following its tasks until nothing routes to it.
func (p *pipeline) endpoints(out compile.Output) routing.Endpoints {
	eps := maps.Clone(out.Endpoints)
	if eps == nil {
		eps = routing.Endpoints{}
	}
	wanted := make(map[string]bool, len(out.Table.Backends))
	for _, b := range out.Table.Backends {
		wanted[b.ID] = true
	}
	var leaving []routing.Backend
	for _, rec := range p.records {
		for _, b := range rec.Table.Backends {
			if !wanted[b.ID] {
				leaving = append(leaving, b)
			}
		}
	}
	for id, targets := range follow(leaving, p.now.snapshot) {
		eps[id] = targets
	}
	return eps
}
