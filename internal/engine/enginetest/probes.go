package enginetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"interlock/routing"
)

// probes are the requests of reliability.md §4.2 and E31, and their kin.
func probes() (all []routing.Request) {
	const host = "prod.example.com"
	add := func(method, target, proto string, hosts ...string) {
		all = append(all, routing.Request{Method: method, Target: target, Proto: proto, Hosts: hosts})
	}
	for _, target := range []string{
		"/", "/app", "/app/", "/app/x", "/apple", "/app?x=//%2f#", "/app?x=../..", "/x", "/app/v1/x", "/app;x", "/app%20x",
		"//app", "//", "/x//app", "/./app", "/.", "/x/../app", "/app/..", "/app/%2e%2e", "/app/%2E", "/%61pp", "/%7euser",
		"/app%2fx", "/app%2Fx", "/x%5capp", "/x\\app", "/x\\..\\app", "/x/..;/app", "/x/.;y/app", "/x%2f..%2fapp", "/app%00",
		"/app%", "/app%4", "/app%zz", "/app#x", "/public#/../app", "/caf%C3%A9", "/caf\xc3\xa9", "/\xff", "/x?\xff", "/x?y=%zz%",
		"/{a}|b", "/a...b/...", "/a..", "/..a", "app", host, host + ":80", "*", "http:/app", "ftp://" + host + "/app",
		"http://" + host + "/app", "HTTP://PROD.example.com:80/app?x", "http://" + host, "http://" + host + ":80", "http://" + host + "?x", "http://" + host + "?x/y", "http://",
		"http://dev.example.com/app", "http://user@" + host + "/app", "http://" + host + ":81/app", "http://" + host + "/x/../app",
		"/rewritten", "/rewritten?x=1", "/rewritten/", "/rewritten/x?y", "/rewrittenx",
	} {
		add("GET", target, "HTTP/1.1", host)
	}
	for _, h := range []string{
		"PROD.EXAMPLE.COM", host + ".", host + ":80", host + ".:8080", host + ":", host + ":abc", host + ":80@evil.com", host + ":123456",
		"dev.example.com," + host, "dev.example.com " + host, "user@" + host, host + "..", "..", ".", "-x.example.com", "[::1]", "10.0.0.1",
		"wild.example.com", "very.wild.example.com", "example.com", "x.deep.example.com", "under_score.example.com", "other.org", "",
		host + "/app", host + "#", host + "\\", "*.example.com", "b\xc3\xbccher.example", strings.Repeat("a", 64) + ".example.com",
		strings.Repeat("a.", 119) + "a.example.com", strings.Repeat("a.", 120) + "aa.example.com",
	} {
		add("GET", "/app", "HTTP/1.1", h)
	}
	add("GET", "/app", "HTTP/1.1")
	add("GET", "/app", "HTTP/1.0")
	add("GET", "/app", "HTTP/1.0", host)
	add("GET", "/app", "HTTP/1.1", host, "dev.example.com")
	add("GET", "/app", "HTTP/1.1", host, host)
	add("GET", "http://"+host+"/app", "HTTP/1.0")
	add("GET", "http://"+host+"/app", "HTTP/1.1", "")
	add("OPTIONS", "*", "HTTP/1.1", host)
	add("OPTIONS", "/app", "HTTP/1.1", host)
	add("HEAD", "/app", "HTTP/1.1", host)
	add("DELETE", "/app/x", "HTTP/1.1", host)
	add("CONNECT", host+":80", "HTTP/1.1", host+":80")
	add("CONNECT", "/app", "HTTP/1.1", host)
	return all
}

func (b *bench) probeTable(t *testing.T) {
	for _, r := range []routing.Route{
		{Host: "prod.example.com", Path: "/"},
		{Host: "prod.example.com", Path: "/app"},
		{Host: "prod.example.com", Path: "/app/v1"},
		{Host: "prod.example.com", Path: "/rewritten", Rewrite: true},
		{Host: "one.example.com", Path: "/"},
		{Host: "apponly.example.com", Path: "/app"},
		{Host: "under_score.example.com", Path: "/"},
		{Host: "*.example.com", Path: "/"},
		{Host: "*.deep.example.com", Path: "/"},
	} {
		b.route(r.Host, r.Path, startOrigin(t, r.Host+r.Path)).Rewrite = r.Rewrite
	}
}

func testProbes(t *testing.T, b *bench) {
	b.probeTable(t)
	b.apply(t)
	b.judge(t, probes())
	b.route(routing.DefaultHost, "/", startOrigin(t, "*/"))
	b.apply(t)
	b.judge(t, probes())
}

