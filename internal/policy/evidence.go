package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"interlock/internal/config"
	"interlock/internal/problems"
	"interlock/internal/swarm"
	"interlock/routing"
)

// The stages of admission, in order.
const (
	stageCollection = iota
	stageHome
	stageStack
	stagePlacement
)

// refusal is one cluster's no.
type refusal struct {
	cluster string
	stage   int
	label   string
	problem routing.Problem
}

// refuse returns the first reason for which c does not admit s as a member of
// collection, or nil.
func (a *admission) refuse(c config.Cluster, s swarm.Service, collection string) *refusal {
	no := func(stage int, label string, p routing.Problem) *refusal {
		return &refusal{cluster: c.Name, stage: stage, label: label, problem: p}
	}
	if !a.admitsCollection(c, collection) {
		return no(stageCollection, swarm.CollectionLabel, a.wrongCollection(c, collection))
	}
	if home := a.homes[s.Owner()]; !a.original && !atHome(c, collection, home) {
		return no(stageHome, swarm.CollectionLabel, wrongHome(c, s, collection, home))
	}
	if !inBounds(s) || poses(s) || !matchesAny(c.Policy.Stacks, s.Stack()) {
		return no(stageStack, swarm.StackLabel, wrongStack(c, s))
	}
	if node := a.strayNode(s, collection); node != "" {
		return no(stagePlacement, swarm.CollectionLabel, wrongPlacement(s, collection, node))
	}
	return nil
}

func (a *admission) admitsCollection(c config.Cluster, collection string) bool {
	if collection == "" || a.original {
		return c.Policy.Unlabelled
	}
	return slices.ContainsFunc(c.Policy.Collections, func(root string) bool {
		return swarm.InCollection(collection, root)
	})
}

// atHome says whether one of c's collections holds both the collection and
// the recorded home. An owner without a record is at home anywhere.
func atHome(c config.Cluster, collection, home string) bool {
	if home == "" || collection == "" {
		return true
	}
	return slices.ContainsFunc(c.Policy.Collections, func(root string) bool {
		return swarm.InCollection(collection, root) && swarm.InCollection(home, root)
	})
}

// matchesAny says whether one of the patterns matches; no patterns match all.
func matchesAny(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
}

// matches is path.Match where a malformed pattern matches nothing.
func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

// strayNode is the collection of a node that runs a task of s without being of
// the same branch of collections, or "".
func (a *admission) strayNode(s swarm.Service, collection string) string {
	if collection == "" || a.original {
		return ""
	}
	for _, node := range a.placed[s.ID] {
		if !swarm.InCollection(node, collection) && !swarm.InCollection(collection, node) {
			return node
		}
	}
	return ""
}

// placements are the distinct collections of the nodes on which each service's
// tasks run, sorted. Nodes without a collection, or unknown, are no evidence.
func placements(snap swarm.Snapshot) map[string][]string {
	nodes := map[string]string{}
	for _, n := range snap.Nodes {
		if c := n.Collection(); c != "" {
			nodes[n.ID] = c
		}
	}
	placed := map[string][]string{}
	if len(nodes) == 0 {
		return placed
	}
	for _, t := range snap.Tasks {
		c := nodes[t.NodeID]
		if c != "" && t.Serving() && !slices.Contains(placed[t.ServiceID], c) {
			placed[t.ServiceID] = append(placed[t.ServiceID], c)
		}
	}
	for _, list := range placed {
		slices.Sort(list)
	}
	return placed
}

func (a *admission) wrongCollection(c config.Cluster, collection string) routing.Problem {
	if collection == "" {
		return problems.New(problems.NotAdmittedUnlabelled,
			fmt.Sprintf("a service without a collection may not enter cluster %q", c.Name),
			"add "+swarm.CollectionLabel+" with your collection to deploy: labels:")
	}
	hint := "ask for the cluster of your own collection"
	if names := a.admitting(collection); len(names) > 0 {
		hint = "write " + clusterLabel + "=" + names[0] + ", or leave it out"
	}
	p := problems.New(problems.NotAdmittedCollection,
		fmt.Sprintf("collection %s may not enter cluster %q, which admits %s", clip(collection), c.Name, admits(c)), hint)
	p.Label = clusterLabel
	return p
}

// admitting are the names of the clusters that admit a collection.
func (a *admission) admitting(collection string) []string {
	var names []string
	for _, c := range a.clusters {
		if c.Unusable == "" && a.admitsCollection(c, collection) {
			names = append(names, c.Name)
		}
	}
	return names
}

// admits says in words which collections c takes.
func admits(c config.Cluster) string {
	if len(c.Policy.Collections) > 0 {
		return strings.Join(c.Policy.Collections, ", ")
	}
	if c.Policy.Unlabelled {
		return "services without a collection"
	}
	return "none"
}

func wrongHome(c config.Cluster, s swarm.Service, collection, home string) routing.Problem {
	return problems.New(problems.NotAdmittedHome,
		fmt.Sprintf("%s is at home in collection %s and now claims %s; labels alone do not move a stack, so it does not enter cluster %q",
			OwnerInWords(s.Owner()), home, collection, c.Name),
		"set "+swarm.CollectionLabel+"="+home+" again, or ask the operator for "+approval(s.Owner(), collection))
}

func wrongStack(c config.Cluster, s swarm.Service) routing.Problem {
	if !inBounds(s) {
		return problems.New(problems.NotAdmittedStack,
			fmt.Sprintf("the name of the stack or of the collection is longer than %d characters", maxName),
			"use a shorter name")
	}
	if poses(s) {
		return problems.New(problems.NotAdmittedStack, fmt.Sprintf("%q is not the name of a stack", clip(s.Stack())),
			"remove the label "+swarm.StackLabel)
	}
	return problems.New(problems.NotAdmittedStack,
		fmt.Sprintf("%s may not enter cluster %q, which takes stacks named %s",
			OwnerInWords(s.Owner()), c.Name, strings.Join(c.Policy.Stacks, ", ")),
		"deploy the stack under such a name, or ask the operator to add a pattern to Stacks")
}

func wrongPlacement(s swarm.Service, collection, node string) routing.Problem {
	return problems.New(problems.NotAdmittedPlacement,
		fmt.Sprintf("a task of %s runs on a node of collection %s, but the service is of %s", s.Name, node, collection),
		fmt.Sprintf("add the placement constraint node.labels.%s == %s", swarm.CollectionLabel, collection))
}
