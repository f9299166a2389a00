package haproxy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"interlock/bundle"
	renderer "interlock/extension/haproxy"
	"interlock/internal/engine"
	"interlock/routing"
)

// TestAcceptRefusesMeans: whoever renders, a bundle can't start programs, open
// sockets, read files of others or keep the worker root. The engine's own check
// takes most of these.
func TestAcceptRefusesMeans(t *testing.T) {
	for name, extra := range map[string]string{
		"program":                      "\nprogram x\n  command /bin/true\n",
		"indented program":             "\n  program x\n  command /bin/true\n",
		"tabbed program":               "\n\tprogram x\n\tcommand /bin/true\n",
		"quoted program":               "\n\"program\" x\n",
		"program in halves":            "\npro\"gram\" x\n",
		"escaped program":              "\npro\\gram x\n",
		"program by bytes":             "\n\\x70rogram x\n",
		"program by variable":          "\n\"$P\" x\n",
		"command":                      "\n  command /bin/true\n",
		"global again":                 "\nglobal\n  maxconn 9\n",
		"indented global":              "\n  global\n",
		"socket":                       "\nbackend x\n  stats socket ipv4@0.0.0.0:9999 level admin\n",
		"our socket again":             "\nbackend x\n  " + adminSocket + "\n",
		"peers":                        "\npeers x\n  peer a 0.0.0.0:9999\n",
		"resolvers":                    "\nresolvers x\n",
		"ring":                         "\nring x\n",
		"log-forward":                  "\nlog-forward x\n  bind :9999\n",
		"listen":                       "\nlisten x\n  bind :9999\n",
		"defaults with a name":         "\ndefaults x\n  http-request deny\n",
		"another port":                 "\nfrontend x\n  bind :9999\n",
		"unix socket":                  "\nfrontend x\n  bind /run/interlock/x:20000\n",
		"inherited socket":             "\nfrontend x\n  bind fd@3\n",
		"options of bind":              "\nfrontend x\n  bind :20000 accept-netscaler-cip 1\n",
		"conditional":                  "\n.if 1\n",
		"notice":                       "\n  .notice x\n",
		"server":                       "\nbackend x\n  server s 192.0.2.1:80\n",
		"server-template":              "\nbackend x\n  server-template s 2 web:80\n",
		"external check":               "\nbackend x\n  option external-check\n",
		"external check, quoted":       "\nbackend x\n  option 'external-check'\n",
		"external check's program":     "\nbackend x\n  external-check command /bin/true\n",
		"lua":                          "\nbackend x\n  http-request lua.x\n",
		"service":                      "\nbackend x\n  http-request use-service prometheus-exporter\n",
		"filter":                       "\nbackend x\n  filter spoe engine x config /x\n",
		"resolve":                      "\nbackend x\n  http-request do-resolve(txn.x,y) str(z)\n",
		"raw TCP":                      "\nfrontend x\n  mode tcp\n",
		"log elsewhere":                "\nbackend x\n  log 192.0.2.1:514 local0\n",
		"file of others":               "\nbackend x\n  http-request return status 200 content-type text/plain lf-file /run/secrets/interlock-identity\n",
		"file of others, quoted":       "\nbackend x\n  http-request return status 200 content-type text/plain l\"f-\"file '/run/secrets/x'\n",
		"relative file":                "\nbackend x\n  http-error status 503 content-type text/plain file run/secrets/x\n",
		"file upwards":                 "\nbackend x\n  http-error status 503 content-type text/plain file @DIR@/../x\n",
		"list of others":               "\nbackend x\n  acl x src -f /run/secrets/x\n",
		"map of others":                "\nbackend x\n  acl x src,map_ip(/run/secrets/x) -m found\n",
		"map of others in quotes":      "\nbackend x\n  acl x 'str(a),map_str(\"/run/secrets/x\") -m found'\n",
		"map among the run-time files": "\nbackend x\n  acl x str(a),map(@RUN@/endpoints.json) -m found\n",
		"quote that is not closed":     "\nbackend x\n  acl x 'src\n",
	} {
		t.Run(name, func(t *testing.T) {
			refusedBundle(t, fmt.Sprintf(minimal, 20000, 20001)+extra, "")
		})
	}
}

// refusedBundle expects that a refusal says where, or what is missing.
func refusedBundle(t *testing.T, config, options string) {
	t.Helper()
	var refusal *engine.Refusal
	if err := accept(testBundle(config, options)); !errors.As(err, &refusal) {
		t.Errorf("got %v", err)
	}
}

