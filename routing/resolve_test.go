package routing_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/routing"
)

// table is one table for all probes. Each route's backend is named like it.
func table(relaxed bool) routing.Table {
	t := routing.Table{Base: routing.Base{RelaxedPaths: relaxed}}
	for _, r := range []routing.Route{
		{Host: "prod.example.com", Path: "/"},
		{Host: "prod.example.com", Path: "/admin"},
		{Host: "prod.example.com", Path: "/admin/api"},
		{Host: "one.example.com", Path: "/"},
		{Host: "app.example.com", Path: "/app", Rewrite: true},
		{Host: "root.example.com", Path: "/", Rewrite: true},
		{Host: "under_score.example.com", Path: "/"},
		{Host: "*.example.com", Path: "/"},
		{Host: "*.deep.example.com", Path: "/"},
		{Host: "xn--bcher-kva.example", Path: "/"},
	} {
		r.Backends = []string{r.Host + r.Path}
		t.Routes = append(t.Routes, r)
	}
	return t
}

func withDefault(t routing.Table) routing.Table {
	t.Routes = append(t.Routes, routing.Route{Host: "*", Path: "/", Backends: []string{"*/"}})
	return t
}

// answer is a Decision in one line.
func answer(d routing.Decision) string {
	switch {
	case d.Status == routing.Moved:
		return fmt.Sprintf("301 %s", d.Location)
	case d.Status != routing.Forward:
		return fmt.Sprint(d.Status)
	}
	return fmt.Sprintf("%s %s", d.Route.Backends[0], d.Path+d.Query)
}

func get(target string, hosts ...string) routing.Request {
	return routing.Request{Method: "GET", Target: target, Proto: "HTTP/1.1", Hosts: hosts}
}

func TestResolveHosts(t *testing.T) {
	long := strings.Repeat("a.", 119) + "a.example.com" // 251 bytes
	for _, c := range []struct {
		host, want string
	}{
		{"prod.example.com", "prod.example.com/ /"},
		{"PROD.Example.com", "prod.example.com/ /"},
		{"prod.example.com.", "prod.example.com/ /"},
		{"prod.example.com:80", "prod.example.com/ /"},
		{"prod.example.com.:65535", "prod.example.com/ /"},
		{"prod.example.com:99999", "prod.example.com/ /"},
		{"xn--bcher-kva.example", "xn--bcher-kva.example/ /"},
		{"under_score.example.com", "under_score.example.com/ /"},
		{"x.example.com", "*.example.com/ /"},
		{"x.y.example.com", "*.example.com/ /"},
		{"x.deep.example.com", "*.deep.example.com/ /"},
		{"deep.example.com", "*.example.com/ /"},
		{"x.prod.example.com", "*.example.com/ /"},
		{long, "*.example.com/ /"},
		{"a." + long, "*.example.com/ /"},
		{"aa." + long, "400"},
		{"example.com", "503"},
		{"notexample.com", "503"},
		{"10.0.0.1", "503"},
		{"", "503"},
		{".", "400"},
		{".example.com", "400"},
		{"prod..example.com", "400"},
		{"prod.example.com..", "400"},
		{"prod.example.com:", "400"},
		{"prod.example.com:abc", "400"},
		{"prod.example.com:123456", "400"},
		{"prod.example.com:80@evil.com", "400"},
		{"prod.example.com:80:80", "400"},
		{"user@prod.example.com", "400"},
		{"dev.example.com,prod.example.com", "400"},
		{"dev.example.com prod.example.com", "400"},
		{"prod.example.com\x00.evil", "400"},
		{"b\xc3\xbccher.example", "400"},
		{"prod.example.com/", "400"},
		{"prod.example.com#", "400"},
		{"*.example.com", "400"},
		{"*", "400"},
		{"-a.example.com", "400"},
		{"a-.example.com", "400"},
		{strings.Repeat("a", 64) + ".example.com", "400"},
		{"[::1]:80", "400"},
		{"%61.example.com", "400"},
	} {
		got := answer(routing.NewResolver(table(false)).Resolve(get("/", c.host)))
		if got != c.want {
			t.Errorf("Host %q: %s, want %s", c.host, got, c.want)
		}
	}
}

