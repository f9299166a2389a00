package core

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"interlock/bundle"
	"interlock/internal/api"
	"interlock/internal/compile"
	"interlock/internal/config"
	"interlock/internal/fleet"
	"interlock/internal/policy"
	"interlock/internal/problems"
	"interlock/internal/rollout"
	"interlock/internal/swarm"
	"interlock/routing"
)

// view is what a pipeline shows of itself. Nothing in it changes after.
type view struct {
	cluster    config.Cluster
	have       bool
	snapshot   swarm.Snapshot
	admission  []routing.Problem
	admitted   int
	compiled   compile.Output
	confirmed  routing.Table
	machine    rollout.View
	agents     map[string]fleet.Agent // by session
	crashed    string
	storeError string
	silent     string
	lost       shed
	claims     []policy.Claim
}

// publishStatus shows the present state.
func (p *pipeline) publishStatus(time.Time) {
	v := &view{
		cluster: p.now.cluster, have: p.have, snapshot: p.now.snapshot,
		admission: p.now.problems, admitted: len(p.now.admitted), compiled: p.compiled,
		machine: p.machine.View(), agents: make(map[string]fleet.Agent, len(p.links)),
		crashed: p.crashed, storeError: p.storeError, silent: p.silent, lost: p.lost, claims: p.memory.Compile.Claims,
	}
	v.confirmed = p.records[v.machine.Confirmed.Position].Table
	for id, l := range p.links {
		v.agents[id] = l.Agent()
	}
	p.status.Store(v)
}

// clusterStatus is a view as the API shows it.
func (v *view) clusterStatus() api.Cluster {
	c := api.Cluster{
		Name: v.cluster.Name, Slug: v.cluster.Slug(), Engine: v.cluster.Engine,
		Generation: v.machine.Confirmed.Position, Rollout: string(v.machine.State),
		Proxies: v.proxies(), Replicas: v.cluster.Proxy.Replicas,
		Services: v.admitted, Routes: len(v.compiled.Table.Routes), Backends: len(v.compiled.Table.Backends),
		Problems:      map[routing.Severity]int{},
		OperatorLines: len(v.cluster.Base.GlobalOptions)+len(v.cluster.Base.DefaultOptions) > 0,
	}
	for _, eps := range v.compiled.Endpoints {
		c.Endpoints += len(eps)
	}
	for _, p := range v.problems() {
		c.Problems[p.Severity]++
	}
	c.State, c.Reason = v.state(c.Proxies)
	return c
}

func (v *view) state(proxies []api.Proxy) (api.State, string) {
	switch {
	case v.cluster.Unusable != "":
		return api.Unusable, v.cluster.Unusable
	case v.machine.Frozen:
		return api.Frozen, v.machine.Reason
	case v.crashed != "":
		return api.Frozen, v.crashed
	case v.machine.Confirmed.Key == "":
		return api.Waiting, "no proxy has confirmed a generation yet"
	}
	if behind := unsynced(proxies); len(behind) > 0 {
		return api.Degraded, "not synced: " + strings.Join(behind, ", ")
	}
	if n := uint64(len(proxies)); n < v.cluster.Proxy.Replicas {
		return api.Degraded, fmt.Sprintf("%d of %d proxies run", n, v.cluster.Proxy.Replicas)
	}
	if v.silent != "" {
		return api.Degraded, fmt.Sprintf("the extension does not render, %d services wait for their routes", len(v.waiting()))
	}
	return api.Ready, ""
}

// waiting are the services, sorted, of whom some route is not live as it should.
func (v *view) waiting() []string {
	var names []string
	for _, r := range v.routes() {
		for _, b := range r.Backends {
			if !r.Live {
				names = append(names, b.Service)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// extensionSilent tells the cluster's operator, and those who wait. Their
// number is bounded: there may be thousands.
func (v *view) extensionSilent() []routing.Problem {
	const most = 100
	waiting := v.waiting()
	hint := "see `docker service ps --no-trunc " + v.cluster.Extension.Name + "`; where it has no task, `docker service scale " + v.cluster.Extension.Name + "=1`"
	p := problems.New(problems.ExtensionSilent, fmt.Sprintf("extension %s does not render, %d services wait for their routes: %s",
		v.cluster.Extension.Name, len(waiting), firstLine(v.silent)), hint)
	p.Cluster = v.cluster.Name
	all := []routing.Problem{p}
	for _, service := range waiting[:min(most, len(waiting))] {
		p := problems.New(problems.ExtensionSilent, "its routes are not live yet: the extension does not render", hint)
		p.Cluster, p.Service = v.cluster.Name, service
		all = append(all, p)
	}
	return all
}

func unsynced(proxies []api.Proxy) []string {
	var names []string
	for _, p := range proxies {
		if !p.Synced && !p.Draining {
			names = append(names, p.Name)
		}
	}
	return names
}

// proxies are the tasks of the cluster's proxy service that run, with their
// sessions, and sessions of other tasks beside them.
func (v *view) proxies() []api.Proxy {
	byTask := map[string]api.Proxy{}
	for _, a := range v.machine.Agents {
		p := proxyOf(v.agents[a.Agent.ID], a)
		byTask[cmp.Or(p.Task, a.Agent.ID)] = p
	}
	for _, t := range proxyTasks(v.cluster, v.snapshot) {
		if _, connected := byTask[t.ID]; !connected && t.Serving() {
			byTask[t.ID] = api.Proxy{Name: fmt.Sprintf("%s.%d", v.cluster.Proxy.Name, t.Slot), Node: hostname(v.snapshot, t.NodeID), Task: t.ID}
		}
	}
	list := make([]api.Proxy, 0, len(byTask))
	for _, p := range byTask {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b api.Proxy) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Task, b.Task))
	})
	return list
}

