package haproxy

import (
	"fmt"
	"strings"
	"testing"

	"interlock/routing"
)

// testBase is a base as the compiler makes it, on free ports.
func testBase(t testing.TB) routing.Base {
	return routing.Base{
		HTTPPort: freePort(t), HealthPort: freePort(t), MaxConnections: 500, MaxShare: 20,
		ConnectTimeout: 1000, ClientTimeout: 60_000, ServerTimeout: 60_000, KeepaliveTimeout: 3000, GraceTimeout: 30_000,
	}
}

// testTable makes one backend for each route "host/path" or "host/path!", which
// rewrites.
func testTable(base routing.Base, routes ...string) routing.Table {
	t := routing.Table{Cluster: "test", Base: base}
	for i, r := range routes {
		r, rewrite := strings.CutSuffix(r, "!")
		host, path, _ := strings.Cut(r, "/")
		id := routing.BackendID(fmt.Sprintf("svc%d", i), "", 80)
		t.Backends = append(t.Backends, routing.Backend{
			ID: id, Service: fmt.Sprintf("svc%d", i), Port: 80, Network: "il-test",
			Mode: routing.ModeTask, Algorithm: routing.RoundRobin,
		})
		t.Routes = append(t.Routes, routing.Route{Host: host, Path: "/" + path, Rewrite: rewrite, Backends: []string{id}})
	}
	return t
}

// serve renders t, gives each backend an origin that knows its id, and starts
// the real engine.
func serve(t testing.TB, table routing.Table) (dir string) {
	t.Helper()
	b, err := Render(table)
	if err != nil {
		t.Fatal(err)
	}
	eps := routing.Endpoints{}
	for _, be := range b.Backends {
		eps[be.ID] = []routing.Endpoint{origin(t, be.ID)}
	}
	return start(t, b, eps)
}

// probe is a request in the bytes that matter for routing.
type probe struct {
	target string
	hosts  []string
	method string
	proto  string
}

func (p probe) request() routing.Request {
	r := routing.Request{Method: p.method, Target: p.target, Proto: p.proto, Hosts: p.hosts}
	if r.Method == "" {
		r.Method = "GET"
	}
	if r.Proto == "" {
		r.Proto = "HTTP/1.1"
	}
	return r
}

func (p probe) bytes() string {
	r := p.request()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\r\n", r.Method, r.Target, r.Proto)
	for _, h := range r.Hosts {
		b.WriteString("Host: " + h + "\r\n")
	}
	return b.String() + "Connection: close\r\n\r\n"
}

func to(host string, targets ...string) []probe {
	var out []probe
	for _, target := range targets {
		out = append(out, probe{target: target, hosts: []string{host}})
	}
	return out
}

func from(target string, hosts ...string) []probe {
	var out []probe
	for _, host := range hosts {
		out = append(out, probe{target: target, hosts: []string{host}})
	}
	return out
}

