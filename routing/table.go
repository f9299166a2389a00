// Package routing is Interlock's model of what a service cluster serves: the
// table, its routes and backends, the endpoints behind them, and the problems
// found on the way. It is pure and imports only the standard library.
//
// Resolve is the definition of how a request is routed. Every engine agrees
// with it (invariant I11).
package routing

// Table is the complete routing model of one cluster: what compiling yields
// and what rendering takes. It holds structure only; the addresses behind a
// backend are Endpoints. Routes are sorted by host, then path; backends by id;
// equal facts give equal bytes.
type Table struct {
	Cluster  string    `json:"cluster"`
	Base     Base      `json:"base"`
	Routes   []Route   `json:"routes"`
	Backends []Backend `json:"backends"`
}

// Base is the operator's part of a table: all that holds without any service.
// Durations are milliseconds.
type Base struct {
	// HTTPPort is the port the proxy listens on inside its container, and
	// HealthPort the one on which it answers the front load balancer.
	HTTPPort   int `json:"http_port"`
	HealthPort int `json:"health_port"`
	// ProxyProtocol expects a PROXY header from TrustedProxies (CIDRs) and
	// takes the client's address from it.
	ProxyProtocol  bool     `json:"proxy_protocol,omitempty"`
	TrustedProxies []string `json:"trusted_proxies,omitempty"`
	// MaxConnections bounds the proxy; MaxShare is the part of it, in percent,
	// that one backend may hold before further requests are refused (I13).
	MaxConnections int `json:"max_connections"`
	MaxShare       int `json:"max_share"`

	ConnectTimeout   int `json:"connect_timeout_ms"`
	ClientTimeout    int `json:"client_timeout_ms"`
	ServerTimeout    int `json:"server_timeout_ms"`
	KeepaliveTimeout int `json:"keepalive_timeout_ms"`
	// GraceTimeout bounds an old worker's life after a reload or a stop.
	GraceTimeout int `json:"grace_timeout_ms"`

	// InfoHeaders adds x-proxy-id, x-server-info, x-upstream-addr and
	// x-upstream-response-time to responses, beside x-request-id.
	InfoHeaders bool `json:"info_headers,omitempty"`
	// RelaxedPaths lets "//" and "%2f" through for hosts with one route.
	RelaxedPaths bool `json:"relaxed_paths,omitempty"`
	// GlobalOptions and DefaultOptions are the operator's raw lines.
	GlobalOptions  []string `json:"global_options,omitempty"`
	DefaultOptions []string `json:"default_options,omitempty"`
}

// DefaultHost is the host of the cluster's catch-all route.
const DefaultHost = "*"

// Route maps a host and a path prefix to backends.
type Route struct {
	// Host is an exact name in normal form (lower case, A-labels, no port, no
	// trailing dot), "*.suffix", or DefaultHost.
	Host string `json:"host"`
	// Path is "/" or a prefix such as "/app" without a trailing slash. It
	// matches whole segments: "/app" and "/app/…", not "/apple".
	Path string `json:"path"`
	// Rewrite strips Path before the request is forwarded; a request for
	// exactly Path is answered with a 301 that adds the slash.
	Rewrite bool `json:"rewrite,omitempty"`
	// Backends are ids. Several are a pool: requests spread over all their
	// endpoints. Which options count for the pool, Pool says.
	Backends []string `json:"backends"`
}

// Algorithms of a Backend.
const (
	RoundRobin = "round_robin"
	LeastConn  = "least_conn"
	IPHash     = "ip_hash"
	Random     = "random"
)

// Modes of a Backend: route to each task, or to the service's virtual address.
const (
	ModeTask = "task"
	ModeVIP  = "vip"
)

// H2 is a Protocol of a Backend: HTTP/2 without TLS, from the first byte.
const H2 = "h2"

// Backend is one service's group of targets for a route.
type Backend struct {
	// ID is stable over restarts and label changes: see BackendID.
	ID string `json:"id"`
	// Service is the Swarm service's name, ServiceID its id, Stack the value
	// of com.docker.stack.namespace, or "".
	Service   string `json:"service"`
	ServiceID string `json:"service_id"`
	Stack     string `json:"stack,omitempty"`
	// Port is the container port that the service's present labels name.
	Port int `json:"port"`
	// Network is the overlay over which the endpoints are reached, by name.
	Network string `json:"network"`
	Mode    string `json:"mode"`
	// Algorithm is RoundRobin, LeastConn, IPHash or Random.
	Algorithm string `json:"algorithm"`
	// MaxFails failures within FailTimeout (ms) take an endpoint out for
	// FailTimeout; 0 leaves it to the engine's own health checks.
	MaxFails    int `json:"max_fails,omitempty"`
	FailTimeout int `json:"fail_timeout_ms,omitempty"`
	// ConnectTimeout is for connecting to an endpoint, ResponseTimeout for its
	// answer to begin, IdleTimeout for an upgraded connection without traffic,
	// in ms; 0 is the base's.
	ConnectTimeout  int `json:"connect_timeout_ms,omitempty"`
	ResponseTimeout int `json:"response_timeout_ms,omitempty"`
	IdleTimeout     int `json:"idle_timeout_ms,omitempty"`
	// MaxConnections bounds the requests that one proxy has under way at one
	// endpoint; 0 is no bound. Further ones wait for Base.ConnectTimeout and are
	// then answered with 503.
	MaxConnections int `json:"max_connections,omitempty"`
	// HealthPath is asked for with GET to check an endpoint, which is in order
	// when it answers within HealthTimeout (ms; 0 is Base.ConnectTimeout) with a
	// status of HealthStatus (see Statuses; "" is DefaultHealthStatus). With "" an
	// endpoint is in order when it accepts a connection. HealthInterval (ms) is
	// the time between checks, 0 is two seconds.
	HealthPath     string `json:"health_path,omitempty"`
	HealthInterval int    `json:"health_interval_ms,omitempty"`
	HealthTimeout  int    `json:"health_timeout_ms,omitempty"`
	HealthStatus   string `json:"health_status,omitempty"`
	// StickyCookie names the cookie that keeps a client at one endpoint, "" for
	// none. The proxies put 16 hex digits and "~" before the value that the
	// application sets, take them off on the way back, and set the cookie with
	// an empty value where the application does not.
	StickyCookie string `json:"sticky_cookie,omitempty"`
	// Allow are the networks whose clients are served, as CIDRs in canonical
	// form; others get 403. Empty allows all. Backends that differ in it are in no
	// pool together.
	Allow []string `json:"allow,omitempty"`
	// RequestHeaders and ResponseHeaders are set to fixed values on the way to
	// the service and on the way back, in place of what was there. They are in
	// the form of ValidateHeaders.
	RequestHeaders  []Header `json:"request_headers,omitempty"`
	ResponseHeaders []Header `json:"response_headers,omitempty"`
	// Protocol is what the endpoints speak: "" is HTTP/1.1, or H2.
	Protocol string `json:"protocol,omitempty"`
}

// Header is a header's name in lower case and its value.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}
