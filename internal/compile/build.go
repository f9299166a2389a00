package compile

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"interlock/internal/problems"
	"interlock/routing"
)

// build makes the table of what was granted. Services of one owner that ask
// for the same host and path are a pool, the oldest first.
func (c *compiler) build() {
	routes := make(map[place]int, len(c.services))
	first := make(map[place]*service, len(c.services))
	c.table = routing.Table{Cluster: c.cluster.Name, Base: c.cluster.Base, Routes: []routing.Route{}, Backends: []routing.Backend{}}
	for _, s := range c.services {
		if s.draft.grants() {
			c.partAllows(s, first)
		}
		if !s.draft.grants() {
			continue
		}
		backend := s.backend()
		s.backendID = backend.ID
		c.table.Backends = append(c.table.Backends, backend)
		for a := range s.asks() {
			if !a.granted {
				continue
			}
			at := place{a.host, a.path}
			if i, pool := routes[at]; pool {
				c.table.Routes[i].Backends = append(c.table.Routes[i].Backends, backend.ID)
				s.poolOptions(backend, first[at], at)
				continue
			}
			first[at], routes[at] = s, len(c.table.Routes)
			c.table.Routes = append(c.table.Routes, routing.Route{Host: a.host, Path: a.path, Rewrite: s.rewrites(*a), Backends: []string{backend.ID}})
		}
	}
	slices.SortFunc(c.table.Routes, func(x, y routing.Route) int {
		return cmp.Or(cmp.Compare(x.Host, y.Host), cmp.Compare(x.Path, y.Path))
	})
	slices.SortFunc(c.table.Backends, func(x, y routing.Backend) int { return cmp.Compare(x.ID, y.ID) })
}

// partAllows takes from a service the routes on which it would be in a pool
// with one that allows other clients: whoever may reach the pool reaches both.
func (c *compiler) partAllows(s *service, first map[place]*service) {
	for a := range s.asks() {
		oldest := first[place{a.host, a.path}]
		if !a.granted || oldest == nil || slices.Equal(oldest.draft.spec.Allow, s.draft.spec.Allow) {
			continue
		}
		a.granted = false
		c.lose(s, s.draft, *a, problem(problems.LabelAllow, "allow",
			fmt.Sprintf("%s%s is served by %s, which allows other clients", a.host, a.path, oldest.Name), "give both services the same allow, or another host or context_root"))
	}
}

// rewrites says whether the context root is stripped for an ask; not where the
// service answers as the cluster's catch-all.
func (s *service) rewrites(a ask) bool { return s.draft.spec.Rewrite && a.path != "/" }

// backend is the service's group of targets.
func (s *service) backend() routing.Backend {
	d := s.draft
	b := routing.Backend{
		ID: routing.BackendID(s.ID, "", d.port), Service: s.Name, ServiceID: s.ID, Stack: s.Stack(),
		Port: d.port, Network: d.network.Name, Mode: d.mode, Algorithm: d.spec.Algorithm,
	}
	if d.spec.MaxFails > 0 {
		b.MaxFails, b.FailTimeout = d.spec.MaxFails, milliseconds(d.spec.FailTimeout)
	}
	b.ConnectTimeout, b.ResponseTimeout, b.IdleTimeout = milliseconds(d.spec.ConnectTimeout), milliseconds(d.spec.ResponseTimeout), milliseconds(d.spec.IdleTimeout)
	b.MaxConnections = d.spec.MaxConnections
	b.RequestHeaders, b.ResponseHeaders = d.spec.RequestHeaders, d.spec.ResponseHeaders
	b.StickyCookie, b.Allow, b.Protocol = d.spec.StickyCookie, d.spec.Allow, d.spec.Protocol
	b.HealthPath, b.HealthStatus = d.spec.HealthPath, d.spec.HealthStatus
	b.HealthInterval, b.HealthTimeout = milliseconds(d.spec.HealthInterval), milliseconds(d.spec.HealthTimeout)
	return b
}

func milliseconds(d time.Duration) int { return int(d / time.Millisecond) }

// poolOptions warns of options that a pool has once, where the service's differ
// from those of the pool's oldest one.
func (s *service) poolOptions(mine routing.Backend, first *service, at place) {
	its := first.backend()
	counts := func(label string) {
		s.report(problem(problems.LabelWithoutEffect, label,
			fmt.Sprintf("%s%s is shared with %s, whose %s counts for both", at.host, at.path, first.Name, label), poolHint))
	}
	if s.draft.spec.Rewrite != first.draft.spec.Rewrite {
		counts("context_root_rewrite")
	}
	if mine.Algorithm != its.Algorithm {
		counts("algorithm")
	}
	for _, label := range routing.PoolConflicts(its, mine) {
		s.report(problem(problems.LabelWithoutEffect, label,
			fmt.Sprintf("%s%s is shared with %s, whose %s differs; it has no effect there for either", at.host, at.path, first.Name, label), poolHint))
	}
}

const poolHint = "give all services of a pool the same options"
