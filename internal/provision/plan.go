package provision

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"interlock/internal/config"
	"interlock/internal/problems"
	"interlock/internal/swarm"
)

// planner collects one plan.
type planner struct {
	Input
	plan Plan
	// networks are the present and planned networks by name.
	networks map[string]swarm.Network
	// claimed are nodes whose published host port a planned service will take.
	claimed map[int]map[string]bool
	// moving names the cluster whose proxies are being replaced, or will be.
	moving string
}

// Make plans. It plans nothing while what it would rest on is in doubt.
func Make(in Input) Plan {
	p := &planner{Input: in, networks: map[string]swarm.Network{}, claimed: map[int]map[string]bool{}}
	p.plan = Plan{Actions: []Action{}, Problems: nil}
	if d := in.Snapshot.Doubt; d.Services || d.Networks || d.Secrets || d.Nodes {
		p.problem("", "", problems.DoubtList, "nothing is planned while Docker's answers are in doubt", "")
		return p.plan
	}
	for _, n := range in.Snapshot.Networks {
		p.networks[n.Name] = n
	}
	p.sharedObjects()
	for _, c := range in.Clusters {
		if c.Unusable == "" {
			p.clusterObjects(c)
		}
	}
	p.extensions()
	p.findMoving()
	for _, c := range in.Clusters {
		if c.Unusable == "" {
			p.proxies(c)
		}
	}
	p.strangers()
	return p.plan
}

func (p *planner) problem(cluster, service, code, message, hint string) {
	f := problems.New(code, message, hint)
	f.Cluster, f.Service = cluster, service
	p.plan.Problems = append(p.plan.Problems, f)
}

func (p *planner) act(a Action) { p.plan.Actions = append(p.plan.Actions, a) }

func (p *planner) sharedObjects() {
	p.ensureNetwork(ExtensionNetwork, "", managed("", false), false)
	p.ensureIdentity("extension", "", "interlock://extension", managed("", false))
}

func (p *planner) clusterObjects(c config.Cluster) {
	slug, labels := c.Slug(), managed(c.Name, true)
	p.ensureNetwork(ControlName(slug), c.Name, labels, false)
	if len(c.Networks) == 0 {
		p.ensureNetwork(NetworkName(slug), c.Name, labels, true)
	}
	p.ensureIdentity(slug, c.Name, "interlock://cluster/"+slug, labels)
}

func (p *planner) ensureNetwork(name, cluster string, labels map[string]string, attachable bool) {
	if _, ok := p.networks[name]; ok {
		return
	}
	subnet, ok := freeSubnet(p.networks)
	if !ok {
		p.problem(cluster, "", problems.ProvisionNetwork, "no free subnet is left for network "+name,
			"create it yourself: docker network create --driver overlay "+name)
		return
	}
	n := &Network{Name: name, Labels: labels, Subnet: subnet, Attachable: attachable}
	p.networks[name] = swarm.Network{Name: name, Driver: "overlay", Subnets: []string{subnet}}
	p.act(Action{Kind: CreateNetwork, Cluster: cluster, Name: name, Network: n})
}

func (p *planner) ensureIdentity(slug, cluster, uri string, labels map[string]string) {
	name := IdentityName(slug, p.Settings.Authority)
	if slices.ContainsFunc(p.Snapshot.Secrets, func(o swarm.Object) bool { return o.Name == name }) {
		return
	}
	labels = maps.Clone(labels)
	labels[AuthorityLabel] = p.Settings.Authority
	p.act(Action{Kind: CreateIdentity, Cluster: cluster, Name: name, Identity: uri, Labels: labels})
}

// extensions plans one service for each name. The first table that has a name
// decides; another that wants it otherwise is told.
func (p *planner) extensions() {
	first := map[string]config.Cluster{}
	for _, c := range p.Clusters {
		if c.Unusable != "" || c.Engine == "embedded" {
			continue
		}
		other, ok := first[c.Extension.Name]
		if !ok {
			first[c.Extension.Name] = c
			p.extension(c)
			continue
		}
		if extensionReasons(other, p.Settings) != extensionReasons(c, p.Settings) {
			p.problem(c.Name, c.Extension.Name, problems.ProvisionDrift,
				fmt.Sprintf("the extension service is described differently for %s, which comes first", shown(other.Name)),
				"give this cluster a ServiceName of its own")
		}
	}
}

func (p *planner) extension(c config.Cluster) {
	want, reasons := desiredExtension(c, p.Settings), extensionReasons(c, p.Settings)
	want.Labels[ReasonLabel] = reasons
	present, ok := p.Present[want.Name]
	switch {
	case !ok && p.taken("", want.Name):
	case !ok && len(p.eligible(want.Constraints)) == 0:
		away, hint := p.idleNodes(want.Constraints)
		p.problem("", want.Name, problems.ProvisionNoNode, "no node can run the extension service by its constraints"+away, hint)
	case !ok:
		p.act(Action{Kind: CreateService, Name: want.Name, Service: &want})
	case present.Spec.Labels[ReasonLabel] == reasons:
		p.drift("", present, want)
	case len(p.eligible(want.Constraints)) == 0:
		away, hint := p.idleNodes(want.Constraints)
		p.problem("", want.Name, problems.ProvisionNoNode, "no node can run the extension service by its new constraints"+away, hint)
	default:
		p.act(update("", present, want))
	}
}

func update(cluster string, present Present, want Service) Action {
	return Action{
		Kind: UpdateService, Cluster: cluster, Name: want.Name, ID: present.ID, Version: present.Version,
		Changes: Diff(present.Spec, want), Service: &want,
	}
}

// taken says whether a service that is not ours has the name.
func (p *planner) taken(cluster, name string) bool {
	if !slices.ContainsFunc(p.Snapshot.Services, func(s swarm.Service) bool {
		return s.Name == name && s.Labels[ManagedLabel] != "true"
	}) {
		return false
	}
	p.problem(cluster, name, problems.ProvisionFailed, "a service with this name exists and is not Interlock's",
		"remove it, or choose another name in config.toml")
	return true
}

// drift tells a difference for which nobody gave a reason in config.toml.
func (p *planner) drift(cluster string, present Present, want Service) {
	for _, change := range Diff(present.Spec, want) {
		p.problem(cluster, want.Name, problems.ProvisionDrift,
			fmt.Sprintf("%s is %q, Interlock would make it %q", change.Field, change.From, change.To),
			"it is taken over with the next change of config.toml that concerns the service")
	}
}

// strangers tells of proxy services whose cluster config.toml does not have.
func (p *planner) strangers() {
	clusters := map[string]bool{}
	for _, c := range p.Clusters {
		clusters[c.Name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(p.Present)) {
		labels := p.Present[name].Spec.Labels
		if cluster, ok := labels[ClusterLabel]; ok && !clusters[cluster] {
			p.problem(cluster, name, problems.ProvisionDrift,
				fmt.Sprintf("the service serves %s, which config.toml does not have (any more); it goes on with what it has", shown(cluster)),
				"docker service rm "+name+" ends it")
		}
	}
}

// findMoving finds the first cluster whose proxies Swarm is replacing. One that
// is stuck does not keep others waiting.
func (p *planner) findMoving() {
	order := slices.Clone(p.Clusters)
	slices.SortStableFunc(order, func(a, b config.Cluster) int { return cmp.Compare(a.Order, b.Order) })
	for _, c := range order {
		if present := p.Present[c.Proxy.Name]; updating(present.UpdateState) && !p.stuck(c, present) {
			p.moving = c.Proxy.Name
			return
		}
	}
}

func updating(state string) bool { return state == "updating" || state == "rollback_started" }
