package migrate

import (
	"slices"
	"strings"
)

// localDrivers are those of networks that end at their node.
var localDrivers = []string{"bridge", "host", "macvlan", "ipvlan", "null", "none"}

// reachable refuses a service that no proxy could reach, or not by one network
// for certain: what comes out would be refused by interlock check.
func (w *world) reachable(s *service, o *outcome) {
	if len(o.wishes) == 0 {
		return
	}
	at := o.wishes[0].from
	if s.job {
		o.refuse(at, "the service is a job: its tasks end, and no request is sent to them", "take the labels off, or let its mode be replicated or global")
		return
	}
	for _, key := range s.networks {
		n := w.networks[key]
		if slices.Contains(localDrivers, n.driver) || slices.Contains([]string{"host", "bridge", "none"}, n.name) {
			o.refuse(at, "network "+quote(key)+" ends at its node; the proxies reach services over overlay networks only", "put the service on an overlay network that the proxies are on")
			return
		}
	}
	if len(s.networks) > 1 && !slices.ContainsFunc(o.wishes, func(w wish) bool { return w.name == "network" }) {
		o.refuse(at, "the service is on several networks, "+quote(strings.Join(s.networks, ", "))+", and its labels name none of them", networkHint(w.dialect))
	}
}

func networkHint(d dialect) string {
	if d.owns(hrmName) {
		return "write the service's labels by hand, com.docker.lb.network among them"
	}
	return "name the one that it is to be reached over, by traefik.docker.network"
}

// on says whether a service is on the network that has a name on the Swarm.
// That of a network of the stack's own may have the stack's name before it.
func (w *world) on(s *service, name string) bool {
	deployed := substituted(name, w.env, "")
	for _, key := range s.networks {
		given := w.networks[key].name
		if name == given || deployed == substituted(given, w.env, "") && w.known(name) && w.known(given) || given == "" && (name == key || strings.HasSuffix(deployed, "_"+key)) {
			return true
		}
	}
	return false
}

// known says whether all variables of a text have a value, or a default.
func (w *world) known(text string) bool {
	return substituted(text, w.env, "a") == substituted(text, w.env, "b")
}

// index notes where what services share is declared and used.
func (w *world) index() {
	w.middlewares = map[string][]declared{}
	w.users, w.backends = map[string][]*service{}, map[string][]*service{}
	for _, s := range w.services {
		for name, o := range s.dynamic.middlewares {
			w.middlewares[name] = append(w.middlewares[name], declared{s, o})
		}
		for _, o := range append(valuesOf(s.dynamic.routers, "middlewares"), valuesOf(s.dynamic.middlewares, "chain.middlewares")...) {
			for name := range strings.SplitSeq(o.value, ",") {
				name = ownProvider(strings.TrimSpace(name))
				w.users[name] = append(w.users[name], s)
			}
		}
		for _, e := range s.entries {
			if strings.EqualFold(e.name, "traefik.backend") {
				w.backends[e.value] = append(w.backends[e.value], s)
			}
		}
	}
}

// another is a service of a list that is not s; nil where there is none.
func another(list []*service, s *service) *service {
	for _, other := range list {
		if other != s {
			return other
		}
	}
	return nil
}
