package provision

import (
	"cmp"
	"fmt"
	"maps"
	"time"

	"interlock/internal/config"
	"interlock/internal/problems"
)

// proxies plans a cluster's proxy service: at most one action.
func (p *planner) proxies(c config.Cluster) {
	present, exists := p.Present[c.Proxy.Name]
	networks, ok := p.join(c, present)
	if !ok {
		return
	}
	image := cmp.Or(c.Proxy.Image, p.Settings.ProxyImage)
	if image == "" {
		image = cmp.Or(present.Spec.Image, p.Settings.DefaultProxyImage)
	}
	want, reasons := desiredProxy(c, p.Settings, image, networks), proxyReasons(c, p.Settings, networks)
	want.Labels[ReasonLabel] = reasons
	switch {
	case !exists:
		if !p.taken(c.Name, want.Name) && p.hasNodes(c, want, 1) && p.hasPorts(c, want, "", 1) {
			p.claim(want)
			p.act(Action{Kind: CreateService, Cluster: c.Name, Name: want.Name, Service: &want})
		}
	case p.stuck(c, present):
		p.undo(c, present)
	case present.Spec.Labels[ReasonLabel] == reasons:
		p.drift(c.Name, present, want)
		p.hasNodes(c, want, int(want.Replicas))
	default:
		p.change(c, present, want, reasons)
	}
}

// change plans an update when nothing speaks against it.
func (p *planner) change(c config.Cluster, present Present, want Service, reasons string) {
	if present.Spec.Labels[RefusedLabel] == reasons {
		p.problem(c.Name, want.Name, problems.ProvisionFailed,
			"the change did not come up and was undone; it is not tried again", "correct config.toml; see docker service ps "+want.Name)
		return
	}
	need := min(int(want.Replicas), max(1, p.serving(present.ID)))
	if !p.hasNodes(c, want, need) || !p.hasPorts(c, want, present.ID, need) || !p.idle(c, present) || !p.ready(c, present) {
		return
	}
	p.moving = want.Name
	p.act(update(c.Name, present, want))
}

// idle says whether nothing is under way that a replacement would disturb.
func (p *planner) idle(c config.Cluster, present Present) bool {
	why := ""
	switch {
	case p.Rolling[c.Name]:
		why = "a new bundle is being rolled out"
	case updating(present.UpdateState):
		why = "its last change is still under way"
	case p.moving != "":
		why = "the proxies of " + p.moving + " are being replaced"
	case p.Now.Sub(p.Replaced) < settle:
		why = "another change has only just begun"
	}
	if why == "" {
		return true
	}
	p.problem(c.Name, present.Spec.Name, problems.ProvisionInProgress, "a change to the proxies waits: "+why, "")
	return false
}

// ready says whether all proxies are ready, or none serves, so that there is
// nothing to lose. Fewer nodes than replicas make fewer proxies.
func (p *planner) ready(c config.Cluster, present Present) bool {
	serving := p.serving(present.ID)
	unready, known := p.Unready[c.Name]
	should := int(present.Spec.Replicas)
	if hostPorts(present.Spec) {
		should = min(should, len(p.eligible(present.Spec.Constraints)))
	}
	if serving == 0 || known && !unready && serving >= should {
		return true
	}
	why := "one of them does not serve what it should"
	switch {
	case serving < should:
		why = fmt.Sprintf("of %d, %d are healthy", should, serving)
	case !known:
		why = "they have not reported yet"
	}
	p.problem(c.Name, present.Spec.Name, problems.ProvisionNotReady, "a change to the proxies waits: "+why, "see interlock status")
	return false
}

// stuck says whether the last change has not come up and won't: Swarm has
// paused it, or its time is over. Swarm's own rollback never fires for a task
// that is pending [E9].
func (p *planner) stuck(c config.Cluster, present Present) bool {
	if present.UpdateState == "paused" || present.UpdateState == "rollback_paused" {
		return true
	}
	each := cmp.Or(c.Rollout.Deadline, 2*time.Minute) + present.Spec.StopGracePeriod + present.Spec.Update.Delay
	limit := time.Duration(max(1, present.Spec.Replicas)) * each
	return updating(present.UpdateState) && !present.UpdateStarted.IsZero() && p.Now.Sub(present.UpdateStarted) > limit
}

// undo puts back what was before, once: proxies that were not replaced yet are
// then as they should be, and stay.
func (p *planner) undo(c config.Cluster, present Present) {
	failed := present.Spec.Labels[ReasonLabel]
	previous := present.Previous
	if previous == nil || previous.Labels[ReasonLabel] == "" || previous.Labels[ReasonLabel] == failed ||
		present.Spec.Labels[RefusedLabel] == previous.Labels[ReasonLabel] {
		p.problem(c.Name, present.Spec.Name, problems.ProvisionFailed,
			"the proxies do not come up, and there is nothing to go back to", "see docker service ps "+present.Spec.Name)
		return
	}
	p.problem(c.Name, present.Spec.Name, problems.ProvisionFailed,
		"the last change of the proxies did not come up and is taken back", "see docker service ps "+present.Spec.Name)
	back := *previous
	back.Labels = maps.Clone(previous.Labels)
	back.Labels[RefusedLabel] = failed
	p.moving = present.Spec.Name
	p.act(Action{
		Kind: UndoService, Cluster: c.Name, Name: present.Spec.Name, ID: present.ID, Version: present.Version,
		Changes: Diff(present.Spec, back), Service: &back,
	})
}

// serving counts the tasks of a service that run and are meant to: with our
// health check, that means they were ready.
func (p *planner) serving(id string) int {
	n := 0
	for _, t := range p.Snapshot.Tasks {
		if t.ServiceID == id && t.Serving() {
			n++
		}
	}
	return n
}