func testBundle(config, options string) bundle.Bundle {
	return bundle.Bundle{
		Engine: bundle.HAProxy, Ports: []int{20000, 20001}, Files: []bundle.File{{Path: mainFile, Data: config}},
		Backends: []bundle.Backend{{ID: "be_a", Sections: []string{"be_a"}, Server: options}},
	}
}

func TestAcceptRefusesGlobal(t *testing.T) {
	good := fmt.Sprintf(minimal, 20000, 20001)
	if err := accept(testBundle(good, "")); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"insecure-fork-wanted", "insecure-setuid-wanted", "external-check", "lua-load /x", "lua-prepend-path /x", "setenv A b", "presetenv A b",
		"resetenv", "chroot /", "pidfile /x", "user root", "uid 0", "gid 0", "uid 99", "server-state-base /x", "default-path config", "ca-base /x",
		"stats socket ipv4@0.0.0.0:9999", "log 192.0.2.1:514 local0", "log /dev/log local0", "expose-experimental-directives", "no uid", "crt-base /x",
		"wurfl-data-file /x", "module-load x.so", "module-path /x", "ssl-engine rdrand", "ssl-provider x", "localpeer x", "master-worker",
	} {
		t.Run(line, func(t *testing.T) {
			refusedBundle(t, strings.Replace(good, "  hard-stop-after 10s\n", "  hard-stop-after 10s\n  "+line+"\n", 1), "")
		})
	}
	for _, needed := range []string{"  uid 99\n", "  gid 99\n", "  " + adminSocket + "\n"} {
		refusedBundle(t, strings.Replace(good, needed, "", 1), "")
	}
}

func TestAcceptRefusesServerOptions(t *testing.T) {
	for _, options := range []string{
		"ssl crt /run/secrets/interlock-identity", "source 192.0.2.1", "addr 192.0.2.1", "check port 22", "agent-check agent-port 1", "track x/y",
		"init-addr libc", "resolvers x", "socks4 192.0.2.1:1", "check inter", "check inter /x", "namespace x", "set-proxy-v2-tlv-fmt(1) x", "$x", "disabled",
	} {
		refusedBundle(t, fmt.Sprintf(minimal, 20000, 20001), options)
	}
}

// TestAcceptTakesOurRenderer shows that the list has all that we need, and what
// operators put into raw lines.
func TestAcceptTakesOurRenderer(t *testing.T) {
	table := routing.Table{
		Cluster: "it's \"prod\" \\ #1 $x",
		Base: routing.Base{
			HTTPPort: 80, HealthPort: 8404, MaxConnections: 1000, MaxShare: 50, ConnectTimeout: 1000, ClientTimeout: 10000,
			ServerTimeout: 10000, KeepaliveTimeout: 3000, GraceTimeout: 10000, InfoHeaders: true,
			ProxyProtocol: true, TrustedProxies: []string{"192.0.2.0/24"},
			GlobalOptions:  []string{"tune.bufsize 32768", "spread-checks 5", "stats timeout 10s", "nbthread 2"},
			DefaultOptions: []string{"option httplog", "timeout tunnel 1m", "errorloc 502 https://example.com/sorry", "log-format \"%ci %r\""},
		},
		Backends: []routing.Backend{
			{ID: "be_0123456789abcdef", Service: "web", Port: 80, Mode: routing.ModeTask, Algorithm: routing.IPHash, MaxFails: 3, FailTimeout: 1000},
			{ID: "be_fedcba9876543210", Service: "api", Port: 80, Mode: routing.ModeVIP, Algorithm: routing.LeastConn},
		},
		Routes: []routing.Route{
			{Host: "*", Path: "/", Backends: []string{"be_0123456789abcdef"}},
			{Host: "*.example.com", Path: "/a", Rewrite: true, Backends: []string{"be_0123456789abcdef", "be_fedcba9876543210"}},
			{Host: "www.example.com", Path: "/", Backends: []string{"be_fedcba9876543210"}},
		},
	}
	for _, relaxed := range []bool{false, true} {
		table.Base.RelaxedPaths = relaxed
		b, err := renderer.Render(table)
		if err != nil {
			t.Fatal(err)
		}
		if err := accept(b); err != nil {
			t.Error(err)
		}
	}
}
