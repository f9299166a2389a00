package routing_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"interlock/routing"
)

// The expressions below are rules 5 and 7 once more, in the form in which a
// renderer writes them into an engine's configuration.
var (
	hostForm = regexp.MustCompile(`(?i)^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*\.?(:[0-9]{1,5})?$`)
	badPath  = regexp.MustCompile(`(?i)//|\\|%($|.$|[^0-9a-f]|.[^0-9a-f])|%(00|2f|5c)|%(2d|2e|5f|7e|3[0-9]|[46][1-9a-f]|[57][0-9a])|/\.\.?(/|;|$)`)
)

func TestNormalHostIsItsExpression(t *testing.T) {
	text := rapid.StringMatching(`([a-zA-Z0-9_.:@-]|[a-c]{1,70}|\.){0,6}(:[0-9]{0,6})?`)
	rapid.Check(t, func(t *rapid.T) {
		host := text.Draw(t, "host")
		name := strings.TrimSuffix(strings.SplitN(host, ":", 2)[0], ".")
		want := hostForm.MatchString(host) && len(name) <= 253
		got, ok := routing.NormalHost(host)
		if ok != want {
			t.Fatalf("NormalHost(%q) = %v, expression says %v", host, ok, want)
		}
		if ok && got != strings.ToLower(name) {
			t.Fatalf("NormalHost(%q) = %q", host, got)
		}
	})
}

func TestNormalPathIsItsExpression(t *testing.T) {
	text := rapid.StringMatching(`/([a/.;%\\]|%2[eEfF]|%5[cf]|%00|%[0-7][0-9a-fA-F]|%c3%A9|\.\.|x){0,8}`)
	rapid.Check(t, func(t *rapid.T) {
		path := text.Draw(t, "path")
		if reason, ok := routing.NormalPath(path); ok == badPath.MatchString(path) {
			t.Fatalf("NormalPath(%q) = %q, %v; the expression disagrees", path, reason, ok)
		}
	})
}

// FuzzResolve: total; a forwarded request that was not rewritten resolves to
// the same again; what is forwarded is the target's end byte for byte, or "/".
func FuzzResolve(f *testing.F) {
	f.Add("GET", "/admin/x?y", "HTTP/1.1", "prod.example.com:80", false)
	f.Add("GET", "http://prod.example.com/%2f..;/", "HTTP/1.0", "", true)
	f.Add("CONNECT", "*", "", "a.b.deep.example.com.", true)
	strict := routing.NewResolver(withDefault(table(false)))
	relaxed := routing.NewResolver(withDefault(table(true)))
	f.Fuzz(func(t *testing.T, method, target, proto, host string, relax bool) {
		r := strict
		if relax {
			r = relaxed
		}
		d := r.Resolve(routing.Request{Method: method, Target: target, Proto: proto, Hosts: []string{host}})
		if d.Status != routing.Forward {
			return
		}
		if forwarded := d.Path + d.Query; !strings.HasSuffix(target, forwarded) && forwarded != "/" {
			t.Fatalf("%q is forwarded as %q", target, d.Path+d.Query)
		}
		if d.Route.Rewrite {
			return
		}
		again := r.Resolve(routing.Request{Method: method, Target: d.Path + d.Query, Proto: proto, Hosts: []string{d.Host}})
		if d.Host != "" && cmp.Diff(d, again) != "" {
			t.Fatalf("not idempotent: %s", cmp.Diff(d, again))
		}
		if _, ok := routing.NormalPath(d.Path); !ok && !relax {
			t.Fatalf("forwards %q", d.Path)
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	r := routing.NewResolver(withDefault(table(false)))
	req := get("/admin/api/v1/things/4711?x=y", "prod.example.com:80")
	b.ReportAllocs()
	for b.Loop() {
		r.Resolve(req)
	}
}
