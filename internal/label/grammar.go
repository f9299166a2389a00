package label

import (
	"fmt"
	"regexp"
	"time"

	"interlock/internal/problems"
	"interlock/routing"
)

// emptiness is what an empty value means for a label. Docker makes null and
// unset variables empty without a word.
type emptiness int

const (
	emptyRefused emptiness = iota // an error: a default would not be what was meant
	emptyDefault                  // a warning, and the default
	emptyParsed                   // the row's parse function decides
)

// row is one label of the grammar: everything that is known about it.
type row struct {
	name string
	// value is the kind of value in the words of the docs.
	value string
	// otherwise is the default in the words of the docs.
	otherwise string
	example   string
	doc       string
	empty     emptiness
	// parse reads a value into the Spec and returns what is wrong with it. It
	// must be total, and set nothing that is not in the grammar.
	parse func(value string, s *Spec) []routing.Problem
	// later marks a label that this version knows but does not serve.
	later bool
}

// rows is the grammar, in the order of the docs. Nothing writes to it.
var rows = []row{
	{name: "hosts", value: "host names, separated by commas", otherwise: "required, unless `default_backend`", empty: emptyParsed, parse: parseHosts,
		example: "app.example.com,*.apps.example.com",
		doc:     "The names under which the service is reached: exact names, or `*.suffix` for any depth below it. No scheme, port or path. Names are lower-cased; blanks around commas and a trailing comma do no harm. At most 1,024 names."},
	{name: "port", value: "1–65535", otherwise: "the service's only exposed port", parse: parsePort,
		example: "8080",
		doc:     "The port that the application listens on inside its container. It need not be published. As plain digits."},
	{name: "network", value: "name of a network", otherwise: "the one network shared with the cluster's proxies", empty: emptyDefault, parse: parseNetwork,
		example: "web",
		doc:     "The network over which the proxies reach the tasks, with or without the stack's prefix. Needed when the service shares several with the proxies."},
	{name: "context_root", value: "path", otherwise: "`/`", parse: parseContextRoot,
		example: "/shop",
		doc:     "Only requests for this path and what is below it go to the service: `/shop` means `/shop` and `/shop/…`, not `/shopping`. The longest one wins. Any number of services may share a host by different paths, within one stack. A trailing slash does no harm."},
	{name: "context_root_rewrite", value: "boolean", otherwise: "`false`", empty: emptyDefault, parse: boolean(func(s *Spec, v bool) { s.Rewrite = v }),
		example: "true",
		doc:     "Strips the context root before the request is forwarded. A request for exactly the root is answered with a 301 that adds the slash."},
	{name: "service_cluster", value: "name of a cluster", otherwise: "the cluster that admits the service", empty: emptyParsed, parse: parseCluster,
		example: "dev",
		doc:     "The service cluster to be served by. It is a request: the operator's policy decides. The empty name is the default cluster. Letters count as written: `Dev` is not `dev`."},
	{name: "default_backend", value: "boolean", otherwise: "`false`", empty: emptyDefault, parse: boolean(func(s *Spec, v bool) { s.DefaultBackend = v }),
		example: "true",
		doc:     "Makes the service the cluster's catch-all for unknown hosts, where the operator allows it. Needs no hosts."},
	{name: "backend_mode", value: "`task` or `vip`", otherwise: "`task`", empty: emptyDefault, parse: choice(map[string]func(*Spec){
		routing.ModeTask: func(s *Spec) { s.Mode = routing.ModeTask },
		routing.ModeVIP:  func(s *Spec) { s.Mode = routing.ModeVIP },
	}),
		example: "task",
		doc:     "Route to each task, or to the service's virtual address. With `vip` Swarm chooses the task: balancing, stickiness and failure counting have no effect."},
	{name: "websocket_endpoints", value: "paths, separated by commas", otherwise: "none", empty: emptyParsed, parse: parseWebsockets,
		example: "/ws,/live",
		doc:     "Accepted for the original's sake. Upgrades work on every path without it."},
	{name: "algorithm", value: "`round_robin`, `least_conn`, `ip_hash` or `random`", otherwise: "`round_robin`", empty: emptyDefault, parse: parseAlgorithm,
		example: "least_conn",
		doc:     "How requests are spread over the tasks: in turn, to the one with the fewest under way, by client address, or at random, which is the fairest where many proxies share few tasks."},
	{name: "ip_hash", value: "boolean", otherwise: "`false`", empty: emptyDefault, parse: boolean(func(s *Spec, v bool) { s.ipHash = v }),
		example: "true",
		doc:     "The same as `algorithm: ip_hash`: requests of one client address go to one task, by a consistent hash."},
	{name: "max_fails", value: "0–1000", otherwise: "`0`: off", empty: emptyDefault, parse: parseMaxFails,
		example: "3",
		doc:     "So many failures within `fail_timeout` take a task out for `fail_timeout`. The proxies' own connection checks work without it."},
	{name: "fail_timeout", value: "duration, 1s–1h", otherwise: "`10s`", empty: emptyDefault, parse: parseFailTimeout,
		example: "30s",
		doc:     "See `max_fails`. A number with `s`, `m`, `h` or `ms`; a plain number is seconds."},
	{name: "sticky_session_cookie", value: "name of a cookie", otherwise: "requests are spread one by one", parse: parseCookie,
		example: "session",
		doc:     "Keeps a client at one task as long as that task is in order. Where the application sets this cookie, the proxies mark its value on the way out and take the mark off on the way in; where it sets none, the proxies set one, which the application sees with an empty value. The mark names no address, is the same at all proxies of a cluster, and outlives changes of other tasks."},
	{name: "allow", value: "addresses and networks (CIDR), separated by commas", otherwise: "all clients are served", empty: emptyParsed, parse: parseAllow,
		example: "10.0.0.0/8,192.0.2.7,2001:db8::/32",
		doc:     "Only clients with these addresses are served; others get 403. A list with a mistake never opens the service: it then has a route only if its last good labels had a list too. Services that differ in it are in no pool together. Behind a front load balancer it needs the PROXY protocol, or all clients have the balancer's address. At most 256 entries."},
	{name: requestHeader + "<name>", value: "text", otherwise: "none", parse: func(v string, s *Spec) []routing.Problem { return setHeader(&s.RequestHeaders, "x-name", v) },
		example: "a value",
		doc:     "Sets a header of the request on the way to the service, in place of the client's, for example `com.docker.lb.headers.request.X-Tenant`. The value is taken as it stands: nothing in it is evaluated. One line of printable ASCII, at most 1,500 bytes, 32 headers. What the router owns can't be set: Host, Connection and other hop-by-hop headers, Content-Length, Transfer-Encoding, cookies, Forwarded, X-Forwarded-*, X-Real-IP, X-Request-ID, Via."},
	{name: responseHeader + "<name>", value: "text", otherwise: "none", parse: func(v string, s *Spec) []routing.Problem { return setHeader(&s.ResponseHeaders, "x-name", v) },
		example: "a value",
		doc:     "Sets a header of the service's answers, in place of the service's own, for example `com.docker.lb.headers.response.X-Frame-Options: DENY`. The same values and names as for requests."},
	{name: "backend_protocol", value: "`http1` or `h2`", otherwise: "`http1`", empty: emptyDefault, parse: choice(map[string]func(*Spec){
		"http1":    func(s *Spec) { s.Protocol = "" },
		routing.H2: func(s *Spec) { s.Protocol = routing.H2 },
	}),
		example: "h2",
		doc:     "What the tasks speak: HTTP/1.1, or HTTP/2 without TLS and without an upgrade (h2c by prior knowledge). Health checks speak it too. Websockets need `http1`."},
	{name: "timeout_connect", value: "duration, 100ms–1m", otherwise: "the cluster's, `1s` unless config.toml says otherwise", empty: emptyDefault,
		parse:   duration(100*time.Millisecond, time.Minute, func(s *Spec, d time.Duration) { s.ConnectTimeout = d }),
		example: "3s",
		doc:     "How long connecting to a task may take. Then another task is tried, and when none answers the client gets 503."},
	{name: "timeout_response", value: "duration, 100ms–24h", otherwise: "the cluster's, `60s` unless config.toml says otherwise", empty: emptyDefault,
		parse:   duration(100*time.Millisecond, 24*time.Hour, func(s *Spec, d time.Duration) { s.ResponseTimeout = d }),
		example: "5m",
		doc:     "How long a task may take to begin its answer. Then the client gets 504."},
	{name: "timeout_idle", value: "duration, 1s–24h", otherwise: "`1h`", empty: emptyDefault,
		parse:   duration(time.Second, 24*time.Hour, func(s *Spec, d time.Duration) { s.IdleTimeout = d }),
		example: "10m",
		doc:     "How long an upgraded connection (a websocket) may be without traffic before it is closed."},
	{name: "max_connections", value: "1–100000", otherwise: "no bound but the service's share of the proxy", empty: emptyDefault, parse: parseMaxConnections,
		example: "100",
		doc:     "How many requests a proxy has under way at one task. Further ones wait for a task as long as the cluster's connect timeout and are then answered with 503. Each proxy of the cluster counts for itself."},
	{name: "health_path", value: "path, with or without a query", otherwise: "tasks are checked by connecting", parse: parseHealthPath,
		example: "/healthz",
		doc:     "Checks each task with `GET` of this path, `Host: localhost`. Two failures in a row take a task out, one success takes it back. A new task counts as in order until its checks fail."},
	{name: "health_interval", value: "duration, 500ms–10m", otherwise: "`2s`", empty: emptyDefault,
		parse:   duration(500*time.Millisecond, 10*time.Minute, func(s *Spec, d time.Duration) { s.HealthInterval = d }),
		example: "5s",
		doc:     "The time between two checks of a task, with or without `health_path`. Each proxy checks for itself."},
	{name: "health_timeout", value: "duration, 100ms–1m", otherwise: "the cluster's connect timeout", empty: emptyDefault,
		parse:   duration(100*time.Millisecond, time.Minute, func(s *Spec, d time.Duration) { s.HealthTimeout = d }),
		example: "2s",
		doc:     "How long a task may take to answer `health_path`."},
	{name: "health_status", value: "status codes and ranges of them, separated by commas", otherwise: "`" + routing.DefaultHealthStatus + "`", empty: emptyDefault, parse: parseHealthStatus,
		example: "200-299,401",
		doc:     "The answers to `health_path` that mean that the task is in order."},

	later("ssl_cert", "name of a secret", "app.crt", "Serves the hosts over TLS with this certificate; plain HTTP stays on."),
	later("ssl_key", "name of a secret", "app.key", "The key of `ssl_cert`."),
	unsafe("ssl_only", "Answers plain HTTP with a redirect to HTTPS."),
	unsafe("ssl_passthrough", "Hands TLS connections to the task without ending them."),
	unsafe("ssl_backend", "Speaks TLS to the tasks."),
	later("ssl_backend_tls_verify", "`none` or `required`", "required", "Whether the tasks' certificates are verified."),
	later("ssl_backend_ca", "name of a secret", "ca.crt", "What they are verified with."),
	later("ssl_backend_server_name", "host name", "app.internal", "The name they must be for."),
	later("redirects", "`source,target;…`", "http://old.example.com,http://new.example.com", "Redirects by host."),
	later("redirect_code", "301, 302, 303, 307 or 308", "308", "The status of `redirects`."),
	later("weight", "1–256", "10", "This service's part of a pool's requests."),
	later("pool", "name", "canary", "Pools services of several stacks where both agree."),
	later("certificate", "boolean", "true", "On a secret: it may be used by other services of its collection."),
}

