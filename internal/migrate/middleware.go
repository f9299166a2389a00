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
		case k == "ipallowlist" || k == "ipwhitelist":
			t.allow(r, o, name, k, m)
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
	if strings.TrimSuffix(strings.TrimSpace(prefixes), "/") != r.form.path || r.form.path == "/" {
		r.block(o.at, "middleware "+quote(name)+" strips "+quote(prefixes)+", which is not the path of the router", "strip exactly the path that the rule has by PathPrefix(`…`)")
		return
	}
	r.strips = append(r.strips, t.placeOf(o, name, m, "stripprefix.prefixes"))
	if f, ok := m.options["stripprefix.forceslash"]; ok && t.ownAlone(name, m) {
		t.out.drop(f.at)
	}
}

// allow is the list of clients that are served. That it is taken from another
// address than the connection's can't be expressed, nor can two lists.
func (t *traefik) allow(r *router, o option, name, kind string, m declared) {
	ranges, ok := m.options[kind+".sourcerange"]
	if !ok || len(m.options) != 1 || len(r.allow) > 0 {
		r.block(o.at, "middleware "+quote(name)+" has more than one list of client addresses, or takes them from a header, which can't be expressed", "keep one middleware with sourcerange alone")
		return
	}
	r.allow, r.allowed = append(r.allow, t.placeOf(o, name, m, kind+".sourcerange")), ranges.value
}

// placeOf is the entry whose place a label of ours takes: that of the middleware
// where it is this service's alone, else the one that names it.
func (t *traefik) placeOf(o option, name string, m declared, key string) int {
	if !t.ownAlone(name, m) {
		return o.at
	}
	at := m.options[key].at
	t.out.drop(at)
	return at
}

func (t *traefik) ownAlone(name string, m declared) bool {
	return m.service == t.service && another(t.world.users[name], t.service) == nil
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

// expressed are the kinds of middlewares that a router's wishes express.
var expressed = []string{"stripprefix", "ipallowlist", "ipwhitelist"}

// used reports the middlewares of a router that are not expressed, each where
// the router names them.
func (t *traefik) used(o option) {
	names, _ := t.chain(o)
	all := true
	for _, name := range names {
		m, _ := t.declaration(name)
		k := kind(m.options)
		if slices.Contains(expressed, k) || k == "headers" && t.headers(name, m) {
			continue
		}
		all = false
		t.loseMiddleware(o.at, name, k)
	}
	if all && t.out.stays(o.at) {
		t.out.drop(o.at)
	}
}

// headers wishes for the headers that a middleware of the service alone sets.
// What else it does is reported where it stands; ok says that all was told.
func (t *traefik) headers(name string, m declared) (ok bool) {
	if !t.ownAlone(name, m) {
		return false
	}
	for _, key := range byEntry(m.options) {
		o := m.options[key]
		if len(t.out.replaced(o.at)) > 0 {
			continue // another router named it before
		}
		_, _, _, rest := split2(t.service.entries[o.at].name)
		_, rest = cutName(rest)
		what, header := cutName(rest)
		side := map[string]string{"customrequestheaders": "request", "customresponseheaders": "response"}[strings.ToLower(what)]
		if side == "" || strings.TrimSpace(o.value) == "" {
			t.out.lose(o.at, "it has no counterpart here", withoutIt)
			continue
		}
		t.out.wish(o.at, "headers."+side+"."+header, o.value, false)
	}
	return true
}

func (t *traefik) loseMiddleware(at int, name, kind string) {
	switch kind {
	case "redirectscheme":
		t.out.lose(at, "middleware "+quote(name)+": the redirect to another scheme is not expressed", "redirect where TLS ends, in front of the proxies")
	default:
		t.out.lose(at, "middleware "+quote(name)+" ("+kind+") is not expressed", withoutIt)
	}
}
