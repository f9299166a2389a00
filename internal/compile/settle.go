package compile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"interlock/internal/label"
	"interlock/internal/policy"
	"interlock/internal/problems"
	"interlock/routing"
)

// settle decides whose asks are granted. A service whose present labels get
// nothing goes back to its last known good, and claims are settled again with
// that; nobody else's verdict depends on an ask that was refused.
func (c *compiler) settle() {
	c.judge()
	if c.retreat() {
		c.judge()
	}
}

// retreat puts services that were granted nothing back to their last known
// good and says whether there were any.
func (c *compiler) retreat() bool {
	retreated := false
	for _, s := range c.services {
		if s.draft != nil && s.draft == s.tried && !s.draft.grants() && s.good.usable() {
			s.draft, retreated = s.good, true
		}
	}
	return retreated
}

// place is a host and path.
type place struct{ host, path string }

// judge settles the asks of all drafts.
func (c *compiler) judge() {
	c.bound()
	var asks []policy.Ask
	var wanted []*ask
	for _, s := range c.services {
		for a := range s.asks() {
			if a.over {
				continue
			}
			wanted = append(wanted, a)
			asks = append(asks, policy.Ask{
				Host: a.host, Path: a.path, Owner: s.Owner(), Collection: s.draft.collection, Service: s.ID, Created: s.Created,
			})
		}
	}
	claims, conflicts := policy.Settle(c.cluster.Policy, c.in.State.Claims, asks, c.in.Elapsed)
	for i, conflict := range conflicts {
		wanted[i].conflict, wanted[i].granted = conflict, conflict == nil
	}
	c.next.Claims = claims
}

// asks yields the asks of the draft that counts.
func (s *service) asks() func(yield func(*ask) bool) {
	return func(yield func(*ask) bool) {
		if s.draft == nil {
			return
		}
		for i := range s.draft.asks {
			if !yield(&s.draft.asks[i]) {
				return
			}
		}
	}
}

// bound marks the asks for which the cluster has no room: what is claimed
// already comes first, then the older services.
func (c *compiler) bound() {
	if c.count() <= c.cluster.Policy.MaxRoutes {
		return
	}
	held := make(map[policy.Claim]bool, len(c.in.State.Claims))
	for _, claim := range c.in.State.Claims {
		held[policy.Claim{Host: claim.Host, Path: claim.Path, Owner: claim.Owner}] = true
	}
	places := map[place]bool{}
	for _, claimed := range []bool{true, false} {
		for _, s := range c.services {
			for a := range s.asks() {
				if held[policy.Claim{Host: a.host, Path: a.path, Owner: s.Owner()}] != claimed {
					continue
				}
				at := place{a.host, a.path}
				a.over = !places[at] && len(places) >= c.cluster.Policy.MaxRoutes
				if !a.over {
					places[at] = true
				}
			}
		}
	}
}

// count is the number of asks, none of which is over the bound yet.
func (c *compiler) count() int {
	asks := 0
	for _, s := range c.services {
		for a := range s.asks() {
			a.over = false
			asks++
		}
	}
	return asks
}

// tell reports what became of a service's wishes and returns what it lost.
func (c *compiler) tell(s *service) []Loss {
	if s.draft.grants() && s.draft.held && !c.in.Hold[s.ID] {
		s.report(problem(problems.HoldingLastKnownGood, "",
			"the present labels are not accepted; the service is routed by the last ones that were",
			"correct what the other problem of this service says; to end the route, remove all com.docker.lb.* labels"+remaining(s.Labels)))
	}
	if s.tried == nil {
		return nil
	}
	for _, a := range s.tried.asks {
		if p, lost := c.verdict(s, a); lost {
			c.lose(s, s.tried, a, p)
		}
	}
	s.report(s.tried.problems...)
	return s.tried.lost
}

// mostNamed bounds how many labels a hint names.
const mostNamed = 8

