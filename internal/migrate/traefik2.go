package migrate

import (
	"slices"
	"strings"

	"interlock/internal/problems"
)

// dynamic is what a service's labels of Traefik 2 and 3 declare, by name.
type dynamic struct {
	routers, services, middlewares map[string]options
	// order has the routers' names in the order of the file.
	order []string
	// rest are the entries of anything else.
	rest []int
}

// dynamicOf sorts a service's labels.
func dynamicOf(s *service) dynamic {
	d := dynamic{routers: map[string]options{}, services: map[string]options{}, middlewares: map[string]options{}}
	kinds := map[string]map[string]options{"routers": d.routers, "services": d.services, "middlewares": d.middlewares}
	for at, e := range s.entries {
		if versionOf(e.name) != traefik2 || !isTraefik(e.name) {
			continue
		}
		part, kind, name, rest := split2(e.name)
		if strings.EqualFold(part, "swarm") {
			continue // common to all versions
		}
		group := kinds[strings.ToLower(kind)]
		if !strings.EqualFold(part, "http") || group == nil || rest == "" {
			d.rest = append(d.rest, at)
			continue
		}
		if group[name] == nil {
			group[name] = options{}
			if strings.EqualFold(kind, "routers") {
				d.order = append(d.order, name)
			}
		}
		group[name][strings.ToLower(rest)] = option{at, e.value}
	}
	return d
}

// split2 splits traefik.http.routers.web.rule into its four parts.
func split2(name string) (part, kind, object, rest string) {
	_, name, _ = strings.Cut(name, ".")
	part, name = cutName(name)
	kind, name = cutName(name)
	object, rest = cutName(name)
	return part, kind, object, rest
}

// router is a router as far as it can be one route of ours.
type router struct {
	name    string
	options options
	rule    option
	form    form
	// service is the name of the service it leads to, redirects whether a
	// middleware sends all its requests elsewhere.
	service   string
	redirects bool
	// strips are the entries that strip the path.
	strips []int
	// allow are the entries that say which clients are served; what they say is
	// allowed.
	allow   []int
	allowed string
	// blocked is why its middlewares can't be expressed, if so.
	blocked []finding
}

func (r *router) block(at int, message, hint string) {
	r.blocked = append(r.blocked, finding{at, problems.MigrateRefused, message, hint})
}

// translate2 translates the labels of Traefik 2 and 3.
func (t *traefik) translate2() {
	d := t.service.dynamic
	for at := range t.service.entries {
		if isTraefik(t.service.entries[at].name) {
			t.common(at)
		}
	}
	for _, at := range d.rest {
		t.out.refuse(at, "TCP, UDP and what is neither router, service nor middleware is not expressed", "make what is routed by HTTP a service of its own, or remove the label")
	}
	var routers []router
	for _, name := range d.order {
		if r, ok := t.router(name, d); ok {
			routers = append(routers, r)
		}
	}
	if !t.out.refused {
		t.joinRouters(routers, d)
	}
}

// router reads one router; ok says that it is one that leads to the service.
func (t *traefik) router(name string, d dynamic) (router, bool) {
	r := router{name: name, options: d.routers[name]}
	var ok bool
	if r.rule, ok = r.options["rule"]; !ok {
		t.out.refuse(first(r.options), "router "+quote(name)+" has no rule; its host would come from Traefik's own configuration", "add a rule: Host(`app.example.com`)")
		return r, false
	}
	if r.service, ok = t.target(r, d); !ok {
		return r, false
	}
	f, err := parseRule(r.rule.value)
	if err != nil {
		t.refuseRule(r.rule.at, err)
		return r, false
	}
	r.form = f
	t.middlewares(&r, d)
	return r, true
}

// target finds the service that a router leads to.
func (t *traefik) target(r router, d dynamic) (string, bool) {
	named, ok := r.options["service"]
	if !ok {
		if len(d.services) != 1 {
			t.out.refuse(r.rule.at, "router "+quote(r.name)+" names none of the service's ports", "add the port, by traefik.http.services."+quoteName(r.name)+".loadbalancer.server.port; of several, name one in the router's service")
			return "", false
		}
		for name := range d.services {
			return name, true
		}
	}
	name := ownProvider(named.value)
	if strings.HasSuffix(name, "@internal") {
		t.out.lose(named.at, "router "+quote(r.name)+" leads to a part of Traefik, and is not expressed", "remove the router's labels")
		return "", false
	}
	if d.services[name] == nil {
		t.out.refuse(named.at, "the labels of this service do not declare "+quote(named.value), "declare its port here, by traefik.http.services."+quoteName(beforeProvider(name))+".loadbalancer.server.port, and name that")
		return "", false
	}
	return name, true
}

// ownProvider takes off the name of the provider that the labels come from.
func ownProvider(name string) string {
	for _, provider := range []string{"@docker", "@swarm"} {
		name = strings.TrimSuffix(name, provider)
	}
	return name
}

func beforeProvider(name string) string {
	name, _, _ = strings.Cut(name, "@")
	return name
}