func testRelaxedProbes(t *testing.T, b *bench) {
	b.table.Base.RelaxedPaths = true
	b.probeTable(t)
	b.apply(t)
	b.judge(t, probes())
	var more []routing.Request
	for _, target := range []string{"//", "//x", "/x//y%2Fz?q", "/x%2f..%2fadmin", "/x/..%2f", "/%2e", "/x\\", "/x%5c", "/%00"} {
		for _, host := range []string{"one.example.com", "prod.example.com", "x.wild.example.com", "other.org"} {
			more = append(more, routing.Request{Method: "GET", Target: target, Proto: "HTTP/1.1", Hosts: []string{host}})
		}
	}
	b.judge(t, more)
}

// testRandomRequests joins pieces that have fooled parsers.
func testRandomRequests(t *testing.T, b *bench) {
	b.probeTable(t)
	b.apply(t)
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{"/", "/", "/app", "/x", "//", "/.", "/..", ";", "%2f", "%2F", "%5C", "%00", "%2e", "%41", "%C3%A9", "\\", "?", "#", "%", "rewritten", "v1", "\x7f", "..", "a"}
	hosts := []string{"prod.example.com", "Prod.Example.Com", "prod.example.com:8080", "prod.example.com.", "one.example.com", "a.deep.example.com", "nobody.org", "a..b", ""}
	fronts := []string{"", "", "", "", "", "http://prod.example.com", "http://one.example.com", "http://"}
	var all []routing.Request
	for range 400 {
		target := fronts[random.IntN(len(fronts))] + "/"
		for range random.IntN(5) {
			target += pieces[random.IntN(len(pieces))]
		}
		host := hosts[random.IntN(len(hosts))]
		all = append(all, routing.Request{Method: "GET", Target: target, Proto: "HTTP/1.1", Hosts: []string{host}})
	}
	b.judge(t, all)
}

// judge sends each request and compares what happens with Resolve.
func (b *bench) judge(t *testing.T, requests []routing.Request) {
	t.Helper()
	resolver := routing.NewResolver(b.table)
	for _, r := range requests {
		want := []string{b.expected(resolver.Resolve(r))}
		if len(r.Hosts) == 2 && r.Hosts[0] == r.Hosts[1] && b.FoldsHosts {
			one := r
			one.Hosts = r.Hosts[:1]
			want = append(want, b.expected(resolver.Resolve(one)))
		}
		got := send(t, b.address(), raw(r))
		if seen := outcome(r, got); !slices.Contains(want, seen) {
			t.Errorf("%s %q %s, Host %q: %s, want %s", r.Method, r.Target, r.Proto, r.Hosts, seen, strings.Join(want, " or "))
		}
		if got.origin() != "" && r.Method != "HEAD" && !keptHost(r, got.line("Host")) {
			t.Errorf("%q, Host %q: the application saw Host %q", r.Target, r.Hosts, got.line("Host"))
		}
	}
}

// keptHost says whether an application may see this Host for r: the one that
// was sent. An absolute-form's authority, which is the same host, may replace it.
func keptHost(r routing.Request, seen string) bool {
	if len(r.Hosts) == 0 || r.Hosts[0] == "" {
		return true
	}
	if r.Target[0] == '/' {
		return seen == r.Hosts[0]
	}
	sent, _ := routing.NormalHost(r.Hosts[0])
	got, ok := routing.NormalHost(seen)
	return ok && got == sent
}

func raw(r routing.Request) string {
	lines := []string{r.Method + " " + r.Target + " " + r.Proto}
	for _, h := range r.Hosts {
		lines = append(lines, "Host: "+h)
	}
	return strings.Join(append(lines, "Connection: close"), "\r\n") + "\r\n\r\n"
}

// expected names what a decision leads to, as outcome names what happened.
func (b *bench) expected(d routing.Decision) string {
	switch d.Status {
	case routing.Forward:
		return fmt.Sprintf("%s%s as %s", d.Route.Host, d.Route.Path, d.Path+d.Query)
	case routing.Moved:
		return "301 to " + d.Location
	}
	return fmt.Sprint(d.Status)
}

func outcome(r routing.Request, got reply) string {
	switch {
	case got.origin() != "" && r.Method == "HEAD":
		return got.origin() + " as " + r.Target
	case got.origin() != "":
		return got.origin() + " as " + got.target()
	case got.status == routing.Moved:
		return "301 to " + got.header.Get("Location")
	}
	return fmt.Sprint(got.status)
}