func proxyOf(a fleet.Agent, m rollout.AgentView) api.Proxy {
	return api.Proxy{
		Name: a.Proxy, Node: a.Node, Task: a.Task, Connected: true, Synced: m.Synced,
		Draining: m.Agent.Draining, Confirmed: m.Agent.Confirmed,
		Engine: a.Engine, EngineVersion: a.EngineVersion, Version: a.Version, Message: m.Words,
	}
}

// proxyTasks are the tasks of the cluster's proxy service.
func proxyTasks(c config.Cluster, s swarm.Snapshot) []swarm.Task {
	i := slices.IndexFunc(s.Services, func(svc swarm.Service) bool { return svc.Name == c.Proxy.Name })
	if i < 0 {
		return nil
	}
	var tasks []swarm.Task
	for _, t := range s.Tasks {
		if t.ServiceID == s.Services[i].ID {
			tasks = append(tasks, t)
		}
	}
	return tasks
}

func hostname(s swarm.Snapshot, node string) string {
	for _, n := range s.Nodes {
		if n.ID == node {
			return n.Hostname
		}
	}
	return ""
}

// problems are all that concern the cluster, the cluster's own first.
func (v *view) problems() []routing.Problem {
	var all []routing.Problem
	add := func(code, message, hint string) {
		p := problems.New(code, message, hint)
		p.Cluster = v.cluster.Name
		all = append(all, p)
	}
	switch proxies := v.proxies(); {
	case v.cluster.Unusable != "":
		add(problems.ClusterFrozen, "config.toml can't be used for this cluster: "+v.cluster.Unusable, "correct its table; what is served stays as it is")
	case v.machine.Frozen:
		add(problems.ClusterFrozen, "the cluster's own configuration is refused: "+v.machine.Reason, "correct its table in config.toml; no service is to blame")
	case v.machine.Confirmed == (rollout.Generation{}) && v.have:
		add(problems.ClusterWaiting, "no proxy has confirmed a generation yet", "see `docker service ps "+v.cluster.Proxy.Name+"`")
	default:
		for _, p := range proxies {
			if !p.Synced && !p.Draining {
				add(problems.ProxyNotSynced, notSynced(p, v.machine.Confirmed.Position), "see `docker service logs "+v.cluster.Proxy.Name+"`")
			}
		}
	}
	if v.crashed != "" {
		add(problems.CompileFailed, firstLine(v.crashed), "please report it with the output of `interlock snapshot`")
	}
	if v.storeError != "" {
		add(problems.StoreUnwritable, v.storeError, "see `docker node ls`")
	}
	if v.silent != "" {
		all = append(all, v.extensionSilent()...)
	}
	if len(v.lost.good)+v.lost.claims > 0 {
		add(problems.StateTooLarge, v.incomplete(), "shorter or fewer labels make room; until then correct a bad label before core is restarted")
	}
	return slices.Concat(all, v.admission, v.compiled.Problems)
}

// incomplete names what the stored state is without.
func (v *view) incomplete() string {
	names := map[string]string{}
	for _, s := range v.snapshot.Services {
		names[s.ID] = s.Name
	}
	var services []string
	for _, id := range v.lost.good {
		services = append(services, cmp.Or(names[id], id))
	}
	return fmt.Sprintf("the cluster's state would exceed the store's 250 kB; a restart of core loses the last known good labels of %d services %s and %d claims",
		len(services), clipped(services), v.lost.claims)
}

func notSynced(p api.Proxy, want bundle.Position) string {
	who := fmt.Sprintf("proxy %s on node %s", p.Name, p.Node)
	switch {
	case !p.Connected:
		return who + " has no session with core"
	case p.Message != "":
		return who + " failed to take generation " + fmt.Sprint(want.Generation) + ": " + p.Message
	}
	return fmt.Sprintf("%s confirmed generation %d, the cluster's is %d", who, p.Confirmed.Generation, want.Generation)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// routes are the wanted ones, each compared with what is confirmed.
func (v *view) routes() []api.Route {
	backends := map[string]routing.Backend{}
	for _, b := range v.compiled.Table.Backends {
		backends[b.ID] = b
	}
	live := map[string]routing.Route{}
	for _, r := range v.confirmed.Routes {
		live[r.Host+r.Path] = r
	}
	var out []api.Route
	for _, r := range v.compiled.Table.Routes {
		l, known := live[r.Host+r.Path]
		route := api.Route{
			Cluster: v.cluster.Name, Host: r.Host, Path: r.Path, Rewrite: r.Rewrite,
			Live: known && sameRoute(l, r),
		}
		for _, id := range r.Backends {
			route.Backends = append(route.Backends, backendOf(backends[id], v.compiled.Endpoints[id]))
		}
		out = append(out, route)
	}
	return out
}

// networks are the ids, sorted, of those that the wanted backends are on.
func (v *view) networks() []string {
	names := map[string]bool{}
	for _, b := range v.compiled.Table.Backends {
		names[b.Network] = true
	}
	var ids []string
	for _, n := range v.snapshot.Networks {
		if names[n.Name] {
			ids = append(ids, n.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func backendOf(b routing.Backend, eps []routing.Endpoint) api.Backend {
	if eps == nil {
		eps = []routing.Endpoint{}
	}
	return api.Backend{
		Stack: b.Stack, Service: b.Service, Port: b.Port, Network: b.Network,
		Mode: b.Mode, Algorithm: b.Algorithm, Endpoints: eps,
	}
}
