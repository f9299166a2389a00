package provision

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"interlock/internal/config"
	"interlock/internal/problems"
	"interlock/internal/swarm"
)

// Networks of ours are cut from ourRange, which Docker's own pools (10.0.0.0/8
// in /24 from below, 172.16.0.0/12) reach last. A /24 is full at 124 services
// [E11].
var ourRange = netip.MustParsePrefix("10.208.0.0/12")

const ourBits = 20

// freeSubnet is the first that overlaps no present or planned network.
func freeSubnet(networks map[string]swarm.Network) (string, bool) {
	var used []netip.Prefix
	for _, n := range networks {
		used = append(used, subnets(n)...)
	}
	size := 1 << (32 - ourBits)
	for i := range 1 << (ourBits - ourRange.Bits()) {
		a := ourRange.Addr().As4()
		base := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3]) + uint32(i*size)
		candidate := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(base >> 24), byte(base >> 16), byte(base >> 8), byte(base)}), ourBits)
		if !slices.ContainsFunc(used, candidate.Overlaps) {
			return candidate.String(), true
		}
	}
	return "", false
}

func subnets(n swarm.Network) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range n.Subnets {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			out = append(out, prefix)
		}
	}
	return out
}

func overlap(a, b swarm.Network) bool {
	return slices.ContainsFunc(subnets(a), func(x netip.Prefix) bool {
		return slices.ContainsFunc(subnets(b), x.Overlaps)
	})
}

// join decides which networks a cluster's proxies join beside their control
// network; false when one of those it must join is not fit to be joined: that
// would take proxies down for good [E10].
func (p *planner) join(c config.Cluster, present Present) ([]string, bool) {
	control := p.networks[ControlName(c.Slug())]
	base := slices.Clone(c.Networks)
	if len(base) == 0 {
		base = []string{NetworkName(c.Slug())}
	}
	slices.Sort(base)
	base = slices.Compact(base)
	joined := []swarm.Network{control}
	for _, name := range base {
		n, code, why := p.fit(name, joined)
		if why != "" {
			p.problem(c.Name, c.Proxy.Name, code, why, unfitHints[code])
			return nil, false
		}
		joined = append(joined, n)
	}
	names := append(base, p.wanted(c, present, joined)...)
	slices.Sort(names)
	return slices.Compact(names), true
}

var unfitHints = map[string]string{
	problems.ProvisionNetwork:   "name an existing overlay network in Networks: docker network create --driver overlay --attachable NAME",
	problems.ProvisionAddresses: "move services to another network",
}

// fit says why a network can't be joined together with others, "" when it can.
func (p *planner) fit(name string, others []swarm.Network) (n swarm.Network, code, why string) {
	n, ok := p.networks[name]
	code = problems.ProvisionNetwork
	if !ok {
		return n, code, fmt.Sprintf("network %s does not exist", name)
	}
	if n.Driver != "" && n.Driver != "overlay" || n.Ingress {
		return n, code, fmt.Sprintf("network %s is not an overlay for services", name)
	}
	for _, other := range others {
		if other.Name != name && overlap(n, other) {
			return n, code, fmt.Sprintf("network %s overlaps network %s", name, other.Name)
		}
	}
	if free, known := p.free(n); known && free < 1 {
		return n, problems.ProvisionAddresses, fmt.Sprintf("network %s has no free address", name)
	}
	return n, "", ""
}

// wanted are the application networks to join with NetworkAttach = "auto":
// those that are joined and still wanted, and one more; all at once only for a
// service that does not exist yet.
func (p *planner) wanted(c config.Cluster, present Present, joined []swarm.Network) []string {
	if c.NetworkAttach != config.AttachAuto {
		return nil
	}
	byID := map[string]string{}
	for _, n := range p.Snapshot.Networks {
		byID[n.ID] = n.Name
	}
	wanted, known := p.Wanted[c.Name]
	if !known {
		return p.attached(present, joined)
	}
	names := map[string]bool{}
	for _, id := range wanted {
		if name := byID[id]; name != "" && !slices.ContainsFunc(joined, func(n swarm.Network) bool { return n.Name == name }) {
			names[name] = true
		}
	}
	var out []string
	for _, name := range present.Spec.Networks {
		if names[name] {
			out = append(out, name)
			joined = append(joined, p.networks[name])
			delete(names, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		n, code, why := p.fit(name, joined)
		switch {
		case why != "":
			p.problem(c.Name, c.Proxy.Name, code, why+"; services on it are not reached", "")
			continue
		case len(out) >= c.MaxNetworks:
			p.problem(c.Name, c.Proxy.Name, problems.ProvisionNetwork,
				fmt.Sprintf("network %s is one more than the %d that MaxNetworks allows", name, c.MaxNetworks),
				"let services of the cluster share a network: "+NetworkName(c.Slug()))
			return out
		}
		out = append(out, name)
		joined = append(joined, n)
		if present.ID != "" {
			break
		}
	}
	return out
}

// attached are the networks that a proxy service has joined beside others.
func (p *planner) attached(present Present, others []swarm.Network) []string {
	var out []string
	for _, name := range present.Spec.Networks {
		if !slices.ContainsFunc(others, func(n swarm.Network) bool { return n.Name == name }) {
			out = append(out, name)
		}
	}
	return out
}

// free estimates a network's free addresses: tasks, virtual addresses, one for
// each node, gateway, network and broadcast are taken.
func (p *planner) free(n swarm.Network) (int, bool) {
	prefixes := subnets(n)
	if n.ID == "" || len(prefixes) == 0 || !prefixes[0].Addr().Is4() {
		return 0, false
	}
	taken := 3 + len(p.Snapshot.Nodes)
	for _, t := range p.Snapshot.Tasks {
		if t.Addresses[n.ID] != "" {
			taken++
		}
	}
	for _, s := range p.Snapshot.Services {
		if s.VIPs[n.ID] != "" {
			taken++
		}
	}
	return 1<<(32-prefixes[0].Bits()) - taken, true
}
