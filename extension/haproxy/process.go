package haproxy

import (
	"fmt"
	"strings"

	"interlock/bundle"
	"interlock/routing"
)

const (
	// reserve are connections beside the public ones: health checks and the
	// runtime socket must be answered when the public listener is full.
	reserve = 100
	// maxOldWorkers bounds the workers that finish requests after reloads.
	maxOldWorkers = 10
	// uid of the worker; the image has no user names. The master stays root.
	uid = 99
	// requestTimeout bounds the time for a request's head, in ms.
	requestTimeout = 10_000
	// tunnelTimeout bounds an idle websocket, in ms.
	tunnelTimeout = 3_600_000
)

// renderGlobal writes the process. Limits of the machine are warnings: a proxy
// that serves fewer connections is better than none.
func renderGlobal(b *strings.Builder, base routing.Base) {
	fmt.Fprintf(b, `global
  description @REVISION@
  stats socket @RUN@/admin.sock mode 600 level admin
  stats timeout 30s
  log stdout format raw local0 info
  maxconn %d
  no strict-limits
  uid %d
  gid %d
  hard-stop-after %dms
  mworker-max-reloads %d
  httpclient.resolvers.disabled on
`, base.MaxConnections+reserve, uid, uid, base.GraceTimeout, maxOldWorkers)
	writeRaw(b, base.GlobalOptions)
}

// renderDefaults writes what every section has. Without idle-close-on-response
// a reload closes idle connections under clients that are about to send. Only
// failed requests are logged.
func renderDefaults(b *strings.Builder, base routing.Base) {
	fmt.Fprintf(b, `
defaults
  mode http
  log global
  option dontlognull
  option dontlog-normal
  unique-id-format @INSTANCE@-%%pid-%%rt
  option idle-close-on-response
  option forwardfor
  option http-restrict-req-hdr-names delete
  option disable-h2-upgrade
  balance roundrobin
  retries 3
  option redispatch 1
  retry-on conn-failure
  timeout connect %dms
  timeout check %dms
  timeout queue %dms
  timeout client %dms
  timeout server %dms
  timeout http-request %dms
  timeout http-keep-alive %dms
  timeout client-fin 30s
  timeout server-fin 30s
  timeout tunnel %dms
  http-error status 503 content-type text/html file @DIR@/pages/unavailable.html
`, base.ConnectTimeout, base.ConnectTimeout, base.ConnectTimeout, base.ClientTimeout, base.ServerTimeout,
		min(requestTimeout, base.ClientTimeout), base.KeepaliveTimeout, tunnelTimeout)
	writeRaw(b, base.DefaultOptions)
}

// renderHealth writes the listener for the front load balancer. It is the only
// one that tells anything about the proxy.
func renderHealth(b *strings.Builder, base routing.Base) {
	fmt.Fprintf(b, `
frontend il_health
  bind :%d
  maxconn %d
  no log
  http-request return status 200 content-type text/plain string ready if { str(state),map_str(@RUN@/health.map) -m str ready }
  http-request return status 503 content-type text/plain string 'not ready'
`, base.HealthPort, reserve)
}

func writeRaw(b *strings.Builder, lines []string) {
	for _, line := range lines {
		b.WriteString("  " + line + "\n")
	}
}

// pages are the answers of the router itself. They say which of three things
// happened and nothing about the cluster.
var pages = []bundle.File{
	page("busy", "This service has reached its share of the proxy's connections."),
	page("unavailable", "The service behind this address has no task that accepts connections."),
	page("unrouted", "No service is routed at this address."),
}

func page(name, text string) bundle.File {
	const form = "<!doctype html>\n<title>503 Service Unavailable</title>\n<h1>503 Service Unavailable</h1>\n<p>%s</p>\n"
	return bundle.File{Path: "pages/" + name + ".html", Data: fmt.Sprintf(form, text)}
}
