package compile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"interlock/internal/config"
	"interlock/internal/label"
	"interlock/internal/problems"
	"interlock/internal/swarm"
	"interlock/routing"
)

// ProxyNetworks are the ids, sorted, of the networks that a cluster's proxies
// join: those of config.toml by name, else the cluster's own (il-<slug>). With
// NetworkAttach "auto" they are all that applications may use. A network that
// does not exist yet is left out.
func ProxyNetworks(c config.Cluster, networks []swarm.Network) []string {
	names := c.Networks
	if len(names) == 0 {
		names = []string{"il-" + c.Slug()}
	}
	var ids []string
	for _, n := range networks {
		if slices.Contains(names, n.Name) || c.NetworkAttach == "auto" && ofApplications(n) {
			ids = append(ids, n.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// ofApplications says whether a network may be attached for applications' sake:
// an overlay that is neither the ingress network nor one of ours.
func ofApplications(n swarm.Network) bool {
	return !n.Ingress && (n.Driver == "overlay" || n.Driver == "") && n.Labels[managedLabel] != "true"
}

// managedLabel marks Docker objects that Interlock made.
const managedLabel = "com.docker.interlock.managed"

// network finds the network over which a service is reached. want is the
// label's value, "" when it has none.
func (c *compiler) network(s swarm.Service, want string) (swarm.Network, *routing.Problem) {
	own := c.networksOf(s)
	if want != "" {
		return c.namedNetwork(s, own, want)
	}
	var common []swarm.Network
	for _, n := range own {
		if c.shared[n.ID] {
			common = append(common, n)
		}
	}
	switch len(common) {
	case 1:
		return common[0], nil
	case 0:
		return swarm.Network{}, c.notShared("the service is on no network of the cluster's proxies (" + onNetworks(own) + ")")
	}
	p := problem(problems.NetworkAmbiguous, "network",
		fmt.Sprintf("the service shares %d networks with the cluster's proxies: %s", len(common), names(common)),
		"add "+label.Prefix+"network="+common[0].Name+", or another of them")
	return swarm.Network{}, &p
}

func (c *compiler) namedNetwork(s swarm.Service, own []swarm.Network, want string) (swarm.Network, *routing.Problem) {
	n, ok := byName(own, want, s.Stack())
	if !ok {
		hint := "add it to the service's networks:, or name one that it is on"
		if len(own) > 0 {
			hint = "the service is on " + names(own) + "; name one of these, or add the network to the service's networks:"
		}
		p := problem(problems.NetworkMissing, "network", fmt.Sprintf("the service is not on network %q%s", clip(want), c.existence(want, s.Stack())), hint)
		return n, &p
	}
	if !c.shared[n.ID] {
		return n, c.notShared(fmt.Sprintf("the cluster's proxies are not on network %s", n.Name))
	}
	return n, nil
}

func (c *compiler) existence(want, stack string) string {
	for _, n := range c.networks {
		if n.Name == want || stack != "" && n.Name == stack+"_"+want {
			return ""
		}
	}
	return ", which does not exist"
}

// byName finds a network by its name, or by its name without the stack's prefix.
func byName(own []swarm.Network, want, stack string) (swarm.Network, bool) {
	for _, name := range []string{want, stack + "_" + want} {
		for _, n := range own {
			if n.Name == name {
				return n, true
			}
		}
	}
	return swarm.Network{}, false
}

// notShared says which network to join.
func (c *compiler) notShared(message string) *routing.Problem {
	hint := "the cluster's proxies are on no network yet"
	if shared := c.sharedNames(); len(shared) > 0 {
		hint = fmt.Sprintf("add %s to the service's networks:, and networks: {%s: {external: true}} to the file", shared[0], shared[0])
		if len(shared) > 1 {
			hint += fmt.Sprintf(" (the proxies are on %s)", strings.Join(shared, ", "))
		}
	}
	p := problem(problems.NetworkNotShared, "network", message, hint)
	return &p
}

func (c *compiler) sharedNames() []string {
	var shared []string
	for id := range c.shared {
		if n, ok := c.networks[id]; ok {
			shared = append(shared, n.Name)
		}
	}
	slices.Sort(shared)
	return shared[:min(len(shared), 8)]
}

// networksOf are the known networks of a service, without ingress, by name.
func (c *compiler) networksOf(s swarm.Service) []swarm.Network {
	var own []swarm.Network
	for _, id := range s.Networks {
		if n, ok := c.networks[id]; ok && !n.Ingress {
			own = append(own, n)
		}
	}
	slices.SortFunc(own, func(x, y swarm.Network) int { return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.ID, y.ID)) })
	return slices.CompactFunc(own, func(x, y swarm.Network) bool { return x.ID == y.ID })
}

func onNetworks(own []swarm.Network) string {
	if len(own) == 0 {
		return "it is on none"
	}
	return "it is on " + names(own)
}

func names(networks []swarm.Network) string {
	out := make([]string, len(networks))
	for i, n := range networks {
		out[i] = n.Name
	}
	return strings.Join(out, ", ")
}

// portOf is the port that spec names, else the service's only exposed one.
func portOf(s swarm.Service, spec label.Spec) (int, *routing.Problem) {
	if spec.Port != 0 {
		return spec.Port, nil
	}
	exposed := slices.Compact(slices.Sorted(slices.Values(s.ExposedPorts)))
	if len(exposed) == 1 {
		return exposed[0], nil
	}
	message := "the labels name no port, and the service exposes none"
	if len(exposed) > 1 {
		message = fmt.Sprintf("the labels name no port, and the service exposes %d", len(exposed))
	}
	p := problem(problems.PortMissing, "port", message, "add "+label.Prefix+"port with the port inside the container")
	return 0, &p
}

// checkVIP routes to the tasks where a service without a virtual address asks
// for it.
func (c *compiler) checkVIP(s *service, d *draft) {
	if d.mode != routing.ModeVIP || s.VIPs[d.network.ID] != "" {
		return
	}
	d.mode = routing.ModeTask
	d.problems = append(d.problems, problem(problems.VIPMissing, "backend_mode",
		fmt.Sprintf("the service has no virtual address on network %s; requests go to its tasks instead", d.network.Name),
		"write backend_mode=task, or remove endpoint_mode: dnsrr"))
}
