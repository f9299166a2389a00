package enginetest

import (
	"fmt"
	"strings"
	"testing"
)

// testAllow: clients outside the list get 403 wherever a section answers,
// before anything else of it, and other services don't notice.
func testAllow(t *testing.T, b *bench) {
	b.route("a.org", "/", startOrigin(t, "a"))
	b.route("open.org", "/", startOrigin(t, "open"))
	b.route("empty.org", "/")
	b.route("a.org", "/strip", startOrigin(t, "strip"))
	b.table.Routes[3].Rewrite = true
	for _, i := range []int{0, 2, 3} {
		b.table.Backends[i].Allow = []string{"10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"}
	}
	b.table.Base.ProxyProtocol, b.table.Base.TrustedProxies = true, []string{"127.0.0.0/8"}
	b.apply(t)
	ask := func(family, client, host, path string, headers ...string) reply {
		t.Helper()
		return send(t, b.address(), fmt.Sprintf("PROXY %s %s %s 4711 80\r\n", family, client, client)+
			getRequest(host, path, append(headers, "Connection: close")...))
	}
	for client, want := range map[string]int{"10.1.2.3": 200, "192.0.2.7": 200, "192.0.2.8": 403, "11.0.0.1": 403, "127.0.0.1": 403} {
		if got := ask("TCP4", client, "a.org", "/"); got.status != want {
			t.Errorf("%s: %d, want %d", client, got.status, want)
		}
		if got := ask("TCP4", client, "open.org", "/"); got.origin() != "open" {
			t.Errorf("%s at another service: %d", client, got.status)
		}
	}
	for client, want := range map[string]int{"2001:db8::1": 200, "2001:db9::1": 403, "::1": 403, "::ffff:10.0.0.1": 200, "::ffff:11.0.0.1": 403} {
		if got := ask("TCP6", client, "a.org", "/"); got.status != want {
			t.Errorf("%s: %d, want %d", client, got.status, want)
		}
	}
	for _, at := range []string{"empty.org/", "a.org/strip", "a.org/strip/x"} {
		host, path, _ := strings.Cut(at, "/")
		path = "/" + path
		if got := ask("TCP4", "11.0.0.1", host, path, "X-Forwarded-For: 10.0.0.1", "X-Real-IP: 10.0.0.1"); got.status != 403 {
			t.Errorf("%s: %d, want 403", at, got.status)
		}
	}
	b.table.Backends[0].Allow = []string{"11.0.0.0/8"}
	b.apply(t)
	for client, want := range map[string]int{"10.1.2.3": 403, "11.0.0.1": 200} {
		if got := ask("TCP4", client, "a.org", "/"); got.status != want {
			t.Errorf("after a change of the list, %s: %d, want %d", client, got.status, want)
		}
	}
	b.table.Routes[0].Backends = append(b.table.Routes[0].Backends, b.table.Backends[1].ID)
	if _, err := b.Render(b.table); err == nil {
		t.Error("a pool whose members allow different clients is rendered")
	}
	b.table.Routes[0].Backends = b.table.Routes[0].Backends[:1]
	b.table.Backends[0].Allow = []string{"10.0.0.1/8"}
	if _, err := b.Render(b.table); err == nil {
		t.Error("a list that is not canonical is rendered")
	}
}
