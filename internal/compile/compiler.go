package compile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"interlock/internal/config"
	"interlock/internal/label"
	"interlock/internal/policy"
	"interlock/internal/problems"
	"interlock/internal/swarm"
	"interlock/routing"
)

// Bounds that hold where config.toml sets none.
const (
	defaultRoutesPerService = 64
	defaultRoutes           = 2000
)

// compiler is the working state of one Compile.
type compiler struct {
	in       Input
	cluster  config.Cluster
	networks map[string]swarm.Network
	shared   map[string]bool // ids of the proxies' networks
	tasks    map[string][]*swarm.Task
	users    map[spot]string // see addresses
	// services by age, then id.
	services []*service
	absent   map[string]time.Duration
	// seen are the tasks that serve now; missing those that did and are in the
	// snapshot no more, by service.
	seen    map[string]SeenTask
	missing map[string][]SeenTask

	table     routing.Table
	endpoints routing.Endpoints
	next      State
}

// service is one service on its way into the table.
type service struct {
	swarm.Service
	digest string
	// present is what its present labels say; offered is false where only its
	// last known good may be served.
	present label.Spec
	offered bool
	// tried is the draft of its present labels, nil when they don't count, and
	// good that of its last known good. draft is the one of them that counts,
	// nil when it gets no route.
	tried, good, draft *draft
	backendID          string // set when it is in the table
	problems           []routing.Problem
}

// draft is what one set of labels asks for, in view of the facts.
type draft struct {
	spec       label.Spec
	held       bool // from last known good labels that differ from the present ones
	collection string
	network    swarm.Network
	port       int
	mode       string
	asks       []ask
	problems   []routing.Problem
	lost       []Loss
}

// ask is one host and path of a draft.
type ask struct {
	host, path string
	// over says that the cluster has no room for it; otherwise conflict is why
	// it is not granted.
	over     bool
	conflict *policy.Conflict
	granted  bool
}

// usable says whether the draft asks for any route.
func (d *draft) usable() bool { return d != nil && len(d.asks) > 0 }

// grants says whether the draft was granted any route.
func (d *draft) grants() bool {
	return d != nil && slices.ContainsFunc(d.asks, func(a ask) bool { return a.granted })
}

func newCompiler(in Input) *compiler {
	c := &compiler{
		in: in, cluster: in.Cluster,
		networks: make(map[string]swarm.Network, len(in.Networks)),
		shared:   make(map[string]bool, len(in.ProxyNetworks)),
		absent:   map[string]time.Duration{},
		seen:     make(map[string]SeenTask, len(in.State.Seen)),
		missing:  map[string][]SeenTask{},
	}
	for _, n := range in.Networks {
		c.networks[n.ID] = n
	}
	for _, id := range in.ProxyNetworks {
		c.shared[id] = true
	}
	if c.cluster.Policy.MaxRoutesPerService <= 0 {
		c.cluster.Policy.MaxRoutesPerService = defaultRoutesPerService
	}
	if c.cluster.Policy.MaxRoutes <= 0 {
		c.cluster.Policy.MaxRoutes = defaultRoutes
	}
	return c
}

// adopt takes in the services by age, each once, without those that have been
// missing for too long, and their tasks.
func (c *compiler) adopt() {
	known := map[string]bool{}
	add := func(list []swarm.Service, offered bool) {
		for _, s := range list {
			if !known[s.ID] && !c.gone(s.ID) {
				known[s.ID] = true
				c.services = append(c.services, &service{Service: s, offered: offered})
			}
		}
	}
	add(c.in.Admitted, true)
	add(c.in.Holding, false)
	slices.SortFunc(c.services, func(x, y *service) int {
		return cmp.Or(policy.CompareAge(x.Created, y.Created), cmp.Compare(x.ID, y.ID))
	})
	c.tasks = make(map[string][]*swarm.Task, len(c.services))
	present := make(map[string]bool, len(c.in.State.Seen))
	for i := range c.in.Tasks {
		t := &c.in.Tasks[i]
		if known[t.ServiceID] {
			c.tasks[t.ServiceID] = append(c.tasks[t.ServiceID], t)
			present[t.ID] = true
		}
	}
	for _, list := range c.tasks {
		slices.SortFunc(list, func(x, y *swarm.Task) int { return cmp.Compare(x.ID, y.ID) })
	}
	for id, was := range c.in.State.Seen {
		if !present[id] && known[was.Task.ServiceID] {
			c.missing[was.Task.ServiceID] = append(c.missing[was.Task.ServiceID], was)
		}
	}
	for _, list := range c.missing {
		slices.SortFunc(list, func(x, y SeenTask) int { return cmp.Compare(x.Task.ID, y.Task.ID) })
	}
}

