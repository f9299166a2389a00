package migrate

import (
	"strings"
)

const (
	hrmName = "com.docker.ucp.mesh.http"
	// hrmNetwork is the one over which the mesh reached services.
	hrmNetwork = "ucp-hrm"
)

func isHRM(name string) bool { return name == hrmName || strings.HasPrefix(name, hrmName+".") }

// hrmRoute is one label of the routing mesh.
type hrmRoute struct {
	at                           int
	host, port, cookie, redirect string
	sni                          bool
}

// translateHRM makes one route of all of a service's labels. Source: Docker
// Enterprise's documentation of the HTTP routing mesh.
func translateHRM(w *world, i int) outcome {
	var o outcome
	var routes []hrmRoute
	s := w.services[i]
	for at, e := range s.entries {
		if !isHRM(e.name) {
			continue
		}
		r, why, hint := parseHRM(e.value)
		r.at = at
		switch {
		case why != "":
			o.refuse(at, why, hint)
		case r.redirect != "":
			o.lose(at, "the redirect to "+quote(r.redirect)+" is not expressed, and its host is not routed", "redirect in the application, or in front of the proxies")
		default:
			routes = append(routes, r)
		}
	}
	if !o.refused {
		w.joinHRM(&o, routes, s)
	}
	return o
}

func (w *world) joinHRM(o *outcome, routes []hrmRoute, s *service) {
	if len(routes) == 0 {
		o.refused = true // all that there was has been reported
		return
	}
	first := routes[0]
	hosts := []string{}
	for _, r := range routes {
		hosts = appendNew(hosts, r.host)
		if r.port != first.port || r.cookie != first.cookie || r.sni != first.sni {
			o.refuse(r.at, "the service has routes that differ in port, stickiness or protocol; here it has one route", "make it services of their own, one for each")
			return
		}
	}
	if first.port == "" && s.ports != 1 {
		o.refuse(first.at, "it names no internal_port, and the service does not publish exactly one port", "add internal_port=, the port inside the container")
		return
	}
	o.wish(first.at, "hosts", strings.Join(hosts, ","), true)
	if first.port != "" {
		o.wish(first.at, "port", first.port, true)
	}
	if first.sni {
		o.wish(first.at, "ssl_passthrough", "true", true)
	}
	if first.cookie != "" {
		o.wish(first.at, "sticky_session_cookie", first.cookie, false)
	}
	if len(s.networks) > 1 && w.on(s, hrmNetwork) {
		o.wish(first.at, "network", hrmNetwork, true)
	}
	for _, r := range routes {
		o.drop(r.at)
	}
}

func appendNew(list []string, s string) []string {
	for _, l := range list {
		if l == s {
			return list
		}
	}
	return append(list, s)
}

// parseHRM reads "external_route=http://host,internal_port=80".
func parseHRM(value string) (r hrmRoute, why, hint string) {
	route := ""
	keys := map[string]*string{"external_route": &route, "internal_port": &r.port, "sticky_sessions": &r.cookie, "redirect": &r.redirect}
	for part := range strings.SplitSeq(value, ",") {
		key, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		if allDigits(key) && strings.Contains(v, "://") && r.port == "" {
			r.port, key = key, "external_route" // as the first version had it: 80=http://host
		}
		target, known := keys[strings.TrimSpace(key)]
		switch {
		case !known:
			return r, quote(key) + " is no key of the HTTP routing mesh", "write external_route, internal_port, sticky_sessions or redirect"
		case *target != "":
			return r, key + " is there twice", "write a label of its own for each route: " + hrmName + ".1, .2 …"
		}
		*target = strings.TrimSpace(v)
	}
	scheme, host, found := strings.Cut(route, "://")
	host = strings.TrimSuffix(host, "/")
	switch {
	case !found || host == "":
		return r, "external_route names no host", "write external_route=http://app.example.com"
	case scheme != "http" && scheme != "sni":
		return r, quote(scheme) + " is no scheme of the HTTP routing mesh", "write http:// or sni://"
	case strings.Contains(plain(host), "/"):
		return r, "external_route has a path, which the HTTP routing mesh did not match", "write only the host"
	}
	r.host, r.sni = host, scheme == "sni"
	return r, "", ""
}

func allDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// plain is a text without its variables.
func plain(text string) string { return variable.ReplaceAllString(text, "") }
