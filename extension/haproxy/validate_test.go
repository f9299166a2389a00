package haproxy

import (
	"fmt"
	"strings"
	"testing"

	"interlock/extension/extensiontest"
	"interlock/routing"
)

// TestRefuses: one thing outside the grammar each, in an otherwise good table.
func TestRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*routing.Table){
		"no listener":               func(t *routing.Table) { t.Base.HTTPPort = 0 },
		"one port for two":          func(t *routing.Table) { t.Base.HealthPort = t.Base.HTTPPort },
		"no connections":            func(t *routing.Table) { t.Base.MaxConnections = 0 },
		"no share":                  func(t *routing.Table) { t.Base.MaxShare = 0 },
		"no timeout":                func(t *routing.Table) { t.Base.ConnectTimeout = 0 },
		"endless timeout":           func(t *routing.Table) { t.Base.GraceTimeout = 1 << 40 },
		"trusts nobody":             func(t *routing.Table) { t.Base.TrustedProxies = nil },
		"trusts a word":             func(t *routing.Table) { t.Base.TrustedProxies = []string{"-f /etc/passwd"} },
		"trusts a zone":             func(t *routing.Table) { t.Base.TrustedProxies = []string{"fe80::1%eth0"} },
		"two lines as one":          func(t *routing.Table) { t.Base.GlobalOptions = []string{"a\nb"} },
		"many words":                func(t *routing.Table) { t.Base.DefaultOptions = []string{strings.Repeat("a ", 51)} },
		"cluster with newline":      func(t *routing.Table) { t.Cluster = "a\nb" },
		"unknown algorithm":         func(t *routing.Table) { t.Backends[0].Algorithm = "roundrobin\n" },
		"unknown mode":              func(t *routing.Table) { t.Backends[0].Mode = "" },
		"another id":                func(t *routing.Table) { t.Backends[0].ID = "be_" + strings.Repeat("g", 16) },
		"service in two lines":      func(t *routing.Table) { t.Backends[0].Service = "a\nb" },
		"service with a blank":      func(t *routing.Table) { t.Backends[0].Service = "a b" },
		"network with a dash":       func(t *routing.Table) { t.Backends[0].Network = "-x" },
		"timeout":                   func(t *routing.Table) { t.Backends[0].ResponseTimeout = 25 * 3_600_000 },
		"negative timeout":          func(t *routing.Table) { t.Backends[0].IdleTimeout = -1 },
		"negative connections":      func(t *routing.Table) { t.Backends[0].MaxConnections = -1 },
		"health path without slash": func(t *routing.Table) { t.Backends[0].HealthPath = "x" },
		"health path in two lines":  func(t *routing.Table) { t.Backends[0].HealthPath = "/a\nb" },
		"health path with a blank":  func(t *routing.Table) { t.Backends[0].HealthPath = "/a b" },
		"health path of quotes":     func(t *routing.Table) { t.Backends[0].HealthPath = "/" + strings.Repeat("'", 300) },
		"health status":             func(t *routing.Table) { t.Backends[0].HealthStatus = "200 server" },
		"cookie with an option":     func(t *routing.Table) { t.Backends[0].StickyCookie = "sid insert" },
		"allow with an option":      func(t *routing.Table) { t.Backends[0].Allow = []string{"-f /etc/passwd"} },
		"allow not canonical":       func(t *routing.Table) { t.Backends[0].Allow = []string{"10.0.0.1/8"} },
		"pool of two allows": func(t *routing.Table) {
			b := len(t.Backends)
			for i := range b {
				t.Backends[i].Allow = []string{fmt.Sprintf("10.0.0.%d/32", i)}
			}
		},
		"own header": func(t *routing.Table) {
			t.Backends[0].RequestHeaders = []routing.Header{{Name: "x-forwarded-for", Value: "x"}}
		},
		"header in capitals":  func(t *routing.Table) { t.Backends[0].RequestHeaders = []routing.Header{{Name: "Host", Value: "x"}} },
		"header in two lines": func(t *routing.Table) { t.Backends[0].ResponseHeaders = []routing.Header{{Name: "x-a", Value: "x\ny"}} },
		"unknown protocol":    func(t *routing.Table) { t.Backends[0].Protocol = "h2 check-send-proxy" },
		"negative fails":      func(t *routing.Table) { t.Backends[0].MaxFails = -1 },
		"long path":           func(t *routing.Table) { t.Routes[0].Path = "/" + strings.Repeat("a", 1<<20) },
		"a member twice":      func(t *routing.Table) { t.Routes[0].Backends = append(t.Routes[0].Backends, t.Routes[0].Backends...) },
	} {
		table := extensiontest.Features("prod")
		if _, err := Render(table); err != nil {
			t.Fatalf("the good table is refused: %v", err)
		}
		spoil(&table)
		if _, err := Render(table); err == nil || len(err.Error()) > 500 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDockerNames(t *testing.T) {
	for name, want := range map[string]bool{"a": true, "shop_web.v-1": true, "0": true, "": false, "_a": false, ".a": false, "a b": false, "a@b": false,
		"a[b": false, "a{b": false, "a`b": false, "é": false, "a\x00": false, strings.Repeat("a", 256): false} {
		if isDockerName(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
}
