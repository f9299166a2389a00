package enginetest

import (
	"fmt"
	"strings"
	"testing"

	"interlock/routing"
)

// testOwnHeaders: a service's headers take the place of the client's and of the
// application's; other services' requests don't have them.
func testOwnHeaders(t *testing.T, b *bench) {
	b.route("a.org", "/", startOrigin(t, "a"))
	b.route("b.org", "/", startOrigin(t, "b"))
	be := &b.table.Backends[0]
	be.RequestHeaders = []routing.Header{{Name: "x-tenant", Value: "acme"}}
	be.ResponseHeaders = []routing.Header{{Name: "content-type", Value: "text/x-test"}, {Name: "x-frame-options", Value: "DENY"}}
	b.apply(t)
	got := b.get(t, "a.org", "/", "X-Tenant: evil", "X-TENANT: worse", "Connection: x-tenant")
	if got.line("X-Tenant") != "acme" || strings.Contains(got.body, "evil") || strings.Contains(got.body, "worse") {
		t.Errorf("the application saw\n%s", got.body)
	}
	if got.header.Get("X-Frame-Options") != "DENY" || got.header.Get("Content-Type") != "text/x-test" || len(got.header["Content-Type"]) != 1 {
		t.Errorf("the client saw %v", got.header)
	}
	if got := b.get(t, "b.org", "/", "X-Tenant: mine"); got.line("X-Tenant") != "mine" || got.header.Get("X-Frame-Options") != "" {
		t.Errorf("another service: %v\n%s", got.header, got.body)
	}
}

// hostileValues are what a header's value may be and some configuration would
// take for more than text.
var hostileValues = []string{
	"'", "''", `"`, `\`, `\'`, `'\''`, "#", "a # b", "$HOME", "${HOME}", `"${HOME}"`, "%", "%%", "%%%", "100%", "%[env(HOME)]", "%%[env(HOME)]", "%%%[env(HOME)]", "%[nbsrv(il_http)]",
	"%{+json}o", "%ci", "-i", "-f", "-f /etc/passwd", "file", "--", "!x", "}", "{ TRUE }", "if", "unless", "if TRUE", "if { src 0.0.0.0/0 }", "@DIR@", "@RUN@", "@REVISION@",
	"@INSTANCE@", "@DIR@RUN@", "@@DIR@@", "%[str(x),map(/etc/passwd)]", "map(/etc/passwd)", "a;b", "`id`", "$(id)", "<script>", "{{ .Secret }}", "x' if TRUE #",
	"x' } or TRUE {", "# endpoints be_0", "backend evil", "default-src 'self'; script-src 'none'", "a\\", "\\r\\nX-Admin: 1", "x\\x0ay",
	strings.Repeat("w ", 400) + "w", strings.Repeat("'", 375), strings.Repeat("%", 750), strings.Repeat("@A", 375), strings.Repeat("a", routing.MaxHeaderValue),
}

// testHostileHeaders: each value arrives as it was written, whatever it looks
// like, both ways.
func testHostileHeaders(t *testing.T, b *bench) {
	origin := startOrigin(t, "a")
	for i, value := range hostileValues {
		b.route(fmt.Sprintf("h%d.org", i), "/", origin)
		be := &b.table.Backends[i]
		be.RequestHeaders = []routing.Header{{Name: "x-odd", Value: value}}
		be.ResponseHeaders = []routing.Header{{Name: "x-odd-too", Value: value}}
	}
	b.apply(t)
	for i, want := range hostileValues {
		got := b.get(t, fmt.Sprintf("h%d.org", i), "/")
		if got.line("X-Odd") != want || got.header.Get("X-Odd-Too") != want || len(got.header["X-Odd-Too"]) != 1 {
			t.Errorf("%.80q: the application saw %.80q, the client %.80q", want, got.line("X-Odd"), got.header["X-Odd-Too"])
		}
	}
}