// family is a label with a free part in its name, none of which this version
// serves: routes.<name>.<label>
var family = regexp.MustCompile(`^routes\.[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$`)

func inFamily(short string) bool { return family.MatchString(short) }

// byName is an index of rows; nothing writes to it.
var byName = func() map[string]*row {
	m := make(map[string]*row, len(rows))
	for i := range rows {
		m[rows[i].name] = &rows[i]
	}
	return m
}()

// known are the labels' names without Prefix, in the order of the table.
func known() []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.name
	}
	return out
}

func (r *row) whenEmpty() routing.Problem {
	if r.empty == emptyDefault {
		return problems.New(problems.LabelWithoutEffect, fmt.Sprintf("%s is empty and counts as not given", r.name),
			"remove it, or write a value such as "+r.example)
	}
	code := problems.LabelPort
	if r.name == "context_root" || r.name == "health_path" {
		code = problems.LabelPath
	}
	return problems.New(code, r.name+" is empty, perhaps because of a variable that is not set", "write a value such as "+r.example)
}

// later is a label whose absence leaves the service served, if less well.
func later(name, value, example, doc string) row {
	return row{name: name, value: value, example: example, doc: doc, later: true, empty: emptyParsed,
		parse: func(string, *Spec) []routing.Problem {
			return one(problems.LabelUnsupported, name+" is not served by this version; the service is routed as if it were absent", withoutIt)
		}}
}

// withoutIt is the hint for labels that this version leaves aside.
const withoutIt = "remove it, or use a version that serves it"

// unsafe is a switch which, when on, the service must not be served without.
func unsafe(name, doc string) row {
	return row{name: name, value: "boolean", otherwise: "`false`", example: "true", doc: doc, later: true, empty: emptyDefault,
		parse: func(value string, _ *Spec) []routing.Problem {
			on, found := parseBool(value)
			if on {
				return notWithout(name)
			}
			return found
		}}
}

func notWithout(name string) []routing.Problem {
	return one(problems.LabelUnsupportedUnsafe, name+" is not served by this version, and without it the service would be open in a way its author did not want",
		"remove "+Prefix+name+" if that is acceptable")
}
