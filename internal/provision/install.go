package provision

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"interlock/internal/config"
	"interlock/internal/swarm"
)

// Install is what "interlock install" decides from. Everything else is core's
// to make.
type Install struct {
	Clusters []config.Cluster
	// Config is the text of config.toml.
	Config []byte
	// Core's Config and Slugs are filled in here.
	Core     Core
	Snapshot swarm.Snapshot
	Present  map[string]Present
	// Authority is the fingerprint of the authority; First says that it is a
	// new one, whose key install has in hand for this once.
	Authority string
	First     bool
}

// MakeInstall plans an installation, or what an existing one lacks: networks
// that core must be on, identities, config.toml, core's service. Unlike Make it
// goes by any difference: whoever installs has said what they want.
func MakeInstall(in Install) Plan {
	p := &planner{
		Input:    Input{Clusters: in.Clusters, Snapshot: in.Snapshot, Settings: Settings{Authority: in.Authority}},
		networks: map[string]swarm.Network{},
	}
	p.plan.Actions = []Action{}
	for _, n := range in.Snapshot.Networks {
		p.networks[n.Name] = n
	}
	p.ensureNetwork(ExtensionNetwork, "", managed("", false), false)
	for _, c := range in.Clusters {
		p.ensureNetwork(ControlName(c.Slug()), c.Name, managed(c.Name, true), false)
		in.Core.Slugs = append(in.Core.Slugs, c.Slug())
	}
	if in.First {
		p.act(Action{Kind: CreateIdentity, Name: CoreIdentity, Identity: "interlock://core", Labels: authorityLabels(in.Authority)})
		p.ensureIdentity("extension", "", "interlock://extension", managed("", false))
		for _, c := range in.Clusters {
			p.ensureIdentity(c.Slug(), c.Name, "interlock://cluster/"+c.Slug(), managed(c.Name, true))
		}
	}
	in.Core.Config = p.ensureConfig(in.Config)
	p.ensureCore(in)
	p.outdated(in)
	return p.plan
}

func authorityLabels(authority string) map[string]string {
	labels := managed("", false)
	labels[AuthorityLabel] = authority
	return labels
}

// ensureConfig names the config by its content: configs can't be changed.
func (p *planner) ensureConfig(data []byte) string {
	sum := sha256.Sum256(data)
	name := ConfigPrefix + hex.EncodeToString(sum[:6])
	if !slices.ContainsFunc(p.Snapshot.Configs, func(o swarm.Object) bool { return o.Name == name }) {
		p.act(Action{Kind: CreateConfig, Name: name, Labels: managed("", false), Data: data})
	}
	return name
}

func (p *planner) ensureCore(in Install) {
	want := CoreSpec(in.Core)
	present, ok := in.Present[CoreService]
	switch {
	case !ok && p.taken("", CoreService):
	case !ok:
		p.act(Action{Kind: CreateService, Name: CoreService, Service: &want})
	case len(Diff(present.Spec, want)) > 0:
		p.act(update("", present, want))
	}
}

// outdated removes configs that held config.toml once, except for the newest,
// to which an operator may want to go back, and for what core has now.
func (p *planner) outdated(in Install) {
	keep := map[string]bool{in.Core.Config: true}
	for _, f := range in.Present[CoreService].Spec.Configs {
		keep[f.Source] = true
	}
	var old []swarm.Object
	for _, o := range p.Snapshot.Configs {
		if strings.HasPrefix(o.Name, ConfigPrefix) && o.Labels[ManagedLabel] == "true" && !keep[o.Name] {
			old = append(old, o)
		}
	}
	slices.SortFunc(old, func(a, b swarm.Object) int { return b.Created.Compare(a.Created) })
	for _, o := range old[min(1, len(old)):] {
		p.act(Action{Kind: RemoveConfig, Name: o.Name, ID: o.ID})
	}
}

// Authority is the fingerprint of the authority that core's identity is by, ""
// when there is none.
func Authority(secrets []swarm.Object) string {
	for _, o := range secrets {
		if o.Name == CoreIdentity {
			return o.Labels[AuthorityLabel]
		}
	}
	return ""
}