// remaining names the labels that keep a service routed, for its author to
// remove: removing some is taken for a mistake.
func remaining(labels map[string]string) string {
	var names []string
	for name := range labels {
		if label.IsRouting(name) {
			names = append(names, label.SafeName(name))
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	more := ""
	if n := len(names) - mostNamed; n > 0 {
		names, more = names[:mostNamed], fmt.Sprintf(" and %d more", n)
	}
	return ": " + strings.Join(names, ", ") + more
}

// verdict is the problem of an ask that was not granted.
func (c *compiler) verdict(s *service, a ask) (routing.Problem, bool) {
	switch {
	case a.over:
		return problem(problems.TooManyRoutes, "hosts",
			fmt.Sprintf("cluster %q has its %d routes; %s is not served", c.cluster.Name, c.cluster.Policy.MaxRoutes, a.host),
			"ask the operator to raise MaxRoutes"), true
	case a.conflict != nil:
		return c.conflict(s, a), true
	}
	return routing.Problem{}, false
}

func (c *compiler) conflict(s *service, a ask) routing.Problem {
	name, what := "hosts", "host "+a.host
	if a.host == routing.DefaultHost {
		name, what = "default_backend", "the default backend"
	}
	hint := "use another name, or ask the operator to give it to you with Owners in config.toml"
	holder := a.conflict.Holder
	idle := ""
	if holder.Idle > 0 {
		idle = c.idle(holder)
		hint = "wait, or ask the operator to end the claim: " + c.release(holder.Host)
	}
	switch {
	case a.conflict.Owners != "":
		return problem(problems.HostConflict, name, fmt.Sprintf("%s is given by the operator to %s", what, a.conflict.Owners), hint)
	case holder.Host != a.host:
		return problem(problems.HostConflict, name,
			fmt.Sprintf("%s is below %s, which %s holds%s", what, holder.Host, policy.OwnerInWords(holder.Owner), idle), hint)
	case holder.Owner == s.Owner() && c.cluster.Policy.HostSharing != policy.SharingNever:
		return problem(problems.HostConflict, name,
			fmt.Sprintf("%s is held by %s%s; a service of another collection does not share it", what, policy.OwnerInWords(holder.Owner), ofCollection(holder)), hint)
	case holder.Owner == s.Owner():
		return problem(problems.HostConflict, name,
			fmt.Sprintf("%s is held by another service of %s, and this cluster shares no hosts", what, policy.OwnerInWords(holder.Owner)), hint)
	case c.cluster.Policy.HostSharing == policy.SharingCollection && holder.Path == a.path:
		what += a.path
	}
	return problem(problems.HostConflict, name,
		fmt.Sprintf("%s is held by %s%s%s", what, policy.OwnerInWords(holder.Owner), ofCollection(holder), idle), hint)
}

// idle says when a claim ends that nobody of its owner asks for any more.
func (c *compiler) idle(holder policy.Claim) string {
	hold := c.cluster.Policy.ClaimHold
	return fmt.Sprintf(", though no service of it asks for it any more; the claim ends in %s (ClaimHold is %s)",
		minutes(max(hold-holder.Idle, time.Minute)), minutes(hold))
}

// minutes writes a duration without what is zero in it: 1h, 20m, 1h20m.
func minutes(d time.Duration) string {
	text := d.Round(time.Minute).String()
	if whole, ok := strings.CutSuffix(text, "h0m0s"); ok {
		return whole + "h"
	}
	return strings.TrimSuffix(text, "0s")
}

// release is the command that ends the claims on a host.
func (c *compiler) release(host string) string {
	cluster := ""
	if c.cluster.Name != "" {
		cluster = "--cluster " + c.cluster.Name + " "
	}
	if strings.Contains(host, "*") {
		host = "'" + host + "'" // the shell's own wildcard
	}
	return "interlock claims release " + cluster + host
}

func ofCollection(holder policy.Claim) string {
	if holder.Collection == "" {
		return ""
	}
	return " of collection " + clip(holder.Collection)
}
