package routing

import "slices"

// poolOption is an option that a pool has once: no engine can tell by the
// endpoint, which is chosen later.
type poolOption struct {
	label string // without prefix
	same  func(a, b Backend) bool
	clear func(*Backend)
}

// poolOptions are listed in the order of the docs. Nothing writes to it.
var poolOptions = []poolOption{
	{"timeout_connect", func(a, b Backend) bool { return a.ConnectTimeout == b.ConnectTimeout }, func(b *Backend) { b.ConnectTimeout = 0 }},
	{"timeout_response", func(a, b Backend) bool { return a.ResponseTimeout == b.ResponseTimeout }, func(b *Backend) { b.ResponseTimeout = 0 }},
	{"timeout_idle", func(a, b Backend) bool { return a.IdleTimeout == b.IdleTimeout }, func(b *Backend) { b.IdleTimeout = 0 }},
	{"sticky_session_cookie", func(a, b Backend) bool { return a.StickyCookie == b.StickyCookie }, func(b *Backend) { b.StickyCookie = "" }},
	{"health_path", func(a, b Backend) bool { return a.HealthPath == b.HealthPath }, func(b *Backend) { b.HealthPath = "" }},
	{"health_timeout", func(a, b Backend) bool { return a.HealthTimeout == b.HealthTimeout }, func(b *Backend) { b.HealthTimeout = 0 }},
	{"headers.request", func(a, b Backend) bool { return slices.Equal(a.RequestHeaders, b.RequestHeaders) }, func(b *Backend) { b.RequestHeaders = nil }},
	{"headers.response", func(a, b Backend) bool { return slices.Equal(a.ResponseHeaders, b.ResponseHeaders) }, func(b *Backend) { b.ResponseHeaders = nil }},
	// A status that is in order for one is not for the other: only connect.
	{"health_status", func(a, b Backend) bool { return a.HealthStatus == b.HealthStatus }, func(b *Backend) { b.HealthPath, b.HealthStatus = "", "" }},
}

// Pool returns a backend with the options that hold for a pool of members: the
// first one's, without those that a pool has once and on which members differ.
// Options of single endpoints (MaxFails, MaxConnections) stay each member's own.
func Pool(members []Backend) Backend {
	pool := members[0]
	for _, m := range members[1:] {
		for _, o := range poolOptions {
			if !o.same(members[0], m) {
				o.clear(&pool)
			}
		}
	}
	return pool
}

// PoolConflicts are the labels, without prefix, of the options that a pool has
// once and on which a and b differ.
func PoolConflicts(a, b Backend) (labels []string) {
	for _, o := range poolOptions {
		if !o.same(a, b) {
			labels = append(labels, o.label)
		}
	}
	return labels
}