// gone says whether a service that is missing without a reason has been so for
// GuardHold (I6).
func (c *compiler) gone(id string) bool {
	if _, missing := c.in.Doubt.MissingServices[id]; !missing {
		return false
	}
	before, counted := c.in.State.Absent[id]
	if counted {
		before += c.in.Elapsed
	}
	c.absent[id] = before
	return before >= c.cluster.GuardHold
}

// report adds a problem about a service.
func (s *service) report(ps ...routing.Problem) { s.problems = append(s.problems, ps...) }

func (c *compiler) output() Output {
	present := map[string]Labels{}
	var all []routing.Problem
	var lost []Loss
	for _, s := range c.services {
		lost = append(lost, c.tell(s)...)
		if s.draft.grants() && !s.draft.held {
			if labels := routingLabels(s.Labels); text(labels) <= MaxRemembered {
				present[s.ID] = Labels{Digest: s.digest, Labels: labels}
			} else {
				s.report(problems.New(problems.LabelsNotRemembered,
					fmt.Sprintf("the routing labels have %d bytes, and only up to %d are remembered: should the next ones be wrong, the service has no last known good route", text(labels), MaxRemembered),
					"shorten the labels; a wildcard host (`*.apps.example.com`) replaces many names"))
			}
		}
		for _, p := range s.problems {
			all = append(all, c.named(s, p))
		}
	}
	c.next.Good, c.next.Quarantine = c.remember()
	c.next.Seen, c.next.Absent = c.seen, c.absent
	slices.SortStableFunc(lost, func(x, y Loss) int {
		return cmp.Or(cmp.Compare(x.Host, y.Host), cmp.Compare(x.Path, y.Path), cmp.Compare(x.Problem.Service, y.Problem.Service))
	})
	return Output{
		Table: c.table, Endpoints: c.endpoints, Problems: sorted(all),
		Lost: lost, State: c.next, Present: present,
	}
}

func (c *compiler) named(s *service, p routing.Problem) routing.Problem {
	p.Cluster, p.Service = c.cluster.Name, s.Name
	return p
}

// remember keeps last known good and quarantine of the services that are still
// there; all of them while the services are in doubt.
func (c *compiler) remember() (map[string]Labels, map[string]Quarantine) {
	good, quarantine := map[string]Labels{}, map[string]Quarantine{}
	if c.in.Doubt.Services {
		maps.Copy(good, c.in.State.Good)
		maps.Copy(quarantine, c.in.State.Quarantine)
	}
	for _, s := range c.services {
		if g, ok := c.in.State.Good[s.ID]; ok {
			good[s.ID] = g
		}
		q, ok := c.in.State.Quarantine[s.ID]
		if delete(quarantine, s.ID); ok && q.Digest == s.digest {
			quarantine[s.ID] = q
		}
	}
	return good, quarantine
}

// routingLabels are the labels that label.Digest is about.
func routingLabels(labels map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range labels {
		if label.IsRouting(name) || name == swarm.StackLabel || name == swarm.CollectionLabel {
			out[name] = value
		}
	}
	return out
}

func text(labels map[string]string) int {
	size := 0
	for name, value := range labels {
		size += len(name) + len(value)
	}
	return size
}

// sorted orders problems for people, without repetitions.
func sorted(all []routing.Problem) []routing.Problem {
	slices.SortFunc(all, func(x, y routing.Problem) int {
		return cmp.Or(cmp.Compare(x.Cluster, y.Cluster), cmp.Compare(x.Service, y.Service), cmp.Compare(x.Label, y.Label),
			cmp.Compare(x.Code, y.Code), cmp.Compare(x.Message, y.Message), cmp.Compare(x.Hint, y.Hint), cmp.Compare(x.Severity, y.Severity))
	})
	return slices.Compact(all)
}

// problem makes a finding about one routing label.
func problem(code, name, message, hint string) routing.Problem {
	p := problems.New(code, message, hint)
	if name != "" {
		p.Label = label.Prefix + name
	}
	return p
}
