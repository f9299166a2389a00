package compile

import (
	"fmt"
	"slices"
	"strings"

	"interlock/internal/label"
	"interlock/internal/policy"
	"interlock/internal/problems"
	"interlock/internal/swarm"
	"interlock/routing"
)

// choose decides for each service which labels count: the present ones where
// they are accepted and the facts allow a route, else the last known good,
// compiled anew against present facts and present policy.
func (c *compiler) choose() {
	holders := c.holders()
	for _, s := range c.services {
		s.digest = label.Digest(s.Labels)
		spec, found := label.Parse(s.Labels)
		s.present = spec
		if s.offered {
			s.report(found...)
			s.report(label.Misplaced(s.ContainerLabels, spec.Registers)...)
			s.tried = c.presentDraft(s, holders)
		}
		s.good = c.goodDraft(s, holders)
		if s.draft = s.good; s.tried.usable() {
			s.draft = s.tried
		}
	}
}

// presentDraft is the draft of the present labels, nil when they don't count.
func (c *compiler) presentDraft(s *service, holders map[string]string) *draft {
	if s.present.Bad || !s.present.Registers {
		return nil
	}
	if q, ok := c.in.State.Quarantine[s.ID]; ok && q.Digest == s.digest {
		s.report(problem(problems.QuarantinedByEngine, "",
			fmt.Sprintf("the proxy engine refused these labels: %q", clip(q.Message)), "change the labels; the quarantine ends when they change"))
		return nil
	}
	if c.in.Hold[s.ID] {
		return nil
	}
	return c.draft(s, s.present, s.Collection(), holders)
}

// goodDraft is the draft of the last known good labels, nil when there are
// none, or when they are the present ones and those were tried already.
func (c *compiler) goodDraft(s *service, holders map[string]string) *draft {
	good, ok := c.in.State.Good[s.ID]
	if !ok || good.Digest == s.digest && !c.in.Hold[s.ID] {
		return nil
	}
	if q, ok := c.in.State.Quarantine[s.ID]; ok && q.Digest == good.Digest {
		return nil
	}
	spec, _ := label.Parse(good.Labels)
	if spec.Bad || !spec.Registers {
		return nil
	}
	if s.present.Bad && s.present.Restricts && len(spec.Allow) == 0 {
		// Its author wants it closed to some; the old labels have it open.
		return nil
	}
	d := c.draft(s, spec, good.Labels[swarm.CollectionLabel], holders)
	d.held = good.Digest != s.digest
	return d
}

// draft looks at what spec asks for in view of the facts and the policy, but
// not yet of others' claims.
func (c *compiler) draft(s *service, spec label.Spec, collection string, holders map[string]string) *draft {
	d := &draft{spec: spec, collection: collection, mode: spec.Mode}
	network, p := c.network(s.Service, spec.Network)
	if p != nil {
		d.problems = append(d.problems, *p)
	}
	port, pp := portOf(s.Service, spec)
	if pp != nil {
		d.problems = append(d.problems, *pp)
	}
	if p != nil || pp != nil {
		return d
	}
	d.network, d.port = network, port
	c.checkVIP(s, d)
	d.asks = c.wanted(s, d, holders)
	return d
}

// wanted are the hosts and paths that d asks for and policy allows, within the
// bound for one service. Of too many, hosts that its owner holds come first,
// then the order of the label counts.
func (c *compiler) wanted(s *service, d *draft, holders map[string]string) []ask {
	var held, others []ask
	for _, h := range d.spec.Hosts {
		host := string(h)
		switch {
		case !policy.HostAllowed(c.cluster.Policy, host, s.Owner()):
			c.lose(s, d, ask{host: host, path: d.spec.ContextRoot}, c.notAllowed(host))
		case holders[host] == s.Owner():
			held = append(held, ask{host: host, path: d.spec.ContextRoot})
		default:
			others = append(others, ask{host: host, path: d.spec.ContextRoot})
		}
	}
	if d.spec.DefaultBackend {
		if c.cluster.Policy.DefaultBackends {
			held = append(held, ask{host: routing.DefaultHost, path: "/"})
		} else {
			c.lose(s, d, ask{host: routing.DefaultHost, path: "/"}, problem(problems.DefaultNotAllowed, "default_backend",
				fmt.Sprintf("cluster %q does not allow a default backend", c.cluster.Name),
				"use com.docker.lb.hosts, or ask the operator for DefaultBackends = true"))
		}
	}
	asks := append(held, others...)
	if most := c.cluster.Policy.MaxRoutesPerService; len(asks) > most {
		d.problems = append(d.problems, problem(problems.TooManyRoutes, "hosts",
			fmt.Sprintf("%d hosts; a service may have %d routes, and %d hosts beginning with %s are not served", len(asks), most, len(asks)-most, asks[most].host),
			"use a wildcard host, or ask the operator to raise MaxRoutesPerService"))
		asks = asks[:most]
	}
	return asks
}

// holders are the owners of claimed hosts.
func (c *compiler) holders() map[string]string {
	m := make(map[string]string, len(c.in.State.Claims))
	for _, claim := range c.in.State.Claims {
		m[claim.Host] = claim.Owner
	}
	return m
}

// mostLost bounds what is said about one service's hosts.
const mostLost = 64

// lose records a host that a draft does not get.
func (c *compiler) lose(s *service, d *draft, a ask, p routing.Problem) {
	if len(d.lost) == mostLost {
		p.Message, p.Hint = "the same, or the like, is true of more hosts of this service", ""
		if !slices.Contains(d.problems, p) {
			d.problems = append(d.problems, p)
		}
		return
	}
	d.problems = append(d.problems, p)
	d.lost = append(d.lost, Loss{Host: a.host, Path: a.path, Problem: c.named(s, p)})
}

func (c *compiler) notAllowed(host string) routing.Problem {
	return problem(problems.HostNotAllowed, "hosts",
		fmt.Sprintf("host %s may not be claimed in cluster %q, which allows %s", host, c.cluster.Name, strings.Join(c.cluster.Policy.Hosts, ", ")),
		"use a name that is allowed, or ask the operator to add it to Hosts")
}

// clip shortens text of others for a message.
func clip(text string) string {
	const most = 300
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