func TestResolveTargets(t *testing.T) {
	for _, c := range []struct {
		target, want string // for prod.example.com, which has three routes
	}{
		{"/", "prod.example.com/ /"},
		{"/?", "prod.example.com/ /?"},
		{"/x?y=//%2f/../\\%zz", "prod.example.com/ /x?y=//%2f/../\\%zz"},
		{"/admin", "prod.example.com/admin /admin"},
		{"/admin?x", "prod.example.com/admin /admin?x"},
		{"/admin/", "prod.example.com/admin /admin/"},
		{"/admin/x", "prod.example.com/admin /admin/x"},
		{"/admin/api/x", "prod.example.com/admin/api /admin/api/x"},
		{"/admin/apix", "prod.example.com/admin /admin/apix"},
		{"/adminX", "prod.example.com/ /adminX"},
		{"/Admin", "prod.example.com/ /Admin"},
		{"/admin;x", "prod.example.com/ /admin;x"},
		{"/x/...", "prod.example.com/ /x/..."},
		{"/x/.well-known/..a", "prod.example.com/ /x/.well-known/..a"},
		{"/caf%C3%A9/%20%3b", "prod.example.com/ /caf%C3%A9/%20%3b"},
		{"/{a}|\"<>^`[]", "prod.example.com/ /{a}|\"<>^`[]"},
		{"//admin", "400"},
		{"/x//admin", "400"},
		{"/x//", "400"},
		{"/./admin", "400"},
		{"/x/../admin", "400"},
		{"/admin/..", "400"},
		{"/admin/.", "400"},
		{"/x/..;/admin", "400"},
		{"/x/.;a=b", "400"},
		{"/admin/%2e%2e", "400"},
		{"/admin/%2E", "400"},
		{"/%61dmin", "400"},
		{"/%7e", "400"},
		{"/x%2f..%2fadmin", "400"},
		{"/admin%2Fx", "400"},
		{"/x\\..\\admin", "400"},
		{"/x%5cadmin", "400"},
		{"/x%00", "400"},
		{"/x%", "400"},
		{"/x%4", "400"},
		{"/x%zz", "400"},
		{"/x%u0041", "400"},
		{"/public#/../admin", "400"},
		{"/x?a#b", "400"},
		{"/\xff", "400"},
		{"/x?\xc3\xa9", "400"},
		{"/x\x00", "400"},
		{"/x y", "400"},
		{"/x\x7f", "400"},
		{"", "400"},
		{"*", "400"},
		{"admin", "400"},
		{"prod.example.com", "400"},
		{"prod.example.com:80", "400"},
		{"http://prod.example.com/admin", "prod.example.com/admin /admin"},
		{"HTTP://PROD.example.com:80/admin?x", "prod.example.com/admin /admin?x"},
		{"https://prod.example.com:443/", "prod.example.com/ /"},
		{"https://prod.example.com:80/", "400"},
		{"http://prod.example.com", "prod.example.com/ /"},
		{"https://prod.example.com:443", "prod.example.com/ /"},
		{"http://", "400"},
		{"http://prod.example.com?x", "400"},
		{"http:///admin", "400"},
		{"http://prod.example.com.:80/", "400"},
		{"http://prod.example.com:81/", "400"},
		{"http://dev.example.com/", "400"},
		{"http://user@prod.example.com/", "400"},
		{"ftp://prod.example.com/", "400"},
		{"http:/prod.example.com/", "400"},
		{"/http://prod.example.com/", "400"},
	} {
		for _, relaxed := range []bool{false, true} {
			got := answer(routing.NewResolver(table(relaxed)).Resolve(get(c.target, "prod.example.com")))
			if got != c.want {
				t.Errorf("%q (relaxed %v): %s, want %s", c.target, relaxed, got, c.want)
			}
		}
	}
}

