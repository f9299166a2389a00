package enginetest

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var ownSticky = regexp.MustCompile(`^sid=[0-9a-f]{16}~; Path=/; HttpOnly$`)

// cookieOf is what a client sends back for the only Set-Cookie of an answer.
func cookieOf(t *testing.T, got reply) string {
	t.Helper()
	set := got.header["Set-Cookie"]
	if got.status != 200 || len(set) != 1 {
		t.Fatalf("%d, Set-Cookie %q, want one", got.status, set)
	}
	value, _, _ := strings.Cut(set[0], ";")
	return "Cookie: a=b; " + value + "; c=d"
}

// testSticky: where the application sets no cookie the engine does, and the
// client stays as long as its endpoint does, whatever becomes of others.
func testSticky(t *testing.T, b *bench) {
	origins := map[string]*origin{}
	for _, name := range []string{"1", "2", "3"} {
		origins[name] = startOrigin(t, name)
	}
	b.route("a.org", "/", origins["1"], origins["2"])
	b.route("plain.org", "/", origins["1"])
	b.table.Backends[0].StickyCookie = "sid"
	b.apply(t)
	first := b.get(t, "a.org", "/")
	home, cookie := first.origin(), cookieOf(t, first)
	if set := first.header.Get("Set-Cookie"); !ownSticky.MatchString(set) || first.header.Get("Cache-Control") != "private" {
		t.Errorf("Set-Cookie %q, Cache-Control %q", set, first.header.Get("Cache-Control"))
	}
	stays := func(when string) {
		t.Helper()
		for range 6 {
			got := b.get(t, "a.org", "/", cookie)
			if got.origin() != home || got.header["Set-Cookie"] != nil || got.line("Cookie") != "a=b; sid=; c=d" {
				t.Fatalf("%s: from %q, want %q; Set-Cookie %q; the application saw %q", when, got.origin(), home, got.header["Set-Cookie"], got.line("Cookie"))
			}
		}
	}
	stays("at first")
	if seen := b.spread(t, "a.org", 10); len(seen) != 2 {
		t.Errorf("clients without the cookie were not spread: %v", seen)
	}
	id := b.table.Backends[0].ID
	b.endpoints[id] = endpointsOf(origins[home], origins["3"])
	b.setEndpoints(t)
	stays("after another endpoint was replaced")
	b.apply(t)
	stays("after a reload")
	b.endpoints[id] = endpointsOf(origins["3"])
	b.setEndpoints(t)
	moved := b.get(t, "a.org", "/", cookie)
	home, cookie = moved.origin(), cookieOf(t, moved)
	b.endpoints[id] = endpointsOf(origins["3"], origins["1"], origins["2"])
	b.setEndpoints(t)
	stays("after its endpoint was gone")
	for _, odd := range []string{"Cookie: sid=", "Cookie: sid=~", "Cookie: sid=" + strings.Repeat("f", 16) + "~", "Cookie: sid", "Cookie: =", "Cookie: sid=127.0.0.1~x"} {
		if got := b.get(t, "a.org", "/", odd); got.status != 200 {
			t.Errorf("%s: %d", odd, got.status)
		}
	}
	other := newBench(t, b.another(t))
	other.table.Backends, other.table.Routes, other.endpoints = b.table.Backends, b.table.Routes, b.endpoints
	other.apply(t)
	b = other
	stays("at another proxy of the cluster")
	if got := b.get(t, "plain.org", "/", cookie); got.header["Set-Cookie"] != nil || !strings.Contains("Cookie: "+got.line("Cookie"), cookie) {
		t.Errorf("a service without the label: Set-Cookie %q, Cookie %q", got.header["Set-Cookie"], got.line("Cookie"))
	}
}

// testStickyOwnCookie: the application's own cookie of that name arrives as it
// was set, and its other cookies are left alone.
func testStickyOwnCookie(t *testing.T, b *bench) {
	login := func(name string) *origin {
		return serveOrigin(t, name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Origin", name)
			if r.URL.Path == "/login" {
				w.Header().Add("Set-Cookie", "sid=s3cret; Path=/; HttpOnly; SameSite=Lax")
			}
			fmt.Fprintf(w, "Cookie: %s\n", r.Header.Get("Cookie"))
		}))
	}
	b.route("a.org", "/", login("1"), login("2"))
	b.table.Backends[0].StickyCookie = "sid"
	b.apply(t)
	first := b.get(t, "a.org", "/login")
	cookie := cookieOf(t, first)
	if set := first.header.Get("Set-Cookie"); !strings.HasSuffix(set, "~s3cret; Path=/; HttpOnly; SameSite=Lax") {
		t.Errorf("Set-Cookie %q", set)
	}
	for range 6 {
		got := b.get(t, "a.org", "/", cookie)
		if got.origin() != first.origin() || got.line("Cookie") != "a=b; sid=s3cret; c=d" || got.header["Set-Cookie"] != nil {
			t.Errorf("from %q, want %q; the application saw %q; Set-Cookie %q", got.origin(), first.origin(), got.line("Cookie"), got.header["Set-Cookie"])
		}
	}
	// One that the client has from before the label is not replaced.
	if got := b.get(t, "a.org", "/", "Cookie: sid=old"); got.line("Cookie") != "sid=old" || got.header["Set-Cookie"] != nil {
		t.Errorf("a cookie without a mark: the application saw %q, Set-Cookie %q", got.line("Cookie"), got.header["Set-Cookie"])
	}
}
