package policy

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"interlock/internal/config"
	"interlock/internal/label"
	"interlock/internal/problems"
	"interlock/internal/swarm"
	"interlock/routing"
)

// clusterLabel is the one routing label that admission reads. Its value is
// compared, never interpreted.
const clusterLabel = label.Prefix + "service_cluster"

// Admit decides which services enter which clusters. Whether one service
// enters one cluster depends on that service, that cluster and the owner's
// recorded home only, so that no other table of config.toml changes it (I1).
// A service without routing labels enters none; where it seems to want a route
// all the same, a problem says so.
//
// A service that names no cluster enters every cluster whose rules admit it.
// In a config.toml without any Collections that is, as in the original, the
// default cluster "" alone.
func Admit(in Input) Output {
	a := newAdmission(in)
	for _, s := range byAge(in.Snapshot.Services) {
		if asksForRouting(s) {
			a.place(s)
		} else {
			a.recognise(s)
		}
	}
	return a.output()
}

// admission is the working state of one Admit.
type admission struct {
	clusters []config.Cluster
	// original says that no cluster has Collections: the original's rules.
	original bool
	homes    Homes
	// placed are the collections of the nodes that run a service's tasks.
	placed   map[string][]string
	admitted map[string][]swarm.Service
	holding  map[string][]swarm.Service
	problems []routing.Problem
	present  map[string]bool
	doubt    bool
}

func newAdmission(in Input) *admission {
	a := &admission{
		homes:    maps.Clone(in.Homes),
		original: true,
		placed:   placements(in.Snapshot),
		admitted: map[string][]swarm.Service{},
		holding:  map[string][]swarm.Service{},
		present:  map[string]bool{},
		doubt:    in.Snapshot.Doubt.Services,
	}
	if a.homes == nil {
		a.homes = Homes{}
	}
	for _, c := range in.Clusters {
		a.original = a.original && len(c.Policy.Collections) == 0
		if c.Unusable == "" {
			a.admitted[c.Name] = nil
		}
	}
	a.clusters = slices.SortedFunc(slices.Values(in.Clusters), func(x, y config.Cluster) int {
		return cmp.Compare(x.Name, y.Name)
	})
	for _, s := range in.Snapshot.Services {
		a.present[s.Owner()] = true
	}
	return a
}

// place admits s to the clusters it asks for, or says why not. A wish that
// can't be granted is a mistake: the clusters that would admit s otherwise may
// keep its last known good.
func (a *admission) place(s swarm.Service) {
	w := wishOf(s)
	var entered []string
	var refused []refusal
	for _, c := range a.clusters {
		if c.Unusable != "" || !a.asks(c, w) {
			continue
		}
		if r := a.refuse(c, s, s.Collection()); r != nil {
			refused = append(refused, *r)
			continue
		}
		entered = append(entered, c.Name)
	}
	if len(entered) == 0 {
		a.hold(s, w)
		a.report(s, w, refused)
		return
	}
	a.enter(s, entered)
	if len(entered) > 1 {
		a.add(s, "", clusterLabel, ambiguous(entered))
	}
}

// wish is the cluster that a service names, if it names one.
type wish struct {
	cluster string
	named   bool
}

func wishOf(s swarm.Service) wish {
	name, ok := s.Labels[clusterLabel]
	return wish{cluster: name, named: ok}
}

// asks says whether a service with that wish asks for cluster c.
func (a *admission) asks(c config.Cluster, w wish) bool {
	if w.named || a.original {
		return w.cluster == c.Name
	}
	return true
}

// recognise reports what a service without routing labels may have meant.
func (a *admission) recognise(s swarm.Service) {
	_, found := label.Parse(s.Labels)
	for _, p := range append(found, label.Misplaced(s.ContainerLabels, false)...) {
		a.add(s, "", "", p)
	}
}

func (a *admission) enter(s swarm.Service, clusters []string) {
	for _, name := range clusters {
		a.admitted[name] = append(a.admitted[name], s)
	}
	if _, known := a.homes[s.Owner()]; !known && !a.original && s.Collection() != "" {
		a.homes[s.Owner()] = s.Collection()
	}
}

// hold offers s to the clusters that would admit it if it asked for them, or
// if it were still in its recorded home.
func (a *admission) hold(s swarm.Service, w wish) {
	home := a.homes[s.Owner()]
	for _, c := range a.clusters {
		if c.Unusable != "" {
			continue
		}
		asked := w.named && a.refuse(c, s, s.Collection()) == nil
		stayed := home != "" && home != s.Collection() && a.refuse(c, s, home) == nil
		if asked || stayed {
			a.holding[c.Name] = append(a.holding[c.Name], s)
		}
	}
}