// With RelaxedPaths a host with one route takes two things more, and no others.
func TestResolveRelaxed(t *testing.T) {
	for _, c := range []struct {
		target, want string
	}{
		{"//x", "one.example.com/ //x"},
		{"/x//y%2Fz", "one.example.com/ /x//y%2Fz"},
		{"/x%2f..%2fadmin", "400"},
		{"/x/..%2fadmin", "400"},
		{"/x%2f.;", "400"},
		{"/%2e", "400"},
		{"/x\\y", "400"},
		{"/x%5cy", "400"},
		{"/x%00", "400"},
	} {
		if got := answer(routing.NewResolver(table(true)).Resolve(get(c.target, "one.example.com"))); got != c.want {
			t.Errorf("%q: %s, want %s", c.target, got, c.want)
		}
	}
}

func TestResolveRewrite(t *testing.T) {
	for _, c := range []struct {
		host, target, want string
	}{
		{"app.example.com", "/app", "301 /app/"},
		{"app.example.com", "/app?x=1", "301 /app/?x=1"},
		{"app.example.com", "/app/", "app.example.com/app /"},
		{"app.example.com", "/app/x/?y", "app.example.com/app /x/?y"},
		{"app.example.com", "/apple", "503"},
		{"app.example.com", "/", "503"},
		{"root.example.com", "/", "root.example.com/ /"},
		{"root.example.com", "/x", "root.example.com/ /x"},
	} {
		if got := answer(routing.NewResolver(table(false)).Resolve(get(c.target, c.host))); got != c.want {
			t.Errorf("%s%s: %s, want %s", c.host, c.target, got, c.want)
		}
	}
}

func TestResolveRequests(t *testing.T) {
	const host = "prod.example.com"
	for _, c := range []struct {
		name         string
		req          routing.Request
		want, orElse string // without and with a default backend
	}{
		{"no Host", routing.Request{Method: "GET", Target: "/", Proto: "HTTP/1.1"}, "400", "400"},
		{"no Host in 1.0", routing.Request{Method: "GET", Target: "/x", Proto: "HTTP/1.0"}, "503", "*/ /x"},
		{"empty Host", get("/x", ""), "503", "*/ /x"},
		{"unknown host", get("/x", "other.org"), "503", "*/ /x"},
		{"unknown path", get("/x", "app.example.com"), "503", "*/ /x"},
		{"two Hosts", get("/", host, "dev.example.com"), "400", "400"},
		{"two equal Hosts", get("/", host, host), "400", "400"},
		{"absolute without Host", routing.Request{Method: "GET", Target: "http://" + host + "/", Proto: "HTTP/1.0"}, "400", "400"},
		{"absolute, empty Host", get("http://"+host+"/", ""), "400", "400"},
		{"CONNECT", routing.Request{Method: "CONNECT", Target: host + ":80", Proto: "HTTP/1.1", Hosts: []string{host}}, "400", "400"},
		{"CONNECT path", routing.Request{Method: "CONNECT", Target: "/", Proto: "HTTP/1.1", Hosts: []string{host}}, "400", "400"},
		{"OPTIONS *", routing.Request{Method: "OPTIONS", Target: "*", Proto: "HTTP/1.1", Hosts: []string{host}}, "400", "400"},
		{"HTTP/2", routing.Request{Method: "GET", Target: "/", Proto: "HTTP/2.0", Hosts: []string{host}}, host + "/ /", host + "/ /"},
		{"zero", routing.Request{}, "400", "400"},
	} {
		if got := answer(routing.NewResolver(table(false)).Resolve(c.req)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if got := answer(routing.NewResolver(withDefault(table(false))).Resolve(c.req)); got != c.orElse {
			t.Errorf("%s with a default backend: %s, want %s", c.name, got, c.orElse)
		}
	}
}

func TestResolveEmptyTable(t *testing.T) {
	got := routing.NewResolver(routing.Table{}).Resolve(get("/", "x.org"))
	want := routing.Decision{Status: 503, Host: "x.org", Path: "/", Reason: "no route for this host"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Resolve (-want +got):\n%s", diff)
	}
}
