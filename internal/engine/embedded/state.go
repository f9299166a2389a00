package embedded

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"interlock/routing"
)

// state is all that a request sees. It is immutable but for the counters and
// health it points to.
type state struct {
	revision string
	base     routing.Base
	resolver *routing.Resolver
	pools    map[*routing.Route]*pool
	checks   []check
}

// memory is what outlives a state, by name. Only newState reads or writes it.
type memory struct {
	targets map[string]*target // by backend id and address
	tallies map[string]*tally  // by pool
	// upstreams are by their settings.
	upstreams map[upstreamSettings]*upstream
	// freed rings when an endpoint with a bound has a place again.
	freed *bell
}

// tally counts for one pool.
type tally struct {
	next atomic.Uint64 // whose turn it is
	busy atomic.Int64  // requests under way
}

// newState builds the state for t and eps, and leaves in m what it refers to.
func newState(t routing.Table, revision string, eps routing.Endpoints, m *memory) *state {
	s := &state{revision: revision, base: t.Base, resolver: routing.NewResolver(t)}
	s.pools = make(map[*routing.Route]*pool, len(t.Routes))
	next := memory{targets: map[string]*target{}, tallies: map[string]*tally{}, upstreams: map[upstreamSettings]*upstream{}, freed: m.freed}
	if next.freed == nil {
		next.freed = &bell{}
	}
	backends := make(map[string]routing.Backend, len(t.Backends))
	for _, b := range t.Backends {
		backends[b.ID] = b
	}
	pools, old := map[string]*pool{}, m.upstreams
	for i := range t.Routes {
		route := &t.Routes[i]
		name := strings.Join(route.Backends, " ")
		if pools[name] == nil {
			next.tallies[name] = keep(m.tallies, name, func() *tally { return &tally{} })
			pools[name] = newPool(membersOf(route, backends), eps, func(key, address string) *target {
				next.targets[key] = keep(m.targets, key, func() *target { return &target{key: key, address: address} })
				return next.targets[key]
			})
			pools[name].tally = next.tallies[name]
			pools[name].limit = share(t.Base)
			pools[name].freed = next.freed
			pools[name].patience = milliseconds(t.Base.ConnectTimeout, time.Second)
			settings := upstreamSettingsOf(t.Base, pools[name].options)
			for i := range pools[name].members {
				m := &pools[name].members[i]
				settings.h2 = m.h2
				if next.upstreams[settings] == nil {
					next.upstreams[settings] = keep(old, settings, func() *upstream { return newUpstream(settings) })
				}
				m.upstream = next.upstreams[settings]
			}
		}
		s.pools[route] = pools[name]
	}
	s.checks = checksOf(t, eps, next.targets)
	for settings, u := range m.upstreams {
		if next.upstreams[settings] == nil {
			u.retire()
		}
	}
	*m = next
	return s
}

func keep[K comparable, T any](old map[K]*T, name K, make func() *T) *T {
	if v := old[name]; v != nil {
		return v
	}
	return make()
}

// share is how many requests one pool may hold (I13); 0 for no bound.
func share(b routing.Base) int64 {
	if b.MaxConnections <= 0 || b.MaxShare <= 0 || b.MaxShare >= 100 {
		return 0
	}
	return int64(max(1, b.MaxConnections*b.MaxShare/100))
}

func membersOf(route *routing.Route, backends map[string]routing.Backend) (members []routing.Backend) {
	for _, id := range route.Backends {
		members = append(members, backends[id])
	}
	return members
}

func newPool(backends []routing.Backend, eps routing.Endpoints, targetOf func(key, address string) *target) *pool {
	p := &pool{options: routing.Pool(backends)}
	for _, cidr := range p.options.Allow {
		if n, err := netip.ParsePrefix(cidr); err == nil { // Validate has seen it
			p.allow = append(p.allow, n)
		}
	}
	for _, b := range backends {
		for _, ep := range eps[b.ID] {
			address := net.JoinHostPort(ep.Address, strconv.Itoa(ep.Port))
			p.members = append(p.members, member{
				target:      targetOf(b.ID+" "+address, address),
				maxFails:    b.MaxFails,
				failTimeout: milliseconds(b.FailTimeout, 10*time.Second),
				most:        int64(b.MaxConnections),
				h2:          b.Protocol == routing.H2,
				mark:        markOf(p.options.ServiceID, address),
			})
		}
	}
	slices.SortFunc(p.members, func(a, b member) int { return cmp.Compare(a.target.key, b.target.key) })
	p.members = slices.CompactFunc(p.members, func(a, b member) bool { return a.target == b.target })
	return p
}