// probes are those of the two experiments with today's engines (E31 and the
// report's 4.2) and the edges of each rule of routing.Resolve.
func probes() []probe {
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, label[:61]}, ".") // 253 bytes
	all := to("www.example.com", "/", "/app", "/app/", "/app/x", "/apple", "/app/api", "/app/api/x", "/app/apix",
		"//app", "/./app", "/x/../app", "/app/..", "/app/.", "/app/%2e%2e", "/app/%2E", "/%61pp", "/%41pp", "/app%2fx", "/app%2Fx",
		"/app%5cx", "/app\\x", "/app%00", "/app%0", "/app%", "/app%zz", "/app%7e", "/app%2d", "/app%5f", "/app%20x", "/app%7f", "/app%ff",
		"/app%3a", "/app%5b", "/app%60", "/app%7b", "/app%40", "/app%2f..%2fadmin", "/app/..;/admin", "/app/.;x", "/app/...", "/app/..x", "/app/x..", "/app/x/..;",
		"/app#x", "/app?x#y", "/app?", "/app?a=//../%2f", "/old?q=1", "/old", "/old/", "/old/x?q", "/old?", "/app/\"<>^`{|}", "/app\xff", "/app?\xff", "/app\x7f",
		"/app/;x", "/app/%3bx", "app", "", "*", "?x", "http://www.example.com/app", "http://www.example.com:80/app/x?y", "HTTP://WWW.example.com/app",
		"https://www.example.com/app", "http://www.example.com./app", "http://other.example.com/app", "http://www.example.com:8080/app",
		"http://user@www.example.com/app", "http://www.example.com@evil/app", "http://www.example.com", "http://www.example.com:80", "http://www.example.com?x", "http:///app", "ftp://www.example.com/app",
		"http:/app", "/"+strings.Repeat("a/", 3000), "/app/"+strings.Repeat("x", 6000), "/app/x@y", "http://www.example.com/x@y")
	all = append(all, from("/app", "WWW.EXAMPLE.COM", "www.example.com.", "www.example.com..", "www.example.com:80", "www.example.com.:80", "www.example.com:", "www.example.com:123456",
		"www.example.com:abc", "www.example.com:80@evil.com", "user@www.example.com", "www.example.com,other.example.com", "www.example.com\x00.evil", "www.example.com other",
		"-www.example.com", "www-.example.com", "www..example.com", ".example.com", "127.0.0.1", "[::1]", "::1", "xn--prd-6na.example.com", "a_b.example.com", "www.example.com/app",
		"www.example.com#", "www.example.com%00", "prod。example", "www.example.com\xff", "", ":80", ".", "*", "*.wild.example.com",
		"wild.example.com", "a.wild.example.com", "a.b.wild.example.com", "a.deep.wild.example.com", "deep.wild.example.com", "x.y.deep.wild.example.com", "exact.wild.example.com", "a.exact.wild.example.com",
		"unknown", "example.com", "com", "a.one", "one", label+".example.com", label+"a.example.com", long, long+".", long+".:12345", long+"a", strings.Repeat("a.", 2000)+"example.com",
		"single.example.com", "path.example.com")...)
	all = append(all, to("single.example.com", "//x", "/a%2fb", "/a//b", "/a%2f..%2fb", "/a%2f..", "/a/%2e", "/..%2f", "/.%2fx", "//", "/a%2F%2e")...)
	all = append(all, to("path.example.com", "/p", "/p//x", "/p%2fx", "//p", "/q", "/p/..", "/p/x%2f")...)
	all = append(all, to("exact.wild.example.com", "/", "/only", "/other")...)
	all = append(all, to("nowhere.example.net", "/any", "//x", "/a%2fb", "/deflt", "/deflt/x", "/deflt/..")...)
	for _, proto := range []string{"HTTP/1.0", "HTTP/1.1"} {
		all = append(all, probe{target: "/app", proto: proto}, probe{target: "http://www.example.com/app", proto: proto},
			probe{target: "/app", proto: proto, hosts: []string{"www.example.com", "other.example.com"}})
	}
	for _, method := range []string{"CONNECT", "OPTIONS", "TRACE", "get", "BREW"} {
		for _, target := range []string{"/app", "*", "www.example.com:80", "http://www.example.com/app"} {
			all = append(all, probe{method: method, target: target, hosts: []string{"www.example.com"}})
		}
	}
	return all
}

var routesOfProbes = []string{
	"a.one/", "exact.wild.example.com/only", "path.example.com/p!", "single.example.com/", "www.example.com/", "www.example.com/app",
	"www.example.com/app/api", "www.example.com/old!", "*.deep.wild.example.com/", "*.wild.example.com/", "*.one/",
}

// TestAgreesWithResolve sends each probe as raw bytes through the real engine
// and compares what happens with the definition (I11).
func TestAgreesWithResolve(t *testing.T) {
	relaxed := func(b routing.Base) routing.Base { b.RelaxedPaths = true; return b }
	for name, table := range map[string]routing.Table{
		"strict":           testTable(testBase(t), routesOfProbes...),
		"default backend":  testTable(testBase(t), append([]string{"*/"}, routesOfProbes...)...),
		"default on paths": testTable(testBase(t), append([]string{"*/app", "*/deflt!"}, routesOfProbes...)...),
		"relaxed":          testTable(relaxed(testBase(t)), routesOfProbes...),
		"relaxed default":  testTable(relaxed(testBase(t)), append([]string{"*/"}, routesOfProbes...)...),
		"one host":         testTable(testBase(t), "www.example.com/"),
		"nothing":          testTable(testBase(t)),
	} {
		t.Run(name, func(t *testing.T) {
			serve(t, table)
			resolver := routing.NewResolver(table)
			for _, p := range probes() {
				if want, got := expected(resolver.Resolve(p.request())), observed(t, table, p); got != want {
					t.Errorf("%.200q\n  got  %.200s\n  want %.200s", p.bytes(), got, want)
				}
			}
		})
	}
}

// expected writes a decision as observed writes an answer.
func expected(d routing.Decision) string {
	switch d.Status {
	case routing.Forward:
		return fmt.Sprintf("forward to %s: %s", d.Route.Backends[0], d.Path+d.Query)
	case routing.Moved:
		return "301 " + d.Location
	default:
		return fmt.Sprint(d.Status)
	}
}

func observed(t *testing.T, table routing.Table, p probe) string {
	res, body := raw(t, local(table.Base.HTTPPort), p.bytes())
	switch res.StatusCode {
	case 200:
		name, head, _ := strings.Cut(body, "\n")
		return fmt.Sprintf("forward to %s: %s", name, strings.Fields(head)[1])
	case 301:
		return "301 " + res.Header.Get("Location")
	default:
		return fmt.Sprint(res.StatusCode)
	}
}
