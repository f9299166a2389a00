package extensiontest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"interlock/routing"
)

// Empty is a cluster without a service: the operator's base alone.
func Empty(cluster string) routing.Table {
	return routing.Table{Cluster: cluster, Base: routing.Base{
		HTTPPort: 80, HealthPort: 8404, MaxConnections: 1000, MaxShare: 20,
		ConnectTimeout: 1000, ClientTimeout: 60_000, ServerTimeout: 60_000, KeepaliveTimeout: 3000, GraceTimeout: 30_000,
	}}
}

// Small is one service with one route.
func Small(cluster string) routing.Table {
	t := Empty(cluster)
	add(&t, "www.example.com", "/", backend("shop_web", "", 8080))
	return t
}

// Features has each thing that a table can say.
func Features(cluster string) routing.Table {
	t := Empty(cluster)
	t.Base.ProxyProtocol, t.Base.TrustedProxies = true, []string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"}
	t.Base.InfoHeaders, t.Base.RelaxedPaths = true, true
	web, api, old := backend("shop_web", "", 8080), backend("shop_api", "v1", 9000), backend("legacy.app", "", 80)
	api.Algorithm, api.MaxFails, api.FailTimeout = routing.LeastConn, 3, 10_000
	api.ConnectTimeout, api.ResponseTimeout, api.IdleTimeout, api.MaxConnections = 2000, 120_000, 600_000, 50
	api.StickyCookie = "connect.sid"
	api.RequestHeaders = []routing.Header{{Name: "x-tenant", Value: "100% 'acme' %[env(HOME)] @DIR@"}}
	api.Protocol = routing.H2
	api.HealthPath, api.HealthInterval, api.HealthTimeout, api.HealthStatus = "/healthz?full=1", 5000, 1000, "200-299,401"
	old.Allow = []string{"10.0.0.0/8", "192.0.2.7/32"}
	old.Algorithm, old.Mode = routing.IPHash, routing.ModeVIP
	add(&t, routing.DefaultHost, "/", old)
	add(&t, "*.wild.example.com", "/", web)
	add(&t, "canary.example.com", "/", web, api)
	add(&t, "www.example.com", "/", web)
	add(&t, "www.example.com", "/api", api)
	add(&t, "www.example.com", "/old%20app/x@y:z", old)
	t.Routes[len(t.Routes)-1].Rewrite = true
	slices.SortFunc(t.Routes, func(a, b routing.Route) int { return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Path, b.Path)) })
	return t
}

// Big has n services with one route each on its own host.
func Big(cluster string, n int) routing.Table {
	t := Empty(cluster)
	t.Routes, t.Backends = make([]routing.Route, 0, n), make([]routing.Backend, 0, n)
	for i := range n {
		b := backend(fmt.Sprintf("stack%d_web", i), "", 8080)
		t.Backends = append(t.Backends, b)
		t.Routes = append(t.Routes, routing.Route{Host: fmt.Sprintf("app%06d.example.com", i), Path: "/", Backends: []string{b.ID}})
	}
	slices.SortFunc(t.Backends, byID)
	return t
}

func byID(a, b routing.Backend) int { return cmp.Compare(a.ID, b.ID) }

func backend(service, route string, port int) routing.Backend {
	id := fmt.Sprintf("id-of-%s", service)
	return routing.Backend{
		ID: routing.BackendID(id, route, port), Service: service, ServiceID: id, Stack: "shop", Port: port,
		Network: "il-test", Mode: routing.ModeTask, Algorithm: routing.RoundRobin,
	}
}

// add appends a route and those of its backends that t does not have.
func add(t *routing.Table, host, path string, backends ...routing.Backend) {
	r := routing.Route{Host: host, Path: path}
	for _, b := range backends {
		r.Backends = append(r.Backends, b.ID)
		if !slices.ContainsFunc(t.Backends, func(x routing.Backend) bool { return x.ID == b.ID }) {
			t.Backends = append(t.Backends, b)
		}
	}
	t.Routes = append(t.Routes, r)
	slices.SortFunc(t.Backends, byID)
}

// badTables are outside the model (routing.Table.Validate), whatever the engine.
// An extension that would render one of them trusts its input. What an engine
// can't do beyond that is its renderer's own to refuse.
func badTables(t testing.TB) map[string][]byte {
	out := map[string][]byte{
		"nothing":         {},
		"not JSON":        []byte("<table/>"),
		"another type":    []byte(`["table"]`),
		"cut off":         encode(t, Small("cut"))[:40],
		"something after": append(encode(t, Small("two")), encode(t, Small("three"))...),
	}
	change := func(name string, f func(*routing.Table)) {
		table := Small("bad")
		f(&table)
		out[name] = encode(t, table)
	}
	for _, host := range badHosts {
		change(fmt.Sprintf("host %.40q", host), func(t *routing.Table) { t.Routes[0].Host = host })
	}
	for _, path := range badPaths {
		change(fmt.Sprintf("path %.40q", path), func(t *routing.Table) { t.Routes[0].Path = path })
	}
	for _, id := range []string{"", "be_x y", "be_1\nbackend x", "../be_0123456789abcdef"} {
		change(fmt.Sprintf("backend id %q", id), func(t *routing.Table) { t.Backends[0].ID, t.Routes[0].Backends = id, []string{id} })
	}
	change("a backend that is not there", func(t *routing.Table) { t.Backends = nil })
	change("a route to nothing", func(t *routing.Table) { t.Routes[0].Backends = nil })
	change("a route twice", func(t *routing.Table) { t.Routes = append(t.Routes, t.Routes[0]) })
	change("a backend twice", func(t *routing.Table) { t.Backends = append(t.Backends, t.Backends[0]) })
	change("no port", func(t *routing.Table) { t.Backends[0].Port = 0 })
	return out
}

var badHosts = []string{"", " ", "A.example.com", "a.example.com.", "a.example.com:80", "a b", "a\nb", "a\tb", "#a", "-i", "-f", "a..b", "*.", "*.*.a", "a.*",
	"*a", "~^(a)+$", "%[env(HOME)]", "${HOME}", "$host", "a;b", "a'b", `a"b`, "a\\", "a\u0000b", "prod\u3002example", "\u043ed.example.com",
	"user@a", "a/b", "a,b", "[::1]", strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a", strings.Repeat("a", 1<<20)}

var badPaths = []string{"", "app", "/app/", "//", "/a//b", "/./a", "/a/..", "/a/../b", "/a/..;/b", "/%2e", "/%61", "/%2f", "/%5c", "/%00", "/%zz", "/a\\b", "/a b", "/a\nb",
	"/a\tb", "/a?b", "/a#b", "/a\u00e9", "/a\u0000", "/a\u2028"}
