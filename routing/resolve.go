package routing

import "strings"

// Request is what routing looks at, as it stood in the request's head.
type Request struct {
	// Method is as sent. Only CONNECT matters.
	Method string
	// Target is the raw request-target: nothing decoded, cut or cleaned.
	Target string
	// Proto is "HTTP/1.0", "HTTP/1.1", …
	Proto string
	// Hosts are the values of all Host headers, in order, without the white
	// space around them. For HTTP/2 the one value is :authority.
	Hosts []string
}

// Decision is the answer of Resolve.
type Decision struct {
	// Status is 0 when the request is forwarded, and otherwise the status that
	// the router itself answers: 301, 400 or 503.
	Status int
	// Route is the route that won; nil with 400 and 503.
	Route *Route
	// Host is the request's host in normal form, "" when it has none or is
	// refused for its host.
	Host string
	// Path is the path that is forwarded: as sent, without Route.Path where the
	// route rewrites. Query is what follows it, "" or from the "?" on, as sent.
	Path, Query string
	// Location is where a 301 leads: a path on the same host, with the query.
	Location string
	// Reason says in a few fixed words why.
	Reason string
}

// Statuses of a Decision.
const (
	Forward       = 0
	Moved         = 301
	BadRequest    = 400
	NotAvailable  = 503
	maxHostLength = 253
)

// Resolver answers Resolve for one table. It is immutable and safe for
// concurrent use.
type Resolver struct {
	exact    map[string]*site // by host
	below    map[string]*site // by suffix: "example.com" for "*.example.com"
	fallback *site            // DefaultHost
	relaxed  bool
}

// site is one host of the table with its routes by path.
type site struct {
	routes  map[string]*Route
	longest int // bytes of the longest path, which bounds the search
}

// NewResolver builds the index of t, which must not change afterwards. Where
// t has a host and path twice, the first counts.
func NewResolver(t Table) *Resolver {
	r := &Resolver{exact: map[string]*site{}, below: map[string]*site{}, relaxed: t.Base.RelaxedPaths}
	for i := range t.Routes {
		r.siteOf(t.Routes[i].Host).add(&t.Routes[i])
	}
	return r
}

func (r *Resolver) siteOf(host string) *site {
	if host == DefaultHost {
		if r.fallback == nil {
			r.fallback = newSite()
		}
		return r.fallback
	}
	index := r.exact
	if suffix, ok := strings.CutPrefix(host, "*."); ok {
		index, host = r.below, suffix
	}
	if index[host] == nil {
		index[host] = newSite()
	}
	return index[host]
}

func newSite() *site { return &site{routes: map[string]*Route{}} }

func (s *site) add(route *Route) {
	if s.routes[route.Path] == nil {
		s.routes[route.Path] = route
		s.longest = max(s.longest, len(route.Path))
	}
}