// report says why s entered no cluster: what the nearest cluster says, or that
// there is none.
func (a *admission) report(s swarm.Service, w wish, refused []refusal) {
	if w.named && !slices.ContainsFunc(a.clusters, func(c config.Cluster) bool { return c.Name == w.cluster }) {
		a.add(s, clip(w.cluster), clusterLabel, a.unknown(w.cluster))
		return
	}
	near := slices.DeleteFunc(slices.Clone(refused), func(r refusal) bool { return r.stage == stageCollection })
	if w.named {
		near = refused
	}
	for _, r := range near {
		a.add(s, r.cluster, r.label, r.problem)
	}
	if len(near) == 0 && !w.named {
		a.add(s, "", swarm.CollectionLabel, a.nowhere(s))
	}
}

func (a *admission) add(s swarm.Service, cluster, label string, p routing.Problem) {
	p.Cluster, p.Service = cluster, s.Name
	if p.Label == "" {
		p.Label = label
	}
	a.problems = append(a.problems, p)
}

func (a *admission) output() Output {
	for _, list := range []map[string][]swarm.Service{a.admitted, a.holding} {
		for _, services := range list {
			slices.SortFunc(services, func(x, y swarm.Service) int { return cmp.Compare(x.ID, y.ID) })
		}
	}
	slices.SortStableFunc(a.problems, func(x, y routing.Problem) int {
		return cmp.Or(cmp.Compare(x.Cluster, y.Cluster), cmp.Compare(x.Service, y.Service), cmp.Compare(x.Code, y.Code))
	})
	return Output{Admitted: a.admitted, Holding: a.holding, Problems: a.problems, Homes: a.boundHomes()}
}

// boundHomes forgets owners once there are more homes than MaxHomes, those that
// are gone in order of their names, or more text than MaxHomesText; never while
// the services are in doubt.
func (a *admission) boundHomes() Homes {
	if a.doubt {
		return a.homes
	}
	for _, owner := range slices.Sorted(maps.Keys(a.homes)) {
		if len(a.homes) <= MaxHomes {
			break
		}
		if !a.present[owner] {
			delete(a.homes, owner)
		}
	}
	a.shareHomes()
	return a.homes
}

// shareHomes gives every collection an equal share of MaxHomesText: who fills it
// costs its own collection the memory of where its stacks are at home, those
// that are gone first.
func (a *admission) shareHomes() {
	size := func(owner string) int { return len(owner) + len(a.homes[owner]) }
	used := map[string]int{}
	for owner, collection := range a.homes {
		used[collection] += size(owner)
	}
	share := fairShare(slices.Collect(maps.Values(used)), MaxHomesText)
	for _, present := range []bool{false, true} {
		for _, owner := range slices.Sorted(maps.Keys(a.homes)) {
			if collection := a.homes[owner]; used[collection] > share && a.present[owner] == present {
				used[collection] -= size(owner)
				delete(a.homes, owner)
			}
		}
	}
}

// fairShare is how much each may use so that all together use at most total:
// who uses less leaves the rest to the others.
func fairShare(uses []int, total int) int {
	slices.Sort(uses)
	for i, use := range uses {
		if share := total / (len(uses) - i); use > share {
			return share
		}
		total -= use
	}
	return math.MaxInt
}

// asksForRouting says whether s has any routing label.
func asksForRouting(s swarm.Service) bool {
	for name := range s.Labels {
		if len(name) >= len(label.Prefix) && strings.EqualFold(name[:len(label.Prefix)], label.Prefix) {
			return true
		}
	}
	return false
}

// byAge sorts services by creation, then id, so that the first of an owner
// decides its home whatever the list's order.
func byAge(services []swarm.Service) []swarm.Service {
	return slices.SortedFunc(slices.Values(services), func(x, y swarm.Service) int {
		return cmp.Or(CompareAge(x.Created, y.Created), cmp.Compare(x.ID, y.ID))
	})
}

func ambiguous(clusters []string) routing.Problem {
	return problems.New(problems.ClusterAmbiguous,
		"the labels name no cluster, and several admit the service: it is served by "+quotedList(clusters),
		"add "+clusterLabel+"="+clusters[0]+" if one is enough")
}
