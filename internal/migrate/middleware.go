package migrate

import (
	"maps"
	"slices"
	"strings"
)

// Middlewares by what leaving one out means. Those in neither list, and those
// that are not known, change which path is asked for or who is served.
const (
	// harmless ones make an answer better or worse, not another one.
	harmless = "buffering circuitbreaker compress contenttype errors grpcweb headers inflightreq ratelimit retry"
	// redirecting ones answer themselves.
	redirecting = "redirectscheme"
)

// maxChain bounds middlewares within chains of middlewares.
const maxChain = 64

// declared is a middleware where it is declared.
type declared struct {
	service *service
	options options
}

// declaration finds a middleware in the labels of the file's services. One that
// is declared in different ways is none: Traefik takes neither.
func (t *traefik) declaration(name string) (declared, bool) {
	var found declared
	for _, m := range t.world.middlewares[name] {
		if found.service != nil && !equal(found.options, m.options) {
			return declared{}, false
		}
		if found.service == nil || m.service == t.service {
			found = m
		}
	}
	return found, found.service != nil
}

func equal(a, b options) bool {
	return maps.EqualFunc(a, b, func(x, y option) bool { return x.value == y.value })
}

// kind is a middleware's type, in lower case; "" where it has not exactly one.
func kind(o options) string {
	kind := ""
	for name := range o {
		first, _ := cutName(name)
		if kind != "" && kind != first {
			return ""
		}
		kind = first
	}
	return kind
}

// middlewares reads those of a router into it.
func (t *traefik) middlewares(r *router, d dynamic) {
	o, ok := r.options["middlewares"]
	if !ok {
		return
	}
	names, ok := t.chain(o)
	if !ok {
		return
	}
	for _, name := range names {
		m, known := t.declaration(name)
		switch k := kind(m.options); {
		case !known:
			r.block(o.at, "middleware "+quote(name)+" is not declared in the file, or in several ways, so it can't be known what the route would be without it", "declare it here, or take it out of the router")
		case k == "stripprefix":
			t.strip(r, o, name, m)
		case slices.Contains(strings.Fields(redirecting), k):
			r.redirects = true
		case k == "headers" && removes(m.options):
			r.block(o.at, "middleware "+quote(name)+": "+removesHeader, removesHint)
		case slices.Contains(strings.Fields(harmless), k):
		default:
			r.block(o.at, "middleware "+quote(name)+", "+quote(k)+", changes who is served or what is asked for, and can't be expressed", "do its work in the application, then take it out of the router")
		}
	}
}

// What is said of a header that must not reach the application.
const (
	removesHeader = "it takes a header off requests, which is not expressed; without it the application would believe what clients write there"
	removesHint   = "let the application not believe the header, then take it out"
)

// removes says whether headers without a value take them off requests.
func removes(o options) bool {
	for name, v := range o {
		if strings.HasPrefix(name, "headers.customrequestheaders.") && strings.TrimSpace(v.value) == "" {
			return true
		}
	}
	return false
}

// chain are the names of a router's middlewares, those of chains included.
func (t *traefik) chain(o option) (names []string, ok bool) {
	queue := strings.Split(o.value, ",")
	for len(queue) > 0 {
		name := ownProvider(strings.TrimSpace(queue[0]))
		queue = queue[1:]
		m, known := t.declaration(name)
		if !known || kind(m.options) != "chain" {
			names = append(names, name)
		} else {
			queue = append(strings.Split(m.options["chain.middlewares"].value, ","), queue...)
		}
		if len(names)+len(queue) > maxChain {
			t.out.refuse(o.at, "the middlewares are too many, or a chain holds itself", "name the middlewares in the router")
			return nil, false
		}
	}
	return names, true
}

// strip takes the prefix off that the router matches.
func (t *traefik) strip(r *router, o option, name string, m declared) {
	prefixes := m.options["stripprefix.prefixes"].value
	switch {
	case strings.TrimSuffix(strings.TrimSpace(prefixes), "/") != r.form.path || r.form.path == "/":
		r.block(o.at, "middleware "+quote(name)+" strips "+quote(prefixes)+", which is not the path of the router", "strip exactly the path that the rule has by PathPrefix(`…`)")
	case m.service != t.service || another(t.world.users[name], t.service) != nil:
		r.strips = append(r.strips, o.at)
	default:
		at := m.options["stripprefix.prefixes"].at
		r.strips = append(r.strips, at)
		t.out.drop(at)
		if f, ok := m.options["stripprefix.forceslash"]; ok {
			t.out.drop(f.at)
		}
	}
}

func valuesOf(groups map[string]options, name string) []option {
	var out []option
	for _, g := range groups {
		if o, ok := g[name]; ok {
			out = append(out, o)
		}
	}
	return out
}

// used reports the middlewares of a router that are not expressed, each where
// it is declared. What only strips is expressed.
func (t *traefik) used(o option) {
	names, _ := t.chain(o)
	expressed := true
	for _, name := range names {
		m, _ := t.declaration(name)
		if k := kind(m.options); k != "stripprefix" {
			expressed = false
			t.loseMiddleware(o.at, name, k, m)
		}
	}
	if expressed && t.out.stays(o.at) {
		t.out.drop(o.at)
	}
}

func (t *traefik) loseMiddleware(at int, name, kind string, m declared) {
	switch kind {
	case "redirectscheme":
		t.out.lose(at, "middleware "+quote(name)+": the redirect to another scheme is not expressed", "redirect where TLS ends, in front of the proxies")
	default:
		t.out.lose(at, "middleware "+quote(name)+" ("+kind+") is not expressed", withoutIt)
	}
}
