package enginetest

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// startH2 starts an application that speaks nothing but HTTP/2 without TLS. It
// answers as startOrigin's does, with the length of the body it got.
func startH2(t *testing.T, name string) *origin {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	only := new(http.Protocols)
	only.SetUnencryptedHTTP2(true)
	return serveProtocols(t, name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("Origin", name)
		fmt.Fprintf(w, "%s %s\nHost: %s\nProto: %s\nBody: %d\n", r.Method, r.RequestURI, r.Host, r.Proto, n)
		_ = r.Header.Write(w)
	}), only, ln)
}

// testH2: requests and health checks reach an application that speaks only h2,
// beside others in HTTP/1.1, and one that came at run time; a pool may have both.
func testH2(t *testing.T, b *bench) {
	b.route("h2.org", "/", startH2(t, "a"))
	b.route("h1.org", "/", startOrigin(t, "b"))
	for i := range b.table.Backends {
		b.table.Backends[i].HealthPath, b.table.Backends[i].HealthInterval, b.table.Backends[i].HealthTimeout = "/healthz", 500, 2000
	}
	b.table.Backends[0].Protocol = "h2"
	b.apply(t)
	const target = "/a%20b/c@d?x=1&y"
	got := b.get(t, "h2.org", target, "X-Real-IP: 6.6.6.6", "X-Tenant: t")
	for name, want := range map[string]string{"Proto": "HTTP/2.0", "Host": "h2.org", "X-Real-Ip": "127.0.0.1", "X-Forwarded-For": "127.0.0.1", "X-Tenant": "t"} {
		if got.line(name) != want {
			t.Errorf("the application saw %s: %q, want %q", name, got.line(name), want)
		}
	}
	if got.target() != target {
		t.Errorf("the application saw %q, want %q", got.target(), target)
	}
	body := strings.Repeat("x", 300_000)
	post := fmt.Sprintf("POST / HTTP/1.1\r\nHost: h2.org\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if got := send(t, b.address(), post); got.line("Body") != "300000" {
		t.Errorf("a large body: %d, %s", got.status, got.line("Body"))
	}
	id := b.table.Backends[0].ID
	b.endpoints[id] = append(b.endpoints[id], endpointsOf(startH2(t, "c"))...)
	b.setEndpoints(t)
	seen := map[string]int{}
	await(t, "five rounds of checks", func() bool {
		got := b.get(t, "h2.org", "/")
		seen[got.origin()]++
		return len(seen) > 2 || seen["a"]+seen["c"] >= 100
	})
	if seen["a"] != 50 || seen["c"] != 50 {
		t.Errorf("two endpoints were spread %v", seen)
	}
	b.table.Routes[0].Backends = append(b.table.Routes[0].Backends, b.table.Backends[1].ID)
	b.apply(t)
	if seen := b.spread(t, "h2.org", 9); seen["a"] != 3 || seen["b"] != 3 || seen["c"] != 3 {
		t.Errorf("a pool of both was spread %v", seen)
	}
}
