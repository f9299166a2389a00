package compile

import (
	"cmp"
	"fmt"
	"slices"

	"interlock/internal/label"
	"interlock/internal/problems"
	"interlock/internal/swarm"
	"interlock/routing"
)

// locate finds the present targets of each backend: the tasks that run and are
// meant to, and those that vanished without a reason (I6).
func (c *compiler) locate() {
	c.endpoints = make(routing.Endpoints, len(c.table.Backends))
	for _, s := range c.services {
		if !s.draft.grants() {
			continue
		}
		serving := c.serving(s)
		targets := c.targets(s, serving)
		if len(targets) == 0 {
			s.report(noEndpoints(s, len(serving)))
			continue
		}
		c.endpoints[s.backendID] = targets
	}
}

// targets are a service's endpoints, each address and port once, sorted.
func (c *compiler) targets(s *service, serving []*swarm.Task) []routing.Endpoint {
	if s.draft.mode == routing.ModeVIP {
		if len(serving) == 0 {
			return nil
		}
		return []routing.Endpoint{{Address: s.VIPs[s.draft.network.ID], Port: s.draft.port}}
	}
	ports := s.ports()
	list := make([]routing.Endpoint, 0, len(serving))
	for _, t := range serving {
		if address := c.address(s, t); address != "" {
			list = append(list, routing.Endpoint{Address: address, Port: ports.of(t), Task: t.ID})
		}
	}
	slices.SortFunc(list, func(x, y routing.Endpoint) int {
		return cmp.Or(cmp.Compare(x.Address, y.Address), cmp.Compare(x.Port, y.Port), cmp.Compare(x.Task, y.Task))
	})
	if len(list) == 0 {
		return nil
	}
	return slices.CompactFunc(list, func(x, y routing.Endpoint) bool { return x.Address == y.Address && x.Port == y.Port })
}

// address is a task's address on the route's network. A task of the former
// spec that is not on it is reached over another network of the proxies, until
// the update has replaced it.
func (c *compiler) address(s *service, t *swarm.Task) string {
	if a := t.Addresses[s.draft.network.ID]; a != "" {
		return a
	}
	if t.TemplateDigest == s.TemplateDigest {
		return ""
	}
	for _, id := range c.in.ProxyNetworks {
		if a := t.Addresses[id]; a != "" {
			return a
		}
	}
	return ""
}

// ports says which port a task listens on: the one in the labels of the spec
// that it was made from [E20].
type ports struct {
	template string // of the service
	present  int
	former   string // template of the spec before, "" if there is none
	previous int
	accepted int
}

func (s *service) ports() ports {
	p := ports{template: s.TemplateDigest, accepted: s.draft.port, present: s.draft.port, previous: s.draft.port}
	if s.Previous == nil || s.Previous.TemplateDigest == s.TemplateDigest {
		return p
	}
	p.former = s.Previous.TemplateDigest
	if spec, _ := label.Parse(s.Previous.Labels); spec.Port != 0 {
		p.previous = spec.Port
	}
	if s.draft.held && s.present.Port != 0 {
		p.present = s.present.Port // new tasks, though the labels that came with them are not accepted
	}
	return p
}

func (p ports) of(t *swarm.Task) int {
	switch t.TemplateDigest {
	case p.template:
		return p.present
	case p.former:
		return p.previous
	}
	return p.accepted
}

func noEndpoints(s *service, running int) routing.Problem {
	if running > 0 {
		return problem(problems.NoEndpoints, "", fmt.Sprintf("%d tasks run, but none has an address on network %s", running, s.draft.network.Name),
			"see docker service ps "+s.Name)
	}
	return problem(problems.NoEndpoints, "", "no task of the service is running", "see docker service ps "+s.Name)
}
