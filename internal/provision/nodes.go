package provision

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"interlock/internal/config"
	"interlock/internal/problems"
	"interlock/internal/swarm"
	"interlock/routing"
)

// eligible are the ids of the nodes that can run tasks with these constraints.
func (p *planner) eligible(constraints []string) []string {
	var out []string
	for _, n := range p.Snapshot.Nodes {
		if n.State == "ready" && n.Availability == "active" && meets(n, constraints) {
			out = append(out, n.ID)
		}
	}
	return out
}

// meets evaluates constraints as Swarm does: without regard to case, * matches
// anything. What a snapshot does not show of a node counts as met.
func meets(n swarm.Node, constraints []string) bool {
	return !slices.ContainsFunc(constraints, func(c string) bool { return !meetsOne(n, c) })
}

func meetsOne(n swarm.Node, constraint string) bool {
	key, value, ok := strings.Cut(constraint, "==")
	equal := true
	if !ok {
		key, value, ok = strings.Cut(constraint, "!=")
		equal = false
	}
	if !ok {
		return false // Swarm refuses it
	}
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	actual, shown := attribute(n, key)
	return !shown || same(actual, value) == equal
}

func attribute(n swarm.Node, key string) (value string, shown bool) {
	if label, ok := cutPrefixFold(key, "node.labels."); ok {
		return n.Labels[label], true
	}
	switch strings.ToLower(key) {
	case "node.id":
		return n.ID, true
	case "node.hostname":
		return n.Hostname, true
	case "node.role":
		return n.Role, true
	}
	return "", false
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

func same(actual, pattern string) bool {
	if !strings.Contains(pattern, "*") {
		return strings.EqualFold(actual, pattern)
	}
	// A slash is no separator here.
	flat := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "/", "\x00") }
	ok, err := path.Match(flat(pattern), flat(actual))
	return ok && err == nil
}

func hostPorts(s Service) bool {
	return slices.ContainsFunc(s.Ports, func(p Port) bool { return p.Host })
}

// hasNodes says whether at least need proxies find a node; a host port makes
// that one proxy for each node. Fewer than replicas is told in any case.
func (p *planner) hasNodes(c config.Cluster, want Service, need int) bool {
	nodes := len(p.eligible(want.Constraints))
	room := nodes
	if nodes > 0 && !hostPorts(want) {
		room = max(int(want.Replicas), 1)
	}
	if room < int(want.Replicas) || nodes == 0 {
		f := problems.New(problems.ProvisionNoNode,
			fmt.Sprintf("%d nodes can run its proxies, which are to be %d (constraints: %s)", nodes, want.Replicas,
				cmp.Or(strings.Join(want.Constraints, ", "), "none")),
			"label more nodes, or change ProxyConstraints or ProxyReplicas")
		if message, hint := p.idleNodes(want.Constraints); message != "" {
			f.Message, f.Hint = f.Message+message, hint
		}
		f.Cluster, f.Service = c.Name, want.Name
		if room >= need {
			f.Severity = routing.Warning // it goes on with fewer
		}
		p.plan.Problems = append(p.plan.Problems, f)
	}
	return room >= need
}

// maxNamed bounds how many nodes a message names.
const maxNamed = 5

// idleNodes names the nodes that meet the constraints and are drained, paused
// or not ready, and says how to get them back; "" where there are none.
func (p *planner) idleNodes(constraints []string) (message, hint string) {
	var words, away, down []string
	for _, n := range p.Snapshot.Nodes {
		name := cmp.Or(n.Hostname, n.ID)
		switch {
		case !meets(n, constraints):
			continue
		case n.State != "ready":
			words, down = append(words, name+" is "+cmp.Or(n.State, "not ready")), append(down, name)
		case n.Availability == "drain":
			words, away = append(words, name+" is drained"), append(away, name)
		case n.Availability != "active":
			words, away = append(words, name+" is paused"), append(away, name)
		}
	}
	if len(words) == 0 {
		return "", ""
	}
	more := ""
	if n := len(words) - maxNamed; n > 0 {
		words, more = words[:maxNamed], fmt.Sprintf(" and %d more", n)
	}
	if len(away) > 0 {
		hint = "docker node update --availability active " + away[0]
	} else {
		hint = "bring " + down[0] + " back, see `docker node ls`"
	}
	return "; others would do, but " + strings.Join(words, ", ") + more, hint + "; or label more nodes"
}

// hasPorts says whether need proxies find their ports free.
func (p *planner) hasPorts(c config.Cluster, want Service, own string, need int) bool {
	for _, port := range want.Ports {
		if by := p.holder(port, own); by != "" {
			p.portTaken(c, want, port, by)
			return false
		}
		if !port.Host {
			continue
		}
		free, by := p.freeNodes(want, port, own)
		if free < min(need, int(want.Replicas)) {
			p.portTaken(c, want, port, by)
			return false
		}
	}
	return true
}

func (p *planner) portTaken(c config.Cluster, want Service, port Port, by string) {
	p.problem(c.Name, want.Name, problems.ProvisionPortTaken,
		fmt.Sprintf("port %d is taken by service %s", port.Published, by), "choose another port in config.toml, or free it")
}

// holder is a service that takes the port on every node, or, for an ingress
// port, on any.
func (p *planner) holder(port Port, own string) string {
	for _, s := range p.Snapshot.Services {
		if s.ID == own {
			continue
		}
		for _, taken := range s.Published {
			if taken.Port == port.Published && (!taken.Host || !port.Host) {
				return s.Name
			}
		}
	}
	return ""
}

// freeNodes counts the eligible nodes on which no task holds the host port.
func (p *planner) freeNodes(want Service, port Port, own string) (free int, by string) {
	holders := map[string]string{}
	for _, s := range p.Snapshot.Services {
		if s.ID != own && slices.Contains(s.Published, swarm.Published{Port: port.Published, Host: true}) {
			holders[s.ID] = s.Name
		}
	}
	held := map[string]bool{}
	for node := range p.claimed[port.Published] {
		held[node], by = true, "another cluster's proxies"
	}
	for _, t := range p.Snapshot.Tasks {
		if name, ok := holders[t.ServiceID]; ok && t.Desired == swarm.TaskRunning {
			held[t.NodeID], by = true, name
		}
	}
	for _, node := range p.eligible(want.Constraints) {
		if !held[node] {
			free++
		}
	}
	return free, by
}

// claim notes the host ports of a service that is about to be created where it
// will surely take them: on all nodes that it can run on.
func (p *planner) claim(want Service) {
	nodes := p.eligible(want.Constraints)
	if len(nodes) > int(want.Replicas) {
		return
	}
	for _, port := range want.Ports {
		if p.claimed[port.Published] == nil {
			p.claimed[port.Published] = map[string]bool{}
		}
		for _, node := range nodes {
			p.claimed[port.Published][node] = true
		}
	}
}