// joinRouters makes one route of all routers. Those that only redirect are none,
// nor are those of which another one serves all.
func (t *traefik) joinRouters(routers []router, d dynamic) {
	serving := t.unblocked(routers)
	if t.out.refused {
		return
	}
	routers = serving
	if only := slices.DeleteFunc(slices.Clone(serving), func(r router) bool { return r.redirects }); len(only) > 0 {
		serving = only
	}
	if len(serving) == 0 {
		if len(t.out.found) == 0 {
			t.out.refuse(t.firstOwn(), "the service has no router with a rule", "write the service's labels by hand, where it is to be routed")
		}
		t.out.refused = true
		return
	}
	one, ok := t.join(serving, d)
	if !ok {
		return
	}
	t.route(one.rule.at, one.form)
	if len(one.strips) > 0 {
		t.out.wish(one.strips[0], "context_root_rewrite", "true", true)
	}
	if len(one.allow) > 0 {
		t.out.wish(one.allow[0], "allow", one.allowed, true)
	}
	for _, r := range routers {
		t.routerOptions(r, one)
	}
	t.serviceOptions(d.services[one.service], one)
	t.unused(d, routers)
}

// unblocked are the routers without those whose middlewares can't be expressed.
// Where another router serves everybody the very same, that is a loss; else the
// service is refused.
func (t *traefik) unblocked(routers []router) []router {
	var out []router
	for _, r := range routers {
		if len(r.blocked) == 0 {
			out = append(out, r)
		}
	}
	open := out
	for _, r := range routers {
		if len(r.blocked) == 0 {
			continue
		}
		i := slices.IndexFunc(open, func(other router) bool { return sameElsewhere(other, r) })
		for _, f := range r.blocked {
			if i < 0 {
				t.out.refuse(f.at, f.message, f.hint)
				continue
			}
			t.out.lose(f.at, "router "+quote(r.name)+" is left out: "+f.message, "router "+quote(open[i].name)+" has the same hosts and path; remove the labels of this one")
		}
	}
	return out
}

// sameElsewhere says whether a router gives everybody by TLS what another one
// gives by plain HTTP. The other way round says nothing: Traefik's configuration
// may redirect all of its plain entry point, so that nobody reaches that router.
func sameElsewhere(open, blocked router) bool {
	return !open.redirects && open.service == blocked.service && open.form.path == blocked.form.path && covers(open.form, blocked.form) &&
		onlyAt(open, secureEntryPoints) && onlyAt(blocked, plainEntryPoints)
}

// onlyAt says whether a router names its entry points, and all are of a list.
func onlyAt(r router, points []string) bool {
	o, ok := r.options["entrypoints"]
	return ok && !slices.ContainsFunc(strings.Split(o.value, ","), func(p string) bool {
		return !slices.Contains(points, strings.ToLower(strings.TrimSpace(p)))
	})
}

// join puts the hosts of routers that differ in nothing else together.
func (t *traefik) join(routers []router, d dynamic) (one router, ok bool) {
	one = routers[0]
	for _, r := range routers[1:] {
		if !equal(d.services[r.service], d.services[one.service]) || r.form.path != one.form.path || len(r.strips) != len(one.strips) || r.allowed != one.allowed {
			t.out.refuse(r.rule.at, "router "+quote(r.name)+" differs from router "+quote(one.name)+" in path, port or middlewares; here a service has one route", "make it services of their own, one for each router")
			return one, false
		}
		for _, h := range r.form.hosts {
			one.form.hosts = appendNew(one.form.hosts, h)
		}
		one.form.segments = one.form.segments && r.form.segments
		if r.service != one.service {
			for _, o := range d.services[r.service] {
				t.out.drop(o.at) // the same is said by the other service
			}
		}
	}
	return one, true
}

func (t *traefik) firstOwn() int {
	return slices.IndexFunc(t.service.entries, func(e entry) bool { return isTraefik(e.name) })
}

// routerOptions translates what a router has besides its rule.
func (t *traefik) routerOptions(r, one router) {
	for _, name := range byEntry(r.options) {
		o := r.options[name]
		switch {
		case name == "rule" && covers(one.form, r.form), name == "service":
			t.out.drop(o.at)
		case name == "rule":
			t.out.lose(o.at, "hosts that only redirect are not routed", "redirect in the application, or in front of the proxies")
		case name == "entrypoints":
			t.entryPoints(o.at, o.value)
		case name == "middlewares":
			t.used(o)
		case name == "tls" && isFalse(o.value), name == "rulesyntax":
			t.out.drop(o.at)
		case strings.HasPrefix(name, "tls.options"):
			t.out.refuse(o.at, "options of TLS may ask clients for certificates, which is not expressed", "remove the label if the service may be open to everybody who reaches the cluster")
		case name == "tls" || strings.HasPrefix(name, "tls."):
			t.out.lose(o.at, "TLS for clients is not expressed: the route is served by plain HTTP", "end TLS in front of the proxies, then remove the label")
		case name == "priority":
			t.out.lose(o.at, "there are no priorities: the longest path wins", "remove the label if that gives the same order")
		default:
			t.out.lose(o.at, "it has no counterpart here", withoutIt)
		}
	}
}

func isFalse(value string) bool { return strings.EqualFold(value, "false") }

// covers says whether all that b matches is matched by a.
func covers(a, b form) bool {
	for _, h := range b.hosts {
		if !slices.Contains(a.hosts, h) {
			return false
		}
	}
	return a.path == "/" || a.path == b.path
}

// byEntry are the names of options in the order of the file.
func byEntry(o options) []string {
	names := make([]string, 0, len(o))
	for name := range o {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return o[a].at - o[b].at })
	return names
}