// Resolve says what happens to a request. It is the definition: every engine
// answers alike (invariant I11), and a request for which two parsers could see
// different hosts or paths is refused, never repaired. The rules, in order; the
// first that applies decides:
//
//  1. 400 for method CONNECT, and for a target that is neither origin-form (it
//     begins with "/") nor absolute-form (it begins with "http://" or
//     "https://", in any case, then an authority, then "/" or nothing, which
//     means "/"). So "*", "app" and "http://host?x" are refused.
//  2. 400 when the target has, in path or query, a byte ≤ 0x20, 0x7f or
//     ≥ 0x80, or a "#".
//  3. 400 for more than one Host header, equal ones included, and for none
//     unless the request is HTTP/1.0.
//  4. 400 when the absolute-form's authority and Host differ: after lower-casing
//     and removing the scheme's default port (":80", ":443") from both they must
//     be the same bytes. An absolute-form always needs Host. So userinfo is
//     refused.
//  5. 400 for a Host which is not empty and not in this form: a name of at most
//     253 bytes, of labels of 1 to 63 letters, digits, "_" and, not at the ends,
//     "-", joined by "."; then at most one "."; then optionally ":" and 1 to 5
//     digits. Address literals in brackets are not in it. As an expression
//     without regard to case:
//     ^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?(:[0-9]{1,5})?$
//     The normal form is lower case, without port and trailing dot.
//  6. The site is that of the exact host; else that of the longest "*.suffix"
//     of which the host is a proper sub-domain, at any depth; else, also for an
//     empty or absent Host, the default backend's ("*"). A host with a site of
//     its own never falls through to a wildcard's.
//  7. 400 when the path, which is the target up to the first "?", has
//     "//", a backslash, a "%" that two hexadecimal digits don't follow, "%00",
//     "%2f", "%5c" or an encoded unreserved character (letter, digit, "-", ".",
//     "_", "~"), hexadecimal digits in either case; or a segment "." or "..",
//     also with parameters ("..;x") and between encoded slashes. With
//     Base.RelaxedPaths "//" and "%2f" are let through where the site of rule 6
//     has exactly one route. The query is not looked at but for rule 2 and has
//     no part in routing.
//  8. The longest path among the site's routes which is the request's path or
//     is followed by "/" in it; "/" matches all. Bytes are compared as sent.
//     Where none matches, the default backend; where there is none, 503.
//  9. With Rewrite and a Path other than "/": 301 to Path + "/" + query for
//     exactly Path; else Path is removed from the front of what is forwarded.
//
// What is forwarded is the origin-form of what was matched, with Host as sent.
// (With an absolute-form, its authority may take the place of Host, which is
// the same; where Host is empty or absent, the endpoint's address may.) The form of header lines, bodies and sizes is the engines' own: they may
// refuse a request before these rules do, with a status of theirs. HAProxy
// folds equal Host headers before any rule can see them.
//
// Resolve is total: it answers any bytes.
func (r *Resolver) Resolve(req Request) Decision {
	path, query, authority, bad := splitTarget(req)
	if bad != "" {
		return refuse(bad)
	}
	host, bad := hostOf(req, authority)
	if bad != "" {
		return refuse(bad)
	}
	s := r.find(host)
	if bad := checkPath(path, r.relaxed && s != nil && len(s.routes) == 1); bad != "" {
		return refuse(bad)
	}
	d := Decision{Host: host, Path: path, Query: query}
	if d.Route = s.match(path); d.Route != nil {
		d.Reason = "the longest path of the host"
		return d.rewritten()
	}
	if d.Route = r.fallback.match(path); d.Route != nil {
		d.Reason = "the default backend, as the host has no route for the path"
		return d.rewritten()
	}
	d.Status, d.Reason = NotAvailable, unrouted(s)
	return d
}

func refuse(reason string) Decision { return Decision{Status: BadRequest, Reason: reason} }

func unrouted(s *site) string {
	if s == nil {
		return "no route for this host"
	}
	return "no route of this host has this path"
}

// find returns the site of a host in normal form; nil if there is none.
func (r *Resolver) find(host string) *site {
	if s := r.exact[host]; s != nil && host != "" {
		return s
	}
	for rest := host; rest != ""; {
		_, suffix, _ := strings.Cut(rest, ".")
		if s := r.below[suffix]; s != nil && suffix != "" {
			return s
		}
		rest = suffix
	}
	return r.fallback
}

// match returns the route with the longest path that holds path; nil if none.
func (s *site) match(path string) *Route {
	if s == nil {
		return nil
	}
	for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '/') {
		if end <= s.longest {
			if route := s.routes[path[:end]]; route != nil {
				return route
			}
		}
	}
	return s.routes["/"]
}

func (d Decision) rewritten() Decision {
	if !d.Route.Rewrite || d.Route.Path == "/" {
		return d
	}
	if d.Path == d.Route.Path {
		d.Status, d.Location, d.Reason = Moved, d.Path+"/"+d.Query, "the route's path without its slash"
		return d
	}
	d.Path = d.Path[len(d.Route.Path):]
	return d
}
