package migrate

import (
	"slices"
	"strings"
)

// serviceOptions translates the service that the route leads to.
func (t *traefik) serviceOptions(o options, one router) {
	if _, ok := o["loadbalancer.server.port"]; !ok {
		t.out.refuse(one.rule.at, "the service has no port", "add traefik.http.services."+quoteName(one.service)+".loadbalancer.server.port, the port inside the container")
		return
	}
	cookie, named := o["loadbalancer.sticky.cookie.name"]
	for _, name := range byEntry(o) {
		at, value := o[name].at, o[name].value
		short, balancer := strings.CutPrefix(name, "loadbalancer.")
		switch {
		case !balancer:
			t.out.refuse(at, "the service is not one with a load balancer of its own; weights, mirrors and failover are not expressed", "lead the router to a service with loadbalancer.server.port")
		case short == "server.port":
			t.out.wish(at, "port", value, true)
		case short == "server.scheme":
			t.scheme(at, value)
		case short == "server.url":
			t.out.refuse(at, "requests to an address are not expressed", "route to the service's own port")
		case short == "passhostheader":
			t.switched(at, value, true, "the application gets the Host that the client sent")
		case strings.HasPrefix(short, "sticky"):
			t.sticky(at, short, value, named, cookie)
		case strings.HasPrefix(short, "healthcheck."):
			t.health(at, strings.TrimPrefix(short, "healthcheck."), value)
		case short == "strategy":
			t.strategy(at, value)
		default:
			t.out.lose(at, "it has no counterpart here", withoutIt)
		}
	}
}

func (t *traefik) sticky(at int, short, value string, named bool, cookie option) {
	switch {
	case short == "sticky.cookie.name":
		t.out.wish(at, "sticky_session_cookie", cookie.value, false)
	case (short == "sticky" || short == "sticky.cookie") && isFalse(value):
		t.out.drop(at)
	case (short == "sticky" || short == "sticky.cookie") && named:
		t.out.drop(at)
	case short == "sticky" || short == "sticky.cookie":
		t.out.lose(at, "the name of the cookie is Traefik's own choice, so it can't be taken over", "keep clients at a task by com.docker.lb.algorithm: ip_hash")
	default:
		t.out.lose(at, "it has no counterpart here", withoutIt)
	}
}

func (t *traefik) health(at int, key, value string) {
	switch key {
	case "path", "interval", "timeout":
		t.out.wish(at, "health_"+key, value, false)
	default:
		t.out.lose(at, "it has no counterpart here", withoutIt)
	}
}

func (t *traefik) strategy(at int, value string) {
	switch strings.ToLower(value) {
	case "wrr":
		t.out.drop(at)
	case "hrw":
		t.out.wish(at, "algorithm", "ip_hash", true)
	default:
		t.out.lose(at, "the strategy "+quote(value)+" is not expressed; round_robin is used", "choose com.docker.lb.algorithm: least_conn or ip_hash")
	}
}

// unused reports services that no route leads to.
func (t *traefik) unused(d dynamic, routers []router) {
	for name, o := range d.services {
		if !slices.ContainsFunc(routers, func(r router) bool { return r.service == name }) {
			t.out.lose(first(o), "no router leads to "+quote(name), "remove its labels")
		}
	}
}
