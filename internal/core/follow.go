package core

import (
	"cmp"
	"slices"

	"interlock/internal/swarm"
	"interlock/routing"
)

// follow locates the tasks of backends that no service's labels name any more,
// while a table that is being served still does.
func follow(backends []routing.Backend, s swarm.Snapshot) routing.Endpoints {
	eps := routing.Endpoints{}
	if len(backends) == 0 {
		return eps
	}
	networks := map[string]string{}
	for _, n := range s.Networks {
		networks[n.Name] = n.ID
	}
	tasks := map[string][]swarm.Task{}
	for _, t := range s.Tasks {
		if t.Serving() {
			tasks[t.ServiceID] = append(tasks[t.ServiceID], t)
		}
	}
	vips := map[string]map[string]string{}
	for _, svc := range s.Services {
		vips[svc.ID] = svc.VIPs
	}
	for _, b := range backends {
		network := networks[b.Network]
		if b.Mode == routing.ModeVIP {
			if vip := vips[b.ServiceID][network]; vip != "" {
				eps[b.ID] = []routing.Endpoint{{Address: vip, Port: b.Port}}
			}
			continue
		}
		if at := addresses(tasks[b.ServiceID], network, b.Port); len(at) > 0 {
			eps[b.ID] = at
		}
	}
	return eps
}

func addresses(tasks []swarm.Task, network string, port int) []routing.Endpoint {
	var eps []routing.Endpoint
	for _, t := range tasks {
		if a := t.Addresses[network]; a != "" {
			eps = append(eps, routing.Endpoint{Address: a, Port: port, Task: t.ID})
		}
	}
	slices.SortFunc(eps, func(a, b routing.Endpoint) int { return cmp.Compare(a.Address, b.Address) })
	return eps
}
