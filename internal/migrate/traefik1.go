package migrate

import (
	"strings"
)

// segmentKeys are the first parts of names of Traefik 1 that are no segment.
var segmentKeys = map[string]bool{"frontend": true, "backend": true, "port": true, "protocol": true, "weight": true, "domain": true}

// translate1 translates the labels of Traefik 1.7.
func (t *traefik) translate1() {
	all, segment := options{}, ""
	for at, e := range t.service.entries {
		if !isTraefik(e.name) || t.common(at) {
			continue
		}
		name := strings.ToLower(e.name)[len("traefik."):]
		if first, rest := cutName(name); !segmentKeys[first] {
			if segment != "" && segment != first {
				t.out.refuse(at, "the service has several segments, which are several routes; here it has one", "make it services of their own, one for each segment")
				return
			}
			segment, name = first, rest
		}
		if _, twice := all[name]; twice {
			t.out.refuse(at, "the label is there twice, for the service and for its segment", "keep one")
			return
		}
		all[name] = option{at, e.value}
	}
	t.frontend1(all)
	for _, name := range byEntry(all) {
		t.option1(name, all)
	}
}

// frontend1 translates the rule.
func (t *traefik) frontend1(all options) {
	rule, ok := all["frontend.rule"]
	at := first(all)
	if !ok {
		t.out.refuse(at, "the service has no traefik.frontend.rule; its host would come from Traefik's own configuration", "add traefik.frontend.rule: Host:app.example.com")
		return
	}
	if _, ok := all["port"]; !ok {
		t.out.refuse(at, "the service has no traefik.port", "add it: the port inside the container")
		return
	}
	f, err := parseRule1(rule.value)
	if err != nil {
		t.refuseRule(rule.at, err)
		return
	}
	t.route(rule.at, f)
	if f.strip {
		t.out.wish(rule.at, "context_root_rewrite", "true", true)
	}
}

func first(all options) int {
	at := -1
	for _, o := range all {
		if at < 0 || o.at < at {
			at = o.at
		}
	}
	return max(at, 0)
}

func (t *traefik) refuseRule(at int, err error) {
	hint := oneRoute
	if e, ok := err.(ruleError); ok {
		hint = e.hint
	}
	t.out.refuse(at, err.Error(), hint)
}

// removes1 says whether one of the headers "a:b||c:" is without a value, which
// takes it off the request.
func removes1(value string) bool {
	for header := range strings.SplitSeq(value, "||") {
		if _, v, _ := strings.Cut(header, ":"); strings.TrimSpace(v) == "" {
			return true
		}
	}
	return false
}

// option1 translates all but the rule.
func (t *traefik) option1(name string, all options) {
	o := all[name]
	switch name {
	case "frontend.rule", "domain":
		t.out.drop(o.at)
	case "port":
		t.out.wish(o.at, "port", o.value, true)
	case "protocol":
		t.scheme(o.at, o.value)
	case "backend":
		t.backend1(o)
	case "frontend.entrypoints":
		t.entryPoints(o.at, o.value)
	case "frontend.passhostheader":
		t.switched(o.at, o.value, true, "the application gets the Host that the client sent")
	case "backend.loadbalancer.swarm":
		t.mode(o.at, o.value)
	case "backend.loadbalancer.method":
		t.method1(o)
	case "backend.loadbalancer.sticky", "backend.loadbalancer.stickiness":
		t.sticky1(o, all)
	case "backend.loadbalancer.stickiness.cookiename":
		t.out.wish(o.at, "sticky_session_cookie", o.value, false)
	case "backend.healthcheck.path":
		t.out.wish(o.at, "health_path", o.value, false)
	case "backend.healthcheck.interval":
		t.out.wish(o.at, "health_interval", o.value, false)
	case "frontend.whitelist.sourcerange", "frontend.whitelistsourcerange":
		t.out.wish(o.at, "allow", o.value, true)
	default:
		t.other1(name, o)
	}
}

// sticky1 leaves it to the cookie's name, where there is one, to be expressed.
func (t *traefik) sticky1(o option, all options) {
	if _, named := all["backend.loadbalancer.stickiness.cookiename"]; named && !isFalse(o.value) {
		t.out.drop(o.at)
		return
	}
	t.switched(o.at, o.value, false, "the name of the cookie is Traefik's own choice, so it can't be taken over")
}

func (t *traefik) method1(o option) {
	if strings.EqualFold(o.value, "wrr") {
		t.out.drop(o.at)
		return
	}
	t.out.lose(o.at, "the method "+quote(o.value)+" is not expressed; round_robin is used", "choose com.docker.lb.algorithm: least_conn or ip_hash")
}

// backend1 is a name by which services share a backend.
func (t *traefik) backend1(o option) {
	if other := another(t.world.backends[o.value], t.service); other != nil {
		t.out.refuse(o.at, "service "+quote(other.name)+" shares the backend "+quote(o.value), "give each a backend of its own; services of one stack with the same hosts and path are a pool")
		return
	}
	t.out.drop(o.at)
}

// other1 tells what may be missing from what must not.
func (t *traefik) other1(name string, o option) {
	for _, p := range []string{"frontend.auth.", "frontend.whitelist.", "frontend.passtlscert", "frontend.passtlsclientcert"} {
		if strings.HasPrefix(name, p) {
			t.out.refuse(o.at, "it restricts who is served, which is not expressed; without it the service would be open to everybody", "let the application decide who is served, then remove the label")
			return
		}
	}
	if name == "frontend.headers.customrequestheaders" && removes1(o.value) {
		t.out.refuse(o.at, removesHeader, removesHint)
		return
	}
	if strings.HasPrefix(name, "frontend.redirect.") {
		t.out.lose(o.at, "the redirect is not expressed", "redirect in the application, or in front of the proxies")
		return
	}
	t.out.lose(o.at, "it has no counterpart here", withoutIt)
}
